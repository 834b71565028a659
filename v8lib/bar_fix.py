"""Bars without their defects, and a list of every row that was left out and why."""

import numpy as np
import pandas as pd

from v8lib.audit_finding import counted
from v8lib.bar_audit import Audit, audit_bars
from v8lib.bar_defects import OUT_OF_ORDER, seconds_of
from v8lib.bar_files import runs_backwards
from v8lib.errors import BarsError
from v8lib.raw_bars import RawBars

CHANGES = ("row", "timestamp", "action", "reason")


def fix_bars(raw: RawBars, audit: Audit | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sound bars of a file, and what was done to get them.

    Rows are sorted by time. Left out are rows without a time or with cells that are no
    number, not positive or impossible together; all copies of a time but the first where they
    agree, and all of them where they do not, because nobody can know which is right; rows off
    the grid, and the partial last bar. No price is changed, no gap is filled, and prints that
    look wrong but are possible stay: a person decides about those.

    Parameters
    ----------
    raw : RawBars
        The file as it was read.
    audit : Audit, optional
        Its audit, where there is one already.

    Returns
    -------
    bars : DataFrame
        UTC index of open times, increasing and unique; open, high, low, close, volume.
    changes : DataFrame
        row (number in the file; 0 for the file as a whole), timestamp, action (dropped or
        sorted), reason (all of them, where there are several).

    Raises
    ------
    BarsError
        If the file is not one of bars, so that nothing would be left that could be trusted.
    """
    audit = audit or audit_bars(raw)
    if audit.verdict == "not bars":
        raise BarsError(f"{raw.path}: not bars: {audit.reason}")
    return audit.bars, pd.concat([_sorted(raw.table), _dropped(audit.defects)], ignore_index=True)


def _dropped(defects: pd.DataFrame) -> pd.DataFrame:
    """Return one line per row that is left out."""
    wrong = defects[defects["what"] != OUT_OF_ORDER]
    lines = wrong.groupby("row", as_index=False, dropna=False).agg(
        timestamp=("timestamp", "first"), reason=("what", "; ".join)
    )
    return lines.assign(action="dropped")[list(CHANGES)]


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Return a line for the file if its rows are not in the order of time."""
    timed = seconds_of(table["timestamp"].dropna())
    backwards = runs_backwards(timed)
    steps = np.diff(timed[::-1] if backwards else timed)
    reasons = []
    if backwards:
        reasons.append("newest first")
    if (steps < 0).any():
        reasons.append(f"{counted(int((steps < 0).sum()), 'row')} {OUT_OF_ORDER}")
    n = 1 if reasons else 0
    return pd.DataFrame(
        {
            "row": np.zeros(n, dtype=np.int64),
            "timestamp": pd.DatetimeIndex([pd.NaT] * n, dtype=table["timestamp"].dtype),
            "action": ["sorted"] * n,
            "reason": ["; ".join(reasons)] * n,
        }
    )
