"""The clock of a bar file: its interval, its grid, its gaps, and whether those have a rhythm."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.audit_finding import AuditFinding, counted
from v8lib.bar_defects import most_frequent
from v8lib.bar_interval import interval_word

Seconds = NDArray[np.int64]

DAY_S, WEEK_S = 86_400, 7 * 86_400
MAX_MISSING = 0.05  # share of missing bars from which gaps are more than a note
OTHER_STEP_RUN = 20  # equal steps in a row that are a second interval and no chance
SESSION_SHARE = 0.5  # share of days (or weeks) with a gap that begins at the same time
SESSION_GAP_S = 3_600  # shorter gaps are outages, not closing hours
MIN_PERIODS = 5  # days (or weeks) below which no rhythm can be told


def gap_table(epoch_s: Seconds, interval_s: int) -> pd.DataFrame:
    """Return the gaps of bars on one grid, oldest first.

    Parameters
    ----------
    epoch_s : integer array of shape (n_bars,)
        Bar open times in seconds, increasing.
    interval_s : int
        Length of a bar in seconds.

    Returns
    -------
    DataFrame
        start and end (UTC, open times of the first and the last missing bar), n_missing,
        duration (of the missing bars together).
    """
    steps = np.diff(epoch_s)
    before = np.flatnonzero(steps > interval_s)
    missing = steps[before] // interval_s - 1
    return pd.DataFrame(
        {
            "start": pd.to_datetime(epoch_s[before] + interval_s, unit="s", utc=True),
            "end": pd.to_datetime(epoch_s[before + 1] - interval_s, unit="s", utc=True),
            "n_missing": missing,
            "duration": pd.to_timedelta(missing * interval_s, unit="s"),
        }
    )


def clock_findings(
    sound_s: Seconds, gaps: pd.DataFrame, n_bars: int, interval_s: int
) -> Iterator[AuditFinding]:
    """Yield what is odd about the clock.

    Parameters
    ----------
    sound_s : integer array
        Open times of all sound rows in seconds, increasing and unique, off the grid or on it.
    gaps : DataFrame
        From `gap_table`.
    n_bars : int
        Bars on the grid.
    interval_s : int
        Length of a bar in seconds.
    """
    yield from _grid(sound_s, interval_s)
    yield from _second_interval(sound_s, interval_s)
    yield from _gaps(gaps, n_bars)
    yield from _sessions(gaps, sound_s)


def _grid(sound_s: Seconds, interval_s: int) -> Iterator[AuditFinding]:
    phase, _ = most_frequent(sound_s % interval_s)
    if phase:
        yield AuditFinding(
            "grid",
            "warning",
            f"bars open {interval_word(phase)} after the full {interval_word(interval_s)}: "
            "a clock that is off, or times that are not open times",
        )


def _second_interval(sound_s: Seconds, interval_s: int) -> Iterator[AuditFinding]:
    """Yield whether stretches of the file have another interval: two files pasted together."""
    steps = np.diff(sound_s)
    edges = np.flatnonzero(np.diff(steps)) + 1
    starts = np.concatenate([[0], edges]).astype(np.int64)
    lengths = np.diff(np.concatenate([starts, [len(steps)]]))
    other = (lengths >= OTHER_STEP_RUN) & (steps[starts] != interval_s)
    if other.any():
        first = int(starts[other][0])
        yield AuditFinding(
            "interval_changes",
            "warning",
            f"{int(lengths[other].sum()):,} steps in {counted(int(other.sum()), 'place')} are not "
            f"{interval_word(interval_s)}, the first of {interval_word(int(steps[first]))} "
            f"from {_shown(sound_s[first])}: two intervals in one file",
        )


def _gaps(gaps: pd.DataFrame, n_bars: int) -> Iterator[AuditFinding]:
    if len(gaps):
        missing = int(gaps["n_missing"].sum())
        share = missing / (missing + n_bars)
        yield AuditFinding(
            "gaps",
            "warning" if share > MAX_MISSING else "note",
            f"{counted(len(gaps), 'gap')}, {counted(missing, 'bar')} ({share:.2%} of the period), "
            f"longest {gaps['duration'].max()}; nothing is filled",
        )


def _sessions(gaps: pd.DataFrame, sound_s: Seconds) -> Iterator[AuditFinding]:
    """Yield whether the gaps are closing hours: as good as every day or week at one time."""
    long = gaps[gaps["duration"] >= pd.Timedelta(seconds=SESSION_GAP_S)]
    begins = pd.DatetimeIndex(long["start"]).as_unit("s").asi8
    for name, length in (("day", DAY_S), ("week", WEEK_S)):
        n_periods = int((sound_s[-1] - sound_s[0]) // length)
        if n_periods < MIN_PERIODS or not len(begins):
            continue
        times, counts = np.unique(begins % length, return_counts=True)
        # Two times of the UTC clock are one of a local clock with summer time.
        same = np.isin(begins % length, times[np.argsort(-counts, kind="stable")[:2]])
        share = len(np.unique(begins[same] // length)) / n_periods
        if share >= SESSION_SHARE:
            usual = long["duration"][same].median()
            yield AuditFinding(
                "sessions",
                "warning",
                f"a gap of about {usual} at the same time on {min(share, 1.0):.0%} of {name}s: "
                "a market with closing hours; no window or label spans them",
            )
            return


def _shown(epoch_s: np.int64) -> str:
    return str(pd.Timestamp(int(epoch_s), unit="s", tz="UTC"))
