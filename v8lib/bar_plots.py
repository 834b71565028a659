"""Figures of an audit of bars. As `plots`, in all respects."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

from v8lib.bar_audit import Audit
from v8lib.errors import BarsError
from v8lib.plots import GOOD, MODEL, OTHER, dress, new_axes

WRONG = "#B00020"
MIN_WIDTH = 1 / 400  # of the period, so that a gap of one bar in a year can be seen
SHOWN_BARS = 4_000
LANES = ("bars", "gaps", "defects", "outliers")


def plot_gaps(audit: Audit) -> Axes:
    """Return a timeline of where there are bars, gaps, rows with defects and outliers.

    Gaps are drawn wider than they are where they could not be seen otherwise. Rows without a
    time have no place on it.

    Parameters
    ----------
    audit : Audit
        Of a file of bars.

    Raises
    ------
    BarsError
        If the file is not one of bars.
    """
    _refuse_other(audit)
    axes = new_axes(height=2.4)[0]
    start, end = (date2num(audit.facts[key]) for key in ("start", "end"))
    axes.broken_barh([(start, end - start)], (-0.4, 0.8), color=MODEL)
    least = (end - start) * MIN_WIDTH
    begins = date2num(audit.gaps["start"])
    widths = (date2num(audit.gaps["end"]) - begins).clip(min=least)
    spans = list(zip(begins, widths, strict=True))
    axes.broken_barh(spans, (-0.4, 0.8), color="white")
    axes.broken_barh(spans, (0.6, 0.8), color=OTHER)
    for lane, times, colour in (
        (2, audit.defects["timestamp"].dropna(), WRONG),
        (3, audit.outliers["timestamp"], GOOD),
    ):
        inside = times[(times >= audit.facts["start"]) & (times <= audit.facts["end"])]
        axes.vlines(date2num(inside), lane - 0.4, lane + 0.4, colors=colour, lw=1.5)
    counts = (audit.facts["n_bars"], len(audit.gaps), len(audit.defects), len(audit.outliers))
    labels = [f"{name}: {n:,}" for name, n in zip(LANES, counts, strict=True)]
    axes.set_yticks(range(len(LANES)), labels)
    axes.set_ylim(len(LANES) - 0.5, -0.5)  # the first lane on top
    axes.grid(False, axis="y")
    _dated(axes)
    dress(axes, "Where the bars are, and where something is wrong", "time (UTC)")
    return axes


def plot_outliers(audit: Audit) -> Axes:
    """Return the close through time, with the prints that depart from both neighbours.

    Parameters
    ----------
    audit : Audit
        Of a file of bars.

    Raises
    ------
    BarsError
        If the file is not one of bars.
    """
    _refuse_other(audit)
    axes = new_axes(height=2.8)[0]
    shown = audit.bars["close"].iloc[:: max(1, len(audit.bars) // SHOWN_BARS)]
    axes.plot(shown.index, shown, color="#333333", lw=0.8, label="close")
    for what, marker in (("close", "o"), ("high", "^"), ("low", "v")):
        found = audit.outliers[audit.outliers["what"] == what]
        if len(found):
            axes.plot(
                pd.DatetimeIndex(found["timestamp"]),
                found["value"],
                color=WRONG,
                ls="none",
                marker=marker,
                ms=6,
                label=f"{what}: {len(found)}",
            )
    _dated(axes)
    dress(axes, "Prints that come back at once", "time (UTC)", "price", any_size=True)
    axes.legend()
    return axes


def _refuse_other(audit: Audit) -> None:
    if audit.verdict == "not bars":
        raise BarsError(f"{audit.path}: not bars, nothing to draw: {audit.reason}")


def _dated(axes: Axes) -> None:
    """Label the time axis so that dates do not run into each other."""
    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
