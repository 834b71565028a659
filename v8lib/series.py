"""The building blocks of the features: one segment's returns, ranges and units, each made once."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from v8lib.windows import Array, Ladder, decayed_sum, lagged

REFERENCE_BARS = 2_880  # how far back the unit of volatility looks
DRIFT_BARS = 8  # whose mean return the next one is measured against
REFERENCE_MIN_BARS = 720  # how much of it must be there after the start of a segment
REFERENCE_REACH = REFERENCE_BARS + DRIFT_BARS + 1  # bars behind a value in those units
REFERENCE_WARMUP = REFERENCE_MIN_BARS + DRIFT_BARS + 1  # bars before there is a unit
FLOOR = 0.01  # ratios to a reference are cut here before the logarithm: a flat market is "1 %"


def log_ratio(numerator: Array, denominator: Array) -> Array:
    """Return ln(numerator / denominator), cut below at ln(`FLOOR`); 0/0 counts as 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = numerator / denominator
    ratio[(numerator == 0.0) & (denominator == 0.0)] = 1.0
    return np.log(np.maximum(ratio, FLOOR))


def share(part: Array, whole: Array, empty: float) -> Array:
    """Return part / whole, and `empty` where the whole is exactly zero."""
    out = np.full(len(part), empty)
    np.divide(part, whole, out=out, where=whole != 0.0)
    return out


class Segment:
    """One unbroken run of bars as arrays, with what several features share.

    Parameters
    ----------
    open_, high, low, close, volume : float arrays of shape (n_bars,)
        Prices (> 0) and volume (>= 0) of one segment.
    epoch_s : integer array of shape (n_bars,)
        Bar open times in seconds.
    interval_s : int
        Length of a bar in seconds.
    """

    def __init__(
        self,
        open_: Array,
        high: Array,
        low: Array,
        close: Array,
        volume: Array,
        epoch_s: NDArray[np.int64],
        interval_s: int,
    ) -> None:
        self.open, self.high, self.low = np.log(open_), np.log(high), np.log(low)
        self.close = np.log(close)
        self.volume = np.asarray(volume, dtype=np.float64)
        self.epoch_s, self.interval_s = epoch_s, interval_s
        self.n = len(close)
        self.age = np.arange(1, self.n + 1, dtype=np.float64)  # bars since the segment began

    @cached_property
    def returns(self) -> Array:
        """One-bar log returns; the first bar of a segment has none and counts as zero."""
        return np.diff(self.close, prepend=self.close[:1])

    @cached_property
    def moves(self) -> Ladder:
        """Returns."""
        return Ladder(self.returns)

    @cached_property
    def squared(self) -> Ladder:
        """Squared returns."""
        return Ladder(self.returns**2)

    @cached_property
    def absolute(self) -> Ladder:
        """Absolute returns."""
        return Ladder(np.abs(self.returns))

    @cached_property
    def cubed(self) -> Ladder:
        """Cubed returns."""
        return Ladder(self.returns**3)

    @cached_property
    def neighbours(self) -> Ladder:
        """Products of each return with the one before."""
        return Ladder(self.returns * np.concatenate([[0.0], self.returns[:-1]]))

    @cached_property
    def gains(self) -> Ladder:
        """Returns above zero."""
        return Ladder(np.maximum(self.returns, 0.0))

    @cached_property
    def closes(self) -> Ladder:
        """Log closes."""
        return Ladder(self.close)

    @cached_property
    def closes_squared(self) -> Ladder:
        """Squared log closes."""
        return Ladder(self.close**2)

    @cached_property
    def highs(self) -> Ladder:
        """Log highs, for the highest."""
        return Ladder(self.high, np.maximum)

    @cached_property
    def lows(self) -> Ladder:
        """Log lows, for the lowest."""
        return Ladder(self.low, np.minimum)

    @cached_property
    def ranges_squared(self) -> Ladder:
        """Squared log ranges."""
        return Ladder((self.high - self.low) ** 2)

    @cached_property
    def volumes(self) -> Ladder:
        """Volumes."""
        return Ladder(self.volume)

    @cached_property
    def signed_volumes(self) -> Ladder:
        """Volumes with the sign of their return."""
        return Ladder(self.volume * np.sign(self.returns))

    @cached_property
    def surprises(self) -> Ladder:
        """Sizes of returns beyond the mean of the few before; none while there are too few."""
        surprise = self.returns - self.lag(self.moves.window(DRIFT_BARS), 1) / DRIFT_BARS
        surprise[: DRIFT_BARS + 1] = 0.0
        return Ladder(np.abs(surprise))

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

    def reference_mean(self, ladder: Ladder) -> Array:
        """Return the mean of a series over the reference window, however much of it is there."""
        return ladder.window(REFERENCE_BARS) / np.minimum(self.age, REFERENCE_BARS)

    def ema_gap(self, span: int) -> Array:
        """Return log close minus its exponential moving average of that span.

        Written over returns: close - EMA = sum of d**(j+1) * return[t-j], d = 1 - 2/(span+1),
        cut where the weights have fallen below 1e-8.
        """
        decay = 1.0 - 2.0 / (span + 1.0)
        return decay * decayed_sum(self.returns, decay, ema_reach(span))

    def lag(self, values: Array, n_bars: int) -> Array:
        """Return the series `n_bars` earlier within the segment."""
        return lagged(values, n_bars)


def ema_reach(span: int) -> int:
    """Return the bars after which an exponential average's weights are below 1e-8, as 2**k."""
    decay = 1.0 - 2.0 / (span + 1.0)
    needed = int(np.ceil(np.log(1e-8) / np.log(decay)))
    return 1 << (needed - 1).bit_length()
