from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import features, latest, market, seeds, series
from v8lib.bar_arrays import BarArrays, bar_arrays, bar_seconds
from v8lib.bars import load_bars
from v8lib.errors import FeatureError
from v8lib.predecessor import raw_price_table

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL = ("coinbase_15m/BTC-USD", "coinbase_1h/SOL-USD", "binance_perp_1m/ETH-USDT-PERP")


def simulated(n_bars, interval_s, seed=3):
    return market.simulate_market(
        n_bars,
        signal=0.5,
        decay=0.7,
        volatility=1e-3,
        interval_s=interval_s,
        rng=seeds.stream(seed, "latest"),
    ).bars


def stacked(tails):
    """Bars of several symbols as arrays of shape (n_symbols, n_bars)."""
    return BarArrays(*(np.stack(columns) for columns in zip(*tails, strict=True)))


@pytest.fixture(scope="module")
def last(table):
    return latest.LatestFeatures(table, 60)


@pytest.fixture(scope="module")
def arrays(market_bars):
    return bar_arrays(market_bars)


@pytest.fixture(scope="module")
def flat_bars(market_bars):
    """Bars whose price stands still for a while, and that trade nothing for longer."""
    flat = market_bars.copy()
    flat.iloc[3_500:3_900, :4] = flat["close"].iloc[3_499]
    flat.iloc[3_000:4_400, 4] = 0.0
    return flat


def test_reach_and_warm_up_are_the_table_s(last, table, names):
    assert last.reach_bars == series.REFERENCE_REACH
    assert last.warmup_bars == features.warmup_bars(table)
    assert last.names == tuple(names)


@pytest.mark.parametrize("t", [2_888, 3_000, 4_445, 5_998, 5_999])
def test_the_last_bar_of_a_tail_equals_the_batch_to_the_bit(last, arrays, market_features, t):
    assert np.isfinite(market_features[t]).all()
    for first in (0, t + 1 - last.reach_bars):
        row = last.features(arrays.at(slice(first, t + 1)))
        assert row.dtype == np.float32
        assert row.tobytes() == market_features[t].tobytes()


def test_a_tail_one_bar_short_of_the_reach_is_another_row(last, arrays, market_features):
    row = last.features(arrays.at(slice(6_001 - last.reach_bars, 6_000)))
    assert np.isfinite(row).all()
    assert row.tobytes() != market_features[-1].tobytes()


@pytest.mark.parametrize("interval_s", [30, 60, 300, 900, 3_600, 86_400])
def test_every_bar_length_equals_the_batch(interval_s):
    table = features.feature_table(interval_s)
    bars = simulated(4_000, interval_s)
    made, last = features.make_features(bars, table), latest.LatestFeatures(table, interval_s)
    for t in (last.warmup_bars - 2, last.warmup_bars - 1, 2_000, 2_900, 3_999):
        row = last.features(bar_arrays(bars.iloc[: t + 1]))
        np.testing.assert_array_equal(row, made[t])


@given(data=st.data())
def test_any_history_with_any_gaps_equals_the_batch(last, table, market_bars, data):
    n_bars = data.draw(st.integers(2, 4_200))
    first = data.draw(st.integers(0, len(market_bars) - n_bars))
    bars = market_bars.iloc[first : first + n_bars]
    # Near the end, where a gap matters, as often as anywhere.
    places = st.integers(1, n_bars - 1) | st.integers(max(1, n_bars - 1_600), n_bars - 1)
    gaps = data.draw(st.sets(places, max_size=min(3, n_bars - 2)))
    bars = bars.drop(bars.index[sorted(n_bars - 1 - gap for gap in gaps)])
    row = last.features(bar_arrays(bars))
    if len(bars) > 1 and bar_seconds(bars) == 60:
        np.testing.assert_array_equal(row, features.make_features(bars, table)[-1])
    else:
        assert np.isnan(row).all()


@pytest.mark.parametrize("t", [3_498, 3_503, 3_600, 3_899, 3_901, 4_300, 4_401, 5_000])
def test_flat_and_silent_stretches_equal_the_batch(last, table, flat_bars, t):
    made = features.make_features(flat_bars.iloc[: t + 1], table)[-1]
    assert np.isfinite(made).all()
    assert last.features(bar_arrays(flat_bars.iloc[: t + 1])).tobytes() == made.tobytes()


@pytest.mark.parametrize("name", REAL)
def test_real_bars_equal_the_batch(name):
    path = SHARED / f"{name}.parquet"
    if not path.is_file():
        pytest.skip("the shared real bars are not here")
    bars = load_bars(path).bars.iloc[-12_000:]
    interval_s = bar_seconds(bars)
    table = features.feature_table(interval_s)
    made, last = features.make_features(bars, table), latest.LatestFeatures(table, interval_s)
    ends = [*range(3_000, 12_000, 487), 12_000]
    rows = [last.features(bar_arrays(bars.iloc[max(0, e - 4_000) : e])) for e in ends]
    whole = [last.features(bar_arrays(bars.iloc[:e])) for e in ends[-3:]]
    assert np.isfinite(rows).all(axis=1).sum() > len(ends) // 2
    np.testing.assert_array_equal(whole, made[[e - 1 for e in ends[-3:]]])
    np.testing.assert_array_equal(rows, made[[e - 1 for e in ends]])


def test_another_table_equals_the_batch(market_bars, arrays):
    """V6's columns: short windows, no reference, no exponential averages."""
    table = raw_price_table(60)
    made = features.make_features(market_bars, table)[-1]
    row = latest.LatestFeatures(table, 60).features(arrays)
    assert row.tobytes() == made.tobytes()


@pytest.mark.parametrize("family", ["trend", "season", "volume", "volatility", "time"])
def test_a_table_without_a_family_equals_the_batch(market_bars, arrays, family):
    table = features.feature_table(60, (family,))
    made = features.make_features(market_bars, table)[-1]
    assert latest.LatestFeatures(table, 60).features(arrays).tobytes() == made.tobytes()


def test_many_symbols_at_once_equal_one_by_one(last, flat_bars, market_bars, monkeypatch):
    """Symbols with whole tails, with gaps, too short ones, and more than fit at once."""
    monkeypatch.setattr(latest, "SYMBOLS_AT_ONCE", 3)
    sources = [market_bars, flat_bars, market_bars * 7.0, simulated(6_000, 60)]
    gaps = ((), (2_000,), (3_990,), (), (1,), (2_000,), (), (2_500, 3_000))
    tails = []
    for k, missing in enumerate(gaps):
        bars = sources[k % 4].iloc[k : 4_000 + k + len(missing)]
        tails.append(bar_arrays(bars.drop(bars.index[list(missing)])))
    rows = last.features(stacked(tails))
    singly = np.array([last.features(tail) for tail in tails])
    assert rows.shape == (8, 72)
    assert np.isfinite(rows).all(axis=1).tolist() == [
        True,
        True,
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert rows.tobytes() == singly.tobytes()


def test_symbols_may_share_their_times(last, arrays):
    tail = arrays.at(slice(-last.reach_bars, None))
    shared = BarArrays(*(np.stack([array, array]) for array in tail[:5]), tail.epoch_s)
    own = stacked([tail, tail])
    assert last.features(shared).tobytes() == last.features(own).tobytes()


def test_nothing_is_kept_between_calls_and_nothing_given_is_changed(last, arrays):
    before = [array.copy() for array in arrays]
    first = last.features(arrays)
    last.features(arrays.at(slice(0, 2_000)))
    assert last.features(arrays).tobytes() == first.tobytes()
    for array, was in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, was)


def complaint(last, bars):
    row = last.features(bars)
    assert not np.isfinite(row).all()
    return last.complaint(bars, row)


@pytest.mark.parametrize("n_bars", [1, 2, 500, 1_440])
def test_a_short_tail_is_nan_and_the_complaint_says_how_many_are_needed(last, arrays, n_bars):
    said = complaint(last, arrays.at(slice(0, n_bars)))
    assert said == f"the last bar has no features: 1441 unbroken bars needed, {n_bars} there"


def test_a_gap_is_counted_from(last, market_bars):
    bars = bar_arrays(market_bars.drop(market_bars.index[-101]))
    assert np.isnan(last.features(bars)).all()
    assert complaint(last, bars).endswith("1441 unbroken bars needed, 100 there")


def test_bars_of_another_length_have_no_run(last, arrays):
    slow = arrays._replace(epoch_s=arrays.epoch_s * 5)
    assert complaint(last, slow).endswith("1441 unbroken bars needed, 1 there")


def test_a_market_that_never_moved_is_named(last, table, bars_from):
    bars = bars_from(np.full(3_500, 5.0))
    made = features.make_features(bars, table)[-1]
    np.testing.assert_array_equal(last.features(bar_arrays(bars)), made)
    assert complaint(last, bar_arrays(bars)).endswith("the price did not move in 2889 bars")


@pytest.mark.parametrize(
    ("column", "value"),
    [("close", 0.0), ("close", -1.0), ("close", np.nan), ("volume", np.nan), ("high", np.inf)],
)
def test_a_number_that_is_no_price_or_volume_is_named(last, arrays, column, value):
    damaged = getattr(arrays, column).copy()
    damaged[-20] = value
    said = complaint(last, arrays._replace(**{column: damaged}))
    assert said == f"column '{column}' holds {value} among the last bars"


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b._replace(volume=b.volume[1:]),
        lambda b: b._replace(epoch_s=b.epoch_s[1:]),
        lambda b: b.at(slice(0, 0)),
        lambda b: BarArrays(*(array[None, None] for array in b)),
    ],
    ids=["volume shorter", "times shorter", "no bars", "three axes"],
)
def test_arrays_of_other_shapes_are_refused(last, arrays, change):
    with pytest.raises(FeatureError, match=r"\(n_bars,\) or \(n_symbols, n_bars\) needed, got"):
        last.features(change(arrays))
