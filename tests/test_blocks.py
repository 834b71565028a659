import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st

from v8lib import blocks, intervals, windows
from v8lib.errors import ParameterError


def drawn(n_rows, length, *, runs=None, reps=1, seed=0):
    rng = np.random.default_rng(seed)
    return list(blocks.resampled_rows(n_rows, length, reps=reps, rng=rng, runs=runs))


def test_runs_end_where_a_bar_is_missing():
    minutes = np.array([0, 1, 2, 5, 6, 9])
    assert windows.run_lengths(60 * minutes, 60) == [3, 2, 1]
    assert windows.run_lengths(60 * np.arange(4), 60) == [4]


@settings(max_examples=60)
@given(
    runs=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    length=st.floats(1.0, 30.0),
    seed=st.integers(0, 10_000),
)
def test_a_draw_is_as_long_as_the_series_and_made_of_its_rows(runs, length, seed):
    n_rows = sum(runs)
    (rows,) = drawn(n_rows, length, runs=runs, seed=seed)
    assert len(rows) == n_rows
    assert rows.min() >= 0
    assert rows.max() < n_rows


@settings(max_examples=60)
@given(runs=st.lists(st.integers(1, 40), min_size=2, max_size=8), seed=st.integers(0, 10_000))
def test_a_block_that_never_ends_stays_in_its_run_and_goes_round_it(runs, seed):
    (rows,) = drawn(sum(runs), 1e12, runs=runs, seed=seed)
    of_run = np.repeat(np.arange(len(runs)), runs)
    (run,) = set(of_run[rows])
    steps = np.diff(rows)
    assert set(steps) <= {1, 1 - runs[run]}


def test_blocks_never_walk_over_a_gap():
    """With blocks of endless length only the first row of a draw is chance."""
    runs = [5, 7, 3]
    of_run = np.repeat(np.arange(3), runs)
    for rows in drawn(15, 1e9, runs=runs, reps=50):
        assert len(set(of_run[rows])) == 1
    (plain,) = drawn(15, 1e9, runs=[15])
    assert len(set(of_run[plain])) == 3, "without the gaps it would have"


def test_every_row_is_drawn_equally_often_whatever_the_runs():
    runs, reps = [200, 30, 70], 4_000
    counts = sum(
        np.bincount(rows, minlength=300) for rows in drawn(300, 20.0, runs=runs, reps=reps)
    )
    # A block is about 20 rows, so a row's count has a deviation of about sqrt(20 * reps).
    assert np.abs(counts - reps).max() < 5.0 * np.sqrt(20.0 * reps)


@settings(max_examples=80)
@given(
    runs=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    length=st.floats(1.0, 60.0),
    seed=st.integers(0, 10_000),
)
def test_sums_are_those_over_the_rows_of_the_same_draws(runs, length, seed):
    n_rows = sum(runs)
    values = np.random.default_rng(seed).standard_normal((n_rows, 3))
    values[:, 2] = 1.0
    expected = [values[rows].sum(axis=0) for rows in drawn(n_rows, length, runs=runs, reps=7)]
    found = blocks.resampled_sums(values, length, reps=7, rng=np.random.default_rng(0), runs=runs)
    np.testing.assert_allclose(found, expected, atol=1e-11)
    assert (found[:, 2] == n_rows).all()


def test_a_column_that_no_block_met_sums_to_exactly_zero():
    values = np.zeros((100, 2))
    values[40, 0], values[:, 1] = 0.1, 0.1
    runs = [30, 30, 40]
    rows = drawn(100, 10.0, runs=runs, reps=400)
    found = blocks.resampled_sums(values, 10.0, reps=400, rng=np.random.default_rng(0), runs=runs)
    missed = np.array([40 not in draw for draw in rows])
    assert 0 < missed.sum() < 400
    np.testing.assert_array_equal(found[:, 0] == 0.0, missed)


def test_many_draws_come_in_parts_that_do_not_repeat():
    values = np.random.default_rng(1).standard_normal((500, 1))
    reps = 3 * blocks.BLOCKS_AT_A_TIME // 500
    found = blocks.resampled_sums(values, 1.5, reps=reps, rng=np.random.default_rng(0))
    assert found.shape == (reps, 1)
    assert len(np.unique(found)) == reps


@pytest.mark.parametrize("runs", [None, [300, 150, 50]])
def test_how_many_blocks_are_summed_at_a_time_changes_no_bit(monkeypatch, runs):
    values = np.random.default_rng(1).standard_normal((500, 3))
    found = []
    for blocks_in_cache in (1, 100, 1 << 30):
        monkeypatch.setattr(blocks, "BLOCKS_IN_CACHE", blocks_in_cache)
        rng = np.random.default_rng(0)
        found.append(blocks.resampled_sums(values, 20.0, reps=40, rng=rng, runs=runs))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_a_draw_may_have_more_blocks_than_the_cache_holds():
    n_rows = blocks.BLOCKS_IN_CACHE + 100
    values = np.arange(n_rows, dtype=float)[:, None]
    expected = [values[rows].sum(axis=0) for rows in drawn(n_rows, 1.0, reps=2)]
    found = blocks.resampled_sums(values, 1.0, reps=2, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found, expected)


def test_one_run_gives_the_spread_of_the_library():
    noise = np.random.default_rng(1).standard_normal(4_000)
    values = np.convolve(noise, np.ones(8) / 8.0, mode="same")
    library = StationaryBootstrap(25.0, values, seed=np.random.default_rng(2))
    theirs = np.std([part.mean() for (part,), _ in library.bootstrap(1_500)])
    ours = np.std([values[rows].mean() for rows in drawn(4_000, 25.0, reps=1_500)])
    # A standard deviation of 1,500 draws is known to 2 %: 3 % between two of them.
    assert ours == pytest.approx(theirs, rel=0.09)


def test_many_runs_give_the_spread_of_the_library_where_gaps_mean_nothing():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(4_000)
    values = np.convolve(noise, np.ones(8) / 8.0, mode="same")
    spreads = [
        np.std([values[rows].mean() for rows in drawn(4_000, 25.0, runs=runs, reps=800)])
        for runs in (None, [1_000] * 4)
    ]
    assert spreads[1] == pytest.approx(spreads[0], rel=0.12)


def test_an_interval_over_runs_that_differ_is_not_one_over_a_single_run():
    rng = np.random.default_rng(2)
    loss = np.repeat([0.9, 1.1], [150, 50]) + 0.01 * rng.standard_normal(200)
    found = [
        intervals.skill_interval(
            loss, np.ones(200), horizon_bars=1, reps=200, rng=np.random.default_rng(3), runs=runs
        )
        for runs in (None, [150, 50])
    ]
    assert found[0].value == found[1].value
    assert found[0].ci != found[1].ci


@pytest.mark.parametrize("runs", [[3, 3], [4, 0, 6], [11]])
def test_runs_that_do_not_add_up_are_refused(runs):
    with pytest.raises(ParameterError, match="do not make up a series of 10"):
        drawn(10, 2.0, runs=runs)
