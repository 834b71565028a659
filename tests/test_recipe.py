from dataclasses import replace

import numpy as np
import pytest
import small_case
from gate_cases import GATES

from v8lib import gates, recipe


@pytest.fixture(scope="module")
def parameters():
    return small_case.parameters()


@pytest.fixture(scope="module")
def source():
    return small_case.source()


@pytest.fixture(scope="module")
def case():
    return small_case.case()


@pytest.fixture(scope="module")
def examined():
    return small_case.examined()


def test_a_case_has_a_model_of_every_seed_for_every_fold(case, source):
    assert len(case.models) == len(case.prepared.folds) == 2
    assert [len(model.members) for model in case.models] == [2, 2]
    for model, scaler in zip(case.models, case.prepared.scalers, strict=True):
        np.testing.assert_array_equal(model.scaler.mean, scaler.mean)
    assert (case.symbol, case.seed) == ("BTC", 1)
    assert case.prepared.bars is source.bars


def test_the_posterior_of_a_case_is_its_source_s_at_the_labels_own_thresholds(case, source):
    threshold = np.full(len(source.bars), np.nan)
    threshold[case.test.position] = case.test.threshold
    expected = source.posterior(threshold, 4)[case.test.position]
    np.testing.assert_array_equal(case.test.posterior, expected)
    np.testing.assert_allclose(expected.sum(axis=1), 1.0, atol=1e-12)


def test_real_bars_have_no_posterior(source, parameters):
    real = replace(source, market=None)
    made = recipe.build_case(real, parameters, train=lambda prepared, given: [])
    assert made.test.posterior.shape == (len(made.test.labels), 0)


def test_models_trained_again_have_the_same_bits(case, parameters):
    again = recipe.train_models(case.prepared, parameters)
    for first, second in zip(case.models, again, strict=True):
        rows = case.tests[0].features[:50]
        assert first.predict(rows).logits.tobytes() == second.predict(rows).logits.tobytes()
        assert first.offsets.tobytes() == second.offsets.tobytes()


def test_the_training_settings_are_the_parameters(parameters):
    settings = recipe.training_settings(parameters)
    for key in recipe.TRAINING_KEYS:
        assert getattr(settings, key) == getattr(parameters, key)
    assert (settings.fold, settings.member) == (0, 0)


def test_other_steps_and_another_training_are_taken_when_they_are_given(source, parameters):
    asked = []

    def train(prepared, given):
        asked.append((prepared, given))
        return []

    steps = replace(recipe.steps_of(parameters), scaler=lambda rows, split, names: "none")
    made = recipe.build_case(source, parameters, steps=steps, train=train)
    assert made.prepared.scalers == ["none", "none"]
    assert asked[0][0] is made.prepared
    assert asked[0][1] is parameters
    assert made.models == []


def test_every_gate_is_judged_once_and_the_brief_s_come_first(examined):
    names = [gate.name for gate in examined.gates]
    assert sorted(names) == sorted(GATES)
    assert tuple(names[:5]) == gates.BRIEF


def test_an_honest_pipeline_fails_no_gate_and_has_skill(examined):
    assert [gate for gate in examined.gates if gate.verdict == "fail"] == []
    assert examined.skill.low > 0.0


def test_the_skill_is_that_of_the_test_rows_against_climatology(case, examined):
    rows = np.arange(len(case.test.labels))
    own, nothing = (
        -np.log(probs[rows, case.test.labels]).mean()
        for probs in (case.prediction.probs, case.climatology)
    )
    assert examined.skill.value == pytest.approx(1.0 - own / nothing, abs=1e-12)


def test_the_linear_gate_leaves_a_fifth_of_the_linear_model_s_skill(case, examined):
    rows = np.arange(len(case.test.labels))
    own, linear, nothing = (
        -np.log(probs[rows, case.test.labels]).mean()
        for probs in (case.prediction.probs, case.linear, case.climatology)
    )
    (gate,) = [gate for gate in examined.gates if gate.name == "linear_baseline"]
    expected = (1.0 - own / nothing) - 0.8 * (1.0 - linear / nothing)
    assert gate.value == pytest.approx(expected, abs=1e-12)


def test_a_class_that_train_lacks_ends_in_a_judgement_and_not_in_an_error(case, parameters):
    labels = case.prepared.rows.labels
    without_hold = replace(case.prepared.rows, labels=np.where(labels == 1, 0, labels))
    broken = replace(case, prepared=replace(case.prepared, rows=without_hold))
    made = {gate.name: gate.verdict for gate in recipe.examine(broken, parameters).gates}
    assert set(made) == set(GATES)
    assert made["linear_baseline"] == made["classes_present"] == "fail"
