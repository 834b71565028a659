import numpy as np
import pytest

from v8lib import garch, labels, seeds

HORIZON_BARS = 4
INTERVAL_S = 900
VOLATILITY = 1e-3
CUT = np.log1p(0.0015)


def simulate(n_bars, signal=0.3, seed=1):
    return garch.simulate_garch(
        n_bars,
        signal=signal,
        decay=0.7,
        volatility=VOLATILITY,
        interval_s=INTERVAL_S,
        rng=seeds.stream(seed, "garch"),
    )


@pytest.fixture(scope="module")
def made():
    return simulate(40_000)


@pytest.fixture(scope="module")
def posterior(made):
    return garch.garch_posterior(made, np.full(40_000, CUT), HORIZON_BARS)


def returns_of(made):
    """Return the bars' log returns in units of volatility; the first bar opens at its close."""
    close = np.log(made.bars["close"].to_numpy())
    return np.diff(close) / VOLATILITY


def season(n_bars, first=0):
    """Return the daily season, from the clock of the bars and nothing else."""
    hours = np.arange(first, first + n_bars) * INTERVAL_S / 3_600.0
    return 1.0 + 0.5 * np.sin(hours / 24.0 * 2.0 * np.pi)


def test_the_state_can_be_recomputed_from_the_bars_alone(made):
    """An independent recursion over closes, begun at the first stored state."""
    returns, factor = returns_of(made), season(40_000)
    h, m = made.variance[0], made.momentum[0]
    variance, momentum = [h], [m]
    for t, r in enumerate(returns, start=1):
        z = r / (factor[t] * h**0.5)
        h = 0.02 + 0.08 * h * (z - 0.3 * m) ** 2 + 0.90 * h
        m = 0.7 * m + 0.3 * z
        variance.append(h)
        momentum.append(m)
    np.testing.assert_allclose(made.variance, variance, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(made.momentum, momentum, rtol=0.0, atol=1e-9)


def test_a_wrong_start_is_forgotten(made):
    """Whoever saw enough bars knows the state, wherever they began."""
    returns, factor = returns_of(made)[:3_000], season(3_001)
    h, m = 5.0, 1.0
    for t, r in enumerate(returns, start=1):
        z = r / (factor[t] * h**0.5)
        h = 0.02 + 0.08 * h * (z - 0.3 * m) ** 2 + 0.90 * h
        m = 0.7 * m + 0.3 * z
    assert h == pytest.approx(made.variance[3_000], rel=1e-9)
    assert m == pytest.approx(made.momentum[3_000], abs=1e-9)


def test_moments_are_the_stationary_ones(made):
    """E h = w / (1 - a - b) = 1; h has an autocorrelation of about 0.98 per bar."""
    shocks = returns_of(made) / (season(39_999, first=1) * np.sqrt(made.variance[:-1]))
    shocks -= 0.3 * made.momentum[:-1]
    # 40,000 draws: standard errors of 0.005 (mean) and 0.0035 (deviation).
    assert shocks.mean() == pytest.approx(0.0, abs=0.02)
    assert shocks.std() == pytest.approx(1.0, abs=0.015)
    assert np.corrcoef(shocks, made.momentum[:-1])[0, 1] == pytest.approx(0.0, abs=0.02)
    # Var h = a**2 * 2 / (1 - 3 a**2 - 2 a b - b**2) = 0.48; over 40,000 bars that are worth
    # 400 independent ones the mean has a standard error of 0.035.
    assert made.variance.mean() == pytest.approx(1.0, abs=0.12)


def test_volatility_has_a_daily_season_of_the_size_it_says(made):
    size = np.abs(returns_of(made)) / np.sqrt(made.variance[:-1])
    quarter = (np.arange(1, 40_000) * INTERVAL_S % 86_400) // 21_600
    by_quarter = [size[quarter == k].mean() for k in range(4)]
    # Mean season of a quarter of a day: 1 + 0.5 * 2 / pi, up twice and down twice.
    assert (by_quarter[0] + by_quarter[1]) / (by_quarter[2] + by_quarter[3]) == pytest.approx(
        (1.0 + 1.0 / np.pi) / (1.0 - 1.0 / np.pi), rel=0.03
    )


def test_probabilities_sum_to_one_and_are_missing_without_a_threshold(made):
    threshold = np.full(40_000, CUT)
    threshold[:5], threshold[300:] = np.nan, np.nan
    probs = garch.garch_posterior(made, threshold, HORIZON_BARS)
    assert probs.shape == (40_000, 3)
    assert np.isnan(probs[:5]).all()
    assert np.isnan(probs[300:]).all()
    np.testing.assert_allclose(probs[5:300].sum(axis=1), 1.0, atol=1e-12)
    assert probs[5:300].min() > 0.0


@pytest.mark.parametrize("horizon_bars", [1, 2, 4])
def test_the_posterior_is_what_plain_monte_carlo_finds(made, horizon_bars):
    n_paths, bars = 20_000, np.arange(100, 400)
    rng = np.random.default_rng(5)
    h = np.tile(made.variance[bars], (n_paths, 1))
    m = np.tile(made.momentum[bars], (n_paths, 1))
    total = np.zeros_like(h)
    for ahead in range(1, horizon_bars + 1):
        e = rng.standard_normal(h.shape)
        z = 0.3 * m + e
        total += season(300, first=100 + ahead) * np.sqrt(h) * z
        h, m = 0.02 + 0.08 * h * e**2 + 0.90 * h, 0.7 * m + 0.3 * z
    total *= VOLATILITY
    found = np.column_stack([(total < -CUT).mean(axis=0), (total > CUT).mean(axis=0)])
    threshold = np.full(40_000, np.nan)
    threshold[bars] = CUT
    exact = garch.garch_posterior(made, threshold, horizon_bars)[bars][:, [0, 2]]
    errors = (found - exact) / np.sqrt(exact * (1.0 - exact) / n_paths)
    # 600 of them: beyond 4 standard errors by chance once in 26 such tests; the stream is fixed.
    assert np.abs(errors).max() < 4.0
    assert errors.std() == pytest.approx(1.0, abs=0.15)
    assert np.ptp(exact, axis=0).min() > 0.1, "bars differ by far more than that"


def test_seven_nodes_are_enough(made):
    threshold = np.full(40_000, np.nan)
    # The calmest and the wildest bars, and those of the strongest momentum.
    order = np.argsort(made.variance)
    strong = np.argsort(-np.abs(made.momentum))[:20]
    chosen = np.concatenate([order[:20], order[-20:], strong])
    threshold[chosen] = CUT
    seven, fifteen = (
        garch.garch_posterior(made, threshold, HORIZON_BARS, nodes=n)[chosen] for n in (7, 15)
    )
    assert np.abs(seven - fifteen).max() < 5e-4


def test_without_a_signal_down_is_as_likely_as_up_and_hold_still_varies():
    made = simulate(2_000, signal=0.0)
    down, hold, up = garch.garch_posterior(made, np.full(2_000, CUT), HORIZON_BARS).T
    np.testing.assert_allclose(down, up, rtol=0.0, atol=1e-12)
    assert np.ptp(hold) > 0.2


@pytest.mark.parametrize("horizon_bars", [7, 60])
def test_a_horizon_that_is_too_long_is_refused(made, horizon_bars):
    with pytest.raises(ValueError, match=rf"horizon_bars = {horizon_bars}: .* known up to 6"):
        garch.garch_posterior(made, np.full(40_000, CUT), horizon_bars)


def happened(made):
    """Return DOWN, HOLD, UP of each bar as ones and zeros, by the suite's own labels."""
    found = labels.make_labels(
        made.bars,
        scheme="fixed",
        horizon_bars=HORIZON_BARS,
        window_bars=2_880,
        threshold_bps=15.0,
        sigmas=0.43,
    )
    assert found.threshold[0] == CUT
    return np.eye(3)[found.labels[:-HORIZON_BARS]]


def test_what_the_posterior_says_happens_that_often(made, posterior):
    probs, ones = posterior[:-HORIZON_BARS], happened(made)
    # About 10,000 independent rows: a standard error of 0.005.
    np.testing.assert_allclose(ones.mean(axis=0), probs.mean(axis=0), rtol=0.0, atol=0.02)


def test_what_the_posterior_says_happens_that_often_bin_by_bin(made, posterior):
    probs, ones = posterior[:-HORIZON_BARS], happened(made)
    for k in range(3):
        for rows in np.array_split(np.argsort(probs[:, k]), 10):
            # 4,000 rows, about 1,000 of them independent: a standard error of 0.016 at most.
            assert abs(probs[rows, k].mean() - ones[rows, k].mean()) < 0.06


def test_bars_are_possible_bars(made):
    b = made.bars
    assert (b["high"] >= b[["open", "close"]].max(axis=1)).all()
    assert (b["low"] <= b[["open", "close"]].min(axis=1)).all()
    assert (b["volume"] > 0.0).all()
    np.testing.assert_array_equal(b["open"].to_numpy()[1:], b["close"].to_numpy()[:-1])
    assert set(np.diff(b.index.as_unit("s").asi8)) == {INTERVAL_S}
    assert b.index[0].hour == b.index[0].minute == 0, "bar 0 opens at midnight"


def test_candles_and_volume_follow_the_volatility_of_their_own_bar(made):
    sigma = season(39_999, first=1) * np.sqrt(made.variance[:-1])
    b = made.bars.iloc[1:]
    wick = np.log(b["high"] / b[["open", "close"]].max(axis=1)).to_numpy()
    volume = b["volume"].to_numpy()
    for series in (wick, volume):
        wild, calm = series[sigma > 1.3].mean(), series[sigma < 0.7].mean()
        ratio = sigma[sigma > 1.3].mean() / sigma[sigma < 0.7].mean()
        assert wild / calm == pytest.approx(ratio, rel=0.06)


def test_the_same_stream_gives_the_same_market_and_another_seed_another():
    first, again, other = simulate(200), simulate(200), simulate(200, seed=2)
    assert first.bars.equals(again.bars)
    assert first.variance.tobytes() == again.variance.tobytes()
    assert not np.isclose(first.bars["close"], other.bars["close"]).all()
