from dataclasses import replace

import numpy as np
import pytest
import torch

from v8lib import inversion, losses, metrics, model, training
from v8lib.errors import TrainingError

N_FEATURES = 5


def rows(n, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
    scores = np.column_stack([-2.0 * features[:, 0], np.zeros(n), 2.0 * features[:, 0]])
    return features, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


TRAIN, VALID = rows(500, 1), rows(200, 2)
SETTINGS = training.TrainingSettings(
    normalization="adaptive",
    dropout=0.3,
    focal_gamma=2.0,
    focal_alpha=0.25,
    label_smoothing=0.1,
    aux_volatility_weight=0.0,
    aux_return_weight=0.0,
    mirror_share=0.0,
    epochs=4,
    patience_epochs=4,
    batch_size=64,
    learning_rate=0.002,
    weight_decay=0.01,
    gradient_clip=1.0,
    precision="fp32",
    device="cpu",
    seed=11,
    symbol="BTC",
)


TARGETS = np.random.default_rng(5).normal(size=(500, 2)).astype(np.float32)
WITH_TARGETS = replace(SETTINGS, aux_volatility_weight=0.1, aux_return_weight=0.03)


def assert_same_bits(first, second):
    assert set(first) == set(second)
    for name, array in first.items():
        assert array.shape == second[name].shape, name
        assert array.dtype == second[name].dtype, name
        assert array.tobytes() == second[name].tobytes(), name


def without_clock(history):
    return [{k: v for k, v in row.items() if "second" not in k} for row in history]


@pytest.fixture
def scripted_losses(monkeypatch):
    """Dictate the valid loss of each epoch, which decides the best one."""

    def script(*values):
        left = list(values)
        monkeypatch.setattr(training, "log_loss", lambda *_: left.pop(0))

    return script


@pytest.fixture
def interrupted(monkeypatch, tmp_path):
    """Run a training that dies after an epoch, before or after its checkpoint is on disk."""

    def run(epoch, *, written, settings=SETTINGS, targets=None):
        real = training.write_checkpoint

        def die(folder, fingerprint, arrays, history):
            if len(history) < epoch or written:
                real(folder, fingerprint, arrays, history)
            if len(history) == epoch:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(training, "write_checkpoint", die)
            with pytest.raises(KeyboardInterrupt):
                training.train_model(
                    TRAIN, VALID, settings, targets=targets, checkpoint_dir=tmp_path
                )
        return tmp_path

    return run


@pytest.fixture(scope="module")
def undisturbed():
    return training.train_model(TRAIN, VALID, SETTINGS)


def test_training_learns_what_there_is_to_learn(undisturbed):
    net = model.build_net(undisturbed.weights, normalization="adaptive")
    decided = model.predict_logits(net, VALID[0]).argmax(axis=1)
    assert metrics.accuracy(decided, VALID[1]) > 0.6
    assert [row["epoch"] for row in undisturbed.history] == [1, 2, 3, 4]
    assert undisturbed.history[-1]["train_loss"] < undisturbed.history[0]["train_loss"]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(undisturbed):
    torch.manual_seed(99)  # what happened before must not matter
    again = training.train_model(TRAIN, VALID, SETTINGS)
    assert_same_bits(undisturbed.weights, again.weights)
    first = training.train_model(TRAIN, VALID, replace(SETTINGS, epochs=1))
    for change in ({"seed": 12}, {"symbol": "ETH"}, {"fold": 1}, {"member": 1}):
        other = training.train_model(TRAIN, VALID, replace(SETTINGS, epochs=1, **change))
        assert other.history[0]["train_loss"] != first.history[0]["train_loss"]


def test_every_random_draw_of_a_training_is_its_own_net_s(monkeypatch):
    """Weights, row order and dropout: a net of another fold shares none of them."""
    asked, settings = [], replace(SETTINGS, epochs=2, fold=3, member=4)
    for name in ("stream", "torch_seed"):
        real = getattr(training, name)
        watched = lambda *names, real=real: asked.append(names) or real(*names)  # noqa: E731
        monkeypatch.setattr(training, name, watched)
    training.train_model(TRAIN, VALID, settings)
    own = (11, "BTC", "fold", 3, "member", 4)
    assert all(names[:6] == own for names in asked)
    assert {names[6:] for names in asked} == {
        ("weights",),
        *((purpose, epoch) for purpose in ("rows", "dropout") for epoch in (1, 2)),
    }


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    training.train_model(TRAIN, VALID, replace(SETTINGS, epochs=1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("epoch", "written"), [(1, True), (2, False), (3, True)], ids=["1", "2 lost", "3"]
)
def test_a_resumed_training_ends_in_the_same_bits(undisturbed, interrupted, epoch, written):
    folder = interrupted(epoch, written=written)
    resumed = training.train_model(TRAIN, VALID, SETTINGS, checkpoint_dir=folder)
    assert_same_bits(undisturbed.weights, resumed.weights)
    assert without_clock(resumed.history) == without_clock(undisturbed.history)
    assert resumed.best_epoch == undisturbed.best_epoch


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_a_resumed_training_ends_in_the_same_bits_with_every_norm(interrupted, normalization):
    settings = replace(SETTINGS, normalization=normalization, epochs=3)
    whole = training.train_model(TRAIN, VALID, settings)
    folder = interrupted(2, written=True, settings=settings)
    resumed = training.train_model(TRAIN, VALID, settings, checkpoint_dir=folder)
    assert_same_bits(whole.weights, resumed.weights)


def test_a_resumed_training_still_has_the_best_epoch_from_before(interrupted, scripted_losses):
    scripted_losses(0.5, 0.9, 0.8, 0.7)
    whole = training.train_model(TRAIN, VALID, SETTINGS)
    scripted_losses(0.5, 0.9, 0.8, 0.7)
    folder = interrupted(2, written=True)
    resumed = training.train_model(TRAIN, VALID, SETTINGS, checkpoint_dir=folder)
    assert whole.best_epoch == resumed.best_epoch == 1
    assert_same_bits(whole.weights, resumed.weights)


def test_a_finished_training_that_is_called_again_only_returns_its_result(tmp_path, monkeypatch):
    first = training.train_model(TRAIN, VALID, SETTINGS, checkpoint_dir=tmp_path)

    def no_more(*_, **__):
        raise AssertionError("an epoch was run")

    monkeypatch.setattr(training.TrainingStep, "__call__", no_more)
    again = training.train_model(TRAIN, VALID, SETTINGS, checkpoint_dir=tmp_path)
    assert_same_bits(first.weights, again.weights)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.001},
        {"epochs": 5},
        {"seed": 1},
        {"normalization": "layer"},
        {"fold": 1},
        {"member": 1},
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(interrupted, change):
    folder = interrupted(1, written=True)
    with pytest.raises(TrainingError, match="other data, parameters or code"):
        training.train_model(TRAIN, VALID, replace(SETTINGS, **change), checkpoint_dir=folder)


def test_a_training_with_targets_is_resumed_to_the_same_bits(undisturbed, interrupted):
    whole = training.train_model(TRAIN, VALID, WITH_TARGETS, targets=TARGETS)
    folder = interrupted(2, written=True, settings=WITH_TARGETS, targets=TARGETS)
    resumed = training.train_model(
        TRAIN, VALID, WITH_TARGETS, targets=TARGETS, checkpoint_dir=folder
    )
    assert_same_bits(whole.weights, resumed.weights)
    assert set(whole.weights) == set(undisturbed.weights), "the second head is not kept"
    name = "layers.0.weight"
    assert whole.weights[name].tobytes() != undisturbed.weights[name].tobytes()


def test_auxiliary_weights_without_targets_are_refused():
    for weight in ("aux_volatility_weight", "aux_return_weight"):
        with pytest.raises(TrainingError, match="need targets of the train rows"):
            training.train_model(TRAIN, VALID, replace(SETTINGS, **{weight: 0.1}))


def test_targets_without_weight_change_nothing(undisturbed):
    given = training.train_model(TRAIN, VALID, SETTINGS, targets=TARGETS)
    assert_same_bits(given.weights, undisturbed.weights)


def test_a_checkpoint_of_other_targets_is_refused(interrupted):
    folder = interrupted(1, written=True, settings=WITH_TARGETS, targets=TARGETS)
    other = TARGETS.copy()
    other[0, 0] += 1.0
    with pytest.raises(TrainingError, match="other data, parameters or code"):
        training.train_model(TRAIN, VALID, WITH_TARGETS, targets=other, checkpoint_dir=folder)


@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_a_checkpoint_of_other_data_is_refused(interrupted, part):
    folder = interrupted(1, written=True)
    arrays = [array.copy() for array in (*TRAIN, *VALID)]
    arrays[part].flat[0] = 2 if arrays[part].flat[0] != 2 else 1
    with pytest.raises(TrainingError, match="other data, parameters or code"):
        training.train_model(tuple(arrays[:2]), tuple(arrays[2:]), SETTINGS, checkpoint_dir=folder)


def test_the_best_state_is_a_copy_and_not_an_alias(tmp_path, monkeypatch, scripted_losses):
    """An alias would move on with the net and end as the last epoch's weights."""
    scripted_losses(0.9, 0.5, 0.8, 0.7)
    after_epoch = []

    def watch(folder, fingerprint, arrays, history):
        nets = {n[8:]: a for n, a in arrays.items() if n.startswith("net.net.")}
        after_epoch.append({name: array.copy() for name, array in nets.items()})

    monkeypatch.setattr(training, "write_checkpoint", watch)
    result = training.train_model(TRAIN, VALID, SETTINGS, checkpoint_dir=tmp_path)
    assert result.best_epoch == 2
    assert len(after_epoch) == 4
    assert_same_bits(result.weights, after_epoch[1])
    name = "layers.0.weight"
    assert result.weights[name].tobytes() != after_epoch[3][name].tobytes()


def test_training_stops_after_patience_epochs_without_a_better_loss(scripted_losses):
    scripted_losses(0.9, 0.5, 0.6, 0.7, 0.1)
    result = training.train_model(TRAIN, VALID, replace(SETTINGS, epochs=5, patience_epochs=2))
    assert [row["valid_log_loss"] for row in result.history] == [0.9, 0.5, 0.6, 0.7]
    assert result.best_epoch == 2


def test_the_weights_returned_have_the_valid_loss_the_history_says(undisturbed):
    net = model.build_net(undisturbed.weights, normalization="adaptive")
    probs = inversion.invert_focal(
        inversion.softmax(model.predict_logits(net, VALID[0])),
        gamma=2.0,
        smoothing=0.1,
        class_weights=undisturbed.class_weights,
    )
    best = undisturbed.history[undisturbed.best_epoch - 1]["valid_log_loss"]
    assert best == min(row["valid_log_loss"] for row in undisturbed.history)
    assert metrics.log_loss(probs, VALID[1]) == pytest.approx(best, abs=1e-6)


def test_a_class_that_is_missing_from_train_is_refused_with_the_counts():
    labels = np.where(TRAIN[1] == 1, 0, TRAIN[1])
    with pytest.raises(TrainingError, match=r"a class does not occur in train: counts \[\d+, 0, "):
        training.train_model((TRAIN[0], labels), VALID, SETTINGS)


def test_class_weights_by_hand():
    weights = losses.balanced_class_weights(np.array([0, 0, 0, 1, 2, 2]))
    assert weights.tolist() == pytest.approx([6 / 9, 2.0, 1.0])


def test_the_class_weights_of_the_result_are_those_of_train(undisturbed):
    expected = losses.balanced_class_weights(TRAIN[1])
    assert undisturbed.class_weights.tolist() == expected.tolist()


def test_a_loss_that_is_no_number_stops_the_training():
    broken = TRAIN[0].copy()
    broken[:60] = np.nan  # an epoch leaves 52 of the 500 rows out: whole batches of 64
    with pytest.raises(TrainingError, match="training loss is nan in epoch 1"):
        training.train_model((broken, TRAIN[1]), VALID, SETTINGS)


def test_the_layer_norms_are_trained_along(undisturbed):
    for layer in (1, 5, 9):
        weight = undisturbed.weights[f"layers.{layer}.layer.weight"]
        assert np.abs(weight - 1.0).max() > 1e-3


def test_the_learning_rate_warms_up_and_falls_along_a_cosine(undisturbed):
    rates = [row["learning_rate"] for row in undisturbed.history]
    assert max(rates) <= SETTINGS.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert 0.0 < rates[-1] < 0.02 * SETTINGS.learning_rate


def test_fewer_rows_than_a_batch_are_one_batch():
    few = (TRAIN[0][:30], TRAIN[1][:30])
    result = training.train_model(few, VALID, replace(SETTINGS, epochs=1))
    assert np.isfinite(result.history[0]["train_loss"])
