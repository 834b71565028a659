import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from v8lib import splits
from v8lib.errors import SplitError

N_BARS = 3_000
SHARES = [(0.6, 0.1, 0.1), (0.5, 0.15, 0.15), (0.34, 0.33, 0.2), (0.7, 0.1, 0.08)]
GAPS = {
    "none": [],
    "at the first border": [(1_780, 1_820)],
    "before every border": [(1_700, 1_790), (2_050, 2_090), (2_350, 2_390)],
    "every third bar": [(k, k + 1) for k in range(0, N_BARS, 3)],
    "warm-up": [(0, 900)],
}


def split_at(usable, horizon_bars, shares):
    train, valid, calib = shares
    return splits.split_by_time(
        usable,
        horizon_bars=horizon_bars,
        train_share=train,
        valid_share=valid,
        calib_share=calib,
    )


def check_purged(split, usable, horizon_bars):
    """Assert that no label of an earlier split is settled inside, or after, a later one."""
    parts = [split.train, split.valid, split.calib, split.test]
    for earlier, later in itertools.combinations(parts, 2):
        assert earlier.max() + horizon_bars < later.min()
    rows = np.concatenate(parts)
    assert usable[rows].all()
    assert (np.diff(rows) > 0).all()
    dropped = np.setdiff1d(np.flatnonzero(usable), rows)
    starts = np.array([part.min() for part in parts[1:]])
    nearest = starts[np.searchsorted(starts, dropped)]
    assert (nearest - dropped <= horizon_bars).all(), "only rows at a border are dropped"


def test_borders_by_hand():
    split = split_at(np.ones(4_000, bool), 4, (0.6, 0.1, 0.1))
    ends = [
        (int(p.min()), int(p.max())) for p in (split.train, split.valid, split.calib, split.test)
    ]
    assert ends == [(0, 2_395), (2_400, 2_795), (2_800, 3_195), (3_200, 3_999)]


def test_shares_are_of_the_usable_rows():
    usable = np.ones(4_400, bool)
    usable[:400] = False
    split = split_at(usable, 1, (0.6, 0.1, 0.1))
    assert (int(split.train.min()), int(split.valid.min())) == (400, 2_800)


@pytest.mark.parametrize("gaps", GAPS.values(), ids=GAPS.keys())
@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("horizon_bars", [1, 2, 4, 17, 60])
def test_no_label_reaches_into_a_later_split(horizon_bars, shares, gaps):
    usable = np.ones(N_BARS, bool)
    for start, stop in gaps:
        usable[start:stop] = False
    try:
        split = split_at(usable, horizon_bars, shares)
    except SplitError:
        assert min(*shares, 1 - sum(shares)) * usable.sum() - horizon_bars < splits.MIN_ROWS + 1
        return
    check_purged(split, usable, horizon_bars)


@given(
    n_bars=st.integers(1_500, 6_000),
    horizon_bars=st.integers(1, 120),
    shares=st.tuples(st.floats(0.2, 0.7), st.floats(0.1, 0.2), st.floats(0.1, 0.2)),
    gaps=st.lists(st.tuples(st.integers(0, 6_000), st.integers(1, 300)), max_size=8),
)
def test_no_label_reaches_into_a_later_split_whatever_is_missing(
    n_bars, horizon_bars, shares, gaps
):
    assume(sum(shares) < 0.9)
    usable = np.ones(n_bars, bool)
    for start, length in gaps:
        usable[start : start + length] = False
    try:
        split = split_at(usable, horizon_bars, shares)
    except SplitError:
        return
    check_purged(split, usable, horizon_bars)


def test_a_longer_horizon_purges_more_of_train_and_nothing_of_test():
    short, long = (split_at(np.ones(N_BARS, bool), h, SHARES[0]) for h in (1, 50))
    assert len(short.train) - len(long.train) == 49
    assert short.test.tolist() == long.test.tolist()


@pytest.mark.parametrize(
    ("n_usable", "short"), [(0, "train"), (300, "train"), (1_500, "valid"), (2_030, "valid")]
)
def test_too_few_rows_are_refused_by_the_split_s_name(n_usable, short):
    usable = np.zeros(4_000, bool)
    usable[:n_usable] = True
    with pytest.raises(SplitError, match=rf"{short} would have \d+ rows.*{n_usable} of 4000 bars"):
        split_at(usable, 5, (0.6, 0.1, 0.1))


def test_the_simulated_market_is_split_without_overlap(split, usable):
    check_purged(split, usable, 4)
