"""`LatestFeatures.block`: the rows of several bars at once are those of one bar after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import features, latest
from v8lib.bar_arrays import BarArrays, bar_arrays
from v8lib.errors import FeatureError
from v8lib.predecessor import raw_price_table


@pytest.fixture(scope="module")
def last(table):
    return latest.LatestFeatures(table, 60)


@pytest.fixture(scope="module")
def arrays(market_bars):
    return bar_arrays(market_bars)


def one_by_one(last, bars, n):
    n_bars = len(bars.close)
    ends = range(n_bars - n + 1, n_bars + 1)
    return np.array([last.features(bars.at(slice(None, end))) for end in ends])


@pytest.mark.parametrize("n", [1, 2, 7, 256])
def test_a_block_is_the_batch_to_the_bit(last, arrays, market_features, n):
    rows = last.block(arrays, n)
    assert rows.shape == (n, 72)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert rows.tobytes() == market_features[-n:].tobytes()


def test_the_reach_and_the_rows_are_all_the_bars_a_block_looks_at(last, arrays):
    n = 40
    enough = arrays.at(slice(-(last.reach_bars + n - 1), None))
    assert last.block(enough, n).tobytes() == last.block(arrays, n).tobytes()
    fewer = enough.at(slice(1, None))
    assert last.block(fewer, n).tobytes() != last.block(arrays, n).tobytes()


@given(data=st.data())
def test_a_block_equals_row_by_row_across_any_gaps(last, arrays, data):
    """Also where a run is shorter than the warm-up, and where the bars begin inside the block."""
    n_bars = data.draw(st.integers(2, 4_200))
    first = data.draw(st.integers(0, len(arrays.close) - n_bars))
    places = st.integers(1, n_bars - 1) | st.integers(max(1, n_bars - 60), n_bars - 1)
    gaps = data.draw(st.sets(places, max_size=min(4, n_bars - 1)))
    bars = arrays.at(slice(first, first + n_bars))
    bars = BarArrays(*(np.delete(array, sorted(gaps)) for array in bars))
    n = data.draw(st.integers(1, min(12, len(bars.close))))
    np.testing.assert_array_equal(last.block(bars, n), one_by_one(last, bars, n))


def test_a_gap_in_the_block_ends_the_features_until_the_warm_up_has_passed(last, arrays):
    """Both sides of a gap in one block: rows before it, none in the warm-up, rows after it."""
    bars = BarArrays(*(np.delete(array, 3_000) for array in arrays.at(slice(0, 4_600))))
    n = 1_650
    rows = last.block(bars, n)
    there = np.isfinite(rows).all(axis=1)
    before = 3_000 - (4_599 - n)
    assert there.tolist() == [True] * before + [False] * 1_440 + [True] * (n - before - 1_440)
    assert np.isnan(rows[~there]).all()
    np.testing.assert_array_equal(rows[-9:], one_by_one(last, bars, 9))
    near = slice(before - 3, before + 3)
    np.testing.assert_array_equal(rows[near], one_by_one(last, bars, n)[near])


def test_another_table_and_a_table_of_chosen_columns_equal_row_by_row(arrays, table):
    for chosen in (raw_price_table(60), [table[k] for k in (40, 3, 71)]):
        last = latest.LatestFeatures(chosen, 60)
        bars = arrays.at(slice(0, 3_200))
        rows = last.block(bars, 20)
        assert rows.shape == (20, len(chosen))
        np.testing.assert_array_equal(rows, one_by_one(last, bars, 20))


def test_nothing_given_is_changed(last, arrays):
    before = [array.copy() for array in arrays]
    last.block(arrays, 30)
    for array, was in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, was)


@pytest.mark.parametrize("n", [0, -1, 6_001])
def test_a_number_of_rows_that_cannot_be_is_refused(last, arrays, n):
    with pytest.raises(FeatureError, match=rf"features of {n} bars asked for"):
        last.block(arrays, n)


def test_bars_of_several_symbols_are_refused(last, arrays):
    many = BarArrays(*(np.stack([array, array]) for array in arrays))
    with pytest.raises(FeatureError, match="features of 2 bars asked for"):
        last.block(many, 2)


def test_the_warm_up_is_the_table_s(last, table):
    assert last.warmup_bars == features.warmup_bars(table)
