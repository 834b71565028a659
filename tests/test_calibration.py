import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from v8lib import calibration, inversion, metrics
from v8lib.errors import CalibrationError, NoSkillError

EVEN = np.ones(3)
PRIOR = np.array([0.3, 0.4, 0.3])


class Scores(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision function is its input."""

    def fit(self, X, y):  # noqa: N803 - scikit-learn's own names
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):  # noqa: N803
        return X

    def predict(self, X):  # noqa: N803
        return X.argmax(axis=1)


def honest(n, seed=7):
    """Return logits and labels drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def fit(raw_logits, labels, gamma=2.0, smoothing=0.1):
    return calibration.fit_calibration(
        raw_logits, labels, gamma=gamma, smoothing=smoothing, class_weights=EVEN, prior=PRIOR
    )


@pytest.mark.parametrize("stretch", [0.3, 1.0, 3.0])
def test_temperature_equals_scikit_learn_s(stretch):
    logits, labels = honest(4_000)
    logits = stretch * logits
    oracle = CalibratedClassifierCV(
        FrozenEstimator(Scores().fit(logits, labels)), method="temperature"
    ).fit(logits, labels)
    ours = inversion.softmax(logits / calibration.fit_temperature(logits, labels))
    np.testing.assert_allclose(ours, oracle.predict_proba(logits), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("stretch", [0.2, 1.0, 5.0])
def test_stretched_logits_get_their_stretch_as_temperature(stretch):
    logits, labels = honest(40_000)
    # The standard error of 1/T is about 0.007 at this number of rows.
    assert calibration.fit_temperature(stretch * logits, labels) == pytest.approx(stretch, rel=0.03)


def test_no_other_temperature_has_a_lower_loss():
    logits, labels = honest(2_000)
    best = calibration.fit_temperature(2.0 * logits, labels)
    at_best = metrics.log_loss(inversion.softmax(2.0 * logits / best), labels)
    for factor in (0.9, 0.99, 1.01, 1.1):
        other = metrics.log_loss(inversion.softmax(2.0 * logits / (best * factor)), labels)
        assert other > at_best


def test_a_temperature_never_changes_the_likeliest_class():
    logits, labels = honest(3_000)
    fitted = fit(logits, labels, gamma=0.0, smoothing=0.0)
    final = calibration.apply_calibration(fitted, logits)
    assert (final.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_perfectly_predicted_rows_are_an_error_and_not_a_clipped_value():
    labels = np.tile([0, 1, 2], 50)
    with pytest.raises(CalibrationError, match=r"below 0\.05: rows predicted perfectly"):
        calibration.fit_temperature(np.eye(3)[labels], labels)


def test_rows_without_skill_are_an_error_of_their_own():
    logits, labels = honest(3_000)
    with pytest.raises(NoSkillError, match=r"no skill on 3000 rows.*above 20"):
        calibration.fit_temperature(-logits, labels)


@pytest.mark.parametrize(
    ("logits", "labels", "bounds", "why"),
    [
        (np.zeros((4, 3)), np.zeros(3, int), (0.1, 10.0), "shapes disagree"),
        (np.zeros(4), np.zeros(4, int), (0.1, 10.0), "shapes disagree"),
        (np.zeros((0, 3)), np.zeros(0, int), (0.1, 10.0), "shapes disagree"),
        (np.full((2, 3), np.nan), np.zeros(2, int), (0.1, 10.0), "finite"),
        (np.full((2, 3), np.inf), np.zeros(2, int), (0.1, 10.0), "finite"),
        (np.zeros((2, 3)), np.zeros(2, int), (0.0, 10.0), "positive and increasing"),
        (np.zeros((2, 3)), np.zeros(2, int), (10.0, 0.1), "positive and increasing"),
    ],
)
def test_input_that_has_no_temperature_is_refused(logits, labels, bounds, why):
    with pytest.raises(CalibrationError, match=why):
        calibration.fit_temperature(logits, labels, bounds=bounds)


def test_calibration_undoes_focus_smoothing_and_an_overconfident_stretch():
    """Build what a focal net would say about known classes, too sure by half, and undo it."""
    truth, labels = honest(30_000)
    probs = inversion.softmax(truth)
    grid = np.linspace(-6.0, 6.0, 4_001)
    two_class = inversion.softmax(np.column_stack([grid, np.zeros_like(grid), np.zeros_like(grid)]))
    bent = inversion.invert_focal(two_class, gamma=2.0, smoothing=0.1, class_weights=EVEN)
    assert np.abs(bent - two_class).max() > 0.1, "there is something to undo"
    fitted = fit(1.5 * truth, labels, gamma=0.0, smoothing=0.0)
    assert fitted.temperature == pytest.approx(1.5, rel=0.03)
    final = inversion.softmax(calibration.apply_calibration(fitted, 1.5 * truth))
    np.testing.assert_allclose(final, probs, rtol=0.0, atol=0.02)


def test_final_logits_are_centred_and_their_softmax_is_the_probability():
    raw, labels = honest(2_000)
    fitted = fit(raw, labels)
    final = calibration.apply_calibration(fitted, raw)
    np.testing.assert_allclose(final.mean(axis=1), 0.0, atol=1e-12)
    undone = inversion.invert_focal(
        inversion.softmax(raw), gamma=2.0, smoothing=0.1, class_weights=EVEN
    )
    powered = undone**fitted.inverse_temperature
    expected = powered / powered.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(inversion.softmax(final), expected, rtol=0.0, atol=1e-12)


def test_a_model_that_knows_nothing_says_the_class_frequencies_for_every_row():
    logits, labels = honest(3_000)
    fitted = fit(-logits, labels)
    assert fitted.temperature is None
    assert fitted.inverse_temperature == 0.0
    final = inversion.softmax(calibration.apply_calibration(fitted, -logits))
    np.testing.assert_allclose(final, np.tile(PRIOR, (3_000, 1)), atol=1e-12)


def test_class_weights_of_the_loss_are_undone():
    """Equal raw scores under weights 1, 2, 4 mean the first class is the most frequent."""
    logits = calibration.inverted_logits(
        np.zeros((1, 3)), gamma=0.0, smoothing=0.0, class_weights=np.array([1.0, 2.0, 4.0])
    )
    assert inversion.softmax(logits)[0] == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_the_temperature_curve_has_its_minimum_at_the_fitted_temperature():
    logits, labels = honest(5_000)
    curve = calibration.temperature_curve(1.4 * logits, labels)
    best = float(curve.loc[curve["log_loss"].idxmin(), "temperature"])
    fitted = calibration.fit_temperature(1.4 * logits, labels)
    step = float(curve["temperature"].iloc[1] / curve["temperature"].iloc[0])
    assert fitted / step <= best <= fitted * step


def overlapping_noise(seed, n_rows=3_000, horizon=4):
    """Return scores that know nothing, both slow to change, and labels that overlap."""
    rng = np.random.default_rng(seed)
    moves = np.convolve(rng.standard_normal(n_rows + horizon - 1), np.ones(horizon), "valid")
    labels = np.digitize(moves, np.quantile(moves, [1 / 3, 2 / 3]))
    smooth = np.ones(16) / 16.0
    scores = [np.convolve(rng.standard_normal(n_rows), smooth, "same") for _ in range(3)]
    return np.column_stack(scores), labels


def test_scores_that_know_nothing_are_told_from_skill_as_often_as_the_level_says():
    found = [calibration.tells_apart(*overlapping_noise(seed)) for seed in range(400)]
    # 1 - LEVEL is 10 of 400; a count of that mean is above 20 once in a thousand times.
    assert 1 <= sum(found) <= 20


def test_a_little_skill_is_told_from_chance():
    logits, labels = overlapping_noise(2)
    known = logits + 0.2 * np.eye(3)[labels]
    assert calibration.tells_apart(known, labels)
    assert not calibration.tells_apart(-known, labels), "wrong for sure is no skill either"
    with pytest.raises(NoSkillError, match="no skill on 3000 rows: chance alone"):
        calibration.fit_temperature(*overlapping_noise(2))


@pytest.mark.parametrize("n_rows", [1, 2, 5, 90])
def test_frequencies_alone_and_few_rows_are_no_skill(n_rows):
    labels = np.arange(n_rows) % 3
    frequencies = np.tile(np.log([0.5, 0.3, 0.2]), (n_rows, 1))
    assert not calibration.tells_apart(frequencies, labels)
