"""Rolling windows over one unbroken run of bars, in plain numpy.

Sums and extremes over a window are put together from windows of 1, 2, 4, 8 ... bars, each
made by adding (or comparing) two halves. The value at bar t is then the same arithmetic on
the same bars whatever stands before the window or after t: a truncated series, or a tail
just long enough, gives the identical bits. A running total would not.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Ladder:
    """Windows of one series, built from doubling steps that are kept and shared.

    Parameters
    ----------
    values : array of shape (n_bars,)
        The series of one segment; bars before its start count as `fill`.
    combine : {np.add, np.maximum, np.minimum}
        How two halves make a whole.
    """

    def __init__(self, values: Array, combine: Callable[..., Array] = np.add) -> None:
        self.combine = combine
        self.fill = {np.add: 0.0, np.maximum: -np.inf, np.minimum: np.inf}[combine]
        self.rungs = [np.asarray(values, dtype=np.float64)]  # rungs[k] spans 2**k bars

    def _rung(self, k: int) -> Array:
        while len(self.rungs) <= k:
            last = self.rungs[-1]
            self.rungs.append(self._join(last, last, 1 << (len(self.rungs) - 1)))
        return self.rungs[k]

    def _join(self, newer: Array, older: Array, shift: int) -> Array:
        """Return newer[t] combined with older[t - shift]."""
        joined = newer.copy()
        if shift < len(newer):
            self.combine(newer[shift:], older[:-shift], out=joined[shift:])
        return joined

    def window(self, n_bars: int) -> Array:
        """Return the combination of the last `n_bars` values at every bar, shape (n,)."""
        top = n_bars.bit_length() - 1
        if self.combine is not np.add:  # overlapping halves are harmless for extremes
            rung = self._rung(top)
            shift = n_bars - (1 << top)
            return self._join(rung, rung, shift) if shift else rung
        total, covered = self._rung(top), 1 << top
        for k in reversed(range(top)):
            if n_bars & (1 << k):
                total = self._join(total, self._rung(k), covered)
                covered += 1 << k
        return total


def decayed_sum(values: Array, decay: float, n_bars: int) -> Array:
    """Return sum over j < n of decay**j * values[t - j], with n = `n_bars` rounded up to 2**k.

    Parameters
    ----------
    values : array of shape (n,)
        The series of one segment; bars before its start count as zero.
    decay : float
        Weight of one bar of age, in (0, 1).
    n_bars : int
        How far back the sum reaches at least.
    """
    total = np.array(values, dtype=np.float64)
    reach = 1
    while reach < n_bars:
        older = total[:-reach] * decay**reach if reach < len(total) else total[:0]
        grown = total.copy()
        grown[reach:] += older
        total, reach = grown, 2 * reach
    return total


def lagged(values: Array, n_bars: int) -> Array:
    """Return the series `n_bars` earlier; NaN where the segment had not begun."""
    out = np.full(len(values), np.nan)
    if n_bars < len(values):
        out[n_bars:] = values[: len(values) - n_bars]
    return out


def segment_slices(epoch_s: NDArray[np.int64], interval_s: int) -> list[slice]:
    """Return the unbroken runs of bars, oldest first; a missing bar ends a run.

    Parameters
    ----------
    epoch_s : integer array of shape (n_bars,)
        Bar open times in seconds, increasing.
    interval_s : int
        Length of a bar in seconds.
    """
    breaks = np.flatnonzero(np.diff(epoch_s) != interval_s) + 1
    edges = [0, *breaks.tolist(), len(epoch_s)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def run_lengths(epoch_s: NDArray[np.int64], interval_s: int) -> list[int]:
    """Return how many rows each unbroken run of rows has, oldest first.

    Parameters
    ----------
    epoch_s : int64 array of shape (n_rows,)
        Bar open times of the rows in seconds, increasing.
    interval_s : int
        Length of a bar in seconds.
    """
    return [run.stop - run.start for run in segment_slices(epoch_s, interval_s)]
