"""A simulated market as hard as a real one, whose class probabilities are known all the same.

Volatility clusters and has a daily season, so that HOLD can be predicted; direction follows a
weak momentum, so that it hardly can. In units of `volatility`, with e ~ N(0, 1):

    z[t+1] = k * m[t] + e[t+1]                       standardised return
    r[t+1] = s(t+1) * sqrt(h[t+1]) * z[t+1]          return; s = 1 + 0.5 * sin(2 pi * time of day)
    h[t+2] = w + a * h[t+1] * e[t+1]**2 + b * h[t+1] GARCH(1,1), Bollerslev (1986), equation 2
    m[t+1] = d * m[t] + (1 - d) * z[t+1]

h and m are functions of past returns: anyone who saw the bars knows them, so the posterior is
what a perfect model would say. Given the first H - 1 of the next shocks the last return is
normal; those shocks are integrated out by Gauss-Hermite quadrature.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.market import FIRST_PRICE, dress

Array = NDArray[np.float64]
OMEGA, ALPHA, BETA = 0.02, 0.08, 0.90
SEASON = 0.5  # amplitude of the daily season of volatility
DAY_S = 86_400
BURN_IN = 2_000  # bars before the first one kept, so that h and m start in their steady state
NODES = 7  # per shock; against 15 nodes no probability moves by more than 0.0005 (tests)
MAX_HORIZON = 6  # NODES**(H - 1) paths per bar


@dataclass(frozen=True)
class GarchMarket:
    """Bars, and the state known when each bar closed.

    Attributes
    ----------
    bars : DataFrame of n_bars rows
    variance : float64, (n_bars,), h of the bar that follows
    momentum : float64, (n_bars,), m
    signal, decay, volatility : float
        k and d above; standard deviation of a bar's log return where s = h = 1.
    """

    bars: pd.DataFrame
    variance: Array
    momentum: Array
    signal: float
    decay: float
    volatility: float


def simulate_garch(
    n_bars: int,
    *,
    signal: float,
    decay: float,
    volatility: float,
    interval_s: int,
    rng: np.random.Generator,
) -> GarchMarket:
    """Return a market with clustered volatility; parameters as in `market.simulate_market`.

    Highs, lows and volume follow the bar's own volatility, as those of real bars do. They
    carry nothing about the next bar that the returns do not.
    """
    season = season_of(np.arange(-BURN_IN, n_bars), interval_s)
    shocks = rng.standard_normal(n_bars + BURN_IN)
    h, m = 1.0, 0.0
    rows = np.empty((len(shocks), 4))  # sigma and z of the bar, h and m after it
    for t, (e, s) in enumerate(zip(shocks.tolist(), season.tolist(), strict=True)):
        z, sigma = signal * m + e, s * h**0.5
        h = OMEGA + ALPHA * h * e * e + BETA * h
        m = decay * m + (1.0 - decay) * z
        rows[t] = sigma, z, h, m
    sigma, z, variance, momentum = rows[BURN_IN:].T
    close = np.log(FIRST_PRICE) + np.cumsum(volatility * sigma * z)
    bars = dress(close, volatility * sigma, sigma, interval_s, rng)
    return GarchMarket(bars, variance.copy(), momentum.copy(), signal, decay, volatility)


def season_of(bar: NDArray[np.integer], interval_s: int) -> Array:
    """Return the factor of the daily season at each bar number; bar 0 opens at midnight UTC."""
    return 1.0 + SEASON * np.sin(2.0 * np.pi * ((bar * interval_s) % DAY_S) / DAY_S)


def garch_posterior(
    market: GarchMarket, threshold: Array, horizon_bars: int, *, nodes: int = NODES
) -> Array:
    """Return P(DOWN), P(HOLD), P(UP) at every bar, shape (n_bars, 3); NaN without threshold.

    Parameters
    ----------
    market : GarchMarket
        From `simulate_garch`.
    threshold : float array of shape (n_bars,), log return
        The label's threshold at each bar.
    horizon_bars : int
        Horizon of the label, at most `MAX_HORIZON`.
    nodes : int
        Quadrature nodes per shock (Gauss-Hermite; Abramowitz and Stegun 1964, 25.4.46).

    Raises
    ------
    ValueError
        If the horizon is too long for the quadrature.
    """
    if horizon_bars > MAX_HORIZON:
        raise ValueError(
            f"horizon_bars = {horizon_bars}: the garch market's answer is known up to {MAX_HORIZON}"
        )
    interval_s = int((market.bars.index[1] - market.bars.index[0]).total_seconds())
    ahead = np.arange(len(threshold))[:, None] + np.arange(1, horizon_bars + 1)
    season = season_of(ahead, interval_s).T  # (horizon_bars, n_bars)
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    known = np.isfinite(threshold)
    season, cut = season[:, known], threshold[known] / market.volatility
    state = market.variance[known], market.momentum[known]
    down, up = np.zeros(len(cut)), np.zeros(len(cut))
    for path in product(range(nodes), repeat=horizon_bars - 1):
        mean, sigma = _last_return(points[list(path)], *state, season, market)
        share = weights[list(path)].prod()
        down += share * _normal_cdf((-cut - mean) / sigma)
        up += share * _normal_cdf((mean - cut) / sigma)
    out = np.full((len(threshold), 3), np.nan)
    out[known] = np.column_stack([down, 1.0 - down - up, up])
    return out


def _last_return(
    shocks: Array, h: Array, m: Array, season: Array, market: GarchMarket
) -> tuple[Array, Array]:
    """Return mean and deviation of the horizon's return, given all shocks but the last."""
    total, d = np.zeros(len(h)), market.decay
    for e, s in zip(shocks, season, strict=False):
        z = market.signal * m + e
        total += s * np.sqrt(h) * z
        h = OMEGA + (ALPHA * e * e + BETA) * h
        m = d * m + (1.0 - d) * z
    sigma = season[-1] * np.sqrt(h)
    return total + sigma * market.signal * m, sigma


def _normal_cdf(x: Array) -> Array:
    # Imported here: production, which never asks for a posterior, does without scipy.special.
    from scipy.special import ndtr

    return ndtr(x)
