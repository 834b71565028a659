import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import bars as bars_module
from v8lib import feature, features, market, seeds, series
from v8lib.errors import FeatureError

NAMES = [f.name for f in features.feature_table(60)]
FAMILIES = sorted({f.family for f in features.feature_table(60)})
ROWS = (3_000, 4_444, 5_999)
CUT = 4_500


def column(matrix, name):
    return matrix[:, NAMES.index(name)]


@pytest.fixture(scope="module")
def other_future(market_bars, table):
    """Features of the same market with another path after `CUT`."""
    rng = np.random.default_rng(1)
    changed = market_bars.copy()
    n = len(changed) - CUT - 1
    path = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, size=(2, n)), axis=1))
    wicks = 1.0 + rng.uniform(0.001, 0.01, size=(2, n))
    later = changed.index[CUT + 1 :]
    changed.loc[later, "open"], changed.loc[later, "close"] = path
    changed.loc[later, "high"] = path.max(axis=0) * wicks[0]
    changed.loc[later, "low"] = path.min(axis=0) / wicks[1]
    changed.loc[later, "volume"] = rng.lognormal(3.0, 1.0, size=n)
    return features.make_features(changed, table)


@pytest.fixture(scope="module")
def ten_times(market_bars, table):
    """Features of the same market with all prices and all volumes times ten."""
    return features.make_features(market_bars * 10.0, table)


@pytest.fixture(scope="module")
def rows_by_hand(market_bars):
    """Closes, returns and the volatility unit from plain loops over the bars."""
    close = [math.log(price) for price in market_bars["close"]]
    returns = [0.0] + [b - a for a, b in pairwise(close)]

    def unit(t):
        """Mean size of returns beyond the mean of the eight before, over 2,880 bars."""
        first = max(9, t - 2_879)
        surprises = [returns[k] - sum(returns[k - 8 : k]) / 8 for k in range(first, t + 1)]
        return math.sqrt(math.pi / 2) * sum(abs(s) for s in surprises) / len(surprises)

    return close, returns, unit


def test_the_table_has_72_columns_with_names_of_their_own():
    assert len(NAMES) == 72
    assert len(set(NAMES)) == 72


def test_features_are_float32_one_row_per_bar(market_bars, market_features):
    assert market_features.dtype == np.float32
    assert market_features.shape == (len(market_bars), 72)


def eased(distance, n_bars):
    """Distances over 48 bars or more are drawn in, shorter ones stand as they are."""
    return math.asinh(distance) if n_bars >= 48 else distance


@pytest.mark.parametrize("t", ROWS)
def test_returns_by_hand(market_features, rows_by_hand, t):
    close, returns, unit = rows_by_hand
    for w in (1, 4, 192):
        expected = eased((close[t] - close[t - w]) / (unit(t) * math.sqrt(w)), w)
        assert column(market_features, f"return_{w}")[t] == pytest.approx(expected, rel=1e-5)
    expected = returns[t - 2] / unit(t)
    assert column(market_features, "return_lag_2")[t] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("t", [1_100, 2_000, 2_879])
def test_the_unit_of_volatility_uses_what_its_segment_has(market_bars, rows_by_hand, t):
    """The first surprise of a segment is at its tenth bar: eight returns stand before it."""
    close, _, unit = rows_by_hand
    table = [f for f in features.feature_table(60) if f.name in ("return_4", "volume_16")]
    row = features.make_features(market_bars, table)[t]
    assert row[0] == pytest.approx((close[t] - close[t - 4]) / (unit(t) * 2.0), rel=1e-5)
    volume = market_bars["volume"].to_numpy()
    expected = math.log(volume[t - 15 : t + 1].mean() / volume[: t + 1].mean())
    assert row[1] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("t", ROWS)
def test_distance_to_the_simple_average_by_hand(market_features, rows_by_hand, t):
    close, _, unit = rows_by_hand
    for w in (8, 200):
        mean = sum(close[t - w + 1 : t + 1]) / w
        expected = eased((mean - close[t]) / (unit(t) * math.sqrt(w)), w)
        assert column(market_features, f"sma_distance_{w}")[t] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("span", [3, 12, 96])
def test_distance_to_the_exponential_average_equals_pandas(market_features, rows_by_hand, span):
    close, _, unit = rows_by_hand
    average = pd.Series(close).ewm(span=span, adjust=False).mean()
    for t in ROWS:
        expected = eased((average[t] - close[t]) / (unit(t) * math.sqrt(span)), 2 * span)
        got = column(market_features, f"ema_distance_{span}")[t]
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_macd_and_its_histogram_equal_pandas(market_features, rows_by_hand):
    close, _, unit = rows_by_hand
    prices = pd.Series(close)
    macd = prices.ewm(span=12, adjust=False).mean() - prices.ewm(span=26, adjust=False).mean()
    gap = macd - macd.ewm(span=9, adjust=False).mean()
    for t in ROWS:
        got = column(market_features, "macd")[t], column(market_features, "macd_histogram")[t]
        assert got == pytest.approx((macd[t] / unit(t), gap[t] / unit(t)), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("t", ROWS)
def test_rsi_and_efficiency_by_hand(market_features, rows_by_hand, t):
    close, returns, _ = rows_by_hand
    window = returns[t - 13 : t + 1]
    gains, moves = sum(max(r, 0.0) for r in window), sum(abs(r) for r in window)
    expected = 2.0 * gains / moves - 1.0
    assert column(market_features, "rsi_14")[t] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    expected = abs(close[t] - close[t - 8]) / sum(abs(r) for r in returns[t - 7 : t + 1])
    assert column(market_features, "efficiency_8")[t] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("t", ROWS)
def test_positions_in_bands_and_channels_by_hand(market_bars, market_features, rows_by_hand, t):
    close, _, unit = rows_by_hand
    window = close[t - 19 : t + 1]
    mean, deviation = sum(window) / 20, float(np.std(window))
    expected = (close[t] - mean) / (2.0 * deviation + 0.01 * unit(t))
    # Variance as a difference of squares loses digits: about 1e-6 of it at these prices.
    assert column(market_features, "bollinger_20")[t] == pytest.approx(expected, rel=1e-4)
    high = math.log(market_bars["high"].iloc[t - 19 : t + 1].max())
    low = math.log(market_bars["low"].iloc[t - 19 : t + 1].min())
    expected = (close[t] - low) / (high - low) - 0.5
    assert column(market_features, "channel_20")[t] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("t", ROWS)
def test_volatility_and_range_ratios_by_hand(market_bars, market_features, rows_by_hand, t):
    _, returns, unit = rows_by_hand
    rms = math.sqrt(sum(r * r for r in returns[t - 15 : t + 1]) / 16)
    got = column(market_features, "volatility_16")[t]
    assert got == pytest.approx(math.log(rms / unit(t)), rel=1e-4, abs=1e-6)
    window = market_bars.iloc[t - 3 : t + 1]
    ranges = np.log(window["high"] / window["low"])
    parkinson = math.sqrt((ranges**2).sum() / (4 * 4.0 * math.log(2.0)))
    got = column(market_features, "range_4")[t]
    assert got == pytest.approx(math.log(parkinson / unit(t)), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("t", ROWS)
def test_candle_shares_by_hand_and_they_add_up_to_the_range(market_bars, market_features, t):
    o, h, low, c = (
        math.log(market_bars[name].iloc[t]) for name in ("open", "high", "low", "close")
    )
    body, balance, wicks = (
        float(column(market_features, name)[t]) for name in ("body", "wick_balance", "wick_share")
    )
    upper, lower = (h - max(o, c)) / (h - low), (min(o, c) - low) / (h - low)
    assert body == pytest.approx((c - o) / (h - low), rel=1e-5, abs=1e-6)
    assert balance == pytest.approx(upper - lower, rel=1e-5, abs=1e-6)
    assert wicks == pytest.approx(upper + lower, rel=1e-5, abs=1e-6)
    assert abs(body) + wicks == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("t", ROWS)
def test_volume_ratios_by_hand(market_bars, market_features, t):
    volume = market_bars["volume"].to_numpy()
    expected = math.log(volume[t] / volume[t - 95 : t + 1].mean())
    assert column(market_features, "volume_1")[t] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    expected = math.log(volume[t - 15 : t + 1].mean() / volume[t - 2_879 : t + 1].mean())
    assert column(market_features, "volume_16")[t] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_clock_by_hand(bars_from):
    """Six in the morning is a quarter of a day, half of a half-day; 1970-01-01 was a Thursday."""
    closes = 100.0 + np.arange(2_000) % 2
    bars = bars_from(closes, interval_s=3_600)
    known = range(1_100, 2_000)
    made = features.make_features(bars, features.feature_table(3_600))
    row = next(t for t in known if bars.index[t].hour == 6)
    clock = [float(column(made, name)[row]) for name in ("day_sin", "day_cos", "half_day_cos")]
    assert clock == pytest.approx([1.0, 0.0, -1.0], abs=1e-6)
    thursday = next(t for t in known if bars.index[t].strftime("%a%H") == "Thu00")
    week = [float(column(made, name)[thursday]) for name in ("week_sin", "week_cos")]
    assert week == pytest.approx([0.0, 1.0], abs=1e-6)


@pytest.mark.parametrize("t", ROWS)
def test_season_looks_at_the_same_time_yesterday(market_features, rows_by_hand, t):
    _, returns, unit = rows_by_hand
    then = t - 1_440  # the next four bars after the same time of day
    rms = math.sqrt(sum(r * r for r in returns[then + 1 : then + 5]) / 4)
    expected = math.log(rms / unit(t))
    assert column(market_features, "season_1")[t] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("t", "days"), [(2_879, 1), (2_880, 2), (4_444, 2)])
def test_the_season_s_mean_is_over_the_days_that_the_segment_has(
    market_features, rows_by_hand, t, days
):
    """The first bar of a segment has no return, so two days need two days and one bar."""
    _, returns, unit = rows_by_hand
    starts = [t - d * 1_440 for d in range(1, days + 1)]
    squares = [returns[k] ** 2 for then in starts for k in range(then + 1, then + 5)]
    expected = math.log(math.sqrt(sum(squares) / len(squares)) / unit(t))
    assert column(market_features, "season_mean")[t] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("t", ROWS)
def test_the_distribution_of_returns_by_hand(market_features, rows_by_hand, t):
    _, returns, _ = rows_by_hand
    window, before = returns[t - 95 : t + 1], returns[t - 96 : t]
    square = sum(r**2 for r in window) / 96
    expected = {
        "skewness_96": sum(r**3 for r in window) / 96 / square**1.5,
        "autocorrelation_96": sum(a * b for a, b in zip(window, before, strict=True)) / 96 / square,
        "tails_96": sum(map(abs, window)) / 96 / math.sqrt(square),
    }
    for name, value in expected.items():
        assert column(market_features, name)[t] == pytest.approx(value, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_future_does_not_move_the_past(market_features, other_future, name):
    before, after = column(market_features, name), column(other_future, name)
    np.testing.assert_array_equal(after[: CUT + 1], before[: CUT + 1])
    assert np.isfinite(before[CUT]), "a column of NaN would prove nothing"
    if not name.startswith(("day_", "half_day_", "week_", "season_")):
        assert after[CUT + 1] != before[CUT + 1], "the change must reach the next bar"


@pytest.mark.parametrize("name", NAMES)
def test_prices_and_volumes_times_ten_change_nothing(market_features, ten_times, name):
    before, after = column(market_features, name), column(ten_times, name)
    assert np.isfinite(before[ROWS[0] :]).all()
    np.testing.assert_allclose(after[ROWS[0] :], before[ROWS[0] :], rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_named_look_back_as_a_tail_gives_the_identical_bits(
    market_bars, market_features, table, name
):
    j = NAMES.index(name)
    for t in ROWS:
        n_bars = max(2, table[j].lookback_bars)  # one bar alone has no interval
        tail = market_bars.iloc[max(0, t + 1 - n_bars) : t + 1]
        alone = features.make_features(tail, [table[j]])
        assert alone[-1, 0].tobytes() == market_features[t, j].tobytes()


@pytest.mark.parametrize("interval_s", [30, 60, 300, 900, 3_600])
def test_every_feature_has_a_value_from_the_end_of_the_warm_up_on(interval_s):
    """The warm-up is written into bundles: production asks for that many bars and no more."""
    table = features.feature_table(interval_s)
    bars = market.simulate_market(
        4_500,
        signal=0.5,
        decay=0.7,
        volatility=1e-4,
        interval_s=interval_s,
        rng=seeds.stream(1, "warm-up"),
    ).bars
    made, warmup = features.make_features(bars, table), features.warmup_bars(table)
    assert np.isnan(made[: warmup - 1]).all()
    empty = [f.name for j, f in enumerate(table) if not np.isfinite(made[warmup - 1 :, j]).all()]
    assert empty == []


def test_rows_within_the_warm_up_after_a_gap_are_missing(market_bars, table):
    """Daily columns are left out: with them the warm-up outlasts what precedes the gap."""
    table = [feature for feature in table if feature.family != "season"]
    gap_at, warmup = 2_500, features.warmup_bars(table)
    bars = market_bars.drop(market_bars.index[gap_at])
    made = features.make_features(bars, table)
    assert np.isfinite(made[warmup - 1 : gap_at]).all()
    assert np.isnan(made[gap_at : gap_at + warmup - 1]).all()
    assert np.isfinite(made[gap_at + warmup - 1 :]).all()
    alone = features.make_features(bars.iloc[gap_at:], table)
    assert alone.tobytes() == made[gap_at:].tobytes(), "nothing from before the gap is used"


def test_bars_without_volume_have_volume_features_all_the_same(market_bars, table):
    made = features.make_features(market_bars.assign(volume=0.0), table)
    volume = [j for j, feature in enumerate(table) if feature.family == "volume"]
    assert np.isfinite(made[3_000:][:, volume]).all()


def test_a_flat_stretch_gives_finite_features(market_bars, table):
    prices = list(bars_module.PRICES)
    flat = market_bars.copy()
    flat.loc[flat.index[3_500:3_800], prices] = flat["close"].iloc[3_499]
    made = features.make_features(flat, table)
    assert np.isfinite(made[3_000:]).all()
    # At its end the price jumps by what it did in 300 bars. The unit is a mean size and not a
    # root mean square, so the jump hardly enlarges the unit that it is measured in.
    assert np.abs(made[3_000:]).max() < 300.0


def test_a_market_that_never_moved_has_no_unit_and_no_features(bars_from):
    made = features.make_features(bars_from(np.full(3_500, 5.0)), features.feature_table(60))
    assert not np.isfinite(made).all(axis=1).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_excluded_family_leaves_and_the_others_stay_as_they_are(
    market_bars, market_features, family
):
    table = features.feature_table(60, (family,))
    kept = [NAMES.index(feature.name) for feature in table]
    assert family not in {feature.family for feature in table}
    assert 0 < len(table) < 72
    made = features.make_features(market_bars.iloc[:4_000], table)
    assert made[3_999].tobytes() == market_features[3_999, kept].tobytes()


def test_an_unknown_family_is_refused_by_name():
    with pytest.raises(FeatureError, match=r"no family 'volum'; there are .*'volume'"):
        features.feature_table(60, ("volum",))


def test_look_backs_reach_as_far_as_the_widest_window():
    """What is measured in units of volatility reaches back as far as the unit does."""
    known = {feature.name: feature.lookback_bars for feature in features.feature_table(60)}
    assert known["body"] == 1
    assert known["volume_1"] == 96
    # 2,880 surprises, the oldest against eight returns, the oldest of those from a bar before.
    assert known["return_192"] == known["season_mean"] == series.REFERENCE_REACH == 2_889


@given(data=st.data())
def test_blocks_of_any_length_give_the_identical_bits(market_bars, table, data):
    """With any gaps; a block of one bar, the last of a segment, is among them."""
    gaps = data.draw(st.sets(st.integers(1, 5_998), max_size=3))
    bars = market_bars.drop(market_bars.index[sorted(gaps)])
    names = data.draw(st.sets(st.sampled_from(NAMES), min_size=1, max_size=5))
    some = [feature for feature in table if feature.name in names]
    whole = features.make_features(bars, some, block_bars=len(bars))
    block_bars = data.draw(st.integers(100, 3_000))
    blocks = features.make_features(bars, some, block_bars=block_bars)
    assert blocks.tobytes() == whole.tobytes()


@pytest.mark.parametrize("block_bars", [257, 1_000, 4_558])
def test_the_whole_table_in_blocks_gives_the_identical_bits(
    market_bars, market_features, table, block_bars
):
    """6,000 bars less 1,440 of warm-up, in blocks of 4,558: the last has two bars."""
    blocks = features.make_features(market_bars, table, block_bars=block_bars)
    assert blocks.tobytes() == market_features.tobytes()


def test_a_block_of_one_bar_gives_the_identical_bits(market_bars, market_features, table):
    few = features.make_features(market_bars.iloc[:1_500], table, block_bars=1)
    assert few.tobytes() == market_features[:1_500].tobytes()


def test_a_window_wider_than_its_series_is_kept_for_is_refused(market_bars):
    wide = feature.plain("range_300", "range", 300, lambda s: s.total("ranges_squared", 300))
    with pytest.raises(FeatureError, match="'ranges_squared' is kept for windows below 300 bars"):
        features.make_features(market_bars, [wide], block_bars=1_000)
