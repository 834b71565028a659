"""bf16 trains nets as good as fp32: what `precision: auto` rests on (decision record 0020)."""

from dataclasses import replace

import numpy as np
import pytest
from test_training import SETTINGS, TARGETS, TRAIN, VALID, assert_same_bits, without_clock

from v8lib import training

N_FEATURES = 24
SEEDS = range(6)
MARGIN = 0.002  # nats of valid log loss: less than one seed differs from another


def market(n, seed):
    """Rows in which a curved rule with noise decides the label."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
    pull = 1.2 * x[:, 0] + 0.8 * x[:, 1] * x[:, 2] - 0.5 * x[:, 3]
    scores = np.column_stack([-pull, 0.6 * np.abs(x[:, 4]), pull])
    return x, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


@pytest.fixture(scope="module")
def losses():
    """Best valid log loss by precision and seed; the seeds' weights, rows and masks are shared."""
    train, valid = market(5_000, 1), market(2_500, 2)
    found = {}
    for precision in ("fp32", "bf16"):
        settings = replace(SETTINGS, precision=precision, epochs=3, batch_size=128)
        results = [training.train_model(train, valid, replace(settings, seed=k)) for k in SEEDS]
        found[precision] = np.array(
            [min(row["valid_log_loss"] for row in result.history) for result in results]
        )
    return found


def test_bf16_reaches_the_valid_log_loss_of_fp32(losses):
    assert losses["fp32"].mean() < 0.99, "there is something to be lost: knowing nothing is 1.099"
    assert (losses["bf16"] != losses["fp32"]).all()
    assert losses["fp32"].std(ddof=1) > MARGIN
    apart = losses["bf16"] - losses["fp32"]
    # A lucky mean of six seeds must not pass: its two standard errors count against bf16.
    error = apart.std(ddof=1) / np.sqrt(len(apart))
    assert apart.mean() + 2.0 * error < MARGIN


def test_a_training_in_bf16_is_resumed_to_the_same_bits(tmp_path, monkeypatch):
    """The weights that are updated are float32; a checkpoint of rounded ones would lose them."""
    settings = replace(SETTINGS, precision="bf16", aux_volatility_weight=0.1)
    whole = training.train_model(TRAIN, VALID, settings, targets=TARGETS)
    real = training.write_checkpoint

    def die(folder, fingerprint, arrays, history):
        real(folder, fingerprint, arrays, history)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "write_checkpoint", die)
        with pytest.raises(KeyboardInterrupt):
            training.train_model(TRAIN, VALID, settings, targets=TARGETS, checkpoint_dir=tmp_path)
    resumed = training.train_model(TRAIN, VALID, settings, targets=TARGETS, checkpoint_dir=tmp_path)
    assert_same_bits(whole.weights, resumed.weights)
    assert without_clock(whole.history) == without_clock(resumed.history)


@pytest.mark.parametrize("has", [True, False])
def test_auto_is_the_precision_of_the_hardware_and_the_result_says_which(monkeypatch, has):
    monkeypatch.setattr("v8lib.hardware.computes_bf16", lambda device: has)
    settings = replace(SETTINGS, epochs=1)
    asked = training.train_model(TRAIN, VALID, replace(settings, precision="auto"))
    named = "bf16" if has else "fp32"
    assert asked.hardware == {"precision": named, "device": "cpu"}
    same = training.train_model(TRAIN, VALID, replace(settings, precision=named))
    assert_same_bits(asked.weights, same.weights)


def test_the_weights_kept_are_float32_and_not_rounded():
    result = training.train_model(TRAIN, VALID, replace(SETTINGS, precision="bf16", epochs=1))
    kept = result.weights["layers.0.weight"]
    assert kept.dtype == np.float32
    assert (kept.view(np.uint32) & 0xFFFF).any()
