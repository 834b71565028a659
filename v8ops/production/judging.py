"""When the windows of a version are looked at, and whether one of them calls for a rollback."""

import numpy as np
from numpy.typing import NDArray

from v8lib.bundle import Bundle
from v8ops.production.monitors import EVERY_BARS, Reading, facts_of, judge
from v8ops.production.scored import ScoreRows

ALARM = "alarm"


def judged_bars(epoch_s: NDArray[np.int64], interval_s: int) -> NDArray[np.int64]:
    """Return the places of the bars after which the windows are looked at."""
    return np.flatnonzero(epoch_s // interval_s % EVERY_BARS == 0)


def alarm_words(bundle: Bundle, rows: ScoreRows) -> str:
    """Return what the windows of a version call for a rollback for; empty if nothing does."""
    readings = judge(rows, facts_of(bundle))
    return "; ".join(reading_words(r) for r in readings if r.state == ALARM)


def reading_words(reading: Reading) -> str:
    """Return a reading in one line: its value, its bound, over how many bars."""
    value = "no value" if reading.value is None else f"{reading.value:.3g}"
    note = f", {reading.note}" if reading.note else ""
    return f"{reading.name} {value}, alarm {reading.alarm}, over {reading.n} bars{note}"
