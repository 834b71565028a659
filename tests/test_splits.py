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


def walk(usable, horizon_bars, shares, n_folds):
    train, valid, calib = shares
    return splits.walk_forward(
        usable,
        horizon_bars=horizon_bars,
        train_share=train,
        valid_share=valid,
        calib_share=calib,
        n_folds=n_folds,
    )


WALKS = {
    "n_bars": st.integers(3_000, 9_000),
    "horizon_bars": st.integers(1, 120),
    "shares": st.tuples(st.floats(0.3, 0.6), st.floats(0.08, 0.15), st.floats(0.08, 0.15)),
    "n_folds": st.integers(1, 8),
    "gaps": st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 300)), max_size=6),
}


def walked(n_bars, horizon_bars, shares, n_folds, gaps):
    """Return usable bars and their folds; too few rows are no case of these tests."""
    usable = np.ones(n_bars, bool)
    for start, length in gaps:
        usable[start : start + length] = False
    try:
        return usable, walk(usable, horizon_bars, shares, n_folds)
    except SplitError:
        assume(False)


def parts_of(split):
    return [split.train, split.valid, split.calib, split.test]


def until(usable, split):
    """Return the bars up to the last test row of a split: all that its fold may use."""
    return usable[: split.test.max() + 1]


@given(**WALKS)
def test_in_a_walk_no_label_meets_a_later_split_of_its_fold_or_any_later_test(**options):
    usable, folds = walked(**options)
    for k, fold in enumerate(folds):
        check_purged(fold, until(usable, fold), options["horizon_bars"])
        for later in folds[k:]:
            for earlier in parts_of(fold)[:3]:
                assert earlier.max() + options["horizon_bars"] < later.test.min()


@given(**WALKS)
def test_test_folds_tile_the_test_rows_of_one_fold(**options):
    usable, folds = walked(**options)
    (whole,) = walk(usable, options["horizon_bars"], options["shares"], 1)
    tiles = np.concatenate([fold.test for fold in folds])
    assert tiles.tolist() == whole.test.tolist()
    lengths = [len(fold.test) for fold in folds]
    assert max(lengths) - min(lengths) <= 1
    assert len(folds) == options["n_folds"]


@given(**WALKS)
def test_the_window_of_a_walk_expands_and_keeps_its_proportions(**options):
    usable, folds = walked(**options)
    first = np.flatnonzero(usable)[0]
    for earlier, later in itertools.pairwise(folds):
        assert earlier.train.min() == later.train.min() == first
        assert len(later.train) > len(earlier.train)
        assert later.train[: len(earlier.train)].tolist() == earlier.train.tolist()
        assert later.calib.max() > earlier.test.min(), "what was test is now known"
    train, valid, calib = options["shares"]
    for fold in folds:
        n_before = np.searchsorted(np.flatnonzero(usable), fold.test.min())
        for part, share in zip(parts_of(fold)[:3], options["shares"], strict=True):
            expected = n_before * share / (train + valid + calib)
            # The purge takes up to the horizon of a part, and rounding a row at either end.
            assert expected - options["horizon_bars"] - 2 <= len(part) <= expected + 2


@given(**WALKS)
def test_one_fold_is_the_usable_rows_cut_at_the_shares(**options):
    """Written out again, without the walk: cuts at the shares, then the purge."""
    usable, _ = walked(**(options | {"n_folds": 1}))
    horizon_bars, rows = options["horizon_bars"], np.flatnonzero(usable)
    (fold,) = walk(usable, horizon_bars, options["shares"], 1)
    same = split_at(usable, horizon_bars, options["shares"])
    assert [p.tolist() for p in parts_of(fold)] == [p.tolist() for p in parts_of(same)]
    starts = [np.searchsorted(rows, part.min()) for part in parts_of(fold)]
    wanted = np.cumsum([0.0, *options["shares"]]) * len(rows)
    np.testing.assert_allclose(starts, wanted, rtol=0.0, atol=2.0)
    assert starts[0] == 0
    assert fold.test.max() == rows[-1]


@pytest.mark.parametrize("n_folds", [3, 5])
def test_a_walk_whose_test_folds_are_too_short_is_refused(n_folds):
    with pytest.raises(SplitError, match=r"test would have \d+ rows, at least 200"):
        walk(np.ones(2_900, bool), 4, SHARES[0], n_folds)


def unpurged(split, usable):
    """Return the split with every row given back that the purge took."""
    rows = np.flatnonzero(usable)
    starts = [part.min() for part in parts_of(split)]
    cuts = [*np.searchsorted(rows, starts).tolist(), len(rows)]
    return splits.SplitIndex(*(rows[a:b] for a, b in itertools.pairwise(cuts)))


@given(**WALKS)
def test_overlapping_labels_is_zero_with_the_purge_and_its_rows_without(**options):
    usable, folds = walked(**options)
    horizon_bars = options["horizon_bars"]
    for fold in folds:
        assert splits.overlapping_labels(fold, horizon_bars) == 0
        whole = unpurged(fold, until(usable, fold))
        dropped = sum(len(p) for p in parts_of(whole)) - sum(len(p) for p in parts_of(fold))
        # Less is dropped, or nothing, where a gap lies at a border.
        assert options["gaps"] or dropped == 3 * horizon_bars
        assert splits.overlapping_labels(whole, horizon_bars) == dropped


def test_a_single_row_at_a_border_is_counted_and_a_shorter_horizon_forgives_it(split):
    last = split.valid.min() - 4
    with_one_more = splits.SplitIndex(
        np.append(split.train, last), split.valid, split.calib, split.test
    )
    assert split.train.max() == last - 1
    assert splits.overlapping_labels(with_one_more, 4) == 1
    assert splits.overlapping_labels(with_one_more, 3) == 0
    assert splits.overlapping_labels(split, 5) == 3, "one at each of the three borders"


def test_rows_that_stand_in_two_splits_are_all_counted(split):
    shared = splits.SplitIndex(split.train, split.train[-50:], split.calib, split.test)
    assert splits.overlapping_labels(shared, 4) == 54, "and the four whose label reaches in"
