"""What the market did over the horizon: DOWN, HOLD or UP, and where that cannot be said."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import PRICES, bar_seconds, epoch_seconds
from v8lib.config import LabelScheme
from v8lib.label import CLASS_NAMES as CLASS_NAMES
from v8lib.label import Label
from v8lib.series import min_window as min_window
from v8lib.windows import Ladder, decayed_sum, segment_slices

SIGMA_SPAN = 96  # bars, span of the EWMA volatility behind `vol_scaled` and `triple_barrier`
SIGMA_REACH = 8 * SIGMA_SPAN  # older weights are about 1e-7
MISSING = -1


@dataclass(frozen=True)
class Labels:
    """Labels of every bar and what they were made from; all arrays have shape (n_bars,).

    Attributes
    ----------
    labels : int64, a `Label` value or `MISSING`
        Missing where the horizon spans a gap or reaches past the last bar, or where no
        threshold was known yet.
    threshold : float64, log return
        The move that separates HOLD from UP and DOWN, known when the bar closed.
    forward_return : float64, log return over the horizon; NaN where it spans a gap.
    forward_volatility : float64, log return
        How much the price moved over the horizon, whichever way; NaN where it spans a gap.
    """

    labels: NDArray[np.int64]
    threshold: NDArray[np.float64]
    forward_return: NDArray[np.float64]
    forward_volatility: NDArray[np.float64]


def make_labels(
    bars: pd.DataFrame,
    *,
    scheme: LabelScheme,
    horizon_bars: int,
    window_bars: int,
    threshold_bps: float,
    sigmas: float,
) -> Labels:
    """Return the label of every bar.

    Parameters
    ----------
    bars : DataFrame
        Validated bars of any period; the threshold at a bar uses only bars up to it.
    scheme : {"trailing_tercile", "fixed", "vol_scaled", "triple_barrier"}
        How the threshold is set. `trailing_tercile`: the 1/3 quantile of the absolute
        horizon returns that were complete at the bar, over `window_bars`. `fixed`:
        `threshold_bps`. `vol_scaled`: `sigmas` times the EWMA volatility of the horizon.
        `triple_barrier`: the same threshold, but the first barrier the closes touch
        decides (López de Prado 2018, section 3.4).
    horizon_bars : int
        How many bars ahead the label looks.
    window_bars : int
        Window of `trailing_tercile`; until it is full it works with what its segment has,
        at least `min_window` returns.
    threshold_bps : float
        Threshold of `fixed`, in hundredths of a percent.
    sigmas : float
        Threshold of `vol_scaled` and `triple_barrier` in units of the horizon's volatility.
    """
    n = len(bars)
    close = np.log(bars["close"].to_numpy(np.float64))
    squares = _bar_variance(bars)
    out = Labels(np.full(n, MISSING, np.int64), *(np.full(n, np.nan) for _ in range(3)))
    for part in segment_slices(epoch_seconds(bars), bar_seconds(bars)):
        path = close[part]
        forward = np.full(len(path), np.nan)
        forward[:-horizon_bars] = path[horizon_bars:] - path[:-horizon_bars]
        threshold = {
            "trailing_tercile": lambda f=forward: _trailing_tercile(f, horizon_bars, window_bars),
            "fixed": lambda p=path: np.full(len(p), np.log1p(threshold_bps / 10_000.0)),
            "vol_scaled": lambda p=path: sigmas * _horizon_sigma(p, horizon_bars),
            "triple_barrier": lambda p=path: sigmas * _horizon_sigma(p, horizon_bars),
        }[scheme]()
        if scheme == "triple_barrier":
            outcome = _first_touch(path, threshold, horizon_bars)
        else:
            outcome = np.sign(np.where(np.abs(forward) > threshold, forward, 0.0))
        known = np.isfinite(threshold) & np.isfinite(forward)
        out.labels[part] = np.where(known, Label.HOLD + outcome, MISSING)
        out.threshold[part] = threshold
        out.forward_return[part] = forward
        out.forward_volatility[part] = _realised_ahead(squares[part], horizon_bars)
    return out


def lookback_bars(horizon_bars: int, window_bars: int) -> int:
    """Return how many bars before its own a label's threshold may look at, whatever the scheme."""
    sigma_returns = 1 << SIGMA_REACH.bit_length()  # `decayed_sum` goes on to a power of two
    return max(horizon_bars + window_bars, sigma_returns)


def _bar_variance(bars: pd.DataFrame) -> NDArray[np.float64]:
    """Return each bar's squared move: the mean of its squared return and its squared range.

    The range over 4 ln 2 estimates the same variance with a fifth of the noise (Parkinson
    1980); the return of open to close keeps what a range misses where few trades make a bar.
    """
    price = {name: np.log(bars[name].to_numpy(np.float64)) for name in PRICES}
    span = (price["high"] - price["low"]) ** 2 / (4.0 * np.log(2.0))
    return (span + (price["close"] - price["open"]) ** 2) / 2.0


def _realised_ahead(squares: NDArray[np.float64], horizon_bars: int) -> NDArray[np.float64]:
    """Return the root of the squared moves summed over the horizon, NaN where it is cut short."""
    out = np.full(len(squares), np.nan)
    total = Ladder(squares).window(horizon_bars)
    out[:-horizon_bars] = np.sqrt(total[horizon_bars:])
    return out


def _trailing_tercile(
    forward: NDArray[np.float64], horizon_bars: int, window_bars: int
) -> NDArray[np.float64]:
    """Return the 1/3 quantile of the |horizon returns| that were complete at each bar."""
    complete = pd.Series(np.abs(forward)).shift(horizon_bars)
    rolling = complete.rolling(window_bars, min_periods=min_window(window_bars))
    threshold = rolling.quantile(1.0 / 3.0).to_numpy()
    # A market that did not move for a third of the window has no scale to set a threshold by.
    return np.where(threshold > 0.0, threshold, np.nan)


def _horizon_sigma(path: NDArray[np.float64], horizon_bars: int) -> NDArray[np.float64]:
    """Return the EWMA volatility of one bar times sqrt(horizon); NaN while it warms up."""
    decay = 1.0 - 2.0 / (SIGMA_SPAN + 1.0)
    squares = np.diff(path, prepend=path[:1]) ** 2
    variance = (1.0 - decay) * decayed_sum(squares, decay, SIGMA_REACH)
    variance[:SIGMA_REACH] = np.nan
    sigma = np.sqrt(variance * horizon_bars)
    return np.where(sigma > 0.0, sigma, np.nan)


def _first_touch(
    path: NDArray[np.float64], threshold: NDArray[np.float64], horizon_bars: int
) -> NDArray[np.float64]:
    """Return +1, -1 or 0: which barrier the closes cross first within the horizon, if any."""
    outcome = np.zeros(len(path))
    for ahead in range(1, horizon_bars + 1):
        move = np.full(len(path), np.nan)
        move[:-ahead] = path[ahead:] - path[:-ahead]
        touched = (outcome == 0.0) & (np.abs(move) > threshold)
        outcome[touched] = np.sign(move[touched])
    return outcome
