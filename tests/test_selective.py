import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import selective

# Confidences 0.9, 0.8, 0.6, 0.6, 0.5; the top classes are right, wrong, right, wrong, right.
PROBS = np.array(
    [[0.2, 0.6, 0.2], [0.9, 0.05, 0.05], [0.1, 0.3, 0.6], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]]
)
LABELS = np.array([1, 0, 0, 1, 0])


def forecast(n, seed=0):
    """Return a calibrated forecast and what happened."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([1.0, 1.0, 1.0], size=n)
    labels = (probs.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return probs, np.minimum(labels, 2)


def accuracy_above(probs, labels, bar, seed=0, reps=200, horizon_bars=4):
    return selective.selected_accuracy(
        probs,
        labels,
        min_confidence=bar,
        horizon_bars=horizon_bars,
        reps=reps,
        rng=np.random.default_rng(seed),
    )


def test_risk_coverage_of_five_rows_by_hand():
    table = selective.risk_coverage_table(PROBS, LABELS, n_points=5)
    assert table["coverage"].tolist() == pytest.approx([0.2, 0.4, 0.8, 1.0])
    assert table["threshold"].tolist() == pytest.approx([0.9, 0.8, 0.6, 0.5])
    assert table["accuracy"].tolist() == pytest.approx([1.0, 0.5, 0.5, 0.6])
    expected = [0.9, 1.7 / 2, 2.9 / 4, 3.4 / 5]
    assert table["mean_confidence"].tolist() == pytest.approx(expected)


def test_rows_of_equal_confidence_enter_together_in_any_order():
    order = np.array([2, 0, 4, 3, 1])
    first = selective.risk_coverage_table(PROBS, LABELS, n_points=5)
    second = selective.risk_coverage_table(PROBS[order], LABELS[order], n_points=5)
    np.testing.assert_allclose(first, second)
    same = selective.risk_coverage_table(np.tile([0.2, 0.3, 0.5], (9, 1)), np.full(9, 2))
    assert same.to_numpy().tolist() == [[1.0, 0.5, 1.0, 0.5]]


@given(n=st.integers(1, 120), n_points=st.integers(1, 60), seed=st.integers(0, 50))
def test_every_point_is_what_selecting_by_its_threshold_gives(n, n_points, seed):
    probs, labels = forecast(n, seed)
    probs = probs.round(1)  # many ties
    table = selective.risk_coverage_table(probs, labels, n_points=n_points)
    assert table["coverage"].iloc[-1] == 1.0
    assert table["coverage"].is_monotonic_increasing
    assert table["coverage"].is_unique
    assert len(table) <= n_points
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    for point in table.itertuples():
        chosen = confidence >= point.threshold
        assert point.coverage == pytest.approx(chosen.mean())
        assert point.accuracy == pytest.approx(right[chosen].mean())
        assert point.mean_confidence == pytest.approx(confidence[chosen].mean())


def test_points_are_the_smallest_selections_that_reach_equal_steps():
    table = selective.risk_coverage_table(*forecast(1_000), n_points=50)
    assert table["coverage"].tolist() == pytest.approx((np.arange(1, 51) / 50).tolist())


def test_a_calibrated_forecast_is_as_right_as_it_is_sure_at_every_coverage():
    table = selective.risk_coverage_table(*forecast(40_000), n_points=20)
    # At the smallest coverage 2,000 rows: standard error of an accuracy below 0.01.
    assert (table["accuracy"] - table["mean_confidence"]).abs().max() < 0.03
    assert table["accuracy"].iloc[0] > table["accuracy"].iloc[-1] + 0.2


def test_aurc_of_five_rows_by_hand():
    """Errors 0, 1, 0.5, 0.5, 0 in order of confidence: risks 0, 1/2, 1/2, 1/2, 2/5."""
    assert selective.aurc(PROBS, LABELS) == pytest.approx((0 + 0.5 + 0.5 + 0.5 + 0.4) / 5)


def test_aurc_limits():
    probs, labels = forecast(500)
    top = probs.argmax(axis=1)
    assert selective.aurc(probs, top) == 0.0
    assert selective.aurc(probs, (top + 1) % 3) == 1.0
    flat = np.tile([0.2, 0.5, 0.3], (500, 1))
    assert selective.aurc(flat, labels) == pytest.approx((labels != 1).mean())


def test_aurc_falls_when_the_errors_move_to_the_unsure_rows():
    probs = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.5, 0.3, 0.2]])
    late, early = np.array([0, 0, 1]), np.array([1, 0, 0])
    assert selective.aurc(probs, late) == pytest.approx(1 / 9)
    assert selective.aurc(probs, early) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_aurc_with_ties_is_the_mean_over_their_orders():
    probs, labels = forecast(60, seed=4)
    tied = probs.round(1)
    right = tied.argmax(axis=1) == labels
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4_000):
        order = np.lexsort((rng.random(60), -tied.max(axis=1)))
        found.append((np.cumsum(~right[order]) / np.arange(1, 61)).mean())
    error = np.std(found) / len(found) ** 0.5
    assert selective.aurc(tied, labels) == pytest.approx(np.mean(found), abs=4 * error)


def test_selected_accuracy_is_that_of_the_selected_rows():
    probs, labels = forecast(2_000)
    found = accuracy_above(probs, labels, 0.7)
    chosen = probs.max(axis=1) >= 0.7
    assert found.value == pytest.approx((probs.argmax(axis=1) == labels)[chosen].mean())
    assert found.low < found.value < found.high


def test_the_bar_itself_is_selected_and_twenty_rows_are_enough():
    probs = np.tile([0.2, 0.3, 0.5], (100, 1))
    probs[:20] = [0.1, 0.3, 0.6]
    labels = np.full(100, 2)
    assert accuracy_above(probs, labels, 0.6).ci == [1.0, 1.0]
    probs[0] = [0.2, 0.3, 0.5]
    assert accuracy_above(probs, labels, 0.6) is None


def test_draws_without_a_selected_row_are_left_out():
    """Twenty selected rows in one lump among 400: many draws of long blocks miss it."""
    probs = np.tile([0.2, 0.3, 0.5], (400, 1))
    probs[200:220] = [0.1, 0.3, 0.6]
    labels = np.where(np.arange(400) < 210, 2, 0)
    found = accuracy_above(probs, labels, 0.6, horizon_bars=20)
    assert found.value == 0.5
    assert 0.0 <= found.low < 0.5 < found.high <= 1.0


def test_selected_accuracy_covers_the_truth():
    """A row is right with the probability it states, so the truth of a draw is known.

    150 series of 600 rows, nominal 95 %, standard error of the count 1.8 %.
    """
    covered = 0
    for k in range(150):
        probs, labels = forecast(600, seed=100 + k)
        found = accuracy_above(probs, labels, 0.6, seed=k, reps=150, horizon_bars=1)
        covered += found.low < 0.733 < found.high
    assert 0.88 <= covered / 150 < 1.0
    many, _ = forecast(400_000, seed=1)
    confidence = many.max(axis=1)
    assert confidence[confidence >= 0.6].mean() == pytest.approx(0.733, abs=0.001)


def test_blocks_make_the_interval_of_dependent_rows_wider():
    probs, labels = forecast(500, seed=2)
    probs, labels = np.repeat(probs, 8, axis=0), np.repeat(labels, 8)
    shuffled = np.random.default_rng(0).permutation(len(labels))
    blocked = accuracy_above(probs, labels, 0.6, horizon_bars=8)
    apart = accuracy_above(probs[shuffled], labels[shuffled], 0.6, horizon_bars=1)
    assert blocked.high - blocked.low > 1.8 * (apart.high - apart.low)  # sqrt(8) = 2.8 expected


def test_signal_table_by_hand():
    """Of three actionable rows two say DOWN, one of them against its own top class."""
    probs = np.array([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3]])
    table = selective.signal_table(
        probs, np.array([0, 0, 2, 1]), np.array([0, 1, 2, 1]), min_confidence=0.6
    )
    assert table.index.tolist() == ["DOWN", "HOLD", "UP"]
    assert table["n"].tolist() == [2, 0, 1]
    assert table["share"].tolist() == pytest.approx([2 / 3, 0.0, 1 / 3])
    assert table.loc["DOWN", "accuracy"] == 0.5
    assert table.loc["DOWN", "mean_confidence"] == pytest.approx(0.65)
    assert table.loc["DOWN", "mean_probability"] == pytest.approx(0.45)
    assert table.loc["UP"].tolist() == pytest.approx([1, 1 / 3, 1.0, 0.7, 0.7])
    assert table.loc["HOLD", ["accuracy", "mean_confidence", "mean_probability"]].isna().all()


def test_signal_table_without_an_actionable_row_has_no_figures():
    table = selective.signal_table(PROBS, LABELS, LABELS, min_confidence=0.95)
    assert table["n"].tolist() == [0, 0, 0]
    assert table["share"].tolist() == [0.0, 0.0, 0.0]
    assert table["accuracy"].isna().all()
