"""Dates and clock times as text: ISO, day or month first, with or without an offset."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from v8lib.bar_date_order import decide_order, possible_days
from v8lib.bar_moment import NAT, Reading, mostly
from v8lib.bar_table import counts, row_count, shown
from v8lib.errors import BarsError
from v8lib.raw_bars import Finding

_CLOCK = r"(?P<clock>\d[\d:.,]*(?:[ -]?[AaPp][Mm])?)\s*(?P<zone>\S.*)?"
MOMENT = rf"^(?P<date>\d[\d\-/.]*)(?:[Tt ]\s*{_CLOCK})?$"
CLOCK_ONLY = rf"^{_CLOCK}$"
CLOCK = re.compile(
    r"(\d{1,2})(?::(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?|(\d{2})(\d{2}))?(?:[ -]?([AaPp])[Mm])?"
)
OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", re.IGNORECASE)
UTC = ("z", "utc", "gmt", "etc/utc")
ZONE_WORD = re.compile(r"[A-Za-z][A-Za-z_/+-]+\d*")
NAIVE = NAT + 1  # a cell without a zone, apart from one whose zone cannot be read
NO_ZONE = "no zone, taken as UTC"
MAX_OFFSET_MINUTES = 14 * 60


def read_dates(
    column: pa.ChunkedArray, name: str, clock: pa.ChunkedArray | None = None
) -> Reading | None:
    """Return the times of a column of texts, None if most of them are no times.

    Parameters
    ----------
    column : ChunkedArray of texts, n_rows
        Dates, or dates with clock times.
    name : str
        The column, for messages.
    clock : ChunkedArray of texts, n_rows, optional
        Clock times, if they have a column of their own.

    Raises
    ------
    BarsError
        If a zone is a word other than UTC, rows with and without an offset are mixed, or the
        order of day and month cannot be told.
    """
    parts = pc.extract_regex(pc.utf8_trim_whitespace(column), MOMENT)
    others = parts if clock is None else _clock_parts(clock)
    days = _by_value(pc.struct_field(parts, "date"), possible_days, (NAT, NAT, NAT))
    within = _by_value(pc.struct_field(others, "clock"), _clock_us, NAT)
    dated = (days != NAT).any(axis=1) & (within != NAT)
    if not mostly(dated):
        return None
    zones = pc.struct_field(others, "zone")
    offset = _offsets(name, zones)
    words, findings = _zone(name, offset[dated])
    naive = bool((offset[dated] == NAIVE).all())
    without = dated & (offset == NAIVE)
    if without.any() and not naive:
        findings = (*findings, _some_naive(name, without, offset[dated]))
    within = np.where(offset == NAT, NAT, within - np.where(offset == NAIVE, 0, offset))
    us, order, decided = decide_order(name, days, np.where(dated, within, NAT))
    date_only = clock is None and not (_lengths(pc.struct_field(parts, "clock")) > 0).any()
    return Reading(us, f"{order}, {words}", naive, date_only, (*decided, *findings))


def is_clock(column: pa.ChunkedArray) -> bool:
    """Return whether most texts of a column are clock times and nothing else."""
    clocks = pc.struct_field(_clock_parts(column), "clock")
    return mostly(_by_value(clocks, _clock_us, NAT) != NAT)


def _clock_parts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.extract_regex(pc.utf8_trim_whitespace(column), CLOCK_ONLY)


def _by_value(
    texts: pa.ChunkedArray, parse: Callable[[str], Any], missing: Any
) -> NDArray[np.int64]:
    """Return what `parse` makes of each text: it is called once for each different one."""
    encoded = pa.concat_arrays(texts.chunks).dictionary_encode()
    values = [*map(parse, encoded.dictionary.to_pylist()), missing]
    codes = np.asarray(pc.fill_null(encoded.indices, len(values) - 1))
    return np.array(values, dtype=np.int64)[codes]


def _lengths(texts: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.utf8_length(texts), 0))


def _clock_us(text: str) -> int:
    """Return microseconds after midnight, 0 without a clock time, NAT for what is none."""
    if not text:
        return 0
    found = CLOCK.fullmatch(text)
    if not found:
        return NAT
    hour, minute, second = int(found[1]), int(found[2] or found[5] or 0), found[3] or found[6]
    if found[7]:
        if not 1 <= hour <= 12:
            return NAT
        hour = hour % 12 + 12 * (found[7] in "Pp")
    second = int(second or 0)
    if hour > 23 or minute > 59 or second > 59:
        return NAT
    fraction = int((found[4] or "0").ljust(9, "0")) // 1_000
    return ((hour * 60 + minute) * 60 + second) * 10**6 + fraction


def _offset_us(text: str) -> int:
    """Return an offset from UTC in microseconds, NAIVE without one, NAT for what is none."""
    if not text:
        return NAIVE
    if text.lower() in UTC:
        return 0
    found = OFFSET.fullmatch(text)
    if not found:
        return NAT
    minutes = 60 * int(found[2]) + int(found[3] or 0)
    if minutes > MAX_OFFSET_MINUTES:
        return NAT
    return (minutes if found[1] == "+" else -minutes) * 60 * 10**6


def _offsets(name: str, zones: pa.ChunkedArray) -> NDArray[np.int64]:
    for text in pc.unique(zones).to_pylist():
        if text and _offset_us(text) == NAT and ZONE_WORD.fullmatch(text):
            row = pc.index(zones, text).as_py() + 1
            raise BarsError(
                f"{name}, row {row}: the time zone {shown(text)} is not understood: write UTC "
                "or an offset such as +01:00"
            )
    return _by_value(zones, _offset_us, NAIVE)


def _zone(name: str, offset: NDArray[np.int64]) -> tuple[str, tuple[Finding, ...]]:
    """Return the zone of the rows in words, and a finding if they have several."""
    values, numbers = np.unique(offset[(offset != NAT) & (offset != NAIVE)], return_counts=True)
    if not len(values):
        return NO_ZONE, ()
    rows = {_offset_word(int(v)): int(n) for v, n in zip(values, numbers, strict=True)}
    if len(rows) == 1:
        return next(iter(rows)), ()
    detail = f"{name}: {counts(rows)}"
    return f"{len(rows)} offsets", (Finding("mixed_utc_offsets", detail),)


def _offset_word(us: int) -> str:
    if us == 0:
        return "UTC"
    minutes = abs(us) // (60 * 10**6)
    return f"{'+' if us > 0 else '-'}{minutes // 60:02d}:{minutes % 60:02d}"


def _some_naive(name: str, naive: NDArray[np.bool_], offset: NDArray[np.int64]) -> Finding:
    """Return a finding on rows without a zone among rows of UTC, or refuse them."""
    row = int(naive.argmax()) + 1
    if not np.isin(offset, (NAIVE, NAT, 0)).all():
        raise BarsError(f"{name}, row {row}: no offset from UTC, where other rows have one")
    many = f"{name}: {row_count(int(naive.sum()))} without a zone taken as UTC, first row {row}"
    return Finding("naive_times", many)
