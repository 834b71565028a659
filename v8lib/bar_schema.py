"""The schema of bars: what every accepted file fulfils, whoever has read it."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from v8lib.errors import BarsError
from v8lib.raw_bars import COLUMNS, PRICES

if TYPE_CHECKING:  # pandera takes a while to import; who only computes does without it
    from pandera.errors import SchemaError, SchemaErrors
    from pandera.pandas import DataFrameSchema


def check_schema(bars: pd.DataFrame) -> None:
    """Refuse bars that break the schema.

    The index is UTC and increases from bar to bar by at least a second. The columns are
    open, high, low, close, volume in this order, float64 and finite. Prices are positive,
    volumes at least 0, no price is above the high or below the low.

    Parameters
    ----------
    bars : DataFrame of n_bars rows
        At least one.

    Raises
    ------
    BarsError
        The message names the first rule that is broken and the first bar that breaks it.
    """
    from pandera.errors import SchemaError, SchemaErrors

    if bars.empty:
        raise BarsError("no bars")
    try:
        _schema().validate(bars)
    except (SchemaError, SchemaErrors) as error:
        raise BarsError(f"not bars: {_words(error)}") from None


def _words(error: "SchemaError | SchemaErrors") -> str:
    """Return the rule that is broken, and the first bar that breaks it."""
    rule = getattr(getattr(error, "check", None), "error", None)
    if not rule:
        return f"the columns are not {', '.join(COLUMNS)} as float64"
    cases = error.failure_cases
    return f"{cases['index'].iloc[0]}: {rule}" if isinstance(cases, pd.DataFrame) else rule


@lru_cache(maxsize=1)
def _schema() -> "DataFrameSchema":
    from pandera import pandas as pa

    def column(name: str) -> pa.Column:
        rule = _is_price if name in PRICES else _is_volume
        what = "a positive number" if name in PRICES else "a number of at least 0"
        return pa.Column(np.float64, check(rule, f"'{name}' is not {what}"), nullable=True)

    def check(rule: Callable[[Any], Any], what: str) -> pa.Check:
        # The rules themselves refuse NaN; pandera would pass over it.
        return pa.Check(rule, error=what, ignore_na=False)

    whole = (
        (_is_utc, "the index is not UTC"),
        (_increases, "the time does not increase"),
        (_in_order, "high below low"),
        (_below_high, "high below open or close"),
        (_above_low, "low above open or close"),
    )
    checks = [check(rule, what) for rule, what in whole]
    return pa.DataFrameSchema({c: column(c) for c in COLUMNS}, checks, strict=True, ordered=True)


def _is_price(values: pd.Series) -> pd.Series:
    return (values > 0.0) & (values < np.inf)


def _is_volume(values: pd.Series) -> pd.Series:
    return (values >= 0.0) & (values < np.inf)


def _is_utc(bars: pd.DataFrame) -> bool:
    return isinstance(bars.index, pd.DatetimeIndex) and str(bars.index.tz) == "UTC"


def _increases(bars: pd.DataFrame) -> pd.Series:
    if not isinstance(bars.index, pd.DatetimeIndex):
        return pd.Series(False, index=bars.index)
    later = np.diff(bars.index.as_unit("s").asi8) > 0
    return pd.Series(np.append(True, later) & bars.index.notna(), index=bars.index)


def _in_order(bars: pd.DataFrame) -> pd.Series:
    return bars["high"] >= bars["low"]


def _below_high(bars: pd.DataFrame) -> pd.Series:
    return (bars["high"] >= bars["open"]) & (bars["high"] >= bars["close"])


def _above_low(bars: pd.DataFrame) -> pd.Series:
    return (bars["low"] <= bars["open"]) & (bars["low"] <= bars["close"])
