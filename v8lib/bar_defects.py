"""Rows of a bar file that cannot stand as they are: which, and what is wrong with each."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bar_files import runs_backwards
from v8lib.bars import MAX_YEAR, MIN_YEAR
from v8lib.raw_bars import COLUMNS, PRICES

Mask = NDArray[np.bool_]
Seconds = NDArray[np.int64]

OUT_OF_ORDER = "out of order"
OFF_GRID = "off grid"
PARTIAL_LAST = "partial last bar"
# Loading leaves out a partial last bar by itself and reports bars off the grid.
LOADED_ANYWAY = frozenset({OFF_GRID, PARTIAL_LAST})


def seconds_of(times: pd.Series | pd.DatetimeIndex) -> Seconds:
    """Return times in whole seconds since 1970-01-01 UTC; NaT is the smallest integer."""
    return pd.DatetimeIndex(times).as_unit("s").asi8


def distinct(epoch_s: Seconds) -> Seconds:
    """Return times in increasing order, each once."""
    ordered = np.sort(epoch_s)  # np.unique hashes, which takes many times as long
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) > 0]


def most_frequent(values: Seconds) -> tuple[int, int]:
    """Return the value that occurs most often, the smallest of several, and how often."""
    counts = pd.Series(values).value_counts()
    most = counts.iloc[0]
    return int(counts.index[counts == most].min()), int(most)


def frequent_step(times_s: Seconds) -> tuple[int, float]:
    """Return the most frequent step between distinct times, and its share of all steps.

    Parameters
    ----------
    times_s : integer array
        From `distinct`. Fewer than two give (0, 0.0).
    """
    if len(times_s) < 2:
        return 0, 0.0
    step, n = most_frequent(np.diff(times_s))
    return step, n / (len(times_s) - 1)


def sound_rows(table: pd.DataFrame) -> Mask:
    """Return which rows of a raw table are a bar when looked at alone, shape (n_rows,)."""
    return ~np.any([wrong for _, wrong in _own_defects(table)], axis=0)


def row_defects(table: pd.DataFrame, interval_s: int) -> pd.DataFrame:
    """Return what is wrong, one row per defect; a row of the file may have several.

    Rows that are wrong in themselves (no time, no number, an impossible candle) come first
    and take no part in what follows: a copy of a time is judged among sound rows, so of a
    broken row and a sound one with the same time the sound one stays.

    Parameters
    ----------
    table : DataFrame of n_rows rows
        As `raw_bars.RawBars` holds it.
    interval_s : int
        Length of a bar in seconds; 0 where it is not known, and no grid is looked for.

    Returns
    -------
    DataFrame
        Columns row (number in the file, the first data row is 1), timestamp, what; in the
        order of the file. Every conflicting copy of a time is listed, and of identical
        copies all but the first.
    """
    own = list(_own_defects(table))
    sound = ~np.any([wrong for _, wrong in own], axis=0)
    found = [*own, *_grid_defects(table, sound, interval_s), *_copies(table, sound)]
    found.append((OUT_OF_ORDER, _out_of_order(table)))
    parts = [pd.DataFrame({"at": np.flatnonzero(wrong), "what": what}) for what, wrong in found]
    listed = pd.concat(parts, ignore_index=True).sort_values("at", kind="stable")
    rows = table.iloc[listed["at"].to_numpy(np.int64)]
    return pd.DataFrame(
        {
            "row": rows["row"].to_numpy(np.int64),
            "timestamp": rows["timestamp"].array,
            "what": listed["what"].to_numpy(),
        }
    )


def _own_defects(table: pd.DataFrame) -> Iterator[tuple[str, Mask]]:
    """Yield what can be wrong with a row alone, and where it is."""
    times = table["timestamp"]
    no_time = times.isna().to_numpy()
    yield "no time", no_time
    yield "year out of range", ~times.dt.year.between(MIN_YEAR, MAX_YEAR).to_numpy() & ~no_time
    values = {column: table[column].to_numpy(np.float64) for column in COLUMNS}
    for column, value in values.items():
        yield f"{column} is no number", ~np.isfinite(value)
        if column in PRICES:
            yield f"{column} is zero", value == 0.0
        yield f"{column} is negative", (value < 0.0) & (value > -np.inf)
    open_, high, low, close = (values[column] for column in PRICES)
    # A comparison with NaN is false: cells that are no numbers have their own line.
    yield "high below low", high < low
    yield "high below open or close", (high < open_) | (high < close)
    yield "low above open or close", (low > open_) | (low > close)


def _grid_defects(table: pd.DataFrame, sound: Mask, interval_s: int) -> Iterator[tuple[str, Mask]]:
    """Yield the rows off the grid of most bars; such a row at the very end is a partial bar."""
    off = np.zeros(len(table), dtype=np.bool_)
    last = off.copy()
    if interval_s and sound.any():
        epoch_s = seconds_of(table["timestamp"])
        phase, _ = most_frequent(epoch_s[sound] % interval_s)
        off = sound & (epoch_s % interval_s != phase)
        last = off & (epoch_s == epoch_s[sound].max())
    yield OFF_GRID, off & ~last
    yield PARTIAL_LAST, last


def _copies(table: pd.DataFrame, sound: Mask) -> Iterator[tuple[str, Mask]]:
    """Yield the copies of a time: those that agree, and those that contradict each other."""
    identical = np.zeros(len(table), dtype=np.bool_)
    conflicting = identical.copy()
    epoch_s = seconds_of(table["timestamp"])[sound]
    if len(distinct(epoch_s)) < len(epoch_s):
        seen = table.loc[sound, list(COLUMNS)].assign(epoch_s=epoch_s)
        shared = seen.duplicated("epoch_s", keep=False)
        agreeing = seen[shared].groupby("epoch_s")[list(COLUMNS)].nunique().le(1).all(axis=1)
        agrees = seen["epoch_s"].isin(agreeing.index[agreeing])
        identical[sound] = agrees & seen.duplicated("epoch_s")
        conflicting[sound] = shared & ~agrees
    yield "duplicate, identical", identical
    yield "duplicate, conflicting", conflicting


def _out_of_order(table: pd.DataFrame) -> Mask:
    """Return the rows earlier than the row with a time before them; newest first is an order."""
    wrong = np.zeros(len(table), dtype=np.bool_)
    timed = np.flatnonzero(table["timestamp"].notna())
    epoch_s = seconds_of(table["timestamp"])[timed]
    if runs_backwards(epoch_s):
        timed, epoch_s = timed[::-1], epoch_s[::-1]
    wrong[timed[1:]] = np.diff(epoch_s) < 0
    return wrong
