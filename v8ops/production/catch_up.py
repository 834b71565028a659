"""Which bars of a file are complete and have no signal yet, in blocks of bearable size."""

from collections.abc import Iterator

import numpy as np

from v8lib.bar_arrays import BarArrays

BLOCK_BARS = 256


def complete(bars: BarArrays, now_s: float, interval_s: int) -> BarArrays:
    """Return the bars that have closed by now: those that opened an interval ago or earlier."""
    return bars.at(slice(None, int(np.searchsorted(bars.epoch_s, now_s - interval_s, "right"))))


def new_bars(bars: BarArrays, last_bar: int | None) -> int:
    """Return how many of the last bars have no signal yet.

    Where nothing was ever emitted it is one: nobody asked for signals of the past.
    """
    if last_bar is None:
        return min(1, len(bars.epoch_s))
    return len(bars.epoch_s) - int(np.searchsorted(bars.epoch_s, last_bar, "right"))


def blocks(
    bars: BarArrays, n_new: int, history_bars: int, size: int = BLOCK_BARS
) -> Iterator[tuple[BarArrays, int]]:
    """Yield what `Engine.take` takes: bars with their history, and how many are new.

    Parameters
    ----------
    bars : BarArrays of shape (n_bars,)
    n_new : int
        How many of the last are new.
    history_bars : int
        Bars wanted before the new ones.
    size : int
        The most new bars in a block.
    """
    end = len(bars.epoch_s)
    for start in range(end - n_new, end, size):
        stop = min(start + size, end)
        yield bars.at(slice(max(0, start - history_bars), stop)), stop - start
