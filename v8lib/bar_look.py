"""Whether bars look made up: drawn, augmented or copied rather than traded.

Real open, high, low and close come from one path of prices. A bar opens where the one before
closed, its range goes with its move, and ranges are as large as the moves from close to close
ask for. On the bars of real exchanges (minutes to hours, three coins, three venues) the three
measures of `candle_measures` lie at 0.00 to 0.07, 0.87 to 1.05 and 0.68 to 0.81; the limits
are set well outside.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.audit_finding import AuditFinding
from v8lib.bars import epoch_seconds
from v8lib.oddities import MAX_RETURN, PATH_BARS, bar_oddities
from v8lib.pipeline_gates import MAX_REPEATED, MIN_AUTOCORRELATION, bars_plausible
from v8lib.windows import run_lengths

Array = NDArray[np.float64]

MIN_RETURNS = 200  # fewer say nothing about a distribution
MAX_OPEN_JUMP = 0.25  # mean jump from close to open, in mean ranges of a bar
RANGE_LIMITS = (0.7, 1.5)  # Parkinson volatility over close-to-close volatility
MIN_RANGE_WITH_MOVE = 0.3  # rank correlation of range and absolute move within a bar
MIN_CLUSTERING = 0.05  # correlation of absolute returns that follow each other


def look_findings(bars: pd.DataFrame, interval_s: int) -> Iterator[AuditFinding]:
    """Yield the signs that bars are not those of a market.

    Noise over prices and copied stretches are judged by the gate `bars_plausible`, with its
    limits. That moves do not cluster is a note: a simulated market may well look so.

    Parameters
    ----------
    bars : DataFrame of n_bars rows
        Sound bars on one grid, increasing.
    interval_s : int
        Length of a bar in seconds.
    """
    lengths = run_lengths(epoch_seconds(bars), interval_s)
    if max(lengths, default=0) <= PATH_BARS:
        return
    gate = bars_plausible(bar_oddities(bars))
    if gate.verdict == "fail":
        yield AuditFinding("synthetic", "warning", f"{gate.note} (limit: {gate.limit})")
    if sum(lengths) - len(lengths) < MIN_RETURNS:
        return
    yield from _candles(candle_measures(bars, interval_s))


def look_table(bars: pd.DataFrame, interval_s: int) -> pd.DataFrame:
    """Return every measure of the look of bars, its value and where real bars lie.

    Parameters
    ----------
    bars, interval_s
        As `look_findings` takes them.

    Returns
    -------
    DataFrame
        Index of measures; value, and limit in words. Empty where there are too few bars.
    """
    lengths = run_lengths(epoch_seconds(bars), interval_s)
    if max(lengths, default=0) <= PATH_BARS or sum(lengths) - len(lengths) < MIN_RETURNS:
        return pd.DataFrame(columns=["value", "limit"])
    found = bar_oddities(bars)
    measured = candle_measures(bars, interval_s)
    low, high = RANGE_LIMITS
    rows = {
        "return and the one before, correlation": (
            found.autocorrelation,
            f"above {MIN_AUTOCORRELATION}",
        ),
        "paths of eight returns that occur again": (found.repeated, f"at most {MAX_REPEATED:.0%}"),
        "jump from close to open, in ranges": (
            measured["open_jump"],
            f"at most {MAX_OPEN_JUMP}",
        ),
        "volatility by range over that by closes": (
            measured["range_ratio"],
            f"{low} to {high}",
        ),
        "range and move of a bar, rank correlation": (
            measured["range_with_move"],
            f"at least {MIN_RANGE_WITH_MOVE}",
        ),
        "size of a move and the one before, correlation": (
            measured["clustering"],
            f"at least {MIN_CLUSTERING} (a note only)",
        ),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "limit"])


def candle_measures(bars: pd.DataFrame, interval_s: int) -> dict[str, float]:
    """Return how open, high, low and close hang together; NaN where nothing moves.

    Returns
    -------
    dict
        open_jump: mean absolute log jump from a close to the next open, in mean log ranges.
        range_ratio: volatility by Parkinson (1980) from high and low, over that from close
        to close; values are cut at 8 median ones, so that one bad print decides nothing
        (jumps at the largest range).
        range_with_move: rank correlation of log range and absolute log move within a bar.
        clustering: correlation of absolute returns that follow each other.
    """
    open_, high, low, close = (np.log(bars[c].to_numpy(np.float64)) for c in _PRICES)
    follows = np.diff(epoch_seconds(bars)) == interval_s
    returns = _cut(np.abs(np.diff(close)[follows]))
    ranges = _cut((high - low)[1:][follows])
    jumps = np.minimum(np.abs(open_[1:] - close[:-1])[follows], ranges.max())
    both = follows[1:] & follows[:-1]
    moves = np.abs(np.diff(close))
    return {
        "open_jump": _ratio(jumps.mean(), ranges.mean()),
        "range_ratio": _ratio(
            np.sqrt((ranges**2).mean() / (4.0 * np.log(2.0))), np.sqrt((returns**2).mean())
        ),
        "range_with_move": _correlation(_ranks(high - low), _ranks(np.abs(close - open_))),
        "clustering": _correlation(_cut(moves[1:][both]), _cut(moves[:-1][both])),
    }


_PRICES = ("open", "high", "low", "close")


def _candles(found: dict[str, float]) -> Iterator[AuditFinding]:
    low, high = RANGE_LIMITS
    jump, ratio = found["open_jump"], found["range_ratio"]
    if jump > MAX_OPEN_JUMP:
        yield AuditFinding(
            "opens_apart",
            "warning",
            f"a bar opens {jump:.0%} of a usual range away from the close before (limit "
            f"{MAX_OPEN_JUMP:.0%}): opens drawn by themselves, or prices of several venues",
        )
    if ratio < low or ratio > high:
        size = "small" if ratio < low else "large"
        yield AuditFinding(
            "range_size",
            "warning",
            f"ranges too {size} for the moves from close to close: volatility by range is "
            f"{ratio:.2f} of that by closes (limits {low} and {high})",
        )
    if found["range_with_move"] < MIN_RANGE_WITH_MOVE:
        yield AuditFinding(
            "range_unrelated",
            "warning",
            f"ranges do not go with the moves inside them: rank correlation "
            f"{found['range_with_move']:.2f} (limit {MIN_RANGE_WITH_MOVE})",
        )
    if found["clustering"] < MIN_CLUSTERING:
        yield AuditFinding(
            "no_clustering",
            "note",
            f"large moves do not follow large moves (correlation {found['clustering']:.2f}, "
            f"real markets lie above {MIN_CLUSTERING}): a simulated market?",
        )


def _cut(sizes: Array) -> Array:
    """Return absolute values cut at `MAX_RETURN` medians of those that are not zero."""
    moving = sizes[sizes > 0.0]
    return np.minimum(sizes, MAX_RETURN * float(np.median(moving))) if len(moving) else sizes


def _ranks(values: Array) -> Array:
    return pd.Series(values).rank().to_numpy(np.float64)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0.0 else np.nan


def _correlation(first: Array, second: Array) -> float:
    a, b = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread > 0.0 else np.nan
