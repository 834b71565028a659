import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from v8lib import earnings, sharpe
from v8lib.errors import ParameterError

DOWN, HOLD, UP = 0, 1, 2
INFERRED = ["low", "high", "sharpe", "deflated_sharpe"]


def made(gross):
    gross = np.asarray(gross, dtype=float)
    return pd.DataFrame(
        {"position": np.arange(len(gross)), "side": np.ones(len(gross), int), "gross": gross}
    )


def table(gross, **changed):
    settings = {"trades_per_year": 400.0, "n_trials": 12}
    return earnings.earnings_table(made(gross), **(settings | changed))


def opened(classes, take=None, position=None, forward=None, horizon_bars=3):
    n = len(classes)
    return earnings.trades(
        np.array(classes),
        np.full(n, True) if take is None else np.array(take),
        np.full(n, 0.01) if forward is None else np.array(forward),
        np.arange(n) if position is None else np.array(position),
        horizon_bars=horizon_bars,
    )


def test_a_trade_opens_only_when_none_is_open_and_earns_by_its_side():
    """UP at 0 runs to 3; the signals at 1 and 2 are missed, DOWN at 3 opens as UP closes."""
    found = opened(
        [UP, DOWN, UP, DOWN, UP, UP, UP], forward=[0.01, 0.5, 0.5, 0.02, 0.5, 0.5, -0.03]
    )
    assert found["position"].tolist() == [0, 3, 6]
    assert found["side"].tolist() == [1, -1, 1]
    assert found["gross"].tolist() == pytest.approx([0.01, -0.02, -0.03])


def test_hold_opens_nothing_and_what_is_not_taken_opens_nothing():
    found = opened([HOLD, UP, UP, HOLD], take=[True, False, True, True])
    assert found["position"].tolist() == [2]
    assert len(opened([HOLD] * 5)) == 0
    assert len(opened([UP] * 5, take=[False] * 5)) == 0


def test_no_signal_gives_a_table_with_the_same_columns():
    assert opened([HOLD]).columns.tolist() == opened([UP]).columns.tolist()
    assert opened([]).columns.tolist() == ["position", "side", "gross"]


def test_the_horizon_is_counted_in_bars_and_not_in_rows():
    """Rows 0, 1 and 2 stand at bars 10, 12 and 13: at bar 12 the first trade is still open."""
    assert opened([UP, UP, UP], position=[10, 12, 13])["position"].tolist() == [10, 13]


def test_a_return_that_no_trade_needs_may_be_missing_and_one_it_needs_may_not():
    assert len(opened([UP, UP, HOLD], forward=[0.1, np.nan, np.nan])) == 1
    with pytest.raises(ParameterError, match="bar 7 has no finite return"):
        opened([UP, UP], position=[3, 7], forward=[0.1, np.nan])


@pytest.mark.parametrize("position", [[0, 0], [5, 4]])
def test_bars_that_do_not_increase_are_refused(position):
    with pytest.raises(ParameterError, match="increase"):
        opened([UP, UP], position=position)


@given(seed=st.integers(0, 300), n=st.integers(1, 60), horizon_bars=st.integers(1, 9))
def test_trades_never_overlap_and_none_is_missed_while_free(seed, n, horizon_bars):
    rng = np.random.default_rng(seed)
    classes, take = rng.integers(0, 3, n), rng.random(n) < 0.6
    position = np.cumsum(rng.integers(1, 4, n))
    forward = rng.normal(size=n)
    found = opened(classes, take, position, forward, horizon_bars)
    open_at = found["position"].to_numpy()
    assert (np.diff(open_at) >= horizon_bars).all()
    wanted = position[take & (classes != HOLD)]
    busy = [((open_at <= bar) & (bar < open_at + horizon_bars)).any() for bar in wanted]
    assert all(busy)
    assert set(open_at.tolist()) <= set(wanted.tolist())


def test_the_earnings_of_forty_trades_by_hand():
    """Half earn 30 bp and half lose 10: mean 10, deviation 20, Sharpe 1/2 per trade."""
    found = table([0.003, -0.001] * 20, costs_bps=(0, 10))
    free, dear = found.to_dict("records")
    assert (free["n"], free["cost_bps"], free["n_trials"]) == (40, 0.0, 12)
    assert free["mean_net_bps"] == pytest.approx(10.0)
    assert free["sum_net"] == pytest.approx(0.04)
    assert free["sharpe"] == pytest.approx(0.5 * 20.0)
    half = stats.t.ppf(0.975, 39) * 20.0 / 39**0.5
    assert (free["low"], free["high"]) == pytest.approx((10.0 - half, 10.0 + half))
    assert dear["mean_net_bps"] == pytest.approx(0.0)
    assert dear["sum_net"] == pytest.approx(0.0)
    assert dear["sharpe"] == pytest.approx(0.0, abs=1e-9)
    assert (dear["low"], dear["high"]) == pytest.approx((-half, half))


def test_the_deflated_sharpe_of_forty_trades_by_hand():
    """Skew 0 and kurtosis 1 of a fair coin; trials without skill have variance 1/39."""
    found = table([0.003, -0.001] * 20, costs_bps=(0,))["deflated_sharpe"].item()
    benchmark = sharpe.expected_max_sharpe(12, 1 / 39)
    assert found == pytest.approx(stats.norm.cdf((0.5 - benchmark) * 39**0.5))
    alone = table([0.003, -0.001] * 20, costs_bps=(0,), n_trials=1)["deflated_sharpe"].item()
    assert alone == pytest.approx(stats.norm.cdf(0.5 * 39**0.5))


def test_a_cost_shifts_the_interval_and_keeps_its_width():
    found = table(np.random.default_rng(0).normal(0.001, 0.01, size=60))
    assert found["cost_bps"].tolist() == [0, 1, 2, 5, 10, 20]
    for column in ("mean_net_bps", "low", "high"):
        shift = found[column].iloc[0] - found[column]
        assert shift.tolist() == pytest.approx([0, 1, 2, 5, 10, 20], abs=1e-9)
    assert found["deflated_sharpe"].is_monotonic_decreasing
    assert found["sharpe"].is_monotonic_decreasing


def test_the_interval_covers_the_mean_of_trades_with_heavy_tails_and_clustered_volatility():
    """400 series of 100 trades; nominal 95 %, standard error of the count 1.1 %."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        volatility = np.exp(0.5 * np.convolve(rng.normal(size=119), np.ones(20) / 20**0.5, "valid"))
        gross = 0.001 + 0.004 * volatility * rng.standard_t(5, size=100)
        row = table(gross, costs_bps=(0,)).iloc[0]
        covered += row["low"] < 10.0 < row["high"]
    assert 0.91 <= covered / 400 <= 0.985


def test_fewer_than_twenty_trades_have_a_mean_and_no_more():
    found = table([0.003, -0.001] * 9 + [0.001])
    assert found["n"].tolist() == [19] * 6
    assert found["mean_net_bps"].iloc[0] == pytest.approx(10.0)
    assert found[INFERRED].isna().all(axis=None)
    assert table([0.003, -0.001] * 10)[INFERRED].notna().all(axis=None)


def test_no_trade_has_no_mean_and_earned_nothing():
    found = table([])
    assert found["n"].tolist() == [0] * 6
    assert found["mean_net_bps"].isna().all()
    assert found["sum_net"].tolist() == [0.0] * 6
    assert found[INFERRED].isna().all(axis=None)


def test_trades_that_all_earn_the_same_have_no_sharpe_ratio():
    found = table([0.001] * 30)
    assert found[INFERRED].isna().all(axis=None)
    assert found["mean_net_bps"].iloc[0] == pytest.approx(10.0)


def test_break_even_is_the_cost_that_leaves_nothing():
    gross = [0.003, -0.001, 0.002]
    cost = earnings.break_even_bps(made(gross))
    assert cost == pytest.approx(40 / 3)
    assert table(gross, costs_bps=(cost,))["sum_net"].item() == pytest.approx(0.0)
    assert earnings.break_even_bps(made([])) is None
    assert earnings.break_even_bps(made([-0.001])) == pytest.approx(-10.0)


def test_impossible_settings_are_refused():
    for rate in (-1.0, float("nan")):
        with pytest.raises(ParameterError, match="trades_per_year"):
            table([0.1], trades_per_year=rate)
    with pytest.raises(ParameterError, match="n_trials"):
        table([0.1], n_trials=0)
