"""Every broken model is caught by the gate that is named for it; honest ones pass."""

from dataclasses import replace

import pytest

from tests.runs import smoke_parameters
from v8lib.experiments import hard_market
from v8lib.recipe import examine
from v8ops.proof import matrix, zoo
from v8ops.proof.broken_models import best_possible
from v8ops.proof.honest import build_honest

QUICK = {"shuffle_draws": 2, "shift_draws": 2}


def smoke(**settings):
    return smoke_parameters(**QUICK | settings)


@pytest.fixture(scope="module")
def honest():
    return build_honest(smoke())


@pytest.fixture(scope="module")
def honest_gates(honest):
    return {gate.name: gate for gate in examine(honest.case, honest.parameters).gates}


def test_there_are_at_least_fourteen_defects_each_with_a_gate_of_the_suite(honest_gates):
    assert len(zoo.DEFECTS) >= 14
    assert {defect.gate for defect in zoo.DEFECTS.values()} <= set(honest_gates)


@pytest.mark.parametrize("name", zoo.DEFECTS)
def test_a_defect_is_failed_by_its_gate_and_the_honest_model_is_not(name, honest, honest_gates):
    defect = zoo.DEFECTS[name]
    broken = examine(defect.build(honest), honest.parameters)
    verdicts = {gate.name: gate.verdict for gate in broken.gates}
    assert verdicts[defect.gate] == "fail"
    # A smoke run is too short to be calibrated for sure; every other gate must be clean.
    if defect.gate != "calibration":
        assert honest_gates[defect.gate].verdict == "pass"


def test_the_honest_model_fails_no_gate_on_the_garch_market():
    parameters = hard_market(smoke(), seed=1)
    verdicts = matrix.verdicts(build_honest(parameters).case, parameters)
    assert "fail" not in verdicts.values(), verdicts


def test_the_exact_probabilities_fail_no_gate_on_the_garch_market():
    parameters = hard_market(smoke(epochs=1), seed=2)
    case = build_honest(parameters).case
    rows, scalers = case.prepared.rows, case.prepared.scalers
    exact = replace(case, models=best_possible(scalers, rows, case.calib))
    verdicts = matrix.verdicts(exact, parameters)
    assert "fail" not in verdicts.values(), verdicts


def test_a_defect_that_slips_through_is_a_missed_check():
    everything_passes = dict.fromkeys((d.gate for d in zoo.DEFECTS.values()), "pass")
    found = dict.fromkeys([matrix.HONEST, *zoo.DEFECTS], everything_passes)
    held = {check.name: check.held for check in matrix.matrix_checks(found)}
    assert held.pop(f"{matrix.HONEST} passes")
    assert not any(held.values())


def test_honest_models_with_two_open_verdicts_or_one_failure_miss_their_check():
    passing = {"skill": "pass", "calibration": "pass", "class_balanced": "pass"}
    for change, expected in (
        ({}, True),
        ({"calibration": "inconclusive"}, True),
        ({"calibration": "inconclusive", "skill": "inconclusive"}, False),
        ({"class_balanced": "inconclusive"}, False),
        ({"class_balanced": "fail"}, False),
    ):
        row = {"seed": 1, matrix.HONEST: passing | change, matrix.BEST: passing}
        first, second = matrix.honest_checks([row])
        assert (first.held, second.held) == (expected, True)
