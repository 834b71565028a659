import math

import numpy as np
import purgedcv
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from v8lib import sharpe
from v8lib.errors import ParameterError

DAILY = 2.5 / math.sqrt(250)


def moments(returns):
    """Return sharpe, n, skew and kurtosis with the small-sample moments purgedcv takes."""
    return (
        sharpe.sharpe_ratio(returns),
        len(returns),
        float(stats.skew(returns, bias=False)),
        float(stats.kurtosis(returns, fisher=False, bias=False)),
    )


def draws(seed, n=300):
    return np.random.default_rng(seed).standard_t(5, size=n) * 0.01 + 0.0005


def test_sharpe_ratio_by_hand():
    """Mean 2, deviations -1, 0, 1, variance 2/3."""
    assert sharpe.sharpe_ratio(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0 / (2 / 3) ** 0.5)


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, 0.1, 0.1]])
def test_returns_without_spread_have_no_sharpe_ratio(returns):
    assert sharpe.sharpe_ratio(np.array(returns)) is None


def test_sharpe_ratio_does_not_depend_on_the_size_of_the_position():
    returns = draws(0)
    assert sharpe.sharpe_ratio(3.0 * returns) == pytest.approx(sharpe.sharpe_ratio(returns))
    assert sharpe.sharpe_ratio(-returns) == pytest.approx(-sharpe.sharpe_ratio(returns))


def test_the_worked_example_of_bailey_and_lopez_de_prado():
    """2014, the numerical example: SR0 = .1132 a day and DSR = .9004; with 46 trials .9505."""
    variance = 0.5 / 250
    assert sharpe.expected_max_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    found = {
        n_trials: sharpe.deflated_sharpe(
            DAILY, 1_250, -3.0, 10.0, n_trials=n_trials, variance_of_sharpe=variance
        )
        for n_trials in (46, 100)
    }
    assert found[100] == pytest.approx(0.9004, abs=5e-5)
    assert found[46] == pytest.approx(0.9505, abs=5e-5)


def test_probabilistic_sharpe_of_normal_returns_is_one_minus_a_p_value():
    """Sharpe 0.1 over 401 returns, variance 1 + 0.1**2 / 2: z = 2 / sqrt(1.005)."""
    expected = stats.norm.cdf(2.0 / math.sqrt(1.005))
    assert sharpe.probabilistic_sharpe(0.1, 401, 0.0, 3.0) == pytest.approx(expected)
    assert sharpe.probabilistic_sharpe(0.1, 401, 0.0, 3.0, benchmark=0.1) == 0.5


def test_at_a_benchmark_of_zero_the_sharpe_ratio_is_students_t():
    returns = draws(2)
    t = stats.ttest_1samp(returns, 0.0).statistic
    assert sharpe.sharpe_ratio(returns) * math.sqrt(len(returns) - 1) == pytest.approx(t)


@given(seed=st.integers(0, 200), benchmark=st.floats(-0.3, 0.3))
def test_probabilistic_sharpe_equals_purgedcv(seed, benchmark):
    returns = draws(seed)
    expected = purgedcv.probabilistic_sharpe_ratio(returns, benchmark)
    found = sharpe.probabilistic_sharpe(*moments(returns), benchmark)
    assert found == pytest.approx(expected, abs=1e-12)


@given(seed=st.integers(0, 200), n_trials=st.integers(1, 500), variance=st.floats(0.0, 0.02))
def test_deflated_sharpe_equals_purgedcv(seed, n_trials, variance):
    returns = draws(seed)
    full = purgedcv.deflated_sharpe_ratio_full(returns, n_trials, variance)
    found = sharpe.deflated_sharpe(
        *moments(returns), n_trials=n_trials, variance_of_sharpe=variance
    )
    assert found == pytest.approx(full.dsr, abs=1e-12)
    benchmark = sharpe.expected_max_sharpe(n_trials, variance)
    assert benchmark == pytest.approx(full.sr_star, abs=1e-12)


def test_one_trial_and_trials_that_are_alike_are_not_deflated():
    plain = sharpe.probabilistic_sharpe(0.1, 100, -0.5, 5.0)
    for n_trials, variance in ((1, 0.01), (50, 0.0)):
        found = sharpe.deflated_sharpe(
            0.1, 100, -0.5, 5.0, n_trials=n_trials, variance_of_sharpe=variance
        )
        assert found == plain


@pytest.mark.parametrize("n_trials", [10, 200])
def test_expected_max_sharpe_is_the_mean_best_of_trials_without_skill(n_trials):
    """20,000 draws; the formula is good to 2 % from ten trials on."""
    best = np.random.default_rng(1).normal(size=(20_000, n_trials)).max(axis=1).mean()
    assert sharpe.expected_max_sharpe(n_trials, 1.0) == pytest.approx(best, rel=0.03)
    assert sharpe.expected_max_sharpe(n_trials, 0.04) == pytest.approx(0.2 * best, rel=0.03)


def test_more_trials_ask_for_more():
    expected = [sharpe.expected_max_sharpe(n, 0.01) for n in (1, 2, 5, 20, 100, 1_000)]
    assert expected == sorted(expected)
    assert expected[0] == 0.0
    assert expected[1] > 0.0


def test_the_deflated_probability_of_the_best_of_many_without_skill_is_not_high():
    """400 searches of 30 rules that are noise: the plain probability deceives, this does not."""
    rng = np.random.default_rng(8)
    plain, deflated = [], []
    for _ in range(400):
        tried = rng.normal(size=(30, 250))
        ratios = tried.mean(axis=1) / tried.std(axis=1)
        best = float(ratios.max())
        plain.append(sharpe.probabilistic_sharpe(best, 250, 0.0, 3.0))
        deflated.append(
            sharpe.deflated_sharpe(
                best, 250, 0.0, 3.0, n_trials=30, variance_of_sharpe=float(ratios.var())
            )
        )
    assert np.mean(np.array(plain) > 0.95) > 0.7
    assert np.mean(np.array(deflated) > 0.95) < 0.05
    assert np.mean(deflated) == pytest.approx(0.5, abs=0.1)


def test_impossible_numbers_are_refused():
    with pytest.raises(ParameterError, match="two returns"):
        sharpe.probabilistic_sharpe(0.1, 1, 0.0, 3.0)
    with pytest.raises(ParameterError, match="no spread"):
        sharpe.probabilistic_sharpe(1.0, 100, 5.0, 3.0)
    with pytest.raises(ParameterError, match="n_trials"):
        sharpe.expected_max_sharpe(0, 0.1)
    for variance in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="variance_of_sharpe"):
            sharpe.expected_max_sharpe(10, variance)
