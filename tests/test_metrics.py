import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef, recall_score

from v8lib import metrics

PROBS = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]])
LABELS = np.array([0, 1, 0])
UNIFORM = np.full((3, 3), 1 / 3)
PERFECT = np.eye(3)[LABELS]

classes = hnp.arrays(np.int64, st.integers(1, 80), elements=st.integers(0, 2))


def random_forecast(n, seed=0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([2.0, 1.0, 2.0], size=n)
    labels = (probs.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return probs, np.minimum(labels, 2)


def test_log_loss_of_three_rows():
    expected = [-math.log(0.5), -math.log(0.8), -math.log(0.25)]
    assert metrics.row_log_loss(PROBS, LABELS).tolist() == pytest.approx(expected)
    assert metrics.log_loss(PROBS, LABELS) == pytest.approx(sum(expected) / 3)


def test_log_loss_limits():
    assert metrics.log_loss(PERFECT, LABELS) == 0.0
    assert metrics.log_loss(UNIFORM, LABELS) == pytest.approx(math.log(3.0))
    assert math.isfinite(metrics.log_loss(1.0 - PERFECT, LABELS))


def test_brier_of_three_rows():
    rows = [0.25 + 0.09 + 0.04, 0.01 + 0.04 + 0.01, 0.5625 + 0.0625 + 0.25]
    assert metrics.brier(PROBS, LABELS) == pytest.approx(sum(rows) / 3)


def test_brier_limits():
    assert metrics.brier(PERFECT, LABELS) == 0.0
    assert metrics.brier(UNIFORM, LABELS) == pytest.approx(2 / 3)
    assert metrics.brier(np.eye(3)[[1, 2, 2]], LABELS) == 2.0


def test_accuracy_of_three_rows():
    assert metrics.accuracy(np.array([0, 1, 2]), LABELS) == pytest.approx(2 / 3)


def test_class_shares_name_absent_classes_too():
    assert metrics.class_shares(np.array([0, 0, 2, 0])) == [0.75, 0.0, 0.25]
    assert metrics.class_shares(np.array([], dtype=int)) == [0.0, 0.0, 0.0]


def test_confusion_table_has_what_happened_in_rows():
    table = metrics.confusion_table(np.array([2, 2, 0]), np.array([0, 2, 0]))
    assert table.loc["DOWN"].tolist() == [1, 0, 1]
    assert table.loc["HOLD"].tolist() == [0, 0, 0]
    assert table.loc["UP"].tolist() == [0, 0, 1]
    assert (table.index.name, table.columns.name) == ("happened", "decided")


def test_matthews_limits():
    labels = np.array([0, 1, 2, 0, 1, 2])
    assert metrics.matthews(labels, labels) == pytest.approx(1.0)
    assert metrics.matthews(np.zeros(6, int), labels) == 0.0
    assert metrics.matthews((labels + 1) % 3, labels) == pytest.approx(-0.5)


@given(labels=classes, data=st.data())
def test_matthews_equals_scikit_learn(labels, data):
    elements = st.integers(0, 2)
    decisions = data.draw(hnp.arrays(np.int64, len(labels), elements=elements))
    if len(set(labels.tolist()) | set(decisions.tolist())) < 2:
        assert metrics.matthews(decisions, labels) == 0.0  # where scikit-learn warns
        return
    expected = matthews_corrcoef(labels, decisions)
    assert metrics.matthews(decisions, labels) == pytest.approx(expected, abs=1e-12)


def test_balanced_accuracy_by_hand():
    """DOWN right once in three times, UP always; HOLD never happened and does not count."""
    decisions, labels = np.array([0, 1, 2, 2]), np.array([0, 0, 0, 2])
    assert metrics.balanced_accuracy(decisions, labels) == pytest.approx((1 / 3 + 1) / 2)


def test_balanced_accuracy_limits():
    labels = np.array([0, 0, 0, 0, 1, 2])
    assert metrics.balanced_accuracy(labels, labels) == 1.0
    assert metrics.balanced_accuracy(np.zeros(6, int), labels) == pytest.approx(1 / 3)
    assert metrics.balanced_accuracy((labels + 1) % 3, labels) == 0.0
    assert metrics.balanced_accuracy(np.ones(3, int), np.zeros(3, int)) == 0.0


@given(labels=classes, data=st.data())
def test_balanced_accuracy_equals_the_macro_recall_of_scikit_learn(labels, data):
    decisions = data.draw(hnp.arrays(np.int64, len(labels), elements=st.integers(0, 2)))
    # The mean recall over classes that happened; for one class balanced_accuracy_score warns.
    expected = recall_score(labels, decisions, labels=np.unique(labels), average="macro")
    assert metrics.balanced_accuracy(decisions, labels) == pytest.approx(expected, abs=1e-12)
    if set(decisions.tolist()) <= set(labels.tolist()) and len(set(labels.tolist())) > 1:
        assert balanced_accuracy_score(labels, decisions) == pytest.approx(expected, abs=1e-12)


def test_f1_by_hand():
    """DOWN: right 1, decided 1, happened 3. HOLD: decided only. UP: right 1, decided 2, once."""
    decisions, labels = np.array([0, 1, 2, 2]), np.array([0, 0, 0, 2])
    assert metrics.f1_scores(decisions, labels) == pytest.approx([2 / 4, 0.0, 2 / 3])


def test_f1_limits():
    """HOLD is neither decided nor happened in the second case: 0/0, which scores 0."""
    assert metrics.f1_scores(np.array([0, 1, 2]), np.array([0, 1, 2])) == [1.0, 1.0, 1.0]
    assert metrics.f1_scores(np.array([0, 2]), np.array([0, 2])) == [1.0, 0.0, 1.0]


@given(labels=classes, data=st.data())
def test_f1_equals_scikit_learn(labels, data):
    decisions = data.draw(hnp.arrays(np.int64, len(labels), elements=st.integers(0, 2)))
    expected = f1_score(labels, decisions, labels=[0, 1, 2], average=None, zero_division=0.0)
    assert metrics.f1_scores(decisions, labels) == pytest.approx(expected.tolist(), abs=1e-12)


def test_direction_accuracy_by_hand():
    """Row 2 held and does not count; row 1 is right about DOWN, row 3 wrong."""
    assert metrics.direction_accuracy(PROBS, LABELS) == pytest.approx(0.5)
    assert metrics.direction_accuracy(PROBS, np.array([1, 1, 1])) is None
    assert metrics.direction_accuracy(PERFECT, LABELS) == 1.0


def test_bins_have_equal_mass_and_equal_values_share_one():
    confidence = np.linspace(0.4, 0.9, 60)
    bins = metrics.equal_mass_bins(confidence, 6)
    assert np.bincount(bins).tolist() == [10] * 6
    assert set(metrics.equal_mass_bins(np.full(50, 0.7), 5).tolist()) <= set(range(5))
    assert len(set(metrics.equal_mass_bins(np.full(50, 0.7), 5).tolist())) == 1


def test_ece_of_one_bin_by_hand():
    """Confidences 0.5, 0.8, 0.5 and hits 1, 1, 0: |0.6 - 2/3|."""
    assert metrics.ece(PROBS, LABELS, n_bins=1) == pytest.approx(abs(0.6 - 2 / 3))


def test_ece_limits():
    probs = np.tile([0.9, 0.05, 0.05], (40, 1))
    assert metrics.ece(probs, np.zeros(40, int), n_bins=5) == pytest.approx(0.1)
    assert metrics.ece(probs, np.ones(40, int), n_bins=5) == pytest.approx(0.9)
    assert metrics.ece(np.eye(3)[[0, 1, 2] * 9], np.array([0, 1, 2] * 9), n_bins=5) == 0.0


def test_ece_of_a_calibrated_forecast_falls_with_the_number_of_rows():
    few, many = (metrics.ece(*random_forecast(n), n_bins=15) for n in (400, 100_000))
    # A perfect model's ECE is about sqrt(2/pi * p(1-p) * bins/n): 0.005 at 100,000.
    assert many < 0.01 < few


@pytest.mark.parametrize("n_bins", [5, 10, 15])
def test_ece_equals_a_loop_over_bins(n_bins):
    probs, labels = random_forecast(733)
    confidence = [max(row) for row in probs.tolist()]
    hits = [float(np.argmax(row) == label) for row, label in zip(probs, labels, strict=True)]
    edges = [float(np.quantile(confidence, k / n_bins)) for k in range(1, n_bins)]
    total = 0.0
    for k in range(n_bins):
        low = -math.inf if k == 0 else edges[k - 1]
        high = math.inf if k == n_bins - 1 else edges[k]
        rows = [i for i, c in enumerate(confidence) if low <= c < high]
        if rows:
            total += abs(sum(confidence[i] - hits[i] for i in rows)) / len(confidence)
    assert metrics.ece(probs, labels, n_bins=n_bins) == pytest.approx(total, abs=1e-12)
    table = metrics.reliability_table(probs, labels, n_bins=n_bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    assert float((table["n"] * gaps).sum() / table["n"].sum()) == pytest.approx(total, abs=1e-12)


def test_reliability_table_by_hand():
    table = metrics.reliability_table(PROBS, LABELS, n_bins=1)
    assert table.iloc[0].tolist() == pytest.approx([3, 0.6, 2 / 3])


def test_score_table_of_three_rows():
    scores = metrics.score_table(
        PROBS,
        np.log(PROBS),
        np.array([0, 1, 0]),
        LABELS,
        min_confidence=0.6,
        n_bins=5,
    )
    assert scores["n"] == 3
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["mean_confidence"] == pytest.approx(0.6)
    assert scores["max_abs_logit"] == pytest.approx(-math.log(0.1))
    assert scores["decision_shares"] == pytest.approx([2 / 3, 1 / 3, 0.0])
    assert scores["balanced_accuracy"] == 1.0
    assert scores["f1"] == [1.0, 1.0, 0.0]
    assert scores["share_confidence_over_99"] == 0.0
    assert scores["actionable_share"] == pytest.approx(1 / 3)
    assert scores["actionable_accuracy"] == 1.0
    assert scores["actionable_mean_confidence"] == pytest.approx(0.8)


def test_score_table_has_no_actionable_figures_when_nothing_is_actionable():
    scores = metrics.score_table(
        PROBS, np.log(PROBS), LABELS, LABELS, min_confidence=0.95, n_bins=5
    )
    assert scores["actionable_share"] == 0.0
    assert scores["actionable_accuracy"] is None
    assert scores["actionable_mean_confidence"] is None
