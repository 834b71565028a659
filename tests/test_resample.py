"""Coarser bars against a slow reference, and against pandas where nothing is missing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from v8lib.errors import BarsError
from v8lib.resample import resample_bars

START = pd.Timestamp("2024-02-28", tz="UTC")


def fine_bars(minutes, seed=0):
    """Return one-minute bars that open at these minutes after `START`."""
    rng = np.random.default_rng(seed)
    prices = np.sort(rng.uniform(90.0, 110.0, (len(minutes), 4)), axis=1)
    index = pd.DatetimeIndex(START + pd.to_timedelta(minutes, unit="min"), name="timestamp")
    columns = {"open": prices[:, 1], "high": prices[:, 3], "low": prices[:, 0]}
    columns |= {"close": prices[:, 2], "volume": rng.integers(0, 1_000, len(minutes)) / 8.0}
    return pd.DataFrame(columns, index=index)


def by_hand(bars, interval_s, fine_s):
    """Return the longer bars one by one, as the docstring describes them."""
    rows = {}
    step = pd.Timedelta(seconds=interval_s)
    first = bars.index[0].floor(step)
    while first <= bars.index[-1]:
        inside = bars[(bars.index >= first) & (bars.index < first + step)]
        if len(inside) == interval_s // fine_s:
            rows[first] = [
                inside["open"].iloc[0],
                max(inside["high"]),
                min(inside["low"]),
                inside["close"].iloc[-1],
                sum(inside["volume"]),
            ]
        first += step
    made = pd.DataFrame.from_dict(rows, orient="index", columns=list(bars.columns))
    return made.set_axis(pd.DatetimeIndex(made.index, name="timestamp"))


@given(
    steps=st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 3, 17]), min_size=20, max_size=120),
    offset=st.integers(0, 30),
    coarse=st.sampled_from([2, 3, 5, 15]),
)
def test_every_bar_is_the_one_made_by_hand_and_none_is_made_from_a_part(steps, offset, coarse):
    assume(steps.count(1) * 2 > len(steps))  # otherwise they are no bars of one minute
    bars = fine_bars(np.cumsum([offset, *steps]))
    expected = by_hand(bars, coarse * 60, 60)
    if expected.empty:
        with pytest.raises(BarsError, match="has all of its bars of 1m"):
            resample_bars(bars, coarse * 60)
        return
    pd.testing.assert_frame_equal(
        resample_bars(bars, coarse * 60), expected, check_index_type=False, check_freq=False
    )


@pytest.mark.parametrize(("minutes", "rule"), [(5, "5min"), (60, "1h"), (1_440, "1D")])
def test_without_gaps_it_is_what_pandas_makes(minutes, rule):
    bars = fine_bars(np.arange(4_320))
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected = bars.resample(rule).agg(rules)
    made = resample_bars(bars, minutes * 60)
    pd.testing.assert_frame_equal(made, expected, check_index_type=False, check_freq=False)


def test_one_missing_minute_costs_its_hour_and_no_other():
    bars = fine_bars(np.arange(360))
    holed = bars.drop(bars.index[130])
    lost = resample_bars(bars, 3_600).index.difference(resample_bars(holed, 3_600).index)
    assert lost.tolist() == [START + pd.Timedelta(hours=2)]


def test_bars_cut_off_at_both_ends_make_no_bar():
    made = resample_bars(fine_bars(np.arange(59, 241)), 3_600)
    assert made.index.tolist() == [START + pd.Timedelta(hours=h) for h in (1, 2, 3)]


def test_the_same_length_changes_nothing():
    bars = fine_bars([0, 1, 2, 3, 7, 8])
    pd.testing.assert_frame_equal(resample_bars(bars, 60), bars)


def test_in_two_steps_it_is_what_it_is_in_one():
    bars = fine_bars(np.arange(1_440))
    pd.testing.assert_frame_equal(
        resample_bars(resample_bars(bars, 900), 3_600), resample_bars(bars, 3_600)
    )


@pytest.mark.parametrize("interval_s", [30, 90, 100])
def test_what_is_no_multiple_is_refused(interval_s):
    with pytest.raises(BarsError, match=r"bars of 1m do not make bars of .*: not a multiple"):
        resample_bars(fine_bars(np.arange(50)), interval_s)


def test_bars_off_their_grid_are_refused_by_time():
    bars = fine_bars(np.arange(50))
    bars.index = bars.index + pd.Timedelta(seconds=20)
    with pytest.raises(BarsError, match=r"50 bars do not open on a full 1m, the first at 2024-02"):
        resample_bars(bars, 300)
