import math

import numpy as np
import pytest

from v8lib import labels
from v8lib.labels import MISSING, Label

DOWN, HOLD, UP = Label
SCHEMES = ("trailing_tercile", "fixed", "vol_scaled", "triple_barrier")


def make(bars, scheme, *, horizon_bars, window_bars=100, threshold_bps=50.0, sigmas=1.0):
    return labels.make_labels(
        bars,
        scheme=scheme,
        horizon_bars=horizon_bars,
        window_bars=window_bars,
        threshold_bps=threshold_bps,
        sigmas=sigmas,
    )


@pytest.fixture(scope="module")
def quiet_then(bars_from):
    """Bars that alternate by 0.1 % until the volatility is known, then follow `moves` (log)."""

    def build(moves, warm=900):
        returns = np.concatenate([np.resize([0.001, -0.001], warm), moves])
        return bars_from(100.0 * np.exp(np.cumsum(returns))), warm - 1

    return build


def test_classes_are_numbered_in_the_order_of_the_columns():
    assert [int(label) for label in Label] == [0, 1, 2]
    assert labels.CLASS_NAMES == ("DOWN", "HOLD", "UP")


def test_fixed_labels_by_hand(bars_from):
    made = make(bars_from([100.0, 101.0, 101.1, 99.0]), "fixed", horizon_bars=1)
    assert made.labels.tolist() == [UP, HOLD, DOWN, MISSING]
    assert made.forward_return[0] == pytest.approx(math.log(1.01))
    assert made.threshold.tolist() == pytest.approx([math.log(1.005)] * 4)


def test_fixed_labels_look_the_whole_horizon_ahead(bars_from):
    made = make(bars_from([100.0, 102.0, 100.0, 98.0, 100.0]), "fixed", horizon_bars=2)
    assert made.labels.tolist() == [HOLD, DOWN, HOLD, MISSING, MISSING]


def test_a_move_of_exactly_the_threshold_is_a_hold(bars_from):
    """Prices that go from 1 to 2 and back: every move is ln 2, and so is their quantile."""
    bars = bars_from(np.resize([1.0, 2.0], 12))
    made = make(bars, "trailing_tercile", horizon_bars=1, window_bars=3)
    assert made.threshold[3:].tolist() == [math.log(2.0)] * 9
    assert made.labels[3:-1].tolist() == [HOLD] * 8


def test_label_is_missing_when_the_horizon_spans_a_gap(bars_from):
    closes = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]
    made = make(bars_from(closes, at=[0, 1, 2, 5, 6, 7]), "fixed", horizon_bars=2)
    assert made.labels.tolist() == [UP, MISSING, MISSING, UP, MISSING, MISSING]
    assert np.isnan(made.forward_return[1:3]).all()


def test_segments_shorter_than_the_horizon_have_no_labels(bars_from):
    made = make(bars_from(np.arange(1.0, 8.0), at=[0, 1, 2, 3, 9, 10, 20]), "fixed", horizon_bars=4)
    assert (made.labels == MISSING).all()


def test_trailing_tercile_by_hand(bars_from):
    """With three past moves of 1, 2 and 4 % their 1/3 quantile is 1 + 2/3 * (2 - 1) = 1.67 %."""
    moves = [0.01, -0.02, 0.04, 0.015, -0.05, 0.0]
    bars = bars_from(np.exp(np.cumsum([0.0, *moves])))
    made = make(bars, "trailing_tercile", horizon_bars=1, window_bars=3)
    assert np.isnan(made.threshold[:3]).all()
    assert made.threshold[3] == pytest.approx(0.01 + 2 / 3 * 0.01)
    assert made.threshold[4] == pytest.approx(0.015 + 2 / 3 * 0.005)  # of 2, 4, 1.5 %
    assert made.labels.tolist() == [MISSING] * 3 + [HOLD, DOWN, HOLD, MISSING]


@pytest.mark.parametrize(("horizon_bars", "window_bars"), [(1, 5), (4, 7), (3, 50)])
def test_trailing_tercile_equals_a_loop_over_the_complete_moves(
    bars_from, horizon_bars, window_bars
):
    rng = np.random.default_rng(2)
    path = np.cumsum(rng.normal(0.0, 0.01, size=150))
    bars = bars_from(np.exp(path))
    made = make(bars, "trailing_tercile", horizon_bars=horizon_bars, window_bars=window_bars)
    for t in range(len(path)):
        ends = range(max(horizon_bars, t - window_bars + 1), t + 1)
        moves = [abs(path[end] - path[end - horizon_bars]) for end in ends]
        expected = np.quantile(moves, 1 / 3) if len(moves) == window_bars else np.nan
        np.testing.assert_allclose(made.threshold[t], expected, rtol=1e-12)


def test_trailing_tercile_starts_anew_after_a_gap(bars_from):
    rng = np.random.default_rng(3)
    closes = np.exp(np.cumsum(rng.normal(0.0, 0.01, size=60)))
    at = np.concatenate([np.arange(30), np.arange(31, 61)])
    made = make(bars_from(closes, at=at), "trailing_tercile", horizon_bars=2, window_bars=10)
    alone = make(bars_from(closes[30:]), "trailing_tercile", horizon_bars=2, window_bars=10)
    assert made.labels[30:].tolist() == alone.labels.tolist()
    assert np.isnan(made.threshold[30:41]).all()
    assert np.isfinite(made.threshold[41])


def test_trailing_tercile_waits_for_720_moves_of_a_long_window(market_bars):
    assert labels.min_window(2_880) == 720
    assert labels.min_window(100) == 100
    made = make(market_bars, "trailing_tercile", horizon_bars=4, window_bars=2_880)
    assert np.flatnonzero(np.isfinite(made.threshold))[0] == 720 + 4 - 1


def test_trailing_tercile_is_balanced_on_the_simulated_market(market_labels):
    known = market_labels.labels[market_labels.labels != MISSING]
    shares = np.bincount(known, minlength=3) / len(known)
    # 5,000 overlapping labels of an autocorrelated market: a standard error of about 0.02.
    assert shares == pytest.approx([1 / 3] * 3, abs=0.06)


def test_a_market_at_rest_has_no_tercile_and_no_label(bars_from):
    made = make(bars_from(np.full(60, 3.0)), "trailing_tercile", horizon_bars=2, window_bars=10)
    assert (made.labels == MISSING).all()


def test_vol_scaled_threshold_by_hand_when_every_move_is_equal(quiet_then):
    """Moves of plus and minus 0.1 % have an EWMA volatility of 0.1 %, whatever the span."""
    bars, now = quiet_then([0.0031, -0.0029, 0.0])
    made = make(bars, "vol_scaled", horizon_bars=1, sigmas=3.0)
    # Weights older than eight spans are cut: 1e-7 of the variance.
    assert made.threshold[now] == pytest.approx(0.003, rel=1e-6)
    assert made.labels[now] == UP


def test_vol_scaled_threshold_equals_a_loop_and_waits_for_it_to_warm_up(market_bars):
    bars = market_bars.iloc[:1_200]
    made = make(bars, "vol_scaled", horizon_bars=4, sigmas=0.43)
    returns = np.diff(np.log(bars["close"].to_numpy()), prepend=np.log(bars["close"].iloc[0]))
    decay, variance = 1.0 - 2.0 / 97.0, 0.0
    expected = np.empty(len(returns))
    for t, r in enumerate(returns):
        variance = decay * variance + (1.0 - decay) * r * r
        expected[t] = 0.43 * math.sqrt(4.0 * variance)
    assert np.isnan(made.threshold[: 8 * 96]).all()
    np.testing.assert_allclose(made.threshold[768:], expected[768:], rtol=1e-6)


@pytest.mark.parametrize("scheme", ["trailing_tercile", "vol_scaled"])
@pytest.mark.parametrize(("horizon_bars", "window_bars"), [(4, 1_500), (6, 300)])
def test_a_threshold_needs_no_bar_before_its_lookback(
    market_bars, scheme, horizon_bars, window_bars
):
    settings = {"horizon_bars": horizon_bars, "window_bars": window_bars, "sigmas": 0.43}
    whole = make(market_bars, scheme, **settings).threshold
    lookback = labels.lookback_bars(horizon_bars, window_bars)
    for t in range(2_000, 2_600, 97):
        tail = make(market_bars.iloc[t - lookback : t + 1], scheme, **settings)
        assert tail.threshold[-1] == whole[t]


def test_the_first_barrier_decides_and_not_the_end(quiet_then):
    """Up 1 %, then down 3 %: the upper barrier was touched first."""
    bars, now = quiet_then([0.01, -0.03, 0.0, 0.0])
    barrier = make(bars, "triple_barrier", horizon_bars=3, sigmas=2.0)
    end = make(bars, "vol_scaled", horizon_bars=3, sigmas=2.0)
    assert barrier.threshold[now] == pytest.approx(2.0 * 0.001 * math.sqrt(3.0), rel=1e-6)
    assert (barrier.labels[now], end.labels[now]) == (UP, DOWN)


def test_a_barrier_touched_on_the_way_counts_though_the_path_comes_back(quiet_then):
    bars, now = quiet_then([-0.01, 0.01, 0.0, 0.0])
    assert make(bars, "triple_barrier", horizon_bars=3, sigmas=2.0).labels[now] == DOWN
    assert make(bars, "vol_scaled", horizon_bars=3, sigmas=2.0).labels[now] == HOLD


def test_no_barrier_touched_within_the_horizon_is_a_hold(quiet_then):
    bars, now = quiet_then([0.001, 0.001, 0.0, 0.02, 0.02])
    assert make(bars, "triple_barrier", horizon_bars=3, sigmas=2.0).labels[now] == HOLD


def test_at_a_horizon_of_one_bar_the_barrier_is_the_end(market_bars):
    bars = market_bars.iloc[:1_500]
    first, end = (make(bars, s, horizon_bars=1) for s in ("triple_barrier", "vol_scaled"))
    assert first.labels.tolist() == end.labels.tolist()
    assert set(first.labels[800:-1]) == {DOWN, HOLD, UP}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_threshold_at_a_bar_does_not_know_what_follows(market_bars, scheme):
    cut, horizon_bars = 2_000, 4
    changed = market_bars.copy()
    later = changed.index[cut + 1 :]
    changed.loc[later, "close"] *= np.exp(np.random.default_rng(4).normal(0.0, 0.05, len(later)))
    before, after = (
        make(b, scheme, horizon_bars=horizon_bars, window_bars=500, threshold_bps=2.0)
        for b in (market_bars, changed)
    )
    np.testing.assert_array_equal(after.threshold[: cut + 1], before.threshold[: cut + 1])
    settled = cut + 1 - horizon_bars
    np.testing.assert_array_equal(after.labels[:settled], before.labels[:settled])
    assert (after.labels != before.labels).any(), "the change must reach later labels"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_falling_market_is_the_mirror_of_a_rising_one(market_bars, scheme):
    bars = market_bars.iloc[:2_000]
    mirrored = bars.assign(close=1.0 / bars["close"])
    up, down = (
        make(b, scheme, horizon_bars=4, window_bars=300, threshold_bps=2.0)
        for b in (bars, mirrored)
    )
    known = up.labels != MISSING
    # Rounding moves a return by 1e-16 of the price: only a move at its own threshold could flip.
    assert (up.labels[known] == 2 - down.labels[known]).mean() > 0.999
    assert (known == (down.labels != MISSING)).all()
    assert known.sum() > 1_000


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_last_horizon_bars_have_no_label(market_bars, scheme):
    made = make(market_bars.iloc[:1_500], scheme, horizon_bars=7)
    assert (made.labels[-7:] == MISSING).all()
    assert made.labels[-8] != MISSING
