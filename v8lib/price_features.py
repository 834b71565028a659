"""Columns about where the price went: returns, trend, position in a range, candle."""

from collections.abc import Iterable

import numpy as np

from v8lib.feature import Feature, plain
from v8lib.series import Segment, at_least, ema_reach, share
from v8lib.windows import Array

SLOW_BARS = 48  # distances over at least as many bars are eased
FLAT_UNITS = 0.01  # width added to Bollinger bands, in units of volatility


def _eased(distance: Array, n_bars: int) -> Array:
    """Return a distance over many bars with its large values drawn in, a short one as it is.

    How far a market runs in many bars differs from one month to the next far more than how
    far it runs in a few; unchanged, such columns leave the scale they were trained on.
    """
    return np.arcsinh(distance) if n_bars >= SLOW_BARS else distance


def _returns() -> Iterable[Feature]:
    for w in (1, 2, 4, 8, 16, 32, 64, 96, 192):
        yield Feature(
            f"return_{w}",
            "returns",
            w + 1,
            lambda s, w=w: _eased((s.close - s.ago("close", w)) / (s.unit * w**0.5), w),
            odd=True,
        )
    for k in (1, 2, 3, 4):
        yield Feature(
            f"return_lag_{k}",
            "returns",
            k + 2,
            lambda s, k=k: s.ago("returns", k) / s.unit,
            odd=True,
        )


def _trend() -> Iterable[Feature]:
    # How far the close would have to go to be back at its average: positive below it. Pooled
    # with the returns, a stretch of rising prices then does not look like a scaling error.
    for w in (8, 20, 50, 100, 200):
        yield Feature(
            f"sma_distance_{w}",
            "trend",
            w,
            lambda s, w=w: _eased((s.mean_close(w) - s.close) / (s.unit * w**0.5), w),
            odd=True,
        )
    for span in (3, 6, 12, 24, 48, 96):
        yield Feature(
            f"ema_distance_{span}",
            "trend",
            ema_reach(span) + 1,
            lambda s, span=span: _eased(-s.ema_gap(span) / (s.unit * span**0.5), 2 * span),
            odd=True,
        )
    yield Feature("macd", "trend", ema_reach(26) + 1, lambda s: _macd(s) / s.unit, odd=True)
    yield Feature(
        "macd_histogram",
        "trend",
        ema_reach(26) + ema_reach(9),
        lambda s: _macd_gap(s) / s.unit,
        odd=True,
    )
    for w in (8, 16, 48):
        yield plain(
            f"efficiency_{w}",
            "trend",
            w + 1,
            lambda s, w=w: share(
                abs(s.close - s.ago("close", w)), s.total("absolute", w), empty=0.0
            ),
        )


def _macd(s: Segment) -> Array:
    return s.ema_gap(26) - s.ema_gap(12)  # EMA(12) - EMA(26) of the log close


def _macd_gap(s: Segment) -> Array:
    decay, reach = 1.0 - 2.0 / 10.0, ema_reach(9)
    macd = _macd(s.longer(reach - 1))
    return macd[..., reach - 1 :] - (1.0 - decay) * s.decayed(macd, decay, reach)


def _position() -> Iterable[Feature]:
    for w in (7, 14, 28):  # Cutler's RSI, from plain sums, on [-1, 1]
        yield plain(
            f"rsi_{w}",
            "position",
            w + 1,
            lambda s, w=w: _rsi(s, w),
            odd=True,
        )
    for w in (20, 50):
        yield Feature(f"bollinger_{w}", "position", w, lambda s, w=w: _bollinger(s, w), odd=True)
    for w in (20, 55, 96):
        yield plain(f"channel_{w}", "position", w, lambda s, w=w: _channel(s, w), odd=True)
    yield plain("stochastic_14", "position", 16, lambda s: _fast(s)[..., 2:], odd=True)
    yield plain(
        "stochastic_14_slow",
        "position",
        18,
        lambda s: _smooth3(_fast(s)),
        odd=True,
    )


def _rsi(s: Segment, w: int) -> Array:
    return 2.0 * share(s.total("gains", w), s.total("absolute", w), empty=0.5) - 1.0


def _bollinger(s: Segment, w: int) -> Array:
    mean = s.mean_close(w)
    variance = at_least(s.total("closes_squared", w) / w - mean * mean, 0.0)
    # The floor keeps a flat stretch, where the variance is rounding, near the middle.
    return (s.close - mean) / (2.0 * np.sqrt(variance) + FLAT_UNITS * s.unit)


def _channel(s: Segment, w: int) -> Array:
    low = s.lowest(w)
    return share(s.close - low, s.highest(w) - low, empty=0.5) - 0.5


def _fast(s: Segment) -> Array:
    """Return the smoothed channel position at two bars more than the segment has."""
    return s.once("fast stochastic", lambda: _smooth3(_channel(s.longer(4), 14)))


def _smooth3(values: Array) -> Array:
    """Return the means of three values in a row, two fewer than there are values."""
    return (values[..., 2:] + values[..., 1:-1] + values[..., :-2]) / 3.0


def _candle() -> Iterable[Feature]:
    yield plain(
        "body",
        "candle",
        1,
        lambda s: share(s.close - s.open, s.high - s.low, empty=0.0),
        odd=True,
    )
    yield plain(
        "wick_balance",  # which of the two wicks is the longer
        "candle",
        1,
        lambda s: share(s.high + s.low - s.open - s.close, s.high - s.low, empty=0.0),
        odd=True,
    )
    yield plain(
        "wick_share",
        "candle",
        1,
        lambda s: 1.0 - share(abs(s.close - s.open), s.high - s.low, empty=1.0),
    )


def price_columns() -> list[Feature]:
    """Return the columns of this module, in order."""
    return [
        feature for group in (_returns(), _trend(), _position(), _candle()) for feature in group
    ]
