"""The quick form of the known-answer proof: small markets, few epochs, looser limits.

`make proof` holds the full-size limits. Here a market has 24,000 bars in place of 60,000, so
the limits are set where three seeds tried beforehand stayed well inside.
"""

import pytest

from tests.runs import smoke_parameters
from v8lib.experiments import hard_market, known_answer_row, momentum_market
from v8ops.proof import answers
from v8ops.proof.checks import at_least, at_most


@pytest.fixture(scope="module")
def none():
    return known_answer_row(momentum_market(smoke_parameters(), signal=0.0, seed=1))


@pytest.fixture(scope="module")
def strong():
    return known_answer_row(momentum_market(smoke_parameters(epochs=6), signal=0.94, seed=1))


@pytest.fixture(scope="module")
def hard():
    return known_answer_row(hard_market(smoke_parameters(epochs=6, n_seeds=2), seed=1))


def test_nothing_is_claimed_of_a_market_without_structure(none):
    assert none["verdict"] == "no skill"
    assert none["skill_ci"][0] <= 0.0
    assert none["mean_confidence"] <= 0.36
    assert none["actionable_share"] < 0.01
    assert none["share_of_skill"] is None


def test_a_strong_market_is_learned_nearly_to_its_optimum(strong):
    assert strong["verdict"] == "skill"
    assert strong["share_of_skill"] > 0.90
    assert 0.0 < strong["excess_log_loss"] < 0.05
    assert strong["total_variation"] < 0.10
    assert 0.7 < strong["temperature"] < 1.4


def test_a_market_as_hard_as_a_real_one_gives_most_of_its_skill(hard):
    assert hard["verdict"] == "skill"
    assert 0.02 < hard["possible_skill"] < 0.07
    assert hard["share_of_skill"] > 0.6
    assert hard["single_share"] <= hard["share_of_skill"] + 0.02


def test_most_of_the_skill_of_the_hard_market_is_volatility(hard):
    for who in ("model", "best possible"):
        assert hard["sources"][who]["volatility"] > 2.0 * hard["sources"][who]["direction"]


def test_the_checks_of_the_proof_can_miss(none, strong):
    rows = [{"signal": s, "seed": 1} | (strong if s else none) for s in answers.SIGNALS]
    names = {check.name: check.held for check in answers.momentum_checks(rows)}
    assert names["signal 0, verdict"] and names["signal 0, mean confidence"]
    swapped = [{"signal": s, "seed": 1} | (none if s else strong) for s in answers.SIGNALS]
    for row in swapped:
        row["share_of_skill"] = 0.1
    missed = {check.name: check.held for check in answers.momentum_checks(swapped)}
    assert not missed["signal 0, verdict"]
    assert not missed["signal 0.3, share of the possible skill"]


@pytest.mark.parametrize(("value", "held"), [(0.009, True), (0.010, True), (0.011, False)])
def test_a_limit_is_a_limit(value, held):
    assert at_most("x", value, 0.010).held is held
    assert at_least("x", -value, -0.010).held is held
