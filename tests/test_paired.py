import numpy as np
import pytest

from v8lib import intervals, metrics
from v8lib.errors import ParameterError
from v8lib.intervals import Interval
from v8lib.paired import compare, comparison_verdict, paired_skill

DRAWS = {"horizon_bars": 4, "reps": 200}


def overlapping(rng, n):
    """Return a series with mean 0 whose rows overlap like labels of horizon four."""
    return np.convolve(rng.normal(size=n + 3), np.ones(4) / 4, mode="valid")


def paired(own, other, reference, seed=0):
    return paired_skill(own, other, reference, rng=np.random.default_rng(seed), **DRAWS)


def forecasts(n, strengths, seed=3):
    """Return what forecasts of these strengths say, 1 being perfect, and what happened."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, 3))
    probs = {name: np.exp(strength * truth) for name, strength in strengths.items()}
    probs = {name: p / p.sum(axis=1, keepdims=True) for name, p in probs.items()}
    perfect = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    return probs, (perfect.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=2)


def test_the_difference_of_constant_losses_is_as_by_hand():
    """Skills 1 - 0.6/1.2 and 1 - 0.9/1.2, so 0.5 - 0.25, without any spread."""
    found = paired(np.full(300, 0.6), np.full(300, 0.9), np.full(300, 1.2))
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_difference_is_that_of_the_two_skills():
    rng = np.random.default_rng(1)
    own, other, reference = 1.0 + 0.2 * rng.random((3, 500))
    own_skill, other_skill = (
        intervals.skill_interval(loss, reference, rng=np.random.default_rng(0), **DRAWS).value
        for loss in (own, other)
    )
    assert paired(own, other, reference).value == pytest.approx(own_skill - other_skill)


def test_against_the_reference_itself_it_is_the_skill_draw_by_draw():
    rng = np.random.default_rng(2)
    own, reference = 1.0 + 0.2 * rng.random((2, 500))
    skill = intervals.skill_interval(own, reference, rng=np.random.default_rng(0), **DRAWS)
    found = paired(own, reference, reference)
    assert (found.value, *found.ci) == pytest.approx((skill.value, *skill.ci))


def test_a_small_steady_gain_shows_although_the_intervals_of_both_skills_overlap():
    rng = np.random.default_rng(4)
    shared = 1.0 + 0.3 * overlapping(rng, 2_000)
    reference = np.full(2_000, 1.1)
    own = shared - 0.005 + 0.01 * rng.normal(size=2_000)
    skills = [
        intervals.skill_interval(loss, reference, rng=np.random.default_rng(0), **DRAWS)
        for loss in (own, shared)
    ]
    assert skills[0].low < skills[1].high
    assert paired(own, shared, reference).low > 0.0


def test_swapping_the_models_turns_the_interval_round():
    rng = np.random.default_rng(5)
    own, other, reference = 1.0 + 0.2 * rng.random((3, 500))
    there, back = paired(own, other, reference), paired(other, own, reference)
    assert (there.value, there.low, there.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )


def test_the_interval_covers_no_difference_about_as_often_as_it_says():
    """60 pairs of equally good models on overlapping rows: nominal 95 %, standard error 3 %."""
    rng, covered = np.random.default_rng(6), 0
    for _ in range(60):
        own, other = 1.0 + 0.3 * overlapping(rng, 800), 1.0 + 0.3 * overlapping(rng, 800)
        found = paired_skill(own, other, np.full(800, 1.1), horizon_bars=4, reps=120, rng=rng)
        covered += found.low < 0.0 < found.high
    assert 0.85 <= covered / 60 < 1.0


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.03, "better"),
        (-0.03, -0.01, "worse"),
        (-0.01, 0.03, "no difference"),
        (0.0, 0.03, "no difference"),
        (-0.03, 0.0, "no difference"),
        (float("nan"), float("nan"), "no difference"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(low, high, verdict):
    assert comparison_verdict(Interval(0.0, low, high)) == verdict


def test_a_model_is_better_than_a_weaker_one_and_worse_than_a_perfect_one():
    strengths = {"climatology": 0.0, "weak": 0.2, "perfect": 1.0, "same": 0.6, "own": 0.6}
    others, labels = forecasts(2_000, strengths)
    own = others.pop("own")
    found = compare(own, others, labels, rng=np.random.default_rng(0), **DRAWS)
    assert {name: entry["verdict"] for name, entry in found.items()} == {
        "climatology": "better",
        "weak": "better",
        "perfect": "worse",
        "same": "no difference",
    }
    loss = {name: metrics.log_loss(p, labels) for name, p in (others | {"own": own}).items()}
    for name, entry in found.items():
        difference = (loss[name] - loss["own"]) / loss["climatology"]
        assert entry["value"] == pytest.approx(difference)
    assert found["weak"]["ci"][0] < found["weak"]["value"] < found["weak"]["ci"][1]


def test_a_comparison_without_climatology_is_refused():
    others, labels = forecasts(100, {"weak": 0.2})
    with pytest.raises(ParameterError, match="no climatology"):
        compare(others["weak"], others, labels, rng=np.random.default_rng(0), **DRAWS)
