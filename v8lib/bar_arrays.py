"""Bars as plain arrays, for what must run without a data frame, and the way there from one."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import BarsError
from v8lib.raw_bars import COLUMNS

if TYPE_CHECKING:  # production computes signals from arrays and does without pandas
    import pandas as pd

Array = NDArray[np.float64]


class BarArrays(NamedTuple):
    """Bars as arrays of shape (..., n_bars), oldest first; an axis before may stand for symbols.

    Attributes
    ----------
    open, high, low, close : float64
        Prices above zero.
    volume : float64
        At least zero.
    epoch_s : int64
        Bar open times in seconds since 1970-01-01 UTC, shape (..., n_bars) or (n_bars,).
    """

    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    epoch_s: NDArray[np.int64]

    def at(self, bars: slice) -> "BarArrays":
        """Return these bars alone."""
        return BarArrays(*(array[..., bars] for array in self))


def bar_arrays(bars: "pd.DataFrame") -> BarArrays:
    """Return the arrays behind a frame of bars, shape (n_bars,)."""
    return BarArrays(*(bars[name].to_numpy(np.float64) for name in COLUMNS), epoch_seconds(bars))


def epoch_seconds(bars: "pd.DataFrame") -> NDArray[np.int64]:
    """Return bar open times in whole seconds since 1970-01-01 UTC, shape (n_bars,)."""
    return bars.index.as_unit("s").asi8


def bar_seconds(bars: "pd.DataFrame") -> int:
    """Return the bar length in seconds: the most frequent step of the index."""
    return step_seconds(epoch_seconds(bars))


def step_seconds(epoch_s: NDArray[np.int64]) -> int:
    """Return the most frequent step of bar open times, shape (n_bars,), in seconds."""
    steps = np.diff(epoch_s)
    if not len(steps):
        raise BarsError("one bar has no interval: at least two are needed")
    if (steps == steps[0]).all():  # no gap, and nothing to sort
        return int(steps[0])
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])
