from dataclasses import replace

import numpy as np
import pytest

from v8lib import baselines, calibration, ensemble, numpy_net, scaling, training
from v8lib.mirror import mirror_of

SETTINGS = training.TrainingSettings(
    normalization="adaptive",
    dropout=0.3,
    focal_gamma=2.0,
    focal_alpha=0.25,
    label_smoothing=0.1,
    aux_volatility_weight=0.1,
    aux_return_weight=0.03,
    mirror_share=0.5,
    epochs=2,
    patience_epochs=2,
    batch_size=64,
    learning_rate=0.002,
    weight_decay=0.01,
    gradient_clip=1.0,
    precision="fp32",
    device="cpu",
    seed=11,
    symbol="BTC",
)
FIT = {"gamma": 2.0, "smoothing": 0.1, "rule": "balanced", "min_confidence": 0.6}


def head(rows, n=400):
    return rows.at(rows.position[:n])


@pytest.fixture(scope="module")
def folds(prepared):
    """Two folds of a few hundred rows each: the trainings take no time."""
    parts = zip(prepared.scalers, prepared.split("train"), prepared.split("valid"), strict=True)
    return [(scaler, head(train), head(valid, 200)) for scaler, train, valid in parts]


@pytest.fixture(scope="module")
def trained(folds):
    return ensemble.train_folds(folds, SETTINGS, n_seeds=2)


def fingerprints(trained):
    return [[net.weights["layers.0.weight"].tobytes() for net in nets] for nets in trained]


def fitted(prepared, trained, fold, members=None):
    """Return the calibrated model of a fold, of all its nets or of some."""
    results = [trained[fold][j] for j in members or range(len(trained[fold]))]
    return ensemble.fit_runtime(
        [numpy_net.NumpyNet(result.weights, "adaptive") for result in results],
        prepared.scalers[fold],
        prepared.split("calib")[fold],
        prepared.split("train")[fold].labels,
        class_weights=results[0].class_weights,
        **FIT,
    )


@pytest.fixture(scope="module")
def runtimes(prepared, trained):
    return [fitted(prepared, trained, fold) for fold in range(2)]


def test_nets_of_other_folds_and_seeds_are_others_and_the_same_are_the_same(folds, trained):
    found = fingerprints(trained)
    assert [len(nets) for nets in found] == [2, 2]
    assert len({bits for nets in found for bits in nets}) == 4
    assert fingerprints(ensemble.train_folds(folds, SETTINGS, n_seeds=2)) == found


def test_another_seed_on_the_same_rows_differs_by_its_random_numbers_alone(folds, trained):
    """The same fold twice: its nets differ all the same, because the fold's number counts."""
    twice = fingerprints(ensemble.train_folds([folds[0], folds[0]], SETTINGS, n_seeds=1))
    assert twice[0] != twice[1]
    assert twice[0][0] == fingerprints(trained)[0][0], "how many seeds there are changes no net"


def test_a_net_is_trained_on_scaled_rows_with_its_fold_s_own_scaler(folds, monkeypatch):
    seen, mirrors = [], []

    def watch(train, valid, settings, *, targets, mirror, checkpoint_dir):
        seen.append((train, valid, settings, targets))
        mirrors.append(mirror)

    monkeypatch.setattr(ensemble, "train_model", watch)
    ensemble.train_folds(folds, SETTINGS, n_seeds=2)
    assert [(s.fold, s.member) for _, _, s, _ in seen] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for (scaler, train, valid), (got_train, got_valid, _, targets) in zip(
        folds, seen[::2], strict=True
    ):
        for rows, (features, labels) in ((train, got_train), (valid, got_valid)):
            np.testing.assert_array_equal(features, scaling.apply_scaler(scaler, rows.features))
            assert labels.tolist() == rows.labels.tolist()
        assert targets.shape == (400, 2)
        np.testing.assert_allclose(targets[:, 1], train.forward_return / train.threshold, 1e-5)
    for (scaler, _, _), found in zip(folds, mirrors[::2], strict=True):
        np.testing.assert_array_equal(found.shift, mirror_of(scaler).shift)


def test_a_finished_net_is_taken_as_it_is_and_the_walk_goes_on_to_the_same_weights(
    folds, trained, tmp_path, monkeypatch
):
    """Killed in the first epoch of the third net; the two before it are not touched again."""
    ran, real = [], training._Session.run_epoch

    def run_epoch(session):
        ran.append((session.settings.fold, session.settings.member))
        real(session)

    def die(session):
        run_epoch(session)
        if ran[-1] == (1, 0):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training._Session, "run_epoch", die)
        with pytest.raises(KeyboardInterrupt):
            ensemble.train_folds(folds, SETTINGS, n_seeds=2, checkpoint_dir=tmp_path)
    assert ran == [(0, 0)] * 2 + [(0, 1)] * 2 + [(1, 0)]
    ran.clear()
    monkeypatch.setattr(training._Session, "run_epoch", run_epoch)
    resumed = ensemble.train_folds(folds, SETTINGS, n_seeds=2, checkpoint_dir=tmp_path)
    assert ran == [(1, 0)] * 2 + [(1, 1)] * 2, "finished nets are taken as they are"
    assert fingerprints(resumed) == fingerprints(trained)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"fold_{k}_net_{j}" for k in range(2) for j in range(2)
    ]


def test_every_net_has_its_row_in_the_table(trained):
    table = ensemble.training_table(trained)
    assert table.index.tolist() == [f"fold {k}, net {j}" for k in (1, 2) for j in (1, 2)]
    for (k, j), row in zip([(0, 0), (0, 1), (1, 0), (1, 1)], table.to_numpy(), strict=True):
        net = trained[k][j]
        best = net.history[net.best_epoch - 1]
        expected = [2, net.best_epoch, best["valid_log_loss"], best["valid_accuracy"]]
        assert row.tolist() == expected


def test_a_model_of_one_net_is_that_net_with_its_own_temperature(prepared, trained):
    alone = fitted(prepared, trained, 0, members=[1])
    calib, train = prepared.split("calib")[0], prepared.split("train")[0]
    net = numpy_net.NumpyNet(trained[0][1].weights, "adaptive")
    raw = net.raw_logits(scaling.apply_scaler(prepared.scalers[0], calib.features))
    expected = calibration.fit_calibration(
        raw,
        calib.labels,
        gamma=2.0,
        smoothing=0.1,
        class_weights=trained[0][1].class_weights,
        prior=baselines.climatology(train.labels),
    )
    (member,) = alone.members
    assert member.calibration.inverse_temperature == expected.inverse_temperature
    np.testing.assert_array_equal(member.calibration.prior, expected.prior)
    np.testing.assert_array_equal(
        alone.predict(calib.features).logits, calibration.apply_calibration(expected, raw)
    )


def test_several_nets_are_the_mean_of_what_each_says_alone(prepared, trained, runtimes):
    rows = prepared.split("test")[0].features[:200]
    single = [fitted(prepared, trained, 0, members=[j]).predict(rows).probs for j in range(2)]
    np.testing.assert_allclose(runtimes[0].predict(rows).probs, sum(single) / 2, atol=1e-12)
    assert np.abs(single[0] - single[1]).max() > 0.01


def test_offsets_are_fitted_on_the_mean_and_balance_it(prepared, runtimes):
    calib = prepared.split("calib")[0]
    decided = runtimes[0].predict(calib.features)
    balanced = np.bincount(decided.decisions, minlength=3) / len(calib.labels)
    likeliest = np.bincount(decided.probs.argmax(axis=1), minlength=3) / len(calib.labels)
    assert np.abs(balanced - 1 / 3).max() < np.abs(likeliest - 1 / 3).max()
    assert runtimes[0].offsets.any()


def test_each_fold_predicts_its_own_test_rows_in_order_of_time(prepared, runtimes):
    tests = prepared.split("test")
    together = ensemble.predict_folds(runtimes, tests)
    n = len(tests[0].labels)
    np.testing.assert_array_equal(together.probs[:n], runtimes[0].predict(tests[0].features).probs)
    np.testing.assert_array_equal(together.probs[n:], runtimes[1].predict(tests[1].features).probs)
    with pytest.raises(ValueError, match="shorter"):
        ensemble.predict_folds(runtimes, tests[:1])


def test_a_member_alone_is_the_same_net_of_every_fold_with_the_offsets_of_all(prepared, runtimes):
    tests = prepared.split("test")
    alone = ensemble.predict_members(runtimes, tests)
    assert len(alone) == 2
    n = len(tests[0].labels)
    for j, prediction in enumerate(alone):
        for k, part in enumerate((slice(n), slice(n, None))):
            member = replace(runtimes[k], members=(runtimes[k].members[j],))
            expected = member.predict(tests[k].features)
            np.testing.assert_array_equal(prediction.probs[part], expected.probs)
            np.testing.assert_array_equal(prediction.decisions[part], expected.decisions)


def test_stretches_of_rows_are_joined_in_the_order_given(prepared):
    tests = prepared.split("test")
    joined = ensemble.joined_rows(tests)
    for name, array in vars(joined).items():
        parts = [getattr(part, name) for part in tests]
        np.testing.assert_array_equal(array, np.concatenate(parts))
    assert (np.diff(joined.position) > 0).all()
