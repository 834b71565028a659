import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import decision


def shares(probs, offsets):
    return np.bincount(decision.decide(probs, offsets), minlength=3) / len(probs)


def tilted(n, alpha, seed=0):
    return np.random.default_rng(seed).dirichlet(alpha, size=n)


def test_without_offsets_the_largest_class_is_decided():
    probs = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]])
    assert decision.decide(probs, np.zeros(3)).tolist() == [0, 1, 2]


def test_an_offset_moves_the_decision_by_its_ratio():
    """ln 2 on HOLD doubles its standing: 0.3 counts as 0.6 and 0.2 as 0.4."""
    probs = np.array([[0.5, 0.3, 0.2], [0.5, 0.2, 0.3], [0.1, 0.1, 0.8]])
    assert decision.decide(probs, np.array([0.0, np.log(2.0), 0.0])).tolist() == [1, 0, 2]


def test_a_probability_of_zero_is_decided_without_a_warning():
    assert decision.decide(np.array([[0.0, 0.0, 1.0]]), np.zeros(3)).tolist() == [2]


def test_argmax_has_no_offsets():
    assert decision.fit_offsets(tilted(500, [9, 1, 1]), rule="argmax").tolist() == [0.0, 0.0, 0.0]


def test_one_answer_for_every_row_has_no_offsets():
    probs = np.tile([0.2, 0.5, 0.3], (300, 1))
    assert decision.fit_offsets(probs, rule="balanced").tolist() == [0.0, 0.0, 0.0]


@given(
    alpha=st.tuples(*[st.floats(1.0, 6.0)] * 3), n=st.integers(300, 1_500), seed=st.integers(0, 99)
)
def test_solved_offsets_emit_each_class_on_a_third_of_the_rows(alpha, n, seed):
    probs = tilted(n, alpha, seed)
    offsets = decision.solve_offsets(np.log(np.maximum(probs, 1e-15)))
    # A quantile falls between two rows: one row per class, and one for each later correction.
    assert shares(probs, offsets) == pytest.approx([1 / 3] * 3, abs=4 / n)
    assert offsets.sum() == pytest.approx(0.0, abs=1e-9)


def test_balanced_offsets_on_many_independent_rows_are_nearly_the_solved_ones():
    probs = tilted(6_000, [4.0, 2.0, 3.0])
    assert np.abs(shares(probs, np.zeros(3)) - 1 / 3).max() > 0.15
    offsets = decision.fit_offsets(probs, rule="balanced")
    assert shares(probs, offsets) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_an_offset_that_one_stretch_alone_asks_for_is_not_trusted():
    """Half the blocks lean to DOWN and half to UP, so the lean of the whole is chance."""
    rng = np.random.default_rng(5)
    lean = np.repeat([0.5, -0.5, 0.5, -0.45, 0.5, -0.5, 0.5, -0.5, 0.4, -0.3], 100)
    scores = rng.normal(size=(1_000, 3)) + lean[:, None] * np.array([1.0, 0.0, -1.0])
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    solved = decision.solve_offsets(np.log(probs))
    fitted = decision.fit_offsets(probs, rule="balanced")
    direction = np.array([-1.0, 0.0, 1.0])
    assert abs(solved @ direction) > 0.01
    assert abs(fitted @ direction) < 1e-12


def test_offsets_mirror_when_down_and_up_change_places():
    probs = tilted(2_000, [4.0, 2.0, 3.0])
    first, mirrored = (
        decision.fit_offsets(p, rule="balanced") for p in (probs, probs[:, ::-1].copy())
    )
    np.testing.assert_allclose(mirrored, first[::-1], atol=2e-3)
    assert abs(first[0] - first[2]) > 0.1


def test_actionable_includes_the_bar_itself():
    probs = np.array([[0.6, 0.3, 0.1], [0.59, 0.31, 0.1], [0.1, 0.1, 0.8]])
    assert decision.actionable(probs, min_confidence=0.6).tolist() == [True, False, True]
