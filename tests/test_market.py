import math

import numpy as np
import pytest

from v8lib import labels, market, seeds

HORIZON_BARS = 4


def simulate(n_bars, signal, seed=1):
    return market.simulate_market(
        n_bars,
        signal=signal,
        decay=0.7,
        volatility=1e-4,
        interval_s=60,
        rng=seeds.stream(seed, "market"),
    )


@pytest.fixture(scope="module")
def strong():
    return simulate(40_000, 0.94)


@pytest.fixture(scope="module")
def forward(strong):
    path = np.log(strong.bars["close"].to_numpy())
    return path[HORIZON_BARS:] - path[:-HORIZON_BARS]


def normal_below(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def test_the_state_follows_its_equations(strong):
    returns = np.diff(np.log(strong.bars["close"].to_numpy())) / strong.volatility
    noise = returns - strong.signal * strong.state[:-1]
    np.testing.assert_allclose(
        strong.state[1:], 0.7 * strong.state[:-1] + 0.3 * returns, rtol=0.0, atol=1e-8
    )
    # 40,000 draws: standard errors of 0.005 (mean), 0.0035 (deviation), 0.005 (correlation).
    assert noise.mean() == pytest.approx(0.0, abs=0.02)
    assert noise.std() == pytest.approx(1.0, abs=0.015)
    assert np.corrcoef(noise, strong.state[:-1])[0, 1] == pytest.approx(0.0, abs=0.02)


def test_posterior_at_a_horizon_of_one_is_the_normal_distribution(strong):
    cut = 0.4
    probs = market.posterior(strong, np.full(40_000, cut * strong.volatility), 1)
    for t in (0, 17, 39_999):
        mean = 0.94 * strong.state[t]
        down, up = normal_below(-cut - mean), normal_below(mean - cut)
        assert probs[t] == pytest.approx([down, 1.0 - down - up, up], abs=1e-12)


def test_posterior_sums_to_one_and_is_missing_without_a_threshold(strong):
    threshold = np.full(40_000, 1e-4)
    threshold[:5] = np.nan
    probs = market.posterior(strong, threshold, HORIZON_BARS)
    assert np.isnan(probs[:5]).all()
    np.testing.assert_allclose(probs[5:].sum(axis=1), 1.0, atol=1e-12)
    assert probs[5:].min() >= 0.0


def test_posterior_mean_and_variance_are_those_of_the_simulated_returns(strong, forward):
    """Solve the closed form's mean and variance back from P(DOWN) and P(UP), and compare."""
    state = strong.state[:-HORIZON_BARS]
    moves = forward / strong.volatility
    slope = float(moves @ state / (state @ state))
    a = 0.7 + 0.3 * 0.94
    assert slope == pytest.approx(0.94 * (1.0 - a**HORIZON_BARS) / (1.0 - a), rel=0.02)
    variance = sum(
        (1.0 + 0.94 * 0.3 * (1.0 - a ** (HORIZON_BARS - i)) / (1.0 - a)) ** 2
        for i in range(1, HORIZON_BARS + 1)
    )
    # Overlapping rows: about 10,000 independent ones, 1.4 % standard error of a variance.
    assert (moves - slope * state).var() == pytest.approx(variance, rel=0.05)


def test_what_the_posterior_says_happens_that_often(strong, forward):
    threshold = np.full(40_000, 2e-4)
    probs = market.posterior(strong, threshold, HORIZON_BARS)[:-HORIZON_BARS]
    happened = np.column_stack([forward < -2e-4, np.abs(forward) <= 2e-4, forward > 2e-4])
    for k in range(3):
        for low in (0.0, 0.2, 0.4, 0.6, 0.8):
            inside = (probs[:, k] >= low) & (probs[:, k] < low + 0.2)
            if inside.sum() >= 2_000:
                # At least 500 independent rows per cell: a standard error of 0.022.
                gap = probs[inside, k].mean() - happened[inside, k].mean()
                assert abs(gap) < 0.045


def test_a_market_without_signal_is_a_random_walk_with_a_constant_posterior():
    walk = simulate(20_000, 0.0)
    probs = market.posterior(walk, np.full(20_000, 1e-4), HORIZON_BARS)
    assert np.ptp(probs, axis=0).max() < 1e-12
    returns = np.diff(np.log(walk.bars["close"].to_numpy()))
    # Standard error 0.007.
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.03
    assert returns.std() == pytest.approx(1e-4, rel=0.02)


def test_the_best_possible_classifier_of_the_default_market_is_right_on_70_to_75_percent(strong):
    made = labels.make_labels(
        strong.bars,
        scheme="trailing_tercile",
        horizon_bars=HORIZON_BARS,
        window_bars=2_880,
        threshold_bps=10.0,
        sigmas=0.43,
    )
    probs = market.posterior(strong, made.threshold, HORIZON_BARS)
    known = made.labels != labels.MISSING
    accuracy = (probs[known].argmax(axis=1) == made.labels[known]).mean()
    assert 0.70 < accuracy < 0.75
    assert 0.70 < probs[known].max(axis=1).mean() < 0.75


def test_bars_are_possible_bars(strong):
    b = strong.bars
    assert (b["high"] >= b[["open", "close"]].max(axis=1)).all()
    assert (b["low"] <= b[["open", "close"]].min(axis=1)).all()
    assert (b["volume"] > 0.0).all()
    np.testing.assert_array_equal(b["open"].to_numpy()[1:], b["close"].to_numpy()[:-1])
    assert set(np.diff(b.index.as_unit("s").asi8)) == {60}


def test_the_same_stream_gives_the_same_market_and_another_seed_another():
    first, again, other = simulate(200, 0.5), simulate(200, 0.5), simulate(200, 0.5, seed=2)
    assert first.bars.equals(again.bars)
    assert not np.isclose(first.bars["close"], other.bars["close"]).all()
