"""The logistic baseline of a run as a bundle: the same answers, its own gates."""

from dataclasses import replace

import numpy as np
import pytest
import small_case

from v8lib import baselines, bundle, fallback, features, gates, metrics, probes
from v8lib.decision import fit_offsets
from v8lib.inversion import softmax
from v8lib.linear import LinearRuntime
from v8lib.train_reference import drift_reference
from v8ops.production.admission import BRIEF, JUDGED

RULE = "balanced"
HELD = {"n_bins": 15, "horizon_bars": 4, "reps": 100}


@pytest.fixture(scope="module")
def case():
    return small_case.case()


@pytest.fixture(scope="module")
def linear(case):
    return fallback.fallback_case(case, rule=RULE)


@pytest.fixture(scope="module")
def of_net():
    return small_case.examined().gates


@pytest.fixture(scope="module")
def judged(linear, of_net):
    return fallback.judge_fallback(linear, of_net, **HELD)


def test_the_fallback_says_what_the_logistic_baseline_of_the_report_says(case, linear):
    # scikit-learn multiplies in float32, the runtime in float64.
    np.testing.assert_allclose(linear.prediction.probs, case.linear, rtol=0.0, atol=1e-6)


def test_report_and_fallback_share_one_fit_of_each_fold(case, monkeypatch):
    fits, fit = [], baselines._fitted_logistic

    def counted(features, labels):
        fits.append(features.shape[1])
        return fit(features, labels)

    monkeypatch.setattr(baselines, "_fitted_logistic", counted)
    again = replace(case)  # a case keeps what was fitted
    baselines.fit_linear(again.scaled)
    fallback.fallback_case(again, rule=RULE)
    assert again.linear.shape == (len(again.test.labels), 3)
    assert fits == [len(again.prepared.names)] * len(again.models)


def test_each_fold_has_a_model_with_the_nets_scaler_and_its_own_decision(case, linear):
    assert len(linear.models) == len(case.models) == 2
    for model, net in zip(linear.models, case.models, strict=True):
        assert isinstance(model, LinearRuntime)
        assert model.scaler is net.scaler
        assert model.names == net.names
        assert model.min_confidence == net.min_confidence
    assert not np.array_equal(linear.models[0].coefficients, linear.models[1].coefficients)
    shares = metrics.class_shares(linear.prediction.decisions)
    assert min(shares) > 0.15
    for model, calib in zip(linear.models, case.calib, strict=True):
        expected = fit_offsets(model.predict(calib.features).probs, rule=RULE)
        np.testing.assert_allclose(model.offsets, expected, atol=1e-12)
    assert any(model.offsets.any() for model in linear.models)
    argmax = fallback.fallback_case(case, rule="argmax")
    assert argmax.models[-1].offsets.tolist() == [0.0, 0.0, 0.0]


def test_a_linear_model_at_zero_temperature_says_the_frequencies_and_keeps_nan(linear):
    knows_nothing = replace(linear.models[-1], inverse_temperature=0.0)
    rows = linear.tests[-1].features[:5].copy()
    rows[2, 3] = np.nan
    said = knows_nothing.predict(rows)
    prior = knows_nothing.prior
    np.testing.assert_allclose(said.probs[[0, 1, 3, 4]], np.tile(prior, (4, 1)), atol=1e-12)
    np.testing.assert_allclose(softmax(said.logits[0]), prior, atol=1e-12)
    assert np.isnan(said.probs[2]).all()


def test_its_gates_are_its_own_where_they_judge_what_it_says(judged, of_net, linear):
    by_name, net = ({gate.name: gate for gate in found} for found in (judged, of_net))
    assert len(by_name) == len(judged)
    assert set(by_name) == set(net) - {"linear_baseline", "inference_path"}
    assert {*BRIEF, *JUDGED} <= set(by_name)
    assert [gate.name for gate in judged[:5]] == list(gates.BRIEF)
    for name in fallback.OF_THE_PIPELINE:
        assert by_name[name] == net[name]
    for name in ("logit_range_healthy", "skill", "calibration", "direction"):
        assert by_name[name].value != net[name].value
    said, test = linear.prediction, linear.test
    assert by_name["logit_range_healthy"].value == np.abs(said.logits).max()
    nothing = metrics.log_loss(linear.climatology, test.labels)
    skill = 1.0 - metrics.log_loss(said.probs, test.labels) / nothing
    assert by_name["skill"].value == pytest.approx(skill, abs=1e-12)
    assert by_name["single_row_parity"].verdict == "pass"


def test_a_model_that_says_nan_fails_its_gates(linear, of_net):
    broken = replace(linear.models[-1], intercepts=np.array([np.nan, 0.0, 0.0]))
    case = replace(linear, models=[*linear.models[:-1], broken])
    judged = {gate.name: gate for gate in fallback.judge_fallback(case, of_net, **HELD)}
    assert judged["no_nan_inf"].verdict == "fail"
    assert judged["single_row_parity"].verdict == "fail"


@pytest.fixture(scope="module")
def written_from(case, of_net):
    table = case.prepared.table
    facts = {
        "interval_s": 900,
        "exclude_families": [],
        "warmup_bars": features.warmup_bars(table),
        "labels": {"scheme": "trailing_tercile", "horizon_bars": 4},
        "class_shares": metrics.class_shares(case.train[-1].labels),
        "gates": {},
    }
    golden = probes.last_unbroken(case.prepared.bars, features.warmup_bars(table) + 64)
    reference = drift_reference(case.train[-1].features, case.prepared.names)
    return facts, golden, {"rule": RULE, "reference": reference, **HELD}


def test_the_fallback_becomes_a_bundle(tmp_path, case, linear, judged, of_net, written_from):
    facts, golden, rest = written_from
    folder = fallback.write_fallback(tmp_path, case, of_net, facts, golden, **rest)
    loaded = bundle.load_bundle(folder)
    assert folder.parent == tmp_path / "BTC"
    assert loaded.manifest["kind"] == "linear"
    assert set(loaded.manifest["gates"]) == {gate.name for gate in judged}
    assert loaded.reference.names == tuple(case.prepared.names)
    rows = case.tests[-1].features[:100]
    expected = linear.models[-1].predict(rows).probs
    assert loaded.runtime.predict(rows).probs.tobytes() == expected.tobytes()


def test_where_a_class_is_missing_from_train_there_is_no_fallback(
    tmp_path, case, of_net, written_from
):
    facts, golden, rest = written_from
    rows = case.prepared.rows
    prepared = replace(
        case.prepared, rows=replace(rows, labels=np.where(rows.labels == 2, 1, rows.labels))
    )
    without = replace(case, prepared=prepared)
    assert fallback.write_fallback(tmp_path, without, of_net, facts, golden, **rest) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("n_rows", "window"), [(5_000, 1_000), (1_200, 600), (399, None)])
def test_the_drift_reference_of_a_short_train_has_shorter_windows_or_is_none(n_rows, window):
    drawn = np.random.default_rng(1).normal(size=(n_rows, 2)).astype(np.float32)
    found = drift_reference(drawn, ("a", "b"))
    assert (found and found.window_rows) == window
