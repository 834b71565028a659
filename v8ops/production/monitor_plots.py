"""Figures of the monitor page. They take what was read, compute nothing, and return Axes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from v8lib.plots import COLOURS, GOOD, MODEL, dress, new_axes
from v8ops.production import monitors
from v8ops.production.through_time import Course

WATCH_COLOUR, ALARM_COLOUR, OUT_COLOUR = "#B8860B", "#A4161A", "#CC79A7"
ROLE_COLOURS = {
    "candidate": MODEL,
    "stable": GOOD,
    "previous": "#7F7F7F",
    "out of use": OUT_COLOUR,
}
# Title, unit, lines to watch, lines of alarm; class shares have a figure for each model instead.
PLOTTED = {
    "sure_share": (
        "How often a model is more than 99 % sure",
        "share of 200 bars",
        (monitors.SURE_WATCH,),
        (monitors.SURE_ALARM,),
    ),
    "actionable_confidence": (
        "How sure actionable signals are",
        "mean confidence",
        monitors.ACTING_WATCH[1:],
        monitors.ACTING_ALARM,
    ),
    "drift": (
        "The feature that has drifted most (alarm: in two windows)",
        "PSI over its bound",
        (monitors.DRIFT_WATCH,),
        (1.0,),
    ),
    "realised_loss": (
        "What was said against what happened",
        "log loss minus climatology's",
        (0.0,),
        (),
    ),
    "realised_calibration": (
        "Said more than was right (above 0) or less",
        "confidence minus share right",
        (-monitors.GAP_ALARM, monitors.GAP_ALARM),
        (),
    ),
}


def plot_course(
    name: str, courses: Mapping[tuple[str, str], Course], rollbacks: Sequence[int]
) -> Axes:
    """Return one monitor through time, a line per model, with its bounds.

    Parameters
    ----------
    name : str
        Of the monitor.
    courses : mapping of (role, version) to Course
        The models to show.
    rollbacks : sequence of int
        Bars at which something was rolled back, seconds since 1970-01-01 UTC.
    """
    title, unit, watched, alarms = PLOTTED[name]
    axes = new_axes(width=7.6, height=2.9)[0]
    for (role, version), course in courses.items():
        times = dates(course.epoch_s)
        colour = ROLE_COLOURS[role]
        axes.plot(times, course.value, color=colour, lw=1.4, label=f"{role} {version}")
        bad = course.alarm
        axes.plot(times[bad], course.value[bad], ls="", marker="x", color=ALARM_COLOUR, ms=5)
    for levels, colour, label in (
        (watched, WATCH_COLOUR, "watch"),
        (alarms, ALARM_COLOUR, "alarm"),
    ):
        for k, level in enumerate(levels):
            axes.axhline(level, color=colour, lw=1, ls="--", label=None if k else label)
    _finish(axes, title, unit, rollbacks)
    return axes


def plot_confidence(
    courses: Mapping[tuple[str, str], tuple[NDArray[np.int64], NDArray[np.float64]]],
    rollbacks: Sequence[int],
) -> Axes:
    """Return the mean confidence of every model's bars through time."""
    axes = new_axes(width=7.6, height=2.9)[0]
    for (role, version), (epoch_s, value) in courses.items():
        colour = ROLE_COLOURS[role]
        axes.plot(dates(epoch_s), value, color=colour, lw=1.4, label=f"{role} {version}")
    _finish(axes, "How sure all signals are", "mean confidence, 200 bars", rollbacks)
    return axes


def plot_classes(
    model: tuple[str, str],
    course: tuple[NDArray[np.int64], NDArray[np.float64]],
    alarms: NDArray[np.int64],
    rollbacks: Sequence[int],
) -> Axes:
    """Return the share of each class among a model's decisions, with the bounds to watch.

    Parameters
    ----------
    model : (role, version)
    course : (epoch_s, shares)
        Shapes (n_points,) and (n_points, 3).
    alarms : int64 array
        Bars at which `class_shares` was in alarm.
    rollbacks : sequence of int
        As in `plot_course`.
    """
    axes = new_axes(width=7.6, height=2.9)[0]
    for (name, colour), shares in zip(COLOURS.items(), course[1].T, strict=True):
        axes.plot(dates(course[0]), shares, color=colour, lw=1.4, label=name)
    for k, level in enumerate(monitors.CLASS_BOUND):
        axes.axhline(level, color=WATCH_COLOUR, lw=1, ls="--", label=None if k else "watch")
    if len(alarms):
        top = np.full(len(alarms), 1.0)
        axes.plot(dates(alarms), top, ls="", marker="x", color=ALARM_COLOUR, ms=5, label="alarm")
    axes.set_ylim(-0.03, 1.04)
    _finish(axes, f"Decisions of {model[1]} ({model[0]})", "share of 1,000 bars", rollbacks)
    return axes


def plot_routing(
    routed: tuple[NDArray[np.int64], NDArray[np.float64]],
    without: tuple[NDArray[np.int64], NDArray[np.float64]],
    rollbacks: Sequence[int],
) -> Axes:
    """Return whose the signals were: the candidate's share, and the share of no model."""
    axes = new_axes(width=7.6, height=2.9)[0]
    axes.plot(dates(routed[0]), routed[1], color=MODEL, lw=1.4, label="candidate")
    axes.plot(dates(without[0]), without[1], color=ALARM_COLOUR, lw=1.4, label="no model")
    axes.set_ylim(-0.03, 1.03)
    _finish(axes, "Whose the signals were", "share of 200 bars", rollbacks)
    return axes


def dates(epoch_s: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return bar times as matplotlib wants them."""
    return np.asarray(epoch_s).astype("datetime64[s]")


def _finish(axes: Axes, title: str, unit: str, rollbacks: Sequence[int]) -> None:
    for k, epoch_s in enumerate(rollbacks):
        label = "rolled back" if k == 0 else None
        axes.axvline(dates(np.array(epoch_s)), color=OUT_COLOUR, lw=1.2, ls=":", label=label)
    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    dress(axes, title, "bar (UTC)", unit)
    if axes.get_legend_handles_labels()[0]:
        axes.figure.set_layout_engine("constrained")  # the only one with room for such a legend
        axes.figure.legend(loc="outside lower center", ncols=4)  # lines may run anywhere
