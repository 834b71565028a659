"""When the windows of a version are looked at, and whether one of them calls for a rollback."""

import numpy as np
from numpy.typing import NDArray

from v8lib.bundle import Bundle
from v8ops.production.monitors import EVERY_BARS, facts_of, judge
from v8ops.production.scored import ScoreRows

ALARM = "alarm"


def judged_bars(epoch_s: NDArray[np.int64], interval_s: int) -> NDArray[np.int64]:
    """Return the places of the bars after which the windows are looked at."""
    return np.flatnonzero(epoch_s // interval_s % EVERY_BARS == 0)


def alarm_words(bundle: Bundle, rows: ScoreRows) -> str:
    """Return what the windows of a version call for a rollback for; empty if nothing does."""
    readings = judge(rows, facts_of(bundle))
    return "; ".join(r.words for r in readings if r.state == ALARM)
