"""Names for the columns of a file without a header, where its numbers leave no doubt."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from v8lib.bar_dates import read_dates
from v8lib.bar_epochs import read_epochs
from v8lib.bar_moment import NAT, mostly, runs_backwards
from v8lib.bar_numbers import numbers_of
from v8lib.bar_table import FileTable
from v8lib.errors import BarsError
from v8lib.raw_bars import Finding

KLINES = (
    "open time,open,high,low,close,volume,close time,quote asset volume,number of trades,"
    "taker buy base asset volume,taker buy quote asset volume,ignore"
).split(",")
CANDLES = ("open", "high", "low", "close")
ANSWERS = ("low", "high", "open", "close")  # as one exchange answers
MIN_LOW = 0.5  # of the high, in most bars: a column far below the others is a volume
MAX_FARTHER = 1.5  # opens and closes that are exchanged are farther apart than that
GIVE_NAMES = "write a header with the names timestamp, open, high, low, close, volume"


def name_columns(table: FileTable) -> FileTable:
    """Return a table without a header with names for its columns.

    Twelve columns are exchange klines if the first and the seventh are times in order. Of six
    columns (time, prices, volume), or seven (and a count of trades), the order of the prices
    is the one in which no row has a price above its high or below its low, and bars open
    where the bar before has closed.

    Raises
    ------
    BarsError
        If no order or more than one fits.
    """
    width = len(table.columns)
    if width == len(KLINES):
        _refuse_other_than_klines(table)
        names, words = tuple(KLINES), "none: the 12 columns of exchange klines"
    elif width in (6, 7):
        order = _price_order(table)
        names = ("timestamp", *order, "volume", *(["trades"] * (width - 6)))
        words = f"none: taken as {', '.join(names)}"
    else:
        raise BarsError(f"no header, and {width} columns: {GIVE_NAMES}")
    findings = (*table.findings, Finding("header", words))
    return replace(table, names=names, header=words, findings=findings)


def _refuse_other_than_klines(table: FileTable) -> None:
    opened, closed = (_times(table.columns[k]) for k in (0, 6))
    known = (opened != NAT) & (closed != NAT)
    if not known.any() or (closed < opened)[known].any():
        raise BarsError(f"no header, and 12 columns that are no exchange klines: {GIVE_NAMES}")


def _times(column: pa.ChunkedArray) -> NDArray[np.int64]:
    reading = read_epochs(column) or read_dates(column, "column 1")
    return reading.us if reading else np.full(len(column), NAT)


def _price_order(table: FileTable) -> tuple[str, ...]:
    names = ("second", "third", "fourth", "fifth", "sixth", "seventh")
    columns = dict(zip(names, table.columns[1:], strict=False))
    values = numbers_of(columns, comma_may_be_decimal=table.comma_may_be_decimal)
    if "seventh" in columns:
        _refuse_other_than_trades(values)
    us = _times(table.columns[0])
    prices = [values[name][:: -1 if runs_backwards(us) else 1] for name in names[:4]]
    by_order = [dict(zip(order, prices, strict=True)) for order in (CANDLES, ANSWERS)]
    fitting = [tuple(candles) for candles in by_order if _fits(candles) and _follows(candles)]
    if len(fitting) != 1:
        why = "several orders" if fitting else "no order"
        raise BarsError(f"no header, and {why} of the prices could be right: {GIVE_NAMES}")
    return fitting[0]


def _fits(candles: Mapping[str, NDArray[np.float64]]) -> bool:
    """Return whether the high is the highest and the low the lowest, and not by far."""
    edges, high, low = (candles["open"], candles["close"]), candles["high"], candles["low"]
    # A comparison with NaN is false: cells that are no numbers decide nothing.
    wrong = (high < np.maximum(*edges)) | (low > np.minimum(*edges)) | (high < low)
    far = low < MIN_LOW * high
    return not wrong.any() and not mostly(far)


def _follows(candles: Mapping[str, NDArray[np.float64]]) -> bool:
    """Return whether opens lie at the close before, and not closes at the open before."""
    opens, closes = candles["open"], candles["close"]
    right, swapped = np.abs(opens[1:] - closes[:-1]), np.abs(closes[1:] - opens[:-1])
    known = np.isfinite(right) & np.isfinite(swapped)
    if not known.any():
        return True
    return bool(np.median(right[known]) <= MAX_FARTHER * np.median(swapped[known]))


def _refuse_other_than_trades(values: Mapping[str, NDArray[np.float64]]) -> None:
    """Refuse seven columns unless the last one counts something and the sixth is no price."""
    prices = [values[name] for name in ("second", "third", "fourth", "fifth")]
    count, volume = values["seventh"], values["sixth"]
    counted = (count >= 0) & (count == np.floor(count)) | np.isnan(count)
    priced = (volume >= np.minimum.reduce(prices)) & (volume <= np.maximum.reduce(prices))
    if not counted.all() or priced.all():
        raise BarsError(f"no header, and 7 columns of no known order: {GIVE_NAMES}")
