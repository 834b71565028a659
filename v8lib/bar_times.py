"""The open times of a bar file: which column has them, and whether the others agree."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from v8lib.bar_columns import CLOSE_TIMES, plain_name
from v8lib.bar_dates import MOMENT, is_clock
from v8lib.bar_moment import DAY_US, NAT
from v8lib.bar_table import FileTable, is_number, is_text, name_list, one_line, shown
from v8lib.bar_time_columns import BY_PLACE, Candidate, label_of, named_times, read_candidates
from v8lib.errors import BarsError
from v8lib.raw_bars import Finding

TIME_NAMES = ("timestamp", "time", "datetime", "date", "unix", "open time", "ts", "t")
BY_OPEN_TIME = "bars are indexed by their open time"
NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?\s*")
MINUTE_US, LAST_SECOND_US = 60 * 10**6, 59 * 10**6


@dataclass(frozen=True)
class Times:
    """The open times of a file.

    Attributes
    ----------
    us : int64 array of shape (n_rows,)
        Microseconds since 1970-01-01 UTC; NAT where a row has none.
    columns : tuple of int
        Where they were read from.
    label, words : str
        The columns by name, and how they were read.
    findings : tuple of Finding
        Zones, columns that were ignored, columns that disagree.
    """

    us: NDArray[np.int64]
    columns: tuple[int, ...]
    label: str
    words: str
    findings: tuple[Finding, ...]


def find_times(table: FileTable) -> Times:
    """Return the open times of a file.

    A column that says "open" by its name goes before others, and an epoch or a text with a
    zone before a text without one. An epoch that a spreadsheet has rounded is never used.

    Raises
    ------
    BarsError
        If there is no column of open times, or none that can be read.
    """
    candidates, problems = read_candidates(table)
    good = [c for c in candidates if c.reading.damage is None]
    damaged = [c for c in candidates if c.reading.damage is not None]
    if not good:
        _refuse(table, damaged, problems)
    chosen = min(good, key=lambda c: (c.rank, c.reading.naive, good.index(c)))
    _refuse_close_times(chosen)
    ignored = [f"{c.label}: {c.reading.damage}" for c in damaged]
    findings = (
        *chosen.reading.findings,
        *_naive(chosen),
        *(Finding("epoch_ignored", f"{what}; {chosen.label} used") for what in ignored),
        *(Finding("times_ignored", f"{what}; {chosen.label} used") for what in problems),
        *(f for c in good if c.rank != BY_PLACE for f in _disagreement(c, chosen)),
    )
    return Times(chosen.reading.us, chosen.columns, chosen.label, chosen.reading.words, findings)


def _naive(chosen: Candidate) -> list[Finding]:
    if not chosen.reading.naive:
        return []
    return [Finding("naive_times", f"{chosen.label}: no zone, taken as UTC")]


def _disagreement(other: Candidate, chosen: Candidate) -> list[Finding]:
    """Return a finding if another column of times says something else than the chosen one."""
    used, there = chosen.reading.us, other.reading.us
    if other.reading.date_only:
        used = used // DAY_US * DAY_US
    different = (used != there) & (chosen.reading.us != NAT) & (there != NAT)
    if not different.any():
        return []
    row = int(different.argmax())
    detail = (
        f"{other.label} differs from {chosen.label}, which is used, in {int(different.sum()):,} "
        f"rows, first row {row + 1}: {_word(there[row])} and {_word(used[row])}"
    )
    return [Finding("times_disagree", detail)]


def _word(us: int) -> str:
    return str(np.datetime64(int(us), "us")).removesuffix(".000000")


def _refuse_close_times(chosen: Candidate) -> None:
    us = chosen.reading.us
    if len(us) > 1 and ((us != NAT) & (us % MINUTE_US >= LAST_SECOND_US)).all():
        raise BarsError(
            f"{chosen.label} holds close times ({_word(us[0])}): {BY_OPEN_TIME}: add the open time"
        )


def _refuse(table: FileTable, damaged: list[Candidate], problems: list[str]) -> None:
    """Refuse a file without open times, saying why the columns in question are none."""
    if problems:
        raise BarsError(problems[0])
    if damaged:
        raise BarsError(
            f"{damaged[0].label}: {damaged[0].reading.damage}: the times are lost, and there is "
            "no other column of times"
        )
    for position, rank in named_times(table):
        if rank != BY_PLACE:
            _refuse_cells(table, position)
    close = [i for i, name in enumerate(table.names) if plain_name(name) in CLOSE_TIMES]
    if close:
        raise BarsError(f"{label_of(table, close[0])} holds close times: {BY_OPEN_TIME}")
    raise BarsError(
        f"no time column (one of {', '.join(TIME_NAMES)}; found: {name_list(table.names)})"
    )


def _refuse_cells(table: FileTable, position: int) -> None:
    label, column = label_of(table, position), table.columns[position]
    if is_number(column) or NUMBER.fullmatch(str(column[0])):
        raise BarsError(f"{label}: {shown(column[0].as_py())} is no epoch time")
    if is_text(column) and is_clock(column):
        raise BarsError(f"{label} holds clock times, and no column has the date")
    if is_text(column):
        known = pc.fill_null(pc.match_substring_regex(column, MOMENT), False)
        row = max(pc.index(known, False).as_py(), 0)
        raise BarsError(f"{label}, row {row + 1}: no time: {shown(column[row].as_py())}")
    raise BarsError(f"{label} holds {one_line(column.type)}, no times")
