"""What a bar file is worth: facts, gaps, defects, oddities and a verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.audit_finding import AuditFinding, counted
from v8lib.bar_against import Against, against_findings, compare_sources
from v8lib.bar_clock import clock_findings, gap_table
from v8lib.bar_defects import (
    LOADED_ANYWAY,
    OFF_GRID,
    OUT_OF_ORDER,
    PARTIAL_LAST,
    distinct,
    frequent_step,
    row_defects,
    seconds_of,
    sound_rows,
)
from v8lib.bar_files import runs_backwards
from v8lib.bar_interval import interval_word
from v8lib.bar_look import look_findings
from v8lib.bar_shape import outlier_table, shape_findings
from v8lib.errors import BarsError
from v8lib.raw_bars import COLUMNS, RawBars

Verdict = Literal["usable", "usable with findings", "not bars"]

# Findings of reading after which a person should look whether times and cells are right.
DOUBTFUL = frozenset({"times_disagree", "date_order", "short_rows"})
MIN_ROWS = 3
MIN_SOUND = 0.5  # share of rows that must be a bar, for the file to be one of bars
MIN_STEPS = 0.2  # share of steps that must have the interval
MAX_OFF_GRID = 0.5  # share of sound rows that may lie off its grid


@dataclass(frozen=True)
class Audit:
    """What was found in a bar file; nothing is changed in it.

    Attributes
    ----------
    path : str
        The file.
    verdict : {"usable", "usable with findings", "not bars"}
        Usable means no finding above a note. Whether a run takes the file as it is says
        `loads`: a file with duplicates is usable, but not before somebody drops them.
    reason : str
        Why it is not bars; empty otherwise.
    facts : mapping
        n_rows, n_bars, start, end (of `bars`), interval_s, interval_share (of steps
        that have it), sha256, dialect.
    findings : tuple of AuditFinding
        Gravest first.
    gaps, defects, outliers : DataFrame
        From `bar_clock.gap_table`, `bar_defects.row_defects` and `bar_shape.outlier_table`.
    bars : DataFrame
        The sound rows, in order: what `bar_fix.fix_bars` keeps.
    against : Against or None
        The comparison with a second source.
    """

    path: str
    verdict: Verdict
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[AuditFinding, ...] = ()
    gaps: pd.DataFrame = field(default_factory=pd.DataFrame)
    defects: pd.DataFrame = field(default_factory=pd.DataFrame)
    outliers: pd.DataFrame = field(default_factory=pd.DataFrame)
    bars: pd.DataFrame = field(default_factory=pd.DataFrame)
    against: Against | None = None

    @property
    def loads(self) -> bool:
        """Whether `bars.load_bars`, and so a run, takes the file as it is."""
        return self.verdict != "not bars" and set(self.defects["what"]) <= LOADED_ANYWAY


def refused_audit(path: Path | str, error: BarsError) -> Audit:
    """Return the audit of a file that reading refused, with its reason."""
    reason = str(error).removeprefix(f"{path}: ").removeprefix("not bars: ")
    return Audit(str(path), "not bars", reason)


def audit_bars(
    raw: RawBars, *, against: RawBars | None = None, interval_s: int | None = None
) -> Audit:
    """Return what is in a bar file, what is wrong with it, and a verdict.

    Parameters
    ----------
    raw : RawBars
        The file as it was read.
    against : RawBars, optional
        A second source of the same market, to hold clock and prices against.
    interval_s : int, optional
        Length of a bar in seconds, for files with so many gaps that most steps are longer;
        otherwise it is the most frequent step.

    Raises
    ------
    BarsError
        If the second source holds no bars, or none that can be compared.
    """
    sound = sound_rows(raw.table)
    sound_s = distinct(seconds_of(raw.table["timestamp"][sound]))
    step, share = frequent_step(sound_s)
    length = _length(step, interval_s)
    defects = row_defects(raw.table, length)
    bars = kept_bars(raw.table, defects)
    facts = _facts(raw, bars, length, share)
    reason = _why_not(sound, defects, len(bars), share)
    if reason:
        return Audit(raw.path, "not bars", reason, facts, _noted(raw), defects=defects, bars=bars)
    gaps = gap_table(seconds_of(bars.index), length)
    outliers = outlier_table(bars, length)
    compared = None if against is None else _compared(raw, bars, against)
    found = [
        *_noted(raw),
        *_interval_findings(step, interval_s),
        *_defect_findings(defects),
        *clock_findings(sound_s, gaps, len(bars), length),
        *shape_findings(bars, outliers, length),
        *look_findings(bars, length),
        *(against_findings(compared) if compared else ()),
    ]
    grave = any(finding.severity != "note" for finding in found)
    return Audit(
        raw.path,
        "usable with findings" if grave else "usable",
        "",
        facts,
        tuple(sorted(found, key=lambda f: ("defect", "warning", "note").index(f.severity))),
        gaps,
        defects,
        outliers,
        bars,
        compared,
    )


def _compared(raw: RawBars, bars: pd.DataFrame, against: RawBars) -> Against:
    other = audit_bars(against)
    if other.verdict == "not bars":
        raise BarsError(f"{against.path}: not bars: {other.reason}")
    try:
        return compare_sources(bars, other.bars)
    except BarsError as error:
        raise BarsError(f"{raw.path} against {against.path}: {error}") from None


def kept_bars(table: pd.DataFrame, defects: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have no defect but their place in the file, sorted by time."""
    wrong = defects.loc[defects["what"] != OUT_OF_ORDER, "row"]
    kept = table[~table["row"].isin(wrong)].sort_values("timestamp", kind="stable")
    index = pd.DatetimeIndex(kept["timestamp"], name="timestamp")
    return pd.DataFrame({c: kept[c].to_numpy(np.float64) for c in COLUMNS}, index=index)


def _length(step: int, asked: int | None) -> int:
    """Return the interval: the one asked for, if the steps of the file are multiples of it."""
    return asked if asked and step % asked == 0 else step


def _facts(raw: RawBars, bars: pd.DataFrame, interval_s: int, share: float) -> dict[str, Any]:
    return {
        "n_rows": len(raw.table),
        "n_bars": len(bars),
        "start": bars.index[0] if len(bars) else None,
        "end": bars.index[-1] if len(bars) else None,
        "interval_s": interval_s,
        "interval_share": share,
        "sha256": raw.sha256,
        "dialect": dict(raw.dialect),
    }


def _why_not(sound: NDArray[np.bool_], defects: pd.DataFrame, n_bars: int, share: float) -> str:
    """Return why a file is not one of bars, or nothing."""
    if len(sound) < MIN_ROWS:
        return f"{len(sound)} rows, and an interval takes {MIN_ROWS}"
    if sound.mean() < MIN_SOUND:
        return f"only {sound.sum()} of {len(sound)} rows are a bar with a time and sound numbers"
    n_off = int((defects["what"] == OFF_GRID).sum())
    if 0.0 < share < MIN_STEPS or n_off > MAX_OFF_GRID * sound.sum():
        return (
            f"no regular interval: the most frequent step makes {share:.0%} of all, and "
            f"{n_off} rows do not lie on its grid"
        )
    if n_bars < MIN_ROWS:
        return f"{n_bars} bars are left without the defects, and an interval takes {MIN_ROWS}"
    return ""


def _noted(raw: RawBars) -> tuple[AuditFinding, ...]:
    """Return what reading noticed, and the order of the rows."""
    noted = [
        AuditFinding(f.name, "warning" if f.name in DOUBTFUL else "note", f.detail)
        for f in raw.findings
    ]
    timed = raw.table["timestamp"].dropna()
    if runs_backwards(seconds_of(timed)):
        noted.append(AuditFinding("order", "note", "newest first: a run turns the rows round"))
    return tuple(noted)


def _interval_findings(step: int, asked: int | None) -> Iterator[AuditFinding]:
    if asked and asked != step:
        yield AuditFinding(
            "interval",
            "warning",
            f"most steps are {interval_word(step)}, not {interval_word(asked)}",
        )


def _defect_findings(defects: pd.DataFrame) -> Iterator[AuditFinding]:
    """Yield one finding for each thing that is wrong, with how often and where first."""
    for what, rows in defects.groupby("what", sort=False):
        severity = "note" if what == PARTIAL_LAST else "defect"
        yield AuditFinding(
            str(what),
            severity,
            f"{counted(len(rows), 'row')}, the first is row {rows['row'].iloc[0]}",
        )
