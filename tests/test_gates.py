import numpy as np
import pytest
from gate_cases import (
    ALTERNATING,
    GATES,
    LOGITS,
    NAN_INPUTS,
    PROBS,
    broken,
    excess,
    normalization,
    parity,
)

from v8lib import gates, inversion, market, metrics, model, scaling, storage
from v8lib.intervals import Interval, skill_interval


def test_all_nineteen_gates_are_tested():
    assert len(GATES) == 19
    assert set(gates.BRIEF) < set(GATES)
    assert set(gates.MAY_BE_INCONCLUSIVE) < set(GATES)


@pytest.mark.parametrize("name", GATES)
def test_a_healthy_input_passes(name):
    gate = GATES[name][0]()
    assert (gate.name, gate.verdict) == (name, "pass")


@pytest.mark.parametrize("name", GATES)
def test_a_broken_input_fails(name):
    gate = GATES[name][1]()
    assert (gate.name, gate.verdict) == (name, "fail")


@pytest.mark.parametrize("case", NAN_INPUTS)
def test_not_a_number_never_passes(case):
    assert NAN_INPUTS[case]().verdict != "pass"


@pytest.mark.parametrize("case", NAN_INPUTS)
def test_the_record_of_a_gate_is_strict_json_even_then(tmp_path, case):
    storage.write_json(tmp_path / "gates.json", gates.gate_records([NAN_INPUTS[case]()]))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_never_passes(value):
    assert gates.logit_range_healthy(broken(LOGITS, value)).verdict == "fail"
    assert gates.confidence_calibrated(broken(PROBS, value)).verdict == "fail"
    assert gates.no_nan_inf({}, logits=broken(LOGITS, value)).verdict == "fail"
    assert parity(torch_batch=broken(PROBS, value)).verdict == "fail"


def test_an_interval_around_the_limit_is_inconclusive():
    assert gates.skill(Interval(0.01, -0.01, 0.03)).verdict == "inconclusive"
    assert gates.calibration(excess(0.02, 0.01, 0.03)).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        (Interval(0.0, 0.0, 0.0), "inconclusive"),
        (Interval(0.1, 0.0, 0.2), "inconclusive"),
        (Interval(-0.1, -0.2, 0.0), "inconclusive"),
    ],
)
def test_skill_of_exactly_zero_is_no_skill(interval, verdict):
    assert gates.skill(interval).verdict == verdict


def test_a_shrunken_feature_fails_and_is_named():
    train = ALTERNATING * np.array([1.0, 0.5], dtype=np.float32)
    gate = normalization(ALTERNATING, train)
    assert gate.verdict == "fail"
    assert gate.value == pytest.approx(0.5)
    assert "wild" in gate.note


def test_a_test_split_that_drifts_as_a_whole_fails():
    assert normalization(ALTERNATING + np.float32(0.15), ALTERNATING).verdict == "fail"
    assert normalization(ALTERNATING * np.float32(1.2), ALTERNATING).verdict == "fail"


def test_the_worst_fold_is_judged_and_not_the_mean_of_folds():
    shifted = ALTERNATING + np.float32(0.2)
    gate = normalization(ALTERNATING, ALTERNATING, shifted, ALTERNATING)
    assert gate.verdict == "fail"
    assert gate.value == pytest.approx(0.2)


def test_a_value_a_feature_lacks_fails_though_no_row_has_it():
    """Rows without a value are in no split, so only the count can tell."""
    gate = gates.no_nan_inf({"volume_96": 3, "macd": 2}, logits=broken(LOGITS))
    assert (gate.verdict, gate.value) == ("fail", 6.0)
    assert gate.note == "logits: 1, volume_96: 3, macd: 2"
    assert gates.no_nan_inf({"volume_96": 1}, logits=LOGITS).verdict == "fail"


@pytest.mark.parametrize(
    ("agreement", "verdict"),
    [
        (Interval(1.0, 1.0, 1.0), "fail"),
        (Interval(0.06, 0.05, 0.07), "fail"),
        (Interval(-0.06, -0.07, -0.05), "fail"),
        (Interval(0.06, 0.049, 0.071), "pass"),
        (Interval(-0.06, -0.2, 0.08), "pass"),
    ],
)
def test_shuffled_labels_that_agree_with_the_truth_for_sure_control_nothing(agreement, verdict):
    gate = gates.shuffled_labels(Interval(-0.01, -0.02, 0.0), agreement)
    assert gate.verdict == verdict
    assert f"{agreement.value:.3f}" in gate.note


def test_a_gate_that_could_not_be_judged_fails_and_says_why():
    gate = gates.not_judged("shifted_labels", "not run: a class is missing from train")
    assert (gate.name, gate.verdict, gate.value) == ("shifted_labels", "fail", None)
    assert gate.note == "not run: a class is missing from train"


def test_raw_prices_fail_the_normalization_gate(market_bars):
    prices = market_bars[["open", "close"]].to_numpy(np.float32)
    assert normalization(prices, prices).verdict == "fail"


def test_really_scaled_features_pass_the_normalization_gate(market_features, split, scaler):
    train, test = (
        scaling.apply_scaler(scaler, market_features[rows]) for rows in (split.train, split.test)
    )
    gate = gates.feature_normalization([train], test, scaler.names)
    assert gate.value == pytest.approx(
        max(
            np.abs(train.mean(axis=0)).max(),
            np.abs(train.std(axis=0) - 1).max(),
            abs(test.mean()),
            abs(test.std() - 1),
        ),
        abs=1e-5,
    )


def test_logits_of_the_predecessor_fail():
    gate = gates.logit_range_healthy(np.array([[16_000.0, -52_000.0, 0.0]]))
    assert (gate.verdict, gate.value) == ("fail", 52_000.0)


def test_decisions_of_the_predecessor_fail():
    assert gates.class_balanced(np.repeat([0, 1, 2], [97, 1, 2])).verdict == "fail"
    assert gates.class_balanced(np.repeat([0, 2], [50, 50])).verdict == "fail"
    assert gates.class_balanced(np.repeat([0, 1, 2], [15, 24, 61])).verdict == "fail"


def test_a_probe_that_misses_the_canary_fails_the_causality_gate():
    gate = gates.no_lookahead([], False)
    assert gate.verdict == "fail"
    assert "missed a planted future column" in gate.note


def test_parity_is_judged_on_the_worse_of_the_two():
    assert parity(torch_batch=PROBS + 2e-5).verdict == "fail"
    assert parity(torch_batch=PROBS + 5e-6).value == pytest.approx(5e-6, rel=1e-6)


@pytest.fixture(scope="module")
def test_split(market_features, market_labels, split, scaler):
    scaled = scaling.apply_scaler(scaler, market_features[split.test])
    return scaled, market_labels.labels[split.test], market_labels.labels[split.train]


def judged(probs, reference, labels):
    return gates.skill(
        skill_interval(
            metrics.row_log_loss(probs, labels),
            metrics.row_log_loss(reference, labels),
            horizon_bars=4,
            reps=200,
            rng=np.random.default_rng(0),
        )
    )


def test_an_untrained_net_does_not_pass_skill(test_split, random_net):
    scaled, labels, train_labels = test_split
    base = np.tile(np.bincount(train_labels, minlength=3) / len(train_labels), (len(labels), 1))
    for seed in range(5):
        net = random_net(scaled.shape[1], "adaptive", seed=seed)
        probs = inversion.softmax(model.predict_logits(net, scaled))
        assert judged(probs, base, labels).verdict != "pass"


def test_the_base_rate_itself_does_not_pass_skill(test_split):
    _, labels, train_labels = test_split
    base = np.tile(np.bincount(train_labels, minlength=3) / len(train_labels), (len(labels), 1))
    assert judged(base, base, labels).verdict != "pass"
    uniform = np.full_like(base, 1 / 3)
    assert judged(uniform, base, labels).verdict != "pass"


def test_the_exact_posterior_passes_skill(test_split, simulated, market_labels, split):
    _, labels, train_labels = test_split
    base = np.tile(np.bincount(train_labels, minlength=3) / len(train_labels), (len(labels), 1))
    exact = market.posterior(simulated, market_labels.threshold, 4)[split.test]
    assert judged(exact, base, labels).verdict == "pass"


def test_the_worst_verdict_is_the_verdict_of_all():
    good, bad = (pair() for pair in GATES["class_balanced"])
    unsure = gates.skill(Interval(0.0, -0.1, 0.1))
    assert gates.overall([good, good]) == "pass"
    assert gates.overall([good, unsure]) == "inconclusive"
    assert gates.overall([unsure, bad, good]) == "fail"


def test_a_bundle_may_be_promoted_only_when_every_gate_passes():
    good, bad = (pair() for pair in GATES["class_balanced"])
    unsure = gates.skill(Interval(0.0, -0.1, 0.1))
    assert gates.promotion_reasons([good]) == []
    assert gates.promotion_reasons([good, bad, unsure]) == [
        "class_balanced failed",
        "skill is inconclusive",
    ]


def test_gates_are_tabled_and_recorded_by_name():
    made = [pair[0]() for pair in GATES.values()]
    assert gates.gate_table(made).index.tolist() == list(GATES)
    records = gates.gate_records(made)
    assert set(records["skill"]) == {"value", "ci", "limit", "verdict", "note"}
    assert records["skill"]["ci"] == [0.001, 0.04]
