"""The building blocks of the features: one segment's returns, ranges and units, each made once."""

from collections.abc import Callable
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from v8lib.windows import Array, Ladder, LastWindows, decayed_sum, last_decayed_sum

REFERENCE_BARS = 2_880  # how far back the unit of volatility looks
DRIFT_BARS = 8  # whose mean return the next one is measured against
REFERENCE_MIN_BARS = 720  # how much of it must be there after the start of a segment
REFERENCE_REACH = REFERENCE_BARS + DRIFT_BARS + 1  # bars behind a value in those units
REFERENCE_WARMUP = REFERENCE_MIN_BARS + DRIFT_BARS + 1  # bars before there is a unit
NARROW_BARS = 256  # the widest window of what only narrow ones look at
FLOOR = 0.01  # ratios to a reference are cut here before the logarithm: a flat market is "1 %"


def log_ratio(numerator: Array, denominator: Array) -> Array:
    """Return ln(numerator / denominator), cut below at ln(`FLOOR`); 0/0 counts as 1."""
    ratio = numerator / denominator
    np.copyto(ratio, 1.0, where=(numerator == 0.0) & (denominator == 0.0))
    return np.log(np.maximum(ratio, FLOOR))


def share(part: Array, whole: Array, empty: float) -> Array:
    """Return part / whole, and `empty` where the whole is exactly zero."""
    out = part / whole
    np.copyto(out, empty, where=whole == 0.0)
    return out


class BarArrays(NamedTuple):
    """Bars as arrays of shape (..., n_bars): prices > 0, volume >= 0, open times in seconds."""

    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    epoch_s: NDArray[np.int64]

    def at(self, bars: slice) -> "BarArrays":
        """Return these bars alone."""
        return BarArrays(*(array[..., bars] for array in self))

    def in_logs(self) -> "BarArrays":
        """Return the same with the logarithms of the prices."""
        return BarArrays(*(np.log(price) for price in self[:4]), *self[4:])


class Segment:
    """The last bars of one unbroken run, with the bars before them that their windows need.

    What is public stands for the last `n` bars: arrays of shape (..., n), or (n,) where all
    symbols have the same. Division by zero gives NaN or infinity without a warning only under
    the `np.errstate` that `features.fill_columns` sets.

    Parameters
    ----------
    logs : BarArrays of shape (..., n_bars)
        From `BarArrays.in_logs`: the run from its start, or from as far back as the columns look.
    n : int
        At how many of the last bars columns are wanted.
    n_before : int
        How many bars of the run stand before these arrays.
    """

    def __init__(self, logs: BarArrays, n: int, n_before: int = 0) -> None:
        self._logs, self.n, self._n_before = logs, n, n_before
        self.open, self.high, self.low, self.close, self.volume, self.epoch_s = logs.at(
            slice(-n, None)
        )
        n_bars = logs.close.shape[-1]
        self.age = np.arange(n_before + n_bars - n + 1, n_before + n_bars + 1, dtype=np.float64)
        self._ema_gaps: dict[int, Array] = {}
        self._phases: dict[int, Array] = {}

    def longer(self, n_more: int) -> "Segment":
        """Return the same with columns wanted at `n_more` bars more, for what looks at them."""
        return Segment(self._logs, self.n + n_more, self._n_before)

    def close_ago(self, n_bars: int) -> Array:
        """Return the log closes `n_bars` earlier."""
        return _ago(self._logs.close, self.n, n_bars)

    def return_ago(self, n_bars: int) -> Array:
        """Return the one-bar log returns `n_bars` earlier."""
        return _ago(self._returns, self.n, n_bars)

    @cached_property
    def _returns(self) -> Array:
        """Return of every bar; the first has none and counts as zero."""
        return np.diff(self._logs.close, prepend=self._logs.close[..., :1])

    @cached_property
    def _squares(self) -> Array:
        return self._returns**2

    def _recent(self, values: Array) -> Array:
        """Return the end of a series, all that narrow windows need."""
        return values[..., -(self.n + NARROW_BARS) :]

    def windows(
        self, values: Array, widest: int = NARROW_BARS, combine: Callable[..., Array] = np.add
    ) -> Ladder | LastWindows:
        """Return the windows, of up to `widest` bars, of a series that ends at the last bar."""
        if self.n == 1:
            return LastWindows(values, combine, widest)
        return Ladder(values, combine, widest, self.n)

    def decayed(self, values: Array, decay: float, n_bars: int) -> Array:
        """Return `windows.decayed_sum` of a series that ends at the last bar; `n_bars` is 2**k."""
        if self.n == 1:
            return last_decayed_sum(values, decay, n_bars)
        return decayed_sum(values[..., -(self.n + n_bars - 1) :], decay, n_bars)[..., -self.n :]

    @cached_property
    def squared(self) -> Ladder | LastWindows:
        """Squared returns."""
        return self.windows(self._squares, REFERENCE_BARS)

    @cached_property
    def absolute(self) -> Ladder | LastWindows:
        """Absolute returns."""
        return self.windows(np.abs(self._returns), REFERENCE_BARS)

    @cached_property
    def cubed(self) -> Ladder | LastWindows:
        """Cubed returns."""
        return self.windows(self._recent(self._returns) ** 3)

    @cached_property
    def neighbours(self) -> Ladder | LastWindows:
        """Products of each return with the one before."""
        returns = self._recent(self._returns)
        return self.windows(returns[..., 1:] * returns[..., :-1])

    @cached_property
    def gains(self) -> Ladder | LastWindows:
        """Returns above zero."""
        return self.windows(np.maximum(self._recent(self._returns), 0.0))

    @cached_property
    def closes(self) -> Ladder | LastWindows:
        """Log closes."""
        return self.windows(self._logs.close)

    @cached_property
    def closes_squared(self) -> Ladder | LastWindows:
        """Squared log closes."""
        return self.windows(self._recent(self._logs.close) ** 2)

    @cached_property
    def prices(self) -> Ladder | LastWindows:
        """Closes themselves."""
        return self.windows(np.exp(self._recent(self._logs.close)))

    @cached_property
    def highs(self) -> Ladder | LastWindows:
        """Log highs, for the highest."""
        return self.windows(self._logs.high, combine=np.maximum)

    @cached_property
    def lows(self) -> Ladder | LastWindows:
        """Log lows, for the lowest."""
        return self.windows(self._logs.low, combine=np.minimum)

    @cached_property
    def ranges_squared(self) -> Ladder | LastWindows:
        """Squared log ranges."""
        return self.windows((self._recent(self._logs.high) - self._recent(self._logs.low)) ** 2)

    @cached_property
    def volumes(self) -> Ladder | LastWindows:
        """Volumes."""
        return self.windows(self._logs.volume, REFERENCE_BARS)

    @cached_property
    def signed_volumes(self) -> Ladder | LastWindows:
        """Volumes with the sign of their return."""
        volume, returns = self._recent(self._logs.volume), self._recent(self._returns)
        return self.windows(volume * np.sign(returns))

    @cached_property
    def surprises(self) -> Ladder | LastWindows:
        """Sizes of returns beyond the mean of the few before; none while there are too few."""
        surprise = self._returns.copy()
        surprise[..., 1:] -= Ladder(self._returns).window(DRIFT_BARS)[..., :-1] / DRIFT_BARS
        surprise[..., : DRIFT_BARS + 1] = 0.0
        return self.windows(np.abs(surprise), REFERENCE_BARS)

    @cached_property
    def unit(self) -> Array:
        """Mean absolute surprise of the reference window, as a deviation: the unit of volatility.

        Volatility is what a return does beyond its recent mean. A market that trends steadily
        is not more volatile for it, and measured so its trend still looks large. The mean size
        and not the root mean square, times sqrt(pi / 2), which makes the two equal for normal
        surprises: a wild hour then does not shrink everything measured in the month after it.
        """
        n_returns = np.minimum(self.age - (DRIFT_BARS + 1.0), REFERENCE_BARS)
        n_returns[n_returns < REFERENCE_MIN_BARS] = np.nan
        unit = np.sqrt(np.pi / 2.0) * self.surprises.window(REFERENCE_BARS) / n_returns
        unit[unit == 0.0] = np.nan  # a market that never moved has no unit
        return unit

    def rms(self, n_bars: int) -> Array:
        """Return the root mean square one-bar return of the last `n_bars` returns."""
        return np.sqrt(self.squared.window(n_bars) / n_bars)

    def mean_close(self, n_bars: int) -> Array:
        """Return the mean log close of the last `n_bars`."""
        return self.closes.window(n_bars) / n_bars

    def reference_mean(self, ladder: Ladder | LastWindows) -> Array:
        """Return the mean of a series over the reference window, however much of it is there."""
        return ladder.window(REFERENCE_BARS) / np.minimum(self.age, REFERENCE_BARS)

    def same_time(self, day: int, n_days: int, n_bars: int) -> Array:
        """Return the mean square return of the next `n_bars` at this time of day, days before.

        Averaged over as many of the last `n_days` days of `day` bars as the segment has.
        """
        ahead = Ladder(self._squares).window(n_bars)
        total, days = np.zeros((*ahead.shape[:-1], self.n)), np.zeros(self.n)
        for d in range(1, n_days + 1):
            first = int(np.searchsorted(self.age, d * day, side="right"))  # age > d * day
            then = _ago(ahead, self.n - first, d * day - n_bars)
            total[..., first:] += then / n_bars
            days[first:] += 1.0
        return total / days

    def phase(self, period_s: int) -> Array:
        """Return how far each bar's opening is through a period, as an angle in [0, 2 pi)."""
        if period_s not in self._phases:
            self._phases[period_s] = 2.0 * np.pi * (self.epoch_s % period_s) / period_s
        return self._phases[period_s]

    def ema_gap(self, span: int) -> Array:
        """Return log close minus its exponential moving average of that span.

        Written over returns: close - EMA = sum of d**(j+1) * return[t-j], d = 1 - 2/(span+1),
        cut where the weights have fallen below 1e-8.
        """
        if span not in self._ema_gaps:
            decay = 1.0 - 2.0 / (span + 1.0)
            gap = decay * self.decayed(self._returns, decay, ema_reach(span))
            self._ema_gaps[span] = gap
        return self._ema_gaps[span]


def _ago(values: Array, n: int, n_bars: int) -> Array:
    """Return the `n` values that end `n_bars` before the last."""
    end = values.shape[-1] - n_bars
    return values[..., end - n : end]


@cache
def ema_reach(span: int) -> int:
    """Return the bars after which an exponential average's weights are below 1e-8, as 2**k."""
    decay = 1.0 - 2.0 / (span + 1.0)
    needed = int(np.ceil(np.log(1e-8) / np.log(decay)))
    return 1 << (needed - 1).bit_length()
