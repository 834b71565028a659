"""Times of a column in microseconds, and what was learned from reading them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from v8lib.raw_bars import Finding

NAT = np.iinfo(np.int64).min  # no time; the same number as numpy's
DAY_US = 86_400 * 10**6
MAX_US = 253_402_300_799 * 10**6  # the year 9999 is the last one that a calendar here has


@dataclass(frozen=True)
class Reading:
    """The times of a column, or of a date and a clock column together.

    Attributes
    ----------
    us : int64 array of shape (n_rows,)
        Microseconds since 1970-01-01 UTC; NAT where a cell is no time.
    words : str
        Unit, or order of day and month, and zone.
    naive : bool
        Whether the cells say nothing of a zone.
    date_only : bool
        Whether no cell has a clock time.
    findings : tuple of Finding
        What a reader should know if the column is used.
    damage : str
        Why the column must not be used; None if it may.
    """

    us: NDArray[np.int64]
    words: str
    naive: bool = False
    date_only: bool = False
    findings: tuple[Finding, ...] = ()
    damage: str | None = None


def mostly(good: NDArray[np.bool_]) -> bool:
    """Return whether at least half of the rows are good."""
    return bool(good.sum() * 2 >= len(good)) and bool(good.any())


def runs_backwards(us: NDArray[np.int64]) -> bool:
    """Return whether more steps go back in time than forward."""
    steps = np.diff(us)
    return bool((steps < 0).sum() > (steps > 0).sum())
