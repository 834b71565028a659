"""The simulated market, whose exact class probabilities are known at every bar.

One-bar returns follow a moving average of past returns, in units of one bar's noise e ~ N(0, 1):

    r[t+1] = k * m[t] + e[t+1]          m[t+1] = d * m[t] + (1 - d) * r[t+1]

With a = d + (1 - d) * k the sum of the next H returns, given m[t], is normal:

    mean  k * m[t] * (1 - a**H) / (1 - a)
    var   sum over i = 1..H of (1 + k * (1 - d) * (1 - a**(H - i)) / (1 - a))**2

m is known to anyone who saw the returns, so the posterior is what a perfect model would say.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

START = pd.Timestamp("2024-01-01", tz="UTC")
FIRST_PRICE = 100.0
BURN_IN = 1_000  # bars run before the first one kept, so that m starts in its steady state


@dataclass(frozen=True)
class SimulatedMarket:
    """Bars, the state behind them (array of shape (n_bars,)) and the constants of the market."""

    bars: pd.DataFrame
    state: NDArray[np.float64]
    signal: float
    decay: float
    volatility: float


def simulate_market(
    n_bars: int,
    *,
    signal: float,
    decay: float,
    volatility: float,
    interval_s: int,
    rng: np.random.Generator,
) -> SimulatedMarket:
    """Return a market with a known amount of structure.

    Parameters
    ----------
    n_bars : int
        Number of bars.
    signal : float
        k above, in [0, 1): 0 is a random walk, 0.94 lets a perfect model be right on
        about 72 % of bars at a horizon of four.
    decay : float
        d above, in (0, 1).
    volatility : float
        Standard deviation of one bar's noise as a log return.
    interval_s : int
        Bar length in seconds.
    rng : numpy Generator
        All randomness comes from it.
    """
    noise = rng.standard_normal(n_bars + BURN_IN)
    returns, state, m = np.empty_like(noise), np.empty_like(noise), 0.0
    for t, shock in enumerate(noise.tolist()):
        returns[t] = signal * m + shock
        m = decay * m + (1.0 - decay) * returns[t]
        state[t] = m
    close = np.log(FIRST_PRICE) + volatility * np.cumsum(returns[BURN_IN:])
    sigma = np.full(n_bars, volatility)
    bars = dress(close, sigma, np.ones(n_bars), interval_s, rng)
    return SimulatedMarket(bars, state[BURN_IN:], signal, decay, volatility)


def dress(
    close: NDArray[np.float64],
    sigma: NDArray[np.float64],
    activity: NDArray[np.float64],
    interval_s: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return bars round log closes: open at the last close, wicks and volume drawn.

    Parameters
    ----------
    close : array of shape (n_bars,)
        Log closes.
    sigma : array of shape (n_bars,)
        Deviation of each bar's log return: wicks are half as long.
    activity : array of shape (n_bars,)
        What each bar's volume is multiplied by.
    interval_s : int
        Bar length in seconds.
    rng : numpy Generator
        Draws wicks and volume.
    """
    n = len(close)
    open_ = np.concatenate([close[:1], close[:-1]])
    wicks = np.abs(rng.standard_normal((2, n))) * sigma / 2.0
    bars = pd.DataFrame(
        {
            "open": np.exp(open_),
            "high": np.exp(np.maximum(open_, close) + wicks[0]),
            "low": np.exp(np.minimum(open_, close) - wicks[1]),
            "close": np.exp(close),
            "volume": rng.lognormal(mean=3.0, sigma=0.5, size=n) * activity,
        },
        index=pd.date_range(START, periods=n, freq=pd.Timedelta(seconds=interval_s)),
    )
    bars.index.name = "timestamp"
    return bars


def posterior(
    market: SimulatedMarket, threshold: NDArray[np.float64], horizon_bars: int
) -> NDArray[np.float64]:
    """Return the exact P(DOWN), P(HOLD), P(UP) at every bar, shape (n_bars, 3).

    Parameters
    ----------
    market : SimulatedMarket
        From `simulate_market`.
    threshold : float array of shape (n_bars,), log return
        The label's threshold at each bar; NaN gives NaN.
    horizon_bars : int
        Horizon of the label.
    """
    from scipy.special import ndtr

    k, d = market.signal, market.decay
    a = d + (1.0 - d) * k
    mean = k * market.state * (1.0 - a**horizon_bars) / (1.0 - a)
    ahead = horizon_bars - np.arange(1, horizon_bars + 1)
    variance = ((1.0 + k * (1.0 - d) * (1.0 - a**ahead) / (1.0 - a)) ** 2).sum()
    cut = threshold / market.volatility
    down, up = ndtr((-cut - mean) / variance**0.5), ndtr((mean - cut) / variance**0.5)
    return np.column_stack([down, 1.0 - down - up, up])
