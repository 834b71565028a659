"""Epoch numbers as times: the unit of each row, and epochs that a spreadsheet has rounded."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from v8lib.bar_moment import MAX_US, NAT, Reading, mostly
from v8lib.bar_table import counts, is_number, is_text
from v8lib.raw_bars import Finding

WHOLE = r"^\d{1,18}$|^[1-8]\d{18}$"
NUMBER = r"^\+?\d+(\.\d*)?([eE]\+?\d{1,2})?$"
# Seconds now are 1.8e9; each finer unit is a thousand times more.
UNITS = (("seconds", 10**9), ("milliseconds", 10**12), ("microseconds", 10**15))
FINEST = ("nanoseconds", 10**18)
DATES = (19_000_101, 21_001_231)  # 20240131 is a date, no epoch
# A spreadsheet leaves 1.63875E+12: full thousands of seconds, which are no bar's grid.
ROUNDED_US = 1_000 * 10**6
MIN_ROUNDED_ROWS = 3
MAX_REPEATED = 0.05


def read_epochs(column: pa.ChunkedArray) -> Reading | None:
    """Return the times of a column of epoch numbers, None if it is no such column.

    The unit is told row by row from the size of the number. A column that a spreadsheet has
    rounded is returned with `damage` set: it must not be used.
    """
    if is_text(column):
        column = pc.utf8_trim_whitespace(column)
        whole, number = _numbers_of(column)
        powers = np.asarray(pc.fill_null(pc.match_substring(column, "E", ignore_case=True), False))
    elif is_number(column):
        whole, number = _typed(column)
        powers = np.zeros(len(column), dtype=np.bool_)
    else:
        return None
    if mostly((number >= DATES[0]) & (number <= DATES[1])):
        return None
    us, unit = _microseconds(whole, number)
    if not mostly(us != NAT):
        return None
    names = [*(name for name, _ in UNITS), FINEST[0]]
    rows = {name: int(((unit == k) & (us != NAT)).sum()) for k, name in enumerate(names)}
    rows = {name: n for name, n in rows.items() if n}
    words = f"epoch {' and '.join(rows)}"
    findings = (Finding("epoch_units", counts(rows)),) if len(rows) > 1 else ()
    return Reading(us, words, findings=findings, damage=_damage(column, us, powers))


def _numbers_of(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return texts as exact integers (NAT where they are none) and as float64."""
    nothing = pa.scalar(None, pa.string())
    whole = pc.if_else(pc.match_substring_regex(column, WHOLE), column, nothing)
    number = pc.if_else(pc.match_substring_regex(column, NUMBER), column, nothing)
    integers = np.asarray(pc.fill_null(whole.cast(pa.int64()), NAT))
    return integers, np.asarray(number.cast(pa.float64()), dtype=np.float64)


def _typed(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    number = np.asarray(column.cast(pa.float64(), safe=False), dtype=np.float64)
    if pa.types.is_integer(column.type):
        return np.asarray(pc.fill_null(column, NAT)), number
    return np.full(len(column), NAT), number


def _microseconds(
    whole: NDArray[np.int64], number: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return times in microseconds, NAT where a number is no epoch, and the unit of each row."""
    limits = [limit for _, limit in UNITS] + [FINEST[1], 10 * FINEST[1]]
    size = np.nan_to_num(number, nan=0.0, posinf=0.0, neginf=0.0)
    unit = np.searchsorted(limits, size, side="right") - 1
    good = (unit >= 0) & (unit < len(UNITS) + 1)
    factor = 10.0 ** (6 - 3 * np.clip(unit, 0, 3))
    us = np.rint(np.where(good, size, 0.0) * factor)
    good &= us <= MAX_US
    us = us.astype(np.int64)
    exact = good & (whole != NAT)
    scaled = np.where(
        unit == 3, whole // 1_000, whole * (10 ** (6 - 3 * np.clip(unit, 0, 2))).astype(np.int64)
    )
    us[exact] = scaled[exact]
    us[~good] = NAT
    return us, unit


def _damage(
    column: pa.ChunkedArray, us: NDArray[np.int64], powers: NDArray[np.bool_]
) -> str | None:
    """Return how a spreadsheet has damaged an epoch column, None if it has not."""
    suspects = us[(powers if powers.any() else True) & (us != NAT)]
    if len(suspects) < MIN_ROUNDED_ROWS:
        return None
    repeated = len(suspects) - len(np.unique(suspects))
    rounded = float((suspects % ROUNDED_US == 0).mean()) > 0.5
    if not rounded and not (powers.any() and repeated > MAX_REPEATED * len(suspects)):
        return None
    first = column[int(powers.argmax())].as_py()
    return f"rounded as {first}, {repeated:,} of {len(suspects):,} rows share a value"
