"""Rolling windows over one unbroken run of bars, in plain numpy.

Sums and extremes over a window are put together from windows of 1, 2, 4, 8 ... bars, each
made by adding (or comparing) two halves. The value at bar t is then the same arithmetic on
the same bars whatever stands before the window or after t: a truncated series, a block of a
longer one, or a tail just long enough gives the identical bits. A running total would not.

Bars run along the last axis; axes before it, such as one per symbol, are carried along.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Ladder:
    """Windows of one series at its last bars, from doubling steps that are kept and shared.

    Parameters
    ----------
    values : array of shape (..., n_bars)
        The series of one segment; bars before its start count as nothing.
    combine : {np.add, np.maximum, np.minimum}
        How two halves make a whole.
    n_last : int, optional
        At how many of the last bars windows are wanted; at all of them if left out.
    """

    def __init__(
        self, values: Array, combine: Callable[..., Array] = np.add, n_last: int | None = None
    ) -> None:
        self.combine = combine
        self.rungs = [np.asarray(values, dtype=np.float64)]  # rungs[k] spans 2**k bars
        self.n_last = self.rungs[0].shape[-1] if n_last is None else n_last
        self._windows: dict[int, Array] = {}

    def window(self, n_bars: int) -> Array:
        """Return the combination of the last `n_bars` values, shape (..., n_last)."""
        if n_bars not in self._windows:
            self._windows[n_bars] = self._window(n_bars)
        return self._windows[n_bars]

    def _window(self, n_bars: int) -> Array:
        top = n_bars.bit_length() - 1
        total, covered = self._rung(top)[..., -self.n_last :], 1 << top
        if self.combine is not np.add:  # overlapping halves are harmless for extremes
            shift = n_bars - covered
            return joined(total, self._rung(top), shift, self.combine) if shift else total
        for k in reversed(range(top)):
            if n_bars & (1 << k):
                total = joined(total, self._rung(k), covered, self.combine)
                covered += 1 << k
        return total

    def _rung(self, k: int) -> Array:
        while len(self.rungs) <= k:
            last = self.rungs[-1]
            self.rungs.append(joined(last, last, 1 << (len(self.rungs) - 1), self.combine))
        return self.rungs[k]


def joined(newer: Array, older: Array, shift: int, combine: Callable[..., Array]) -> Array:
    """Return newer[t] combined with older[t - shift], or newer[t] where that is before the start.

    Both end at the same bar; `older` may begin before `newer`.
    """
    n, first = newer.shape[-1], older.shape[-1] - newer.shape[-1] - shift
    alone = min(n, max(0, -first))  # values whose older part would lie before the start
    out = np.empty_like(newer)
    if alone:
        out[..., :alone] = newer[..., :alone]
    combine(newer[..., alone:], older[..., first + alone : first + n], out=out[..., alone:])
    return out


def decayed_sum(values: Array, decay: float, n_bars: int) -> Array:
    """Return sum over j < n of decay**j * values[t - j], with n = `n_bars` rounded up to 2**k.

    Parameters
    ----------
    values : array of shape (..., n)
        The series of one segment; bars before its start count as nothing.
    decay : float
        Weight of one bar of age, in (0, 1).
    n_bars : int
        How far back the sum reaches at least.
    """
    values = np.asarray(values, dtype=np.float64)
    reach = 1 << (n_bars - 1).bit_length()
    nothing = np.full((*values.shape[:-1], reach - 1), -0.0)  # -0.0 + x is x, to the sign of zero
    return decayed_tail(np.concatenate([nothing, values], axis=-1), decay, reach)


def decayed_tail(values: Array, decay: float, reach: int) -> Array:
    """Return sum over j < `reach` of decay**j * values[t - j] where all of them are there.

    Parameters
    ----------
    values : array of shape (..., n)
        Any series of at least `reach` values.
    decay : float
        Weight of one bar of age, in (0, 1).
    reach : int
        How far back the sum reaches, a power of two.

    Returns
    -------
    array of shape (..., n - reach + 1)
        Ends at the last bar.
    """
    total, span = values, 1
    while span < reach:
        older = total[..., :-span] * decay**span
        older += total[..., span:]
        total, span = older, 2 * span
    return total


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
