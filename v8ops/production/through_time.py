"""Through time: what each monitor would have read at points of the log, shares and confidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from v8ops.production.log_rows import SignalRow
from v8ops.production.monitors import CLASS_ROWS, NEEDED_BARS, ModelFacts, judge
from v8ops.production.scored import ScoreRows

POINTS = 120
TRAILING_BARS = 200  # behind a point of routing and of confidence

Times = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """One monitor of one model through time; arrays of shape (n_points,).

    Attributes
    ----------
    epoch_s : int64
        Bars of the points, seconds since 1970-01-01 UTC.
    value : float64
        NaN where there were too few rows.
    state : str
        The readings' states.
    """

    epoch_s: Times
    value: NDArray[np.float64]
    state: NDArray[np.str_]

    @property
    def alarm(self) -> NDArray[np.bool_]:
        """Where the reading was an alarm."""
        return self.state == "alarm"


def courses(rows: ScoreRows, facts: ModelFacts, *, points: int = POINTS) -> dict[str, Course]:
    """Return every monitor's course over the rows of a model, by name.

    Labels are those known now: a point of the past may show outcomes it could not yet have had,
    of the last few bars of its window.
    """
    if not len(rows):
        return {}
    stops = np.unique(np.linspace(1, len(rows), min(points, len(rows))).astype(int))
    read = [judge(rows.at(slice(max(0, stop - NEEDED_BARS), stop)), facts) for stop in stops]
    times = rows.epoch_s[stops - 1]
    found = {}
    for at_points in zip(*read, strict=True):
        values = [np.nan if r.value is None else r.value for r in at_points]
        states = [r.state for r in at_points]
        found[at_points[0].name] = Course(times, np.array(values), np.array(states))
    return found


def routed_share(signals: Sequence[SignalRow], *, points: int = POINTS) -> tuple[Times, Values]:
    """Return the share of the candidate among the signals before each point."""
    mine = np.array([row.role == "candidate" for row in signals], dtype=np.float64)
    return _trailing(_times(signals), mine, TRAILING_BARS, points)


def hold_share(signals: Sequence[SignalRow], *, points: int = POINTS) -> tuple[Times, Values]:
    """Return the share of bars without a model's signal before each point."""
    none = np.array([row.version is None for row in signals], dtype=np.float64)
    return _trailing(_times(signals), none, TRAILING_BARS, points)


def confidence_course(rows: ScoreRows, *, points: int = POINTS) -> tuple[Times, Values]:
    """Return the mean confidence of the bars before each point, actionable or not."""
    return _trailing(rows.epoch_s, rows.probs.max(axis=1), TRAILING_BARS, points)


def class_course(rows: ScoreRows, *, points: int = POINTS) -> tuple[Times, Values]:
    """Return the share of each class among the decisions before each point, (n_points, 3).

    Points begin where a window of the monitor is full; there are none before.
    """
    decided = np.eye(3)[rows.decisions]
    return _trailing(rows.epoch_s, decided, CLASS_ROWS, points, first=CLASS_ROWS)


def _times(signals: Sequence[SignalRow]) -> Times:
    return np.array([row.epoch_s for row in signals], np.int64)


def _trailing(
    epoch_s: Times, values: Values, bars: int, points: int, *, first: int = 1
) -> tuple[Times, Values]:
    """Return times and means of up to `bars` values, at points from the `first` value on."""
    n = len(values)
    if n < first:
        return np.empty(0, np.int64), np.empty((0, *values.shape[1:]))
    sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(axis=0)])
    stops = np.unique(np.linspace(first, n, min(points, n)).astype(int))
    starts = np.maximum(0, stops - bars)
    width = (stops - starts).reshape(-1, *[1] * (values.ndim - 1))
    return epoch_s[stops - 1], (sums[stops] - sums[starts]) / width
