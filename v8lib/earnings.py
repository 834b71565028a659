"""What the signals would have earned: one position at a time, at stated costs.

A trade is entered and left at a close, always filled, and of the same size. A short earns
minus the log return. Neither funding nor slippage is known here; both belong into the costs.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kurtosis, skew

from v8lib.errors import ParameterError
from v8lib.intervals import draws_interval
from v8lib.labels import Label
from v8lib.sharpe import deflated_sharpe, sharpe_ratio

Array = NDArray[np.float64]
BPS = 10_000.0
MIN_TRADES = 20  # below this neither an interval nor a Sharpe ratio is given


def trades(
    classes: NDArray[np.integer],
    take: NDArray[np.bool_],
    forward_return: Array,
    position: NDArray[np.int64],
    *,
    horizon_bars: int,
) -> pd.DataFrame:
    """Return the trades of a series of signals, oldest first, never two at a time.

    A trade opens at the close of a bar that is taken and whose class is UP or DOWN, if none
    is open, and closes `horizon_bars` bars later; at that close the next one may open. HOLD
    opens and closes nothing. Columns: position (bar of the opening), side (+1 for UP, -1 for
    DOWN), gross (side * log return over the horizon, before costs).

    Parameters
    ----------
    classes, take : arrays of shape (n_rows,)
        The emitted class and whether it is acted on, test split.
    forward_return : array of shape (n_rows,)
        Log return over the horizon.
    position : integer array of shape (n_rows,)
        Where each row stands among the bars, increasing.
    horizon_bars : int
        How many bars a trade lasts.

    Raises
    ------
    ParameterError
        If `position` does not increase, or the return of a trade is not finite.
    """
    if (np.diff(position) <= 0).any():
        raise ParameterError("the bar positions of the rows must increase")
    opened, free_from = [], -np.inf
    for row in np.flatnonzero(take & (classes != Label.HOLD)):
        if position[row] >= free_from:
            opened.append(row)
            free_from = position[row] + horizon_bars
    rows = np.array(opened, dtype=np.int64)
    side = classes[rows].astype(np.int64) - Label.HOLD
    gross = side * forward_return[rows]
    if not np.isfinite(gross).all():
        bad = position[rows[~np.isfinite(gross)][0]]
        raise ParameterError(f"the trade opened at bar {bad} has no finite return")
    return pd.DataFrame({"position": position[rows], "side": side, "gross": gross})


def break_even_bps(made: pd.DataFrame) -> float | None:
    """Return the round-trip cost at which trades earn nothing, in basis points; None without any.

    It is the mean gross log return: negative where they lose before costs.
    """
    return float(made["gross"].mean() * BPS) if len(made) else None


def earnings_table(
    made: pd.DataFrame,
    *,
    costs_bps: Sequence[float] = (0, 1, 2, 5, 10, 20),
    trades_per_year: float,
    n_trials: int,
) -> pd.DataFrame:
    """Return what is left of the trades at each cost, one row per cost.

    Columns: cost_bps (round trip, taken off the log return), n, mean_net_bps (per trade) with
    its 95 % interval low and high, sum_net (log return), sharpe (per year), deflated_sharpe
    (a probability) and the n_trials it allows for. With fewer than `MIN_TRADES` trades, or
    trades that all earn the same, the interval and both Sharpe columns are NaN; without any
    trade the mean is NaN too.

    Parameters
    ----------
    made : DataFrame
        From `trades`, test split.
    costs_bps : sequence of float
        Costs of a round trip in basis points.
    trades_per_year : float
        How many trades a year brings; scales the Sharpe ratio by its square root.
    n_trials : int
        Models or rules this one was chosen from, itself included.

    Raises
    ------
    ParameterError
        If `trades_per_year` is negative or `n_trials` is below one.

    Notes
    -----
    The interval is Student's, over trades. Trades do not overlap, so unlike rows they share no
    bar; volatility that clusters makes returns dependent but not correlated, and the
    variance of a mean depends on correlation alone. A cost then shifts the interval without
    changing its width. Where the signal works in some months only the interval is too narrow.

    Past trials leave no Sharpe ratios, so their variance is taken as that of trials of this
    length without skill, 1 / (n - 1): `probabilistic_sharpe`'s own at a Sharpe ratio of 0.
    """
    if not trades_per_year >= 0.0:
        raise ParameterError(f"trades_per_year must be 0 or more, got {trades_per_year}")
    if n_trials < 1:
        raise ParameterError(f"n_trials must be at least 1, got {n_trials}")
    gross = made["gross"].to_numpy(np.float64)
    rows = [_earnings_row(gross, float(c), trades_per_year, n_trials) for c in costs_bps]
    return pd.DataFrame(rows)


def _earnings_row(
    gross: Array, cost_bps: float, trades_per_year: float, n_trials: int
) -> dict[str, float]:
    net = gross - cost_bps / BPS
    row = {
        "cost_bps": cost_bps,
        "n": len(net),
        "mean_net_bps": float(net.mean() * BPS) if len(net) else np.nan,
        "low": np.nan,
        "high": np.nan,
        "sum_net": float(net.sum()),
        "sharpe": np.nan,
        "deflated_sharpe": np.nan,
        "n_trials": n_trials,
    }
    per_trade = sharpe_ratio(net)
    if len(net) < MIN_TRADES or per_trade is None:
        return row
    interval = draws_interval(net * BPS)
    deflated = deflated_sharpe(
        per_trade,
        len(net),
        float(skew(net)),
        float(kurtosis(net, fisher=False)),
        n_trials=n_trials,
        variance_of_sharpe=1.0 / (len(net) - 1),
    )
    return row | {
        "low": interval.low,
        "high": interval.high,
        "sharpe": per_trade * trades_per_year**0.5,
        "deflated_sharpe": deflated,
    }
