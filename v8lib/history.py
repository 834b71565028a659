"""Series of one unbroken run of bars, as far back as the columns at its last bars look."""

from functools import cached_property

import numpy as np

from v8lib.bar_arrays import BarArrays
from v8lib.windows import Array, Ladder

DRIFT_BARS = 8  # whose mean return the next one is measured against
NARROW_BARS = 256  # the widest window of a series that wide ones do not look at


class History:
    """What windows are taken of; every series ends at the last bar, shape (..., n_bars or fewer).

    Series that only narrow windows look at are made for the end of the run alone.

    Parameters
    ----------
    bars : BarArrays of shape (..., n_bars)
        The run from its start, or from as far back as the columns look.
    n_last : int
        At how many of the last bars columns are wanted.
    """

    def __init__(self, bars: BarArrays, n_last: int) -> None:
        self.n_bars = bars.close.shape[-1]
        self._n_recent = n_last + NARROW_BARS
        self.close, self.volume, self.epoch_s = np.log(bars.close), bars.volume, bars.epoch_s
        self.open, self.high, self.low = (np.log(self._recent(price)) for price in bars[:3])

    def _recent(self, values: Array) -> Array:
        return values[..., -self._n_recent :]

    @cached_property
    def returns(self) -> Array:
        """One-bar log returns; the first bar of a segment has none and counts as zero."""
        out = np.zeros_like(self.close)
        np.subtract(self.close[..., 1:], self.close[..., :-1], out=out[..., 1:])
        return out

    @cached_property
    def _recent_returns(self) -> Array:
        return self._recent(self.returns)

    @cached_property
    def squared(self) -> Array:
        """Squared returns."""
        return self.returns**2

    @cached_property
    def absolute(self) -> Array:
        """Absolute returns."""
        return np.abs(self.returns)

    @cached_property
    def cubed(self) -> Array:
        """Cubed returns, recent ones."""
        returns = self._recent_returns
        return returns * returns * returns  # a power takes far longer

    @cached_property
    def neighbours(self) -> Array:
        """Products of each return with the one before, recent ones."""
        returns = self._recent_returns
        out = np.zeros_like(returns)
        np.multiply(returns[..., 1:], returns[..., :-1], out=out[..., 1:])
        return out

    @cached_property
    def gains(self) -> Array:
        """Returns above zero, recent ones."""
        return np.maximum(self._recent_returns, 0.0)

    @cached_property
    def closes(self) -> Array:
        """Log closes, recent ones."""
        return self._recent(self.close)

    @cached_property
    def closes_squared(self) -> Array:
        """Squared log closes, recent ones."""
        return self.closes**2

    @cached_property
    def prices(self) -> Array:
        """Closes themselves, recent ones."""
        return np.exp(self.closes)

    @cached_property
    def ranges_squared(self) -> Array:
        """Squared log ranges, recent ones."""
        return (self.high - self.low) ** 2

    @cached_property
    def signed_volumes(self) -> Array:
        """Volumes with the sign of their return, recent ones."""
        return self._recent(self.volume) * np.sign(self._recent_returns)

    @cached_property
    def surprises(self) -> Array:
        """Sizes of returns beyond the mean of the few before; zero while there are too few."""
        drift = Ladder(self.returns).window(DRIFT_BARS)[..., :-1] / DRIFT_BARS
        out = np.zeros_like(self.returns)
        np.subtract(self.returns[..., 1:], drift, out=out[..., 1:])
        out[..., : DRIFT_BARS + 1] = 0.0
        return np.abs(out, out=out)
