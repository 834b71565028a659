import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from v8lib import windows

COMBINATIONS = {np.add: sum, np.maximum: max, np.minimum: min}
series = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6, allow_nan=False, width=64)
)
whole_numbers = hnp.arrays(np.float64, st.integers(1, 60), elements=st.integers(-1000, 1000))


def naive_window(values, n_bars, combine):
    whole = COMBINATIONS[combine]
    return [whole(values[max(0, t + 1 - n_bars) : t + 1]) for t in range(len(values))]


def test_sum_of_the_last_two_bars():
    assert windows.Ladder([1.0, 2.0, 4.0, 8.0]).window(2).tolist() == [1.0, 3.0, 6.0, 12.0]


def test_sum_of_the_last_three_bars():
    assert windows.Ladder([1.0, 2.0, 4.0, 8.0]).window(3).tolist() == [1.0, 3.0, 7.0, 14.0]


def test_extremes_of_the_last_three_bars():
    values = [3.0, 1.0, 2.0, 0.0, 5.0]
    assert windows.Ladder(values, np.maximum).window(3).tolist() == [3.0, 3.0, 3.0, 2.0, 5.0]
    assert windows.Ladder(values, np.minimum).window(3).tolist() == [3.0, 1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_a_window_of_one_is_the_series(combine):
    assert windows.Ladder([3.0, -1.0, 2.0], combine).window(1).tolist() == [3.0, -1.0, 2.0]


@pytest.mark.parametrize("combine", COMBINATIONS)
@given(values=whole_numbers, n_bars=st.integers(1, 90))
def test_window_equals_the_naive_one(combine, values, n_bars):
    """Whole numbers add without rounding, so equality is exact."""
    got = windows.Ladder(values, combine).window(n_bars)
    assert got.tolist() == naive_window(values, n_bars, combine)


@given(values=whole_numbers, order=st.permutations([1, 2, 3, 5, 8, 13, 21, 40]))
def test_windows_do_not_depend_on_which_were_asked_for_before(values, order):
    ladder = windows.Ladder(values)
    for n_bars in order:
        assert ladder.window(n_bars).tolist() == naive_window(values, n_bars, np.add)


@pytest.mark.parametrize("combine", COMBINATIONS)
@given(values=series, n_bars=st.integers(1, 40), data=st.data())
def test_a_truncated_series_gives_the_identical_bits(combine, values, n_bars, data):
    end = data.draw(st.integers(1, len(values)))
    whole = windows.Ladder(values, combine).window(n_bars)
    part = windows.Ladder(values[:end], combine).window(n_bars)
    assert part.tobytes() == whole[:end].tobytes()


@pytest.mark.parametrize("combine", COMBINATIONS)
@given(values=series, data=st.data())
def test_a_tail_as_long_as_the_window_gives_the_identical_bits(combine, values, data):
    n_bars = data.draw(st.integers(1, len(values)))
    extra = data.draw(st.integers(0, len(values) - n_bars))
    whole = windows.Ladder(values, combine).window(n_bars)
    tail = windows.Ladder(values[len(values) - n_bars - extra :], combine).window(n_bars)
    assert tail[n_bars - 1 :].tobytes() == whole[len(values) - extra - 1 :].tobytes()


@pytest.mark.parametrize("combine", COMBINATIONS)
@given(values=series, n_bars=st.integers(1, 90), data=st.data())
def test_windows_at_the_last_bars_alone_have_the_identical_bits(combine, values, n_bars, data):
    n_last = data.draw(st.integers(1, len(values)))
    whole = windows.Ladder(values, combine).window(n_bars)
    last = windows.Ladder(values, combine, n_last).window(n_bars)
    assert last.tobytes() == whole[-n_last:].tobytes()


@pytest.mark.parametrize("combine", COMBINATIONS)
@given(values=series, n_bars=st.integers(1, 40))
def test_several_series_side_by_side_are_each_as_alone(combine, values, n_bars):
    both = np.stack([values, values[::-1]])
    together = windows.Ladder(both, combine).window(n_bars)
    for row, alone in zip(together, both, strict=True):
        assert row.tobytes() == windows.Ladder(alone, combine).window(n_bars).tobytes()


def test_decayed_sum_of_three_rows():
    assert windows.decayed_sum([1.0, 2.0, 4.0], 0.5, 4).tolist() == [1.0, 2.5, 5.25]


def test_decayed_sum_forgets_what_is_past_its_reach():
    got = windows.decayed_sum([8.0, 0.0, 0.0, 0.0], 0.5, 2)
    assert got.tolist() == [8.0, 4.0, 0.0, 0.0]


@given(values=series, decay=st.floats(0.05, 0.99), n_bars=st.integers(1, 40))
def test_decayed_sum_equals_the_naive_one_with_the_reach_rounded_up(values, decay, n_bars):
    reach = 1
    while reach < n_bars:
        reach *= 2
    naive = [
        sum(decay**j * values[t - j] for j in range(min(reach, t + 1))) for t in range(len(values))
    ]
    # The two add in different orders: rounding grows with the largest entry, not with the sum.
    atol = 1e-12 * max(1.0, float(np.abs(values).max())) * len(values)
    np.testing.assert_allclose(windows.decayed_sum(values, decay, n_bars), naive, 0.0, atol)


@given(values=series, decay=st.floats(0.05, 0.99), n_bars=st.integers(1, 40), data=st.data())
def test_decayed_sum_of_a_prefix_or_a_tail_has_the_identical_bits(values, decay, n_bars, data):
    reach = 1 << (n_bars - 1).bit_length()
    whole = windows.decayed_sum(values, decay, n_bars)
    end = data.draw(st.integers(1, len(values)))
    assert windows.decayed_sum(values[:end], decay, n_bars).tobytes() == whole[:end].tobytes()
    if len(values) >= reach:
        tail = windows.decayed_sum(values[len(values) - reach :], decay, n_bars)
        assert tail[-1:].tobytes() == whole[-1:].tobytes()


@given(values=series, decay=st.floats(0.05, 0.99), data=st.data())
def test_a_decayed_tail_is_the_end_of_the_decayed_sum(values, decay, data):
    reach = 1 << data.draw(st.integers(0, len(values).bit_length() - 1))
    tail = windows.decayed_tail(values, decay, reach)
    whole = windows.decayed_sum(values, decay, reach)
    assert len(tail) == len(values) - reach + 1
    assert tail.tobytes() == whole[reach - 1 :].tobytes()


def test_a_missing_bar_ends_a_segment():
    epoch_s = np.array([0, 60, 120, 240, 300, 600])
    assert windows.segment_slices(epoch_s, 60) == [slice(0, 3), slice(3, 5), slice(5, 6)]


def test_no_bars_have_no_segments():
    assert windows.segment_slices(np.array([], dtype=np.int64), 60) == []


@given(steps=st.lists(st.sampled_from([60, 60, 60, 120, 180]), max_size=30))
def test_segments_cover_every_bar_once_and_hold_no_gap(steps):
    epoch_s = np.cumsum([0, *steps])
    parts = windows.segment_slices(epoch_s, 60)
    covered = [t for part in parts for t in range(part.start, part.stop)]
    assert covered == list(range(len(epoch_s)))
    assert all((np.diff(epoch_s[part]) == 60).all() for part in parts)
    assert len(parts) == 1 + sum(step != 60 for step in steps)
