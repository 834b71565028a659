"""The last bar of one symbol in single numbers, which cost a tenth of arrays of one number."""

from collections.abc import Sequence

import numpy as np

from v8lib.last_bar import LastBar
from v8lib.windows import Array


class LastNumbers(LastBar):
    """A segment at the last bar of one symbol: `LastBar` with a number in place of each array.

    Roots, logarithms and powers still go through numpy's loops, which give a number the bits that
    they give an array; sums, differences, products and quotients have the same bits anyway.

    Parameters
    ----------
    history : History
        Of the run that ends at the bar, series of shape (n_bars,).
    plan : Plan
        Of the table that will be asked for.
    """

    _each = staticmethod(list)

    @staticmethod
    def joined(columns: Sequence[Array | np.float64]) -> Array:
        """Return the row of columns, shape (n_columns,); what looked at more bars is an array."""
        return np.array([c if c.ndim == 0 else c[-1] for c in columns])

    def ago(self, name: str, n_bars: int) -> np.number:
        """Return the value of a series of the history `n_bars` before the last."""
        return getattr(self.history, name)[-1 - n_bars]

    @property
    def age(self) -> np.float64:
        """How many bars the history has."""
        return np.float64(self.history.n_bars)

    def highest(self, n_bars: int) -> np.float64:
        """Return the highest log high of the last `n_bars`."""
        return np.maximum.reduce(self.history.high[-n_bars:])

    def lowest(self, n_bars: int) -> np.float64:
        """Return the lowest log low of the last `n_bars`."""
        return np.minimum.reduce(self.history.low[-n_bars:])

    def same_time(self, day: int, n_days: int, n_bars: int) -> np.float64:
        """Return what `Segment.same_time` does."""
        ahead = self._squares(n_bars)
        total = days = np.float64(0.0)
        for d in range(1, n_days + 1):
            if self.age > d * day:
                total += ahead[n_bars - d * day - 1] / n_bars
                days += 1.0
        return total / days
