import numpy as np
import pytest

from v8lib import garch, market, oddities, pipeline_gates, seeds

STEP = 1e-3


def walk(n=4_000, seed=1):
    """Return the closes of a random walk."""
    rng = np.random.default_rng(seed)
    return 100.0 * np.exp(STEP * np.cumsum(rng.standard_normal(n)))


def verdict(bars):
    return pipeline_gates.bars_plausible(oddities.bar_oddities(bars)).verdict


def simulated(model, n_bars=8_000, seed=3, **changed):
    simulate = {"momentum": market.simulate_market, "garch": garch.simulate_garch}[model]
    settings = {"signal": 0.94, "decay": 0.7, "volatility": 1e-4, "interval_s": 60} | changed
    return simulate(n_bars, rng=seeds.stream(seed, model), **settings).bars


@pytest.mark.parametrize("signal", [0.0, 0.3, 0.94])
@pytest.mark.parametrize("model", ["momentum", "garch"])
def test_simulated_markets_pass(model, signal):
    found = oddities.bar_oddities(simulated(model, signal=signal))
    assert found.inconsistent == 0
    assert found.repeated == 0.0
    assert pipeline_gates.bars_plausible(found).verdict == "pass"


def test_a_random_walk_passes(bars_from):
    found = oddities.bar_oddities(bars_from(walk()))
    # 4,000 rows: a standard error of 0.016.
    assert found.autocorrelation == pytest.approx(0.0, abs=0.06)
    assert verdict(bars_from(walk())) == "pass"


def test_noise_alone_is_taken_back_by_half_as_roll_says(bars_from):
    rng = np.random.default_rng(2)
    found = oddities.bar_oddities(bars_from(100.0 * np.exp(STEP * rng.standard_normal(20_000))))
    assert found.autocorrelation == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.2, "pass"), (0.5, "pass"), (1.0, "fail"), (2.0, "fail")]
)
def test_noise_over_prices_fails_from_the_size_of_a_move_on(bars_from, noise, expected):
    """Its part of a return comes back: -n**2 / (1 + 2 n**2), which is -1/3 for noise of a move."""
    rng = np.random.default_rng(2)
    augmented = walk(20_000) * np.exp(noise * STEP * rng.standard_normal(20_000))
    found = oddities.bar_oddities(bars_from(augmented))
    assert found.autocorrelation == pytest.approx(-(noise**2) / (1 + 2 * noise**2), abs=0.02)
    assert verdict(bars_from(augmented)) == expected


def test_copies_with_noise_laid_over_each_fail(bars_from):
    """Augmentation: the same stretch several times, each with noise of its own.

    The jumps from one copy to the next are large, and must not hide what the noise does.
    """
    rng = np.random.default_rng(4)
    copies = [walk(1_500) * np.exp(STEP * rng.standard_normal(1_500)) for _ in range(5)]
    assert verdict(bars_from(np.concatenate(copies))) == "fail"


@pytest.mark.parametrize("factor", [1.0, 7.3, 0.001])
def test_a_copied_stretch_fails_at_whatever_level_of_price(bars_from, factor):
    path = walk()
    copied = np.concatenate([path, factor * path[1_000:1_100]])
    found = oddities.bar_oddities(bars_from(copied))
    # 100 bars hold 92 paths of eight returns, each there twice, among 4,092.
    assert found.repeated == pytest.approx(2 * 92 / 4_092)
    assert verdict(bars_from(copied)) == "fail"
    assert verdict(bars_from(np.concatenate([path, factor * path[1_000:1_020]]))) == "pass"


def test_a_market_that_stands_still_repeats_nothing(bars_from):
    path = walk(3_000)
    path[500:1_500] = path[500]
    found = oddities.bar_oddities(bars_from(path))
    assert found.repeated == 0.0
    still = oddities.bar_oddities(bars_from(np.full(300, 5.0)))
    assert (still.autocorrelation, still.repeated, still.inconsistent) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("column", "factor"), [("high", 0.99), ("low", 1.01)], ids=["low high", "high low"]
)
def test_every_impossible_candle_is_counted(bars_from, column, factor):
    bars = bars_from(walk(300))
    bars.loc[bars.index[[7, 9, 200]], column] *= factor
    assert oddities.bar_oddities(bars).inconsistent == 3
    assert verdict(bars) == "fail"


def test_a_return_across_a_gap_counts_for_nothing(bars_from):
    path = walk(2_000)
    path[1_001:] *= 1.5
    whole = bars_from(path)
    holed = whole.drop(whole.index[1_000])
    first, second = (np.diff(np.log(part)) for part in (path[:1_000], path[1_001:]))
    before, after = np.append(first[:-1], second[:-1]), np.append(first[1:], second[1:])
    expected = (before @ after) / np.sqrt((before @ before) * (after @ after))
    assert oddities.bar_oddities(holed).autocorrelation == pytest.approx(expected, abs=1e-12)


def test_closes_that_are_no_numbers_never_pass(bars_from):
    path = walk(300)
    path[100] = np.nan
    assert verdict(bars_from(path)) == "fail"
