import pytest

from v8ops.production import admission

ALL = (*admission.BRIEF, *admission.JUDGED, "no_lookahead")


def manifest(**verdicts):
    gates = {
        name: {"value": 0.5, "ci": None, "limit": "some", "verdict": "pass", "note": ""}
        for name in ALL
    }
    for name, verdict in verdicts.items():
        if verdict is None:
            del gates[name]
        else:
            gates[name]["verdict"] = verdict
    return {"gates": gates}


def test_a_bundle_whose_gates_pass_is_admitted():
    assert admission.reasons(manifest()) == admission.open_questions(manifest()) == []


@pytest.mark.parametrize("name", ALL)
def test_one_failed_gate_keeps_a_bundle_out(name):
    (reason,) = admission.reasons(manifest(**{name: "fail"}))
    assert reason.startswith(f"{name} failed: 0.5")


@pytest.mark.parametrize("name", [*admission.BRIEF, *admission.JUDGED])
def test_a_gate_that_was_not_judged_keeps_a_bundle_out(name):
    assert admission.reasons(manifest(**{name: None})) == [f"{name} was not judged"]


@pytest.mark.parametrize("name", admission.JUDGED)
def test_skill_and_calibration_may_be_inconclusive_if_somebody_accepts_it(name):
    found = manifest(**{name: "inconclusive"})
    assert admission.reasons(found) == []
    assert admission.open_questions(found) == [f"{name} is inconclusive: 0.5 (some)"]


def test_no_other_gate_may_be_inconclusive():
    found = manifest(class_balanced="inconclusive", no_lookahead="inconclusive")
    assert len(admission.reasons(found)) == 2


def test_the_brief_is_the_suites_own():
    from v8lib import gates

    assert admission.BRIEF == gates.BRIEF and admission.JUDGED == gates.MAY_BE_INCONCLUSIVE
