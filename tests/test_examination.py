"""What the gates say of a pipeline when one thing about it is broken."""

from dataclasses import replace

import numpy as np
import pytest
import small_case
from gate_cases import GATES

from v8lib import examination, gates, oddities, pipeline_gates, scaling, seeds
from v8lib.intervals import Interval
from v8lib.numpy_net import NumpyNet
from v8lib.runtime import Prediction
from v8lib.shuffling import ShuffleProbe


@pytest.fixture(scope="module")
def case():
    return small_case.case()


def probe(case):
    parameters = small_case.parameters()
    return examination.probe(
        case,
        horizon_bars=parameters.horizon_bars,
        window_bars=parameters.label_window_bars,
        shuffle_draws=parameters.shuffle_draws,
        shuffle_epochs=parameters.shuffle_epochs,
        shift_draws=parameters.shift_draws,
    )


@pytest.fixture(scope="module")
def found(case):
    return probe(case)


def interval_of(name):
    """Return the interval that the honest case's gate of this name was judged by."""
    (gate,) = [gate for gate in small_case.examined().gates if gate.name == name]
    return Interval(gate.value, *gate.ci)


def judged(case, found, **intervals):
    """Return the gates by name; intervals that are not given are those of the honest case."""
    whole = small_case.examined()
    given = {"skill": whole.skill, "excess": whole.excess} | {
        "direction": interval_of("direction"),
        "against_linear": interval_of("linear_baseline"),
    }
    made = examination.judge(case, found, **(given | intervals))
    return {gate.name: gate for gate in made}


def failing(made):
    return {name for name, gate in made.items() if gate.verdict == "fail"}


def test_a_judgement_is_the_same_twice(case, found):
    assert list(judged(case, found).values()) == small_case.examined().gates


@pytest.mark.parametrize(
    ("gate", "argument", "interval"),
    [
        ("skill", "skill", Interval(-0.1, -0.2, -0.05)),
        ("direction", "direction", Interval(-0.1, -0.2, -0.05)),
        ("linear_baseline", "against_linear", Interval(-0.1, -0.2, -0.05)),
        ("linear_baseline", "against_linear", None),
    ],
)
def test_an_interval_fails_its_own_gate_and_no_other(case, found, gate, argument, interval):
    assert failing(judged(case, found, **{argument: interval})) == {gate}


@pytest.mark.parametrize(
    ("gate", "changed"),
    [
        ("bars_plausible", {"oddities": oddities.Oddities(-0.5, 0, 0.0)}),
        ("no_lookahead", {"moved": ["scaler"]}),
        ("no_lookahead", {"canary_caught": False}),
        ("labels_look_ahead", {"misplaced": ["a threshold is not known at its bar"]}),
        ("splits_purged", {"overlaps": [0, 1]}),
        ("inference_path", {"paths": (1.05, 1.0)}),
        ("single_row_parity", {"parity": (np.zeros((2, 3)), np.full((2, 3), 1e-3), np.zeros(3))}),
        ("single_row_parity", {"parity": (np.zeros((2, 3)), np.zeros((2, 3)), np.full(3, 1e-3))}),
        (
            "shuffled_labels",
            {"shuffled": ShuffleProbe(np.array([0.1, 0.1001]), np.array([0.0, 0.01]))},
        ),
        (
            "shuffled_labels",
            {"shuffled": ShuffleProbe(np.array([0.0, 0.001]), np.array([1.0, 1.0]))},
        ),
        ("shifted_labels", {"shifted": np.array([0.1, 0.1001])}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_a_probe_finds_fails_its_own_gate_and_no_other(case, found, gate, changed):
    assert failing(judged(case, found)) == set()
    assert failing(judged(case, replace(found, **changed))) == {gate}


def test_a_scaler_of_all_rows_fails_its_gate(case, found):
    rows, names = case.prepared.rows, case.prepared.names
    everything = scaling.fit_scaler(rows.features, names, clip_sigma=8.0)
    models = [replace(case.models[0], scaler=everything), case.models[1]]
    broken = replace(case, models=models)
    refitted = examination.prepared_scalers(broken)
    for made, honest in zip(refitted, case.prepared.scalers, strict=True):
        np.testing.assert_array_equal(made.mean, honest.mean)
    assert "scaler_from_train" in failing(judged(broken, replace(found, refitted=refitted)))


def test_noise_over_the_prices_is_found(case):
    bars = case.prepared.bars.copy()
    noise = seeds.stream(1, "noise").standard_normal(len(bars))
    bars["close"] *= np.exp(3.0 * small_case.parameters().market_volatility * noise)
    gate = pipeline_gates.bars_plausible(oddities.bar_oddities(bars))
    assert gate.verdict == "fail"
    assert "noise over the prices" in gate.note


def test_an_inference_norm_that_was_never_trained_is_found(case):
    """The layer norms of an adaptive net get random weights; its batch norms stay trained."""
    model, rng = case.models[-1], np.random.default_rng(0)
    member = model.members[0]
    weights = {
        name: rng.normal(size=array.shape) if ".layer." in name else array
        for name, array in member.net.weights.items()
    }
    broken = replace(member, net=NumpyNet(weights, "adaptive"))
    models = [
        replace(model, members=(broken, *model.members[1:])),
        replace(model, members=(member,)),
    ]
    found, alone = (replace(case, models=[*[None] * (len(case.models) - 1), m]) for m in models)
    inference, training = examination.path_losses(found)
    honest = examination.path_losses(alone)
    assert inference - training > 0.02 > honest[0] - honest[1]
    assert honest[1] == training, "the other path is not touched"


def test_parity_is_of_numpy_and_torch_through_every_member(case):
    batch, alone, by_torch = examination.parity(case)
    assert batch.shape == alone.shape == by_torch.shape == (250, 3)
    whole = case.models[-1].predict(case.tests[-1].features).probs
    of_rows = [np.abs(whole - row).max(axis=1).argmin() for row in batch]
    assert of_rows[0] == 0 and of_rows[-1] == len(whole) - 1
    assert set(np.diff(of_rows)) <= {k := len(whole) // 250, k + 1}, "spread over the test"
    np.testing.assert_allclose(batch, whole[of_rows], rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(alone, batch, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(by_torch, batch, rtol=0.0, atol=1e-5)
    assert by_torch.tobytes() != batch.tobytes(), "torch really ran"


class Constant:
    """A model that is no net of this suite and says the same of every row."""

    def __init__(self, scaler):
        self.scaler = scaler

    def predict(self, features):
        n = len(np.atleast_2d(features))
        probs = np.tile([0.5, 0.3, 0.2], (n, 1))
        return Prediction(np.log(probs), probs, probs.argmax(axis=1), np.zeros(n, bool))


class Moody(Constant):
    """Says something else of a row when it stands among others."""

    def predict(self, features):
        said = super().predict(features)
        return replace(said, probs=said.probs + 1e-3 * (len(said.probs) > 1))


def with_models(case, kind):
    return replace(case, models=[kind(scaler) for scaler in case.prepared.scalers])


def test_a_model_that_is_no_net_is_judged_too_and_has_one_path(case, found):
    other = with_models(case, Constant)
    paths, parity = examination.path_losses(other), examination.parity(other)
    assert paths == (0.0, 0.0)
    made = judged(other, replace(found, paths=paths, parity=parity))
    assert set(made) == set(GATES)
    assert failing(made) == {"class_balanced"}


def test_a_model_that_depends_on_the_other_rows_of_a_batch_is_found(case):
    gate = gates.single_row_parity(*examination.parity(with_models(case, Moody)))
    assert gate.verdict == "fail"
    assert gate.value == pytest.approx(1e-3)


@pytest.fixture(scope="module")
def wrecked(case):
    """A case with everything wrong that its probes can find, HOLD missing among it."""
    prepared, fold = case.prepared, case.prepared.folds[1]
    bars = prepared.bars.copy()
    bars.loc[bars.index[-40:], "high"] *= 0.9  # far from the bars where labels are probed
    rows = replace(
        prepared.rows, labels=np.where(prepared.rows.labels == 1, 0, prepared.rows.labels)
    )
    one_more = np.append(fold.train, fold.valid[0] - 1)
    folds = [prepared.folds[0], replace(fold, train=one_more)]
    return replace(case, prepared=replace(prepared, bars=bars, rows=rows, folds=folds))


def test_every_probe_is_asked_about_the_case_itself(wrecked):
    found = probe(wrecked)
    assert found.oddities.inconsistent == 40
    assert found.overlaps == [0, 1]
    assert found.misplaced == ["a stored label is not the one its horizon gives"]
    assert {"labels of train", "labels of valid", "labels of calib"} <= set(found.moved)
    assert found.canary_caught
    assert (found.shuffled, found.shifted) == (None, None)


def test_a_class_that_train_lacks_leaves_controls_that_fail_and_say_why(wrecked, found):
    made = judged(wrecked, replace(found, shuffled=None, shifted=None), against_linear=None)
    controls = {"shuffled_labels", "shifted_labels", "linear_baseline"}
    assert failing(made) == {"classes_present", *controls}
    for name in controls:
        assert "a class is missing from train" in made[name].note
    assert set(made) == set(GATES)
