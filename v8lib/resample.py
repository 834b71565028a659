"""Coarser bars from finer ones, where none of the finer is missing."""

import numpy as np
import pandas as pd

from v8lib.bar_interval import interval_word
from v8lib.bars import bar_seconds, epoch_seconds
from v8lib.errors import BarsError


def resample_bars(bars: pd.DataFrame, interval_s: int) -> pd.DataFrame:
    """Return bars of a longer interval, on the grid of full intervals since 1970-01-01 UTC.

    Open is the first, high the highest, low the lowest and close the last of the finer bars,
    volume their sum. A bar exists only if all of its finer bars do: with one missing its high,
    low and volume might be wrong and nothing would tell. Elsewhere there is a gap, so one
    missing minute costs an hour of hourly bars; gaps stay gaps.

    Parameters
    ----------
    bars : DataFrame of n_bars rows
        Validated bars (`bars.load_bars`): UTC open times, increasing and unique.
    interval_s : int
        Length of the new bars in seconds, a multiple of the length of `bars`.

    Raises
    ------
    BarsError
        If the length is no multiple, bars lie off their own grid, or no new bar is complete.
    """
    fine_s = bar_seconds(bars)
    if interval_s < fine_s or interval_s % fine_s:
        raise BarsError(
            f"bars of {interval_word(fine_s)} do not make bars of {interval_word(interval_s)}: "
            "not a multiple"
        )
    epoch_s = epoch_seconds(bars)
    off = np.flatnonzero(epoch_s % fine_s)
    if len(off):
        raise BarsError(
            f"{len(off)} bars do not open on a full {interval_word(fine_s)}, the first at "
            f"{bars.index[off[0]]}: their place in longer bars is not known"
        )
    first = np.flatnonzero(np.diff(epoch_s // interval_s, prepend=-1))
    last = np.append(first[1:], len(bars)) - 1
    whole = last - first + 1 == interval_s // fine_s
    if not whole.any():
        raise BarsError(
            f"no bar of {interval_word(interval_s)} has all of its bars of {interval_word(fine_s)}"
        )
    columns = {name: bars[name].to_numpy(np.float64) for name in bars.columns}
    made = {
        "open": columns["open"][first],
        "high": np.maximum.reduceat(columns["high"], first),
        "low": np.minimum.reduceat(columns["low"], first),
        "close": columns["close"][last],
        "volume": np.add.reduceat(columns["volume"], first),
    }
    return pd.DataFrame(made, index=bars.index[first])[whole]
