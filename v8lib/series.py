"""The building blocks of the features at the last bars of one segment, each made once."""

from collections.abc import Callable, Hashable
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import FeatureError
from v8lib.history import DRIFT_BARS, History
from v8lib.windows import Array, Ladder, decayed_tail

REFERENCE_BARS = 2_880  # how far back the unit of volatility looks
REFERENCE_MIN_BARS = 720  # how much of it must be there after the start of a segment
REFERENCE_REACH = REFERENCE_BARS + DRIFT_BARS + 1  # bars behind a value in those units
REFERENCE_WARMUP = REFERENCE_MIN_BARS + DRIFT_BARS + 1  # bars before there is a unit
FEW_BARS = 8  # windows at so few bars are looked through faster than put together
FLOOR = 0.01  # ratios to a reference are cut here before the logarithm: a flat market is "1 %"


def min_window(window_bars: int) -> int:
    """Return how many complete horizon returns the labels `trailing_tercile` need to start."""
    return min(window_bars, REFERENCE_MIN_BARS)


def log_ratio(numerator: Array, denominator: Array) -> Array:
    """Return ln(numerator / denominator), cut below at ln(`FLOOR`); 0/0 counts as 1."""
    ratio = _where(numerator == denominator, 1.0, numerator / denominator)  # x / x is 1 to the bit
    return np.log(at_least(ratio, FLOOR))


def share(part: Array, whole: Array, empty: float) -> Array:
    """Return part / whole, and `empty` where the whole is exactly zero."""
    return _where(whole == 0.0, empty, part / whole)


def at_least(values: Array, floor: float) -> Array:
    """Return values, the same array if it is one, raised to `floor`; what is NaN stays so."""
    return _where(values < floor, floor, values)


def _where(chosen: Array, this: float, out: Array) -> Array:
    """Return `out` with `this` where it is chosen: a new number, or the same array changed."""
    if out.ndim == 0:
        return np.float64(this) if chosen else out
    np.copyto(out, this, where=chosen)
    return out


class Segment:
    """The last `n` bars of one unbroken run, with what several features share.

    Arrays have the shape (..., n), or (n,) where all symbols have the same; `LastNumbers` has
    numbers in their place. The formulas are written for both; they divide by what may be zero,
    and are called under `np.errstate(**features.DIVISION)`.

    Parameters
    ----------
    history : History
        Of the run, back to the first bar that any of the columns looks at.
    n : int
        At how many of the last bars columns are wanted.
    """

    def __init__(self, history: History, n: int) -> None:
        self.history, self.n = history, n
        self._ladders: dict[str, Ladder] = {}
        self._longer: dict[int, Segment] = {}
        self._made: dict[Hashable, Array] = {}

    def longer(self, n_more: int) -> "Segment":
        """Return the same with columns wanted at `n_more` bars more, for what looks at them."""
        if n_more not in self._longer:
            self._longer[n_more] = Segment(self.history, self.n + n_more)
        return self._longer[n_more]

    def once(self, name: Hashable, make: Callable[[], Array]) -> Array:
        """Return what several columns share, made for the first that asks."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def ago(self, name: str, n_bars: int) -> Array:
        """Return a series of the history `n_bars` earlier."""
        return _ago(getattr(self.history, name), self.n, n_bars)

    @cached_property
    def open(self) -> Array:
        """Log opens."""
        return self.ago("open", 0)

    @cached_property
    def high(self) -> Array:
        """Log highs."""
        return self.ago("high", 0)

    @cached_property
    def low(self) -> Array:
        """Log lows."""
        return self.ago("low", 0)

    @cached_property
    def close(self) -> Array:
        """Log closes."""
        return self.ago("close", 0)

    @cached_property
    def volume(self) -> Array:
        """Volumes."""
        return self.ago("volume", 0)

    @cached_property
    def age(self) -> Array:
        """How many bars the segment has up to each bar, itself included.

        Where the history does not begin with the segment it is more; what depends on more bars
        than its look-back names would not be a feature.
        """
        last = self.history.n_bars
        return np.arange(last - self.n + 1, last + 1, dtype=np.float64)

    def total(self, name: str, n_bars: int) -> Array:
        """Return the sum of a series of the history over the last `n_bars`."""
        return self._window(name, np.add, n_bars)

    def highest(self, n_bars: int) -> Array:
        """Return the highest log high of the last `n_bars`."""
        return self._extreme("high", np.maximum, n_bars)

    def lowest(self, n_bars: int) -> Array:
        """Return the lowest log low of the last `n_bars`."""
        return self._extreme("low", np.minimum, n_bars)

    def _extreme(self, name: str, combine: np.ufunc, n_bars: int) -> Array:
        values = getattr(self.history, name)
        if self.n > FEW_BARS or values.shape[-1] < self.n + n_bars - 1:
            return self._window(name, combine, n_bars)
        # An extreme is the same in any order, and so few windows are looked through at once.
        return combine.reduce(values.take(_places(self.n, n_bars), axis=-1), axis=-1)

    def _window(self, name: str, combine: np.ufunc, n_bars: int) -> Array:
        if name not in self._ladders:
            self._ladders[name] = Ladder(getattr(self.history, name), combine, self.n)
        ladder = self._ladders[name]
        if ladder.rungs[0].shape[-1] < min(self.n + n_bars - 1, self.history.n_bars):
            raise FeatureError(f"the history of '{name}' is kept for windows below {n_bars} bars")
        return ladder.window(n_bars)

    def rms(self, n_bars: int) -> Array:
        """Return the root mean square one-bar return of the last `n_bars` returns."""
        return np.sqrt(self.total("squared", n_bars) / n_bars)

    def mean_close(self, n_bars: int) -> Array:
        """Return the mean log close of the last `n_bars`."""
        return self.total("closes", n_bars) / n_bars

    def reference_mean(self, name: str) -> Array:
        """Return the mean of a series over the reference window, however much of it is there."""
        return self.total(name, REFERENCE_BARS) / np.minimum(self.age, REFERENCE_BARS)

    @cached_property
    def unit(self) -> Array:
        """Mean absolute surprise of the reference window, as a deviation: the unit of volatility.

        Volatility is what a return does beyond its recent mean. A market that trends steadily
        is not more volatile for it, and measured so its trend still looks large. The mean size
        and not the root mean square, times sqrt(pi / 2), which makes the two equal for normal
        surprises: a wild hour then does not shrink everything measured in the month after it.
        """
        n_returns = np.minimum(self.age - (DRIFT_BARS + 1.0), REFERENCE_BARS)
        n_returns = _where(n_returns < REFERENCE_MIN_BARS, np.nan, n_returns)
        unit = np.sqrt(np.pi / 2.0) * self.total("surprises", REFERENCE_BARS) / n_returns
        return _where(unit == 0.0, np.nan, unit)  # a market that never moved has no unit

    def same_time(self, day: int, n_days: int, n_bars: int) -> Array:
        """Return the mean square return of the next `n_bars` at this time of day, days before.

        Averaged over as many of the last `n_days` days of `day` bars as the segment has.
        """
        ahead = self._squares(n_bars)
        total, days = np.zeros((*ahead.shape[:-1], self.n)), np.zeros(self.n)
        for d in range(1, n_days + 1):
            first = int(np.searchsorted(self.age, d * day, side="right"))  # age > d * day
            total[..., first:] += _ago(ahead, self.n - first, d * day - n_bars) / n_bars
            days[first:] += 1.0
        return total / days

    def _squares(self, n_bars: int) -> Array:
        return self.once(("squares", n_bars), lambda: Ladder(self.history.squared).window(n_bars))

    def phase(self, period_s: int) -> Array:
        """Return how far each bar's opening is through a period, as an angle in [0, 2 pi)."""
        return self.once(
            ("phase", period_s),
            lambda: 2.0 * np.pi * (self.ago("epoch_s", 0) % period_s) / period_s,
        )

    def decayed(self, values: Array, decay: float, reach: int) -> Array:
        """Return the sums of decay**j * values[t - j] over j < `reach`, a power of two.

        `values` end at the last bar; before the segment's start they count as zero.
        """
        needed = self.n + reach - 1
        values = values[..., -needed:]
        if values.shape[-1] < needed:
            missing = np.zeros((*values.shape[:-1], needed - values.shape[-1]))
            values = np.concatenate([missing, values], axis=-1)
        return decayed_tail(values, decay, reach)

    def ema_gap(self, span: int) -> Array:
        """Return log close minus its exponential moving average of that span.

        Written over returns: close - EMA = sum of d**(j+1) * return[t-j], d = 1 - 2/(span+1),
        cut where the weights have fallen below 1e-8.
        """
        decay = ema_decay(span)
        return self.once(
            ("ema_gap", span),
            lambda: decay * self.decayed(self.history.returns, decay, ema_reach(span)),
        )


def _ago(values: Array, n: int, n_bars: int) -> Array:
    """Return the `n` values that end `n_bars` before the last."""
    end = values.shape[-1] - n_bars
    return values[..., end - n : end]


@cache
def _places(n: int, n_bars: int) -> NDArray[np.int64]:
    """Return where the values of the last `n` windows stand from the end, shape (n, n_bars)."""
    return np.arange(-n, 0)[:, None] - np.arange(n_bars)[::-1]


def ema_decay(span: int) -> float:
    """Return the weight of one bar of age in an exponential average of that span."""
    return 1.0 - 2.0 / (span + 1.0)


@cache
def ema_reach(span: int) -> int:
    """Return the bars after which an exponential average's weights are below 1e-8, as 2**k."""
    needed = int(np.ceil(np.log(1e-8) / np.log(ema_decay(span))))
    return 1 << (needed - 1).bit_length()
