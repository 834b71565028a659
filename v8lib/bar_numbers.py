"""Cells as numbers: exact, with a point or a comma, and never with thousands separators."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from v8lib.bar_table import is_text, shown
from v8lib.errors import BarsError

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
COMMA_NUMBER = r"^[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d{1,3})?$"
# "1,234" is a thousand in one country and little more than one in another.
COMMA_OR_THOUSANDS = r"^[+-]?[1-9]\d{0,2},\d{3}$"
THOUSANDS = (
    r"^[+-]?\d{1,3}((,\d{3})+(\.\d*)?|(\.\d{3})+,\d+|(\.\d{3}){2,}"
    r"|([ '_\x{2019}\x{a0}\x{202f}]\d{3})+([.,]\d+)?)$"
)


def numbers_of(
    columns: Mapping[str, pa.ChunkedArray], *, comma_may_be_decimal: bool
) -> dict[str, NDArray[np.float64]]:
    """Return columns as float64, NaN where a cell is no finite number.

    Parameters
    ----------
    columns : mapping of str to ChunkedArray
        Texts or numbers, n_rows each.
    comma_may_be_decimal : bool
        Whether "1,5" can be one and a half. It is, if no number of the file has a point.

    Raises
    ------
    BarsError
        If a number has a thousands separator, or a comma that might be one.
    """
    texts = {n: pc.utf8_trim_whitespace(c) for n, c in columns.items() if is_text(c)}
    decimal_comma = comma_may_be_decimal and _has_decimal_comma(texts)
    return {
        name: _parsed(name, texts[name], decimal_comma) if name in texts else _finite(column)
        for name, column in columns.items()
    }


def _has_decimal_comma(texts: Mapping[str, pa.ChunkedArray]) -> bool:
    """Return whether the numbers of a file are written with a comma."""
    cells = {name: _cells_with(column, ",") for name, column in texts.items()}
    if not any(map(len, cells.values())):
        return False
    if any(len(_cells_with(column, ".")) for column in texts.values()):
        return False
    sure = (pc.invert(pc.match_substring_regex(c, COMMA_OR_THOUSANDS)) for c in cells.values())
    if not any(pc.any(column).as_py() for column in sure):
        name, column = next((n, c) for n, c in cells.items() if len(c))
        raise BarsError(
            f"column '{name}': {shown(column[0].as_py())} may be a decimal comma or a thousands "
            "separator: write the numbers with a point"
        )
    return True


def _cells_with(column: pa.ChunkedArray, letter: str) -> pa.ChunkedArray:
    return column.filter(pc.match_substring(column, letter))


def _parsed(name: str, column: pa.ChunkedArray, decimal_comma: bool) -> NDArray[np.float64]:
    good = pc.match_substring_regex(column, COMMA_NUMBER if decimal_comma else NUMBER)
    bad = pc.fill_null(pc.invert(good), True)
    if pc.any(bad).as_py():
        _refuse_thousands(name, column, bad)
        column = pc.if_else(good, column, pa.scalar(None, pa.string()))
    if decimal_comma:
        column = pc.replace_substring(column, ",", ".")
    return _finite(column.cast(pa.float64()))


def _refuse_thousands(name: str, column: pa.ChunkedArray, bad: pa.ChunkedArray) -> None:
    grouped = pc.fill_null(pc.match_substring_regex(column, THOUSANDS), False)
    row = pc.index(pc.and_(bad, grouped), True).as_py()
    if row >= 0:
        raise BarsError(
            f"column '{name}', row {row + 1}: {shown(column[row].as_py())} has thousands "
            "separators: write the numbers without them"
        )


def _finite(column: pa.ChunkedArray) -> NDArray[np.float64]:
    values = np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return values
