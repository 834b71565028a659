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
    rows = np.flatnonzero(usable)
    edges = np.cumsum([train_share, valid_share, calib_share])
    cuts = [0, *np.floor(edges * len(rows) + 1e-9).astype(int).tolist(), len(rows)]
    parts = [rows[a:b] for a, b in pairwise(cuts)]
    for k, following in enumerate(parts[1:]):
        if len(following):
            parts[k] = parts[k][parts[k] + horizon_bars < following[0]]
    for name, part in zip(("train", "valid", "calib", "test"), parts, strict=True):
        if len(part) < MIN_ROWS:
            raise SplitError(
                f"{name} would have {len(part)} rows, at least {MIN_ROWS} are needed: "
                f"only {len(rows)} of {len(usable)} bars have features and a label"
            )
    return SplitIndex(*parts)
