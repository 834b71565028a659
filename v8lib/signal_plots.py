"""Figures about signals: selection, prediction sets and earnings. As `plots`, in all respects."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from v8lib.plots import BAND, GOOD, MODEL, OTHER, dress, new_axes


def plot_risk_coverage(table: pd.DataFrame, *, min_confidence: float) -> Axes:
    """Return accuracy and mean confidence of the surest rows against their share.

    Parameters
    ----------
    table : DataFrame
        From `selective.risk_coverage_table`.
    min_confidence : float
        The bar of an actionable signal; a line marks the last point that is above it.
    """
    axes = new_axes()[0]
    for column, colour, name in (("accuracy", MODEL, "right"), ("mean_confidence", OTHER, "said")):
        axes.plot(table["coverage"], table[column], color=colour, marker="o", ms=3, label=name)
    above = table.loc[table["threshold"] >= min_confidence, "coverage"]
    if len(above):
        axes.axvline(above.max(), color=GOOD, ls="--", label=f"confidence {min_confidence:.0%}")
    dress(axes, "How right the surest rows are", "share of rows, surest first", "share")
    axes.legend()
    return axes


def plot_coverage(table: pd.DataFrame, error_rate: float) -> Axes:
    """Return how often the prediction sets held what happened, per week, and the target.

    Parameters
    ----------
    table : DataFrame
        From `conformal.coverage_table`.
    error_rate : float
        What the sets were made for; the line is at 1 - `error_rate`.
    """
    axes = new_axes(height=2.8)[0]
    axes.plot(table.index, table["coverage"], color=MODEL, marker="o", ms=3, label="per week")
    axes.axhline(1.0 - error_rate, color=GOOD, ls="--", label=f"target {1.0 - error_rate:.0%}")
    locator = AutoDateLocator(maxticks=8)  # full dates at the default number run into each other
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    dress(axes, "How often the set held what happened", "week (UTC)", "share of rows")
    axes.legend()
    return axes


def plot_earnings(table: pd.DataFrame) -> Axes:
    """Return the mean net return per trade against the cost of a round trip, with its interval.

    Parameters
    ----------
    table : DataFrame
        From `earnings.earnings_table`; without intervals only the means are drawn.
    """
    axes = new_axes()[0]
    axes.fill_between(table["cost_bps"], table["low"], table["high"], color=BAND, label="95 %")
    axes.plot(table["cost_bps"], table["mean_net_bps"], color=MODEL, marker="o", label="mean")
    axes.axhline(0.0, color="#999999", lw=1)
    dress(axes, "What is left per trade", "cost of a round trip (bp)", "net return per trade (bp)")
    axes.legend()
    return axes
