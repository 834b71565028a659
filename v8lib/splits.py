"""Chronological, purged splits: the one place where rows are given to a purpose."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import SplitError

MIN_ROWS = 200  # per split: fewer cannot train, calibrate or judge anything


@dataclass(frozen=True)
class SplitIndex:
    """Bar positions of each split, increasing; every array has shape (n_rows_of_the_split,)."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    calib: NDArray[np.int64]
    test: NDArray[np.int64]


def split_by_time(
    usable: NDArray[np.bool_],
    *,
    horizon_bars: int,
    train_share: float,
    valid_share: float,
    calib_share: float,
) -> SplitIndex:
    """Return the bar positions of train, valid, calib and test.

    The usable rows are cut in order of time by the shares; test is what is left. Then rows
    whose label reaches into the next split are dropped: a label at bar t is settled at bar
    t + `horizon_bars`, which must lie before the next split's first bar (purging, López de
    Prado 2018, section 7.4.1).

    Parameters
    ----------
    usable : boolean array of shape (n_bars,)
        Bars with finite features and a label.
    horizon_bars : int
        How far a label looks ahead.
    train_share, valid_share, calib_share : float
        Shares of the usable rows, with sum below 1.

    Raises
    ------
    SplitError
        If a split would have fewer than `MIN_ROWS` rows.

    Examples
    --------
    >>> split = split_by_time(np.ones(4_000, bool), horizon_bars=4,
    ...                       train_share=0.6, valid_share=0.1, calib_share=0.1)
    >>> [(int(part.min()), int(part.max())) for part in (split.train, split.valid)]
    [(0, 2395), (2400, 2795)]
    """
    return walk_forward(
        usable,
        horizon_bars=horizon_bars,
        train_share=train_share,
        valid_share=valid_share,
        calib_share=calib_share,
        n_folds=1,
    )[0]


def walk_forward(
    usable: NDArray[np.bool_],
    *,
    horizon_bars: int,
    train_share: float,
    valid_share: float,
    calib_share: float,
    n_folds: int,
) -> list[SplitIndex]:
    """Return the splits of each fold of a walk forward with an expanding window.

    The test rows are those of `split_by_time`, whatever the number of folds: they are cut into
    `n_folds` stretches of equal length, and everything before a stretch is shared out among
    train, valid and calib in the proportion of their shares. A later fold trains on what was
    test for an earlier one, as production does when it trains again.

    Parameters
    ----------
    usable, horizon_bars, train_share, valid_share, calib_share
        As in `split_by_time`.
    n_folds : int
        Number of test folds.

    Raises
    ------
    SplitError
        If a split of any fold would have fewer than `MIN_ROWS` rows.

    Examples
    --------
    >>> folds = walk_forward(np.ones(5_000, bool), horizon_bars=4, train_share=0.6,
    ...                      valid_share=0.1, calib_share=0.1, n_folds=2)
    >>> [(int(f.train.max()), int(f.test.min()), int(f.test.max())) for f in folds]
    [(2995, 4000, 4499), (3370, 4500, 4999)]
    """
    rows = np.flatnonzero(usable)
    edges = np.cumsum([train_share, valid_share, calib_share])
    first_test = int(edges[-1] * len(rows) + 1e-9)
    ends = np.linspace(first_test, len(rows), n_folds + 1).astype(int).tolist()
    folds = []
    for start, end in pairwise(ends):
        cuts = (edges * (start / edges[-1]) + 1e-9).astype(int).tolist()
        parts = [rows[a:b] for a, b in pairwise([0, *cuts[:-1], start, end])]
        folds.append(_checked(_purged(parts, horizon_bars), len(rows), len(usable)))
    return folds


def _purged(parts: list[NDArray[np.int64]], horizon_bars: int) -> list[NDArray[np.int64]]:
    """Return the parts without rows whose label reaches into the next one."""
    kept = []
    for part, following in pairwise(parts):
        kept.append(part[part + horizon_bars < following[0]] if len(following) else part)
    return [*kept, parts[-1]]


def _checked(parts: list[NDArray[np.int64]], n_rows: int, n_bars: int) -> SplitIndex:
    for name, part in zip(("train", "valid", "calib", "test"), parts, strict=True):
        if len(part) < MIN_ROWS:
            raise SplitError(
                f"{name} would have {len(part)} rows, at least {MIN_ROWS} are needed: "
                f"only {n_rows} of {n_bars} bars have features and a label"
            )
    return SplitIndex(*parts)


def overlapping_labels(split: SplitIndex, horizon_bars: int) -> int:
    """Return how many rows of train, valid and calib have a label that meets a later split's.

    A label at bar t is made of the closes of bars t to t + `horizon_bars`. Counted without
    the purge's own arithmetic: the bars that a later split's labels touch are marked, and
    every earlier row is asked whether its own touches one of them.
    """
    parts = [split.train, split.valid, split.calib, split.test]
    n_bars = max(int(part.max()) for part in parts) + horizon_bars + 1
    later = np.zeros(n_bars, dtype=bool)
    n_meeting = 0
    for part in reversed(parts):
        touched = part[:, None] + np.arange(horizon_bars + 1)  # (n_rows, horizon_bars + 1)
        n_meeting += int(later[touched].any(axis=1).sum())
        later[touched] = True
    return n_meeting
