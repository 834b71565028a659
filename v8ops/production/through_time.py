"""The monitors through time: what each would have read at points of the log, and the routing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from v8ops.production.log_rows import SignalRow
from v8ops.production.monitors import NEEDED_BARS, ModelFacts, judge
from v8ops.production.scored import ScoreRows

POINTS = 120
ROUTED_BARS = 200  # bars behind a point of the routed share

Times = NDArray[np.int64]


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


def routed_share(
    signals: Sequence[SignalRow], *, points: int = POINTS
) -> tuple[Times, NDArray[np.float64]]:
    """Return the share of the candidate among the signals before each point."""
    from_candidate = np.array([row.role == "candidate" for row in signals], dtype=np.float64)
    return _trailing(signals, from_candidate, points)


def hold_share(
    signals: Sequence[SignalRow], *, points: int = POINTS
) -> tuple[Times, NDArray[np.float64]]:
    """Return the share of bars without a model's signal before each point."""
    none = np.array([row.version is None for row in signals], dtype=np.float64)
    return _trailing(signals, none, points)


def _trailing(
    signals: Sequence[SignalRow], values: NDArray[np.float64], points: int
) -> tuple[Times, NDArray[np.float64]]:
    if not len(signals):
        return np.empty(0, np.int64), np.empty(0)
    sums = np.concatenate([[0.0], values.cumsum()])
    stops = np.unique(np.linspace(1, len(values), min(points, len(values))).astype(int))
    starts = np.maximum(0, stops - ROUTED_BARS)
    times = np.array([signals[stop - 1].epoch_s for stop in stops], np.int64)
    return times, (sums[stops] - sums[starts]) / (stops - starts)
