import sys
import weakref

import numpy as np
import pytest

from v8lib import baselines, boosting, metrics
from v8lib.errors import TrainingError

ALWAYS = ["climatology", "volatility_only", "logistic", "gradient_boosting"]
COLUMNS = [("a", "returns"), ("b", "trend"), ("c", "volatility"), ("d", "time")]


def rows(n, seed, signal=1.5):
    """Return four columns of which the first decides the class, as far as anything does."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4)).astype(np.float32)
    scores = np.column_stack([-signal * features[:, 0], np.zeros(n), signal * features[:, 0]])
    return features, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


@pytest.fixture(scope="module")
def test_rows():
    return rows(1_500, seed=4)


def fit(*folds, trees=150, seed=0, with_lightgbm=False):
    return baselines.fit_baselines(
        folds, COLUMNS, trees=trees, tree_rate=0.05, seed=seed, with_lightgbm=with_lightgbm
    )


@pytest.fixture(scope="module")
def fitted(test_rows):
    splits = baselines.Splits(rows(3_000, 1), rows(800, 2), rows(800, 3), test_rows[0])
    return fit(splits, with_lightgbm=True)


def test_climatology_is_the_class_frequencies():
    assert baselines.climatology(np.array([0, 0, 1, 2])).tolist() == [0.5, 0.25, 0.25]
    assert baselines.climatology(np.array([0, 0])).tolist() == [1.0, 0.0, 0.0]


def test_every_baseline_gives_probabilities_for_every_row(fitted, test_rows):
    assert list(fitted) == [*ALWAYS, "lightgbm"]
    for probs in fitted.values():
        assert probs.shape == (len(test_rows[1]), 3)
        np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-9)
        assert probs.min() >= 0.0


def test_what_sees_the_signal_beats_climatology_and_what_does_not_cannot(fitted, test_rows):
    loss = {name: metrics.log_loss(probs, test_rows[1]) for name, probs in fitted.items()}
    assert loss["logistic"] < loss["climatology"] - 0.2
    assert loss["gradient_boosting"] < loss["climatology"] - 0.2
    assert loss["lightgbm"] < loss["climatology"] - 0.2
    # Two columns of noise move the loss by about one in a thousand.
    assert loss["volatility_only"] == pytest.approx(loss["climatology"], abs=0.01)


def test_volatility_only_ignores_the_other_families(test_rows):
    changed = test_rows[0].copy()
    changed[:, :2] += 5.0
    splits = [
        baselines.Splits(rows(1_500, 1), rows(500, 2), rows(500, 3), features)
        for features in (test_rows[0], changed)
    ]
    first, second = (fit(s) for s in splits)
    np.testing.assert_array_equal(first["volatility_only"], second["volatility_only"])
    assert np.abs(first["logistic"] - second["logistic"]).max() > 0.1


def test_pure_noise_is_not_given_confidence():
    noise = [rows(n, seed, signal=0.0) for n, seed in ((1_500, 1), (600, 2), (600, 3))]
    test_features, labels = rows(1_500, 4, signal=0.0)
    fitted = fit(baselines.Splits(*noise, test_features), with_lightgbm=True)
    for probs in fitted.values():
        # ln 3 = 1.0986 is knowing nothing; a little is lost to noise.
        assert metrics.log_loss(probs, labels) < 1.12


def test_the_same_seed_gives_the_same_trees(test_rows):
    splits = baselines.Splits(rows(900, 1), rows(300, 2), rows(300, 3), test_rows[0])
    first, again = (fit(splits, seed=3, with_lightgbm=True) for _ in range(2))
    for name in ("gradient_boosting", "lightgbm"):
        assert first[name].tobytes() == again[name].tobytes()


def test_each_fold_predicts_its_own_test_rows_and_they_stand_in_order(test_rows):
    """The second fold's train says the opposite of the first's."""
    train = rows(900, 1)
    against = (train[0], 2 - train[1])
    parts = [(train, test_rows[0][:40]), (against, test_rows[0][40:100])]
    folds = [baselines.Splits(t, t, t, features) for t, features in parts]
    together = fit(*folds)
    for k, rows_of_fold in enumerate((slice(40), slice(40, 100))):
        alone = fit(folds[k])
        for name in ALWAYS:
            np.testing.assert_array_equal(together[name][rows_of_fold], alone[name])
    assert len(together["logistic"]) == 100


def test_lightgbm_joins_only_when_it_is_asked_for(test_rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    splits = baselines.Splits(rows(300, 1), rows(200, 2), rows(200, 3), test_rows[0])
    assert list(fit(splits)) == ALWAYS
    with pytest.raises(TrainingError, match="with_lightgbm=false"):
        fit(splits, with_lightgbm=True)


def test_trees_get_the_temperature_of_calib(test_rows):
    """Labels of calib that are half noise ask for softer trees than honest ones."""
    honest, mixed = rows(800, 3), rows(800, 3)
    mixed[1][::2] = np.random.default_rng(0).integers(3, size=400)
    train, valid = rows(3_000, 1), rows(800, 2)
    fitted = boosting.histogram_trees(train, valid, trees=150, rate=0.05, seed=0)
    sharp, soft = (
        baselines.calibrated(fitted, baselines.Splits(train, valid, c, test_rows[0]))
        for c in (honest, mixed)
    )
    assert soft.max(axis=1).mean() < sharp.max(axis=1).mean() - 0.05
    assert (soft.argmax(axis=1) == sharp.argmax(axis=1)).all()


def test_trees_are_fitted_without_a_second_copy_of_train(test_rows, monkeypatch):
    """Rows that are scaled for the trees alone are let go of once they are in float64."""
    scaled, held = [], []

    class Scaling(baselines.Splits):
        @property
        def train(self):
            features, labels = rows(600, 1)
            scaled.append(weakref.ref(features))
            return features, labels

        @train.setter
        def train(self, _):
            pass

    class Watched(boosting.HistGradientBoostingClassifier):
        def fit(self, *data, **more):
            held.append(scaled[-1]() is not None)
            return super().fit(*data, **more)

    monkeypatch.setattr(boosting, "HistGradientBoostingClassifier", Watched)
    fit(Scaling(None, rows(300, 2), rows(300, 3), test_rows[0]))
    assert held == [False]


def test_a_learner_without_skill_on_calib_says_the_class_frequencies(test_rows):
    train, calib = rows(900, 1), rows(800, 3)
    opposite = (calib[0], 2 - calib[1])
    splits = baselines.Splits(train, rows(300, 2), opposite, test_rows[0])
    expected = np.tile(baselines.climatology(train[1]), (len(test_rows[1]), 1))
    np.testing.assert_array_equal(fit(splits)["logistic"], expected)


def test_scores_measure_skill_against_climatology(fitted, test_rows):
    scores = baselines.score_baselines(
        fitted,
        test_rows[1],
        n_bins=10,
        horizon_bars=4,
        reps=100,
        rng=np.random.default_rng(0),
    )
    assert scores["climatology"]["log_loss_skill"] == 0.0
    assert scores["climatology"]["log_loss_skill_ci"] == [0.0, 0.0]
    low, high = scores["logistic"]["log_loss_skill_ci"]
    assert 0.0 < low < scores["logistic"]["log_loss_skill"] < high
    expected = metrics.log_loss(fitted["logistic"], test_rows[1])
    assert scores["logistic"]["log_loss"] == pytest.approx(expected)
