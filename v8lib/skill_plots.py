"""Figures of where skill comes from and when it is there: tables in, Axes out, no computing."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from numpy.typing import NDArray

from v8lib.plots import BAND, GOOD, MODEL, OTHER, dress, new_axes

ZERO = "#999999"
SOURCE_COLOURS = {"volatility": OTHER, "direction": GOOD, "total": MODEL}
GAP = 0.6  # of a line, between one block of lines and the next


def plot_weekly(table: pd.DataFrame) -> Axes:
    """Return the skill of each week as points and the rolling skill as a line, through time.

    Parameters
    ----------
    table : DataFrame
        From `conditions.weekly_table`.
    """
    axes = new_axes(height=2.9)[0]
    axes.axhline(0.0, color=ZERO, lw=1)
    axes.scatter(table.index, table["skill"], s=16, color=OTHER, label="one week")
    if table["rolling skill"].notna().any():
        rolling = table["rolling skill"]
        axes.plot(table.index, rolling, color=MODEL, marker=".", label="four weeks, up to this one")
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    dress(axes, "Skill through time", "week beginning (UTC)", "log-loss skill")
    axes.legend()
    return axes


def plot_regimes(table: pd.DataFrame) -> Axes:
    """Return the skill of each group with its interval, one block of lines per regime.

    Parameters
    ----------
    table : DataFrame
        From `conditions.regime_table`; a group without interval is a point alone.
    """
    axes = new_axes(height=1.0 + 0.27 * len(table))[0]
    rows = _block_rows(table.index.get_level_values("regime"))
    _draw(axes, rows, table["skill"], table, [MODEL] * len(table))
    axes.set_yticks(rows, [f"{regime}: {group}" for regime, group in table.index])
    dress(axes, "Skill by regime", "log-loss skill, with 95 % interval")
    return axes


def plot_sources(table: pd.DataFrame) -> Axes:
    """Return what volatility and direction contribute to skill, one block per reference.

    Parameters
    ----------
    table : DataFrame
        From `skill_sources.skill_split_table`.
    """
    axes = new_axes(height=1.0 + 0.27 * len(table))[0]
    rows = _block_rows(table.index.get_level_values("reference"))
    colours = [SOURCE_COLOURS[source] for source in table.index.get_level_values("source")]
    _draw(axes, rows, table["value"], table, colours)
    axes.set_yticks(rows, [f"over {name.replace('_', ' ')}: {part}" for name, part in table.index])
    dress(axes, "Where the skill comes from", "part of log-loss skill, with 95 % interval")
    return axes


def _block_rows(blocks: pd.Index) -> NDArray[np.float64]:
    """Return the height of each line, with a gap wherever the block changes."""
    return np.arange(len(blocks)) + GAP * pd.factorize(blocks)[0]


def _draw(
    axes: Axes,
    rows: NDArray[np.float64],
    values: pd.Series,
    bounds: pd.DataFrame,
    colours: list[str],
) -> None:
    axes.axvline(0.0, color=ZERO, lw=1)
    axes.hlines(rows, bounds["low"], bounds["high"], colors=colours, lw=2.5)
    axes.scatter(values, rows, color=colours, zorder=3)
    axes.invert_yaxis()


def plot_posterior(table: pd.DataFrame) -> Axes:
    """Return estimated against exact probability, one panel per class.

    Parameters
    ----------
    table : DataFrame
        From `known_answer.posterior_table`; without rows one empty panel says so.
    """
    if not len(table):
        axes = new_axes(height=1.2)[0]
        dress(axes, "Real bars: the exact probabilities are not known", "")
        axes.set(xticks=[], yticks=[])
        return axes
    panels = new_axes(3, height=3.0)
    for axes, (name, part) in zip(panels, table.groupby("class", sort=True), strict=True):
        low, high = part[["exact", "low"]].min().min(), part[["exact", "high"]].max().max()
        axes.plot([low, high], [low, high], color="#999999", lw=1, ls="--", label="exact")
        edges = part["low"], part["high"]
        axes.fill_between(part["exact"], *edges, color=BAND, label="90 % of rows")
        axes.plot(part["exact"], part["estimate"], marker="o", ms=3, color=MODEL, label="mean")
        dress(axes, str(name), "exact probability", "estimate" if axes is panels[0] else "")
    panels[0].legend(loc="upper left")
    return panels[0]
