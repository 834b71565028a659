"""The Sharpe ratio, and how far to believe the best of many: closed formulas of a few numbers.

All Sharpe ratios here are per period (per trade, per day), never per year: the formulas are
not the same after scaling. Kurtosis is that of Pearson, 3 for a normal distribution.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from v8lib.errors import ParameterError


def sharpe_ratio(returns: NDArray[np.float64]) -> float | None:
    """Return mean over standard deviation of returns, per period.

    None with fewer than two returns or without spread. The deviation divides by n and not
    n - 1: times sqrt(n - 1), as in `probabilistic_sharpe`, this is Student's t.

    Parameters
    ----------
    returns : array of shape (n,)
        Returns of equal periods, or of trades of equal length.
    """
    if len(returns) < 2 or np.ptp(returns) < 1e-12:
        return None
    return float(returns.mean() / returns.std())


def probabilistic_sharpe(
    sharpe: float, n: int, skew: float, kurtosis: float, benchmark: float = 0.0
) -> float:
    """Return the probability that the true Sharpe ratio is above `benchmark`, in [0, 1].

    Bailey and Lopez de Prado (2012), "The Sharpe ratio efficient frontier", section 3.
    For normal returns and a benchmark of 0 it is one minus the p-value of a one-sided test.

    Parameters
    ----------
    sharpe, benchmark : float
        Measured Sharpe ratio and the one to beat, both per period.
    n : int
        Returns that were measured.
    skew, kurtosis : float
        Third and fourth standardised moment of the returns; 0 and 3 if they are normal.

    Raises
    ------
    ParameterError
        If `n` is below two, or no returns have such moments at this Sharpe ratio.
    """
    if n < 2:
        raise ParameterError(f"a Sharpe ratio needs two returns at least, got {n}")
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not variance > 0.0:
        raise ParameterError(
            f"no spread is left at Sharpe {sharpe:.4g}, skew {skew:.4g}, kurtosis {kurtosis:.4g}"
        )
    return float(norm.cdf((sharpe - benchmark) * math.sqrt((n - 1) / variance)))


def expected_max_sharpe(n_trials: int, variance_of_sharpe: float) -> float:
    """Return the Sharpe ratio that the best of `n_trials` without any skill is expected to show.

    Bailey and Lopez de Prado (2014), "The deflated Sharpe ratio", equation 1: the expected
    maximum of independent normal draws. One trial was not selected, and has 0.

    Parameters
    ----------
    n_trials : int
        Independent trials the one at hand was chosen from, itself included.
    variance_of_sharpe : float
        Variance of the trials' Sharpe ratios, per period.

    Raises
    ------
    ParameterError
        If `n_trials` is below one or the variance is negative or not finite.
    """
    if n_trials < 1:
        raise ParameterError(f"n_trials must be at least 1, got {n_trials}")
    if not 0.0 <= variance_of_sharpe < math.inf:
        raise ParameterError(f"variance_of_sharpe must be 0 or more, got {variance_of_sharpe}")
    if n_trials == 1:
        return 0.0
    first, second = norm.ppf([1.0 - 1.0 / n_trials, 1.0 - 1.0 / (n_trials * math.e)])
    expected = (1.0 - np.euler_gamma) * first + np.euler_gamma * second
    return float(math.sqrt(variance_of_sharpe) * expected)


def deflated_sharpe(
    sharpe: float,
    n: int,
    skew: float,
    kurtosis: float,
    *,
    n_trials: int,
    variance_of_sharpe: float,
) -> float:
    """Return the probability that the true Sharpe ratio is above what selection alone gives.

    `probabilistic_sharpe` with `expected_max_sharpe` as benchmark: Bailey and Lopez de Prado
    (2014), equation 2. Parameters and errors are those of the two.

    Examples
    --------
    The paper's own: 2.5 a year over 1,250 days, best of 100 trials with variance 1/2 a year.

    >>> daily = 2.5 / 250**0.5
    >>> round(deflated_sharpe(daily, 1_250, -3, 10, n_trials=100, variance_of_sharpe=0.002), 4)
    0.9004
    """
    benchmark = expected_max_sharpe(n_trials, variance_of_sharpe)
    return probabilistic_sharpe(sharpe, n, skew, kurtosis, benchmark)
