"""Our figures against implementations that share no line with them."""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from arch.bootstrap import IIDBootstrap, StationaryBootstrap
from purgedcv import WalkForwardSplit, purge
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator

from v8lib import calibration, intervals, inversion, metrics, splits

SHARES = {"train_share": 0.6, "valid_share": 0.1, "calib_share": 0.1}
HORIZONS = [1, 2, 4, 16, 96]
N_BARS = 6_000
GAPS = {
    "none": [],
    "at the borders": [(3_590, 3_600), (4_180, 4_182), (4_770, 4_900)],
    "everywhere": [(k, k + 3) for k in range(7, N_BARS, 11)],
}


def bars_with(gaps):
    usable = np.ones(N_BARS, bool)
    for start, stop in gaps:
        usable[start:stop] = False
    return usable


def times_of(rows, horizon_bars):
    """Return the span of each row's label: from its bar's open to its last bar's close."""
    opened = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rows * 60, unit="s"))
    return opened, opened + pd.Timedelta(minutes=horizon_bars + 1)


@pytest.mark.parametrize("gaps", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize("horizon_bars", HORIZONS)
def test_purgedcv_keeps_the_same_rows_at_every_border(horizon_bars, gaps):
    usable = bars_with(gaps)
    split = splits.split_by_time(usable, horizon_bars=horizon_bars, **SHARES)
    rows = np.flatnonzero(usable)
    times = times_of(rows, horizon_bars)
    parts = [split.train, split.valid, split.calib, split.test]
    starts = [int(np.searchsorted(rows, part.min())) for part in parts]
    for k in range(3):
        before = np.arange(starts[k], starts[k + 1])  # the part before anything is purged
        after = np.arange(starts[k + 1], len(rows))  # and all that comes later
        kept = purge(before, after, *times)
        assert rows[kept].tolist() == parts[k].tolist()
        if not gaps:
            assert len(kept) == len(before) - horizon_bars, "there is something to purge"


@pytest.mark.parametrize("n_folds", [1, 2, 4])
@pytest.mark.parametrize("horizon_bars", HORIZONS)
def test_purgedcv_walks_over_the_same_test_folds_and_ends_at_the_same_row(horizon_bars, n_folds):
    """It has no valid and calib: its train ends where our last part before test ends."""
    rows = np.arange(N_BARS)
    oracle = WalkForwardSplit(
        n_folds,
        N_BARS // 5 // n_folds,
        prediction_times=times_of(rows, horizon_bars)[0],
        evaluation_times=times_of(rows, horizon_bars)[1],
    )
    ours = splits.walk_forward(bars_with([]), horizon_bars=horizon_bars, n_folds=n_folds, **SHARES)
    for fold, (train, test) in zip(ours, oracle.split(rows), strict=True):
        assert fold.test.tolist() == test.tolist()
        assert fold.calib.max() == train.max()
        assert np.isin(np.concatenate([fold.train, fold.valid, fold.calib]), train).all()


class Scores(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision function is its input."""

    def fit(self, X, y):  # noqa: N803 - scikit-learn's own names
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):  # noqa: N803
        return X

    def predict(self, X):  # noqa: N803
        return X.argmax(axis=1)


def forecast(n, seed=7, spread=1.0):
    """Return logits and labels drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=spread, size=(n, 3))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("stretch", [0.3, 1.0, 3.0])
def test_scikit_learn_finds_the_same_temperature(stretch):
    """It compares losses, we look for a slope of zero.

    Losses cannot place a minimum better than the root of a rounding, 1.5e-8 of T. A millionth
    leaves room for that and for nothing else.
    """
    logits, labels = forecast(4_000)
    logits = stretch * logits
    oracle = CalibratedClassifierCV(
        FrozenEstimator(Scores().fit(logits, labels)), method="temperature"
    ).fit(logits, labels)
    (fitted,) = oracle.calibrated_classifiers_
    temperature = calibration.fit_temperature(logits, labels)
    assert 1.0 / fitted.calibrators[0].beta_ == pytest.approx(temperature, rel=1e-6)
    fresh = stretch * forecast(1_000, seed=8)[0]
    ours = inversion.softmax(fresh / temperature)
    np.testing.assert_allclose(ours, oracle.predict_proba(fresh), rtol=0.0, atol=1e-6)


def losses(n=2_000, seed=3, memory=0.9):
    """Return row losses of a model and a reference, with the dependence of overlapping labels."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, 2))
    for t in range(1, n):
        noise[t] = memory * noise[t - 1] + (1.0 - memory**2) ** 0.5 * noise[t]
    return 1.0 + 0.2 * noise[:, 0], 1.05 + 0.2 * noise[:, 0] + 0.1 * noise[:, 1]


def skill(own, reference):
    return 1.0 - own.mean() / reference.mean()


def ours(own, reference, *, reps, seed, horizon_bars=4):
    rng = np.random.default_rng(seed)
    return intervals.skill_interval(own, reference, horizon_bars=horizon_bars, reps=reps, rng=rng)


@pytest.mark.parametrize("seed", [0, 1])
def test_arch_gives_the_same_percentile_interval_of_a_skill(seed):
    own, reference = losses()
    length = intervals.block_length(own - reference, 4)
    bootstrap = StationaryBootstrap(length, own, reference, seed=np.random.default_rng(seed))
    draws = np.array([skill(*parts) for parts, _ in bootstrap.bootstrap(3_000)])
    low, high = np.percentile(draws, [2.5, 97.5])
    found = ours(own, reference, reps=3_000, seed=seed)
    assert found.value == pytest.approx(skill(own, reference), abs=1e-15)
    # The 2.5 % quantile of 3,000 draws has a standard error of 0.05 deviations: 0.07 between two.
    assert found.ci == pytest.approx([low, high], abs=0.21 * draws.std())


def test_a_bootstrap_written_out_again_is_as_wide():
    """Politis and Romano (1994): each next row follows the last, or starts anew at 1 / length."""
    own, reference = losses()
    rng, n, reps = np.random.default_rng(11), len(own), 1_500
    length = intervals.block_length(own - reference, 4)
    anew = rng.random((reps, n)) < 1.0 / length
    anew[:, 0] = True
    began = np.maximum.accumulate(np.where(anew, np.arange(n), 0), axis=1)
    starts = np.take_along_axis(rng.integers(n, size=(reps, n)), began, axis=1)
    rows = (starts + np.arange(n) - began) % n
    draws = 1.0 - own[rows].mean(axis=1) / reference[rows].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    found = ours(own, reference, reps=1_500, seed=0)
    # The 2.5 % quantile of 1,500 draws has a standard error of 0.07 deviations: 0.1 between two.
    margin = 0.3 * draws.std()
    assert found.ci == pytest.approx([low, high], abs=margin)


def test_rows_without_dependence_get_the_interval_of_independent_rows():
    """Twice a horizon of one is the shortest block there is here; it changes next to nothing."""
    own, reference = losses(memory=0.0)
    bootstrap = IIDBootstrap(own, reference, seed=np.random.default_rng(0))
    low, high = bootstrap.conf_int(skill, reps=1_500, method="percentile", size=0.95)[:, 0]
    found = ours(own, reference, reps=1_500, seed=1, horizon_bars=1)
    assert found.high - found.low == pytest.approx(high - low, rel=0.12)
    dependent = ours(*losses(), reps=400, seed=1)
    assert dependent.high - dependent.low > 2.0 * (high - low), "blocks do matter where they should"


def top_label(n, seed=5, sharpen=1.4):
    """Return probabilities of a forecast that is too sure, and what happened."""
    logits, labels = forecast(n, seed=seed, spread=1.5)
    return inversion.softmax(sharpen * logits), labels


# 4,999 is prime: no quantile falls on a row, where which bin it belongs to is a convention.
@pytest.mark.parametrize("n_bins", [5, 15, 40])
def test_pandas_finds_the_same_ece(n_bins):
    probs, labels = top_label(5_000)
    frame = pd.DataFrame({"sure": probs.max(axis=1), "right": probs.argmax(axis=1) == labels})
    grouped = frame.groupby(pd.qcut(frame["sure"], n_bins), observed=True)
    gap = (grouped["sure"].mean() - grouped["right"].mean()).abs()
    expected = float((gap * grouped.size() / len(frame)).sum())
    assert metrics.ece(probs, labels, n_bins=n_bins) == pytest.approx(expected, abs=1e-12)
    assert expected > 0.03, "there is something to find"


@pytest.mark.parametrize("n_bins", [5, 15, 40])
def test_scikit_learn_finds_the_same_reliability_and_ece(n_bins):
    probs, labels = top_label(5_000)
    sure, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, sure, n_bins=n_bins, strategy="quantile")
    table = metrics.reliability_table(probs, labels, n_bins=n_bins)
    np.testing.assert_allclose(table["accuracy"], accuracy, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(table["confidence"], confidence, rtol=0.0, atol=1e-12)
    expected = np.average(np.abs(accuracy - confidence), weights=table["n"])
    assert metrics.ece(probs, labels, n_bins=n_bins) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scikit_learn_finds_the_same_log_loss_and_brier_score(seed):
    """The other scores stand against scikit-learn in the tests of `metrics`."""
    probs, labels = top_label(2_000, seed=seed)
    expected = sklearn.metrics.log_loss(labels, probs, labels=[0, 1, 2])
    assert metrics.log_loss(probs, labels) == pytest.approx(expected, abs=1e-12)
    ones = np.eye(3)[labels]
    by_class = [sklearn.metrics.brier_score_loss(ones[:, k], probs[:, k]) for k in range(3)]
    assert metrics.brier(probs, labels) == pytest.approx(sum(by_class), abs=1e-12)


def test_scikit_learn_counts_the_same_confusions():
    probs, labels = top_label(2_000)
    expected = sklearn.metrics.confusion_matrix(labels, probs.argmax(axis=1), labels=[0, 1, 2])
    table = metrics.confusion_table(probs.argmax(axis=1), labels)
    np.testing.assert_array_equal(table.to_numpy(), expected)
