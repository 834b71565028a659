"""The columns of a file that may hold the open times, each read as what it is."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from v8lib.bar_columns import (
    CLOCKS,
    GENERIC_TIMES,
    INDEX_NAMES,
    OPEN_TIMES,
    only_one,
    plain_name,
)
from v8lib.bar_dates import NO_ZONE, is_clock, read_dates
from v8lib.bar_epochs import read_epochs
from v8lib.bar_moment import DAY_US, NAT, Reading
from v8lib.bar_table import FileTable, is_number, is_text, is_time, one_line
from v8lib.errors import BarsError

BY_OPEN, BY_NAME, BY_PLACE = range(3)  # what says that a column holds open times
HAS_CLOCK = r"\d[Tt ]\s*\d"
UTC_WORDS = ("utc", "gmt")


@dataclass(frozen=True)
class Candidate:
    """A column that may hold the open times, or a date and a clock column together.

    Attributes
    ----------
    columns : tuple of int
        Positions in the file.
    label : str
        The columns by name.
    rank : int
        BY_OPEN, BY_NAME or BY_PLACE; the smaller goes first.
    reading : Reading
        The times.
    """

    columns: tuple[int, ...]
    label: str
    rank: int
    reading: Reading


def named_times(table: FileTable) -> list[tuple[int, int]]:
    """Return position and rank of the columns named like times, the best first.

    Raises
    ------
    BarsError
        If two columns have the same name.
    """
    plain = [plain_name(name) for name in table.names]
    found = []
    for rank, names in enumerate((OPEN_TIMES, GENERIC_TIMES, INDEX_NAMES)):
        for name in names:
            positions = [i for i, other in enumerate(plain) if other == name]
            if rank == BY_PLACE:  # the index of a table stands at one end of it
                positions = [i for i in positions if i in (0, len(plain) - 1)][:1]
            if positions:
                found.append((only_one(table, "time", positions), rank))
    return found


def read_candidates(table: FileTable) -> tuple[list[Candidate], list[str]]:
    """Return the columns that can be read as times, and why others cannot be used."""
    candidates, problems = [], []
    clock = _clock_column(table)
    for position, rank in named_times(table):
        try:
            columns, reading = _read(table, position, clock)
        except BarsError as error:
            problems.append(str(error))
            continue
        if reading:
            candidates.append(Candidate(columns, label_of(table, *columns), rank, reading))
    return candidates, problems


def label_of(table: FileTable, *positions: int) -> str:
    """Return columns as messages name them."""
    names = [f"'{one_line(table.names[position])}'" for position in positions]
    if names == ["''"]:
        return "the column without a name"
    return f"column{'s' * (len(names) > 1)} {' and '.join(names)}"


def _clock_column(table: FileTable) -> int | None:
    """Return the column that holds clock times and no dates."""
    for position, name in enumerate(table.names):
        column = table.columns[position]
        if plain_name(name) in CLOCKS and is_text(column) and is_clock(column):
            return position
    return None


def _read(
    table: FileTable, position: int, clock: int | None
) -> tuple[tuple[int, ...], Reading | None]:
    """Return which columns were read together, and their times."""
    column = table.columns[position]
    if is_time(column):
        reading = _timestamps(column)
        if not (reading.naive and reading.date_only and clock is not None):
            return (position,), reading
        column = pc.strftime(column, "%Y-%m-%d")
    epochs = read_epochs(column)
    if epochs or not (is_text(column) or is_number(column)):
        return (position,), epochs
    text = _as_text(column)
    columns = (position,)
    if clock not in (None, position) and not pc.any(_has_clock(text)).as_py():
        columns = (position, clock)
    other = table.columns[clock] if len(columns) > 1 else None
    reading = read_dates(text, label_of(table, *columns), other)
    return columns, _with_zone_by_name(reading, [table.names[k] for k in columns])


def _has_clock(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(text, HAS_CLOCK)


def _timestamps(column: pa.ChunkedArray) -> Reading:
    us = np.asarray(pc.fill_null(column.cast(pa.int64()), NAT))
    naive = column.type.tz is None
    date_only = bool((us[us != NAT] % DAY_US == 0).all())
    return Reading(us, f"timestamps, {NO_ZONE}" if naive else "timestamps, UTC", naive, date_only)


def _with_zone_by_name(reading: Reading | None, names: list[str]) -> Reading | None:
    """Return times without a zone as times in UTC if a column's name says so."""
    said = any(word in plain_name(name) for name in names for word in UTC_WORDS)
    if reading and reading.naive and said:
        words = reading.words.replace(NO_ZONE, "UTC by the column's name")
        return replace(reading, naive=False, words=words)
    return reading


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers as they would stand in a text file, 20240131 among them."""
    if pa.types.is_floating(column.type):
        whole = pc.equal(pc.floor(column), column)
        column = pc.if_else(whole, column, None).cast(pa.int64(), safe=False)
    return column if is_text(column) else column.cast(pa.string())
