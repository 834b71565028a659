"""The columns of a bar file before anyone knows what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from v8lib.raw_bars import Finding

MAX_COLUMNS = 1_000
MAX_ROWS = 100_000_000  # 190 years of one-minute bars
MAX_SHOWN = 60  # letters of a cell, a name or a foreign message that an error repeats


@dataclass(frozen=True)
class FileTable:
    """The cells of a file.

    Attributes
    ----------
    names : tuple of str
        Column names as they stand in the file; None if it has none.
    columns : tuple of ChunkedArray, each of n_rows
        Texts, float64, int64 or timestamps; other types are there but hold no bars.
    format, header : str
        How the file was read, in words.
    findings : tuple of Finding
        What was noticed on the way.
    comma_may_be_decimal : bool
        Whether a comma can stand inside a number; not so where commas part the columns.
    """

    names: tuple[str, ...] | None
    columns: tuple[pa.ChunkedArray, ...]
    format: str
    header: str = "one row"
    findings: tuple[Finding, ...] = ()
    comma_may_be_decimal: bool = False

    @property
    def n_rows(self) -> int:
        """Return the number of data rows."""
        return len(self.columns[0]) if self.columns else 0


def one_line(text: Any, limit: int = MAX_SHOWN) -> str:
    """Return foreign text on one line, at most `limit` letters of it."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words if len(words) <= limit else words[: limit - 3] + "..."


def shown(value: Any) -> str:
    """Return a cell as a person would write it, on one line."""
    if value is None or isinstance(value, str):
        return repr(one_line(value or ""))
    return one_line(repr(value))


def name_list(names: tuple[str, ...]) -> str:
    """Return column names for a message, the first twenty of them."""
    listed = [one_line(name) or "''" for name in names[:20]]
    return ", ".join([*listed, *(["..."] if len(names) > len(listed) else [])])


def is_text(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds texts."""
    return pa.types.is_string(column.type)


def is_number(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds numbers."""
    return pa.types.is_floating(column.type) or pa.types.is_integer(column.type)


def is_time(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds timestamps."""
    return pa.types.is_timestamp(column.type)


def holes(column: pa.ChunkedArray) -> int:
    """Return how many cells of a column are empty."""
    if is_text(column):
        empty = pc.sum(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py() or 0
        return int(empty) + column.null_count
    if pa.types.is_floating(column.type):
        return int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
    return column.null_count


def counts(numbers: Mapping[str, int]) -> str:
    """Return "a (3 rows), b (1 row)" for a message."""
    return ", ".join(f"{one_line(name)} ({row_count(n)})" for name, n in numbers.items())


def row_count(n: int) -> str:
    """Return "1 row" or "2,000 rows"."""
    return f"{n:,} row{'s' * (n != 1)}"
