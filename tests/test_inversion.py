import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from v8lib import inversion

ETAS = ([0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3], [0.05, 0.15, 0.8], [0.7, 0.29, 0.01])
WEIGHTS = ([1.0, 1.0, 1.0], [0.8, 1.3, 0.95])


def expected_loss(logits, eta, gamma, smoothing, weights):
    """Return the focal loss a net pays on average where the classes come with `eta`."""
    shifted = logits - logits.max()
    log_p = shifted - np.log(np.exp(shifted).sum())
    q = eta * (1.0 - smoothing) + (1.0 - eta) * smoothing / 2.0
    return -float((weights * q * (1.0 - np.exp(log_p)) ** gamma * log_p).sum())


def minimiser(eta, gamma, smoothing, weights):
    found = minimize(
        expected_loss,
        np.log(eta),
        args=(eta, gamma, smoothing, weights),
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-15, "maxiter": 4_000, "maxfev": 8_000},
    )
    return np.exp(found.x) / np.exp(found.x).sum()


@pytest.mark.parametrize("weights", WEIGHTS, ids=("even", "uneven"))
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_inversion_recovers_the_classes_from_the_minimiser_of_the_loss(gamma, smoothing, weights):
    for eta in map(np.array, ETAS):
        probs = minimiser(eta, gamma, smoothing, np.array(weights))
        got = inversion.invert_focal(
            probs, gamma=gamma, smoothing=smoothing, class_weights=np.array(weights)
        )
        # The optimiser finds p to about 1e-7; the inversion stretches that by up to ten.
        assert got == pytest.approx(eta, abs=2e-5)


def test_focal_loss_and_smoothing_really_bend_a_true_seventy_percent():
    """Without this the inversion could be the identity and nobody would notice."""
    probs = minimiser(np.array([0.15, 0.15, 0.7]), 2.0, 0.1, np.ones(3))
    assert probs[2] == pytest.approx(0.51, abs=0.01)


@given(
    logits=hnp.arrays(np.float64, (7, 3), elements=st.floats(-60.0, 60.0)),
    gamma=st.floats(0.0, 5.0),
    smoothing=st.floats(0.0, 0.49),
    weights=hnp.arrays(np.float64, 3, elements=st.floats(0.2, 5.0)),
)
def test_whatever_the_net_says_becomes_probabilities_above_the_floor(
    logits, gamma, smoothing, weights
):
    got = inversion.invert_focal(
        inversion.softmax(logits), gamma=gamma, smoothing=smoothing, class_weights=weights
    )
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-12)
    # Where two classes come out below zero and are lifted, the third is above one by as much.
    other = smoothing / 2.0
    excess = 2.0 * (inversion.PROBABILITY_FLOOR + other / (1.0 - smoothing - other))
    assert got.min() >= inversion.PROBABILITY_FLOOR / (1.0 + excess) - 1e-12


def test_nothing_to_undo_returns_the_probabilities():
    probs = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3]])
    got = inversion.invert_focal(probs, gamma=0.0, smoothing=0.0, class_weights=np.ones(3))
    np.testing.assert_allclose(got, probs, atol=1e-12)


def test_softmax_by_hand_and_far_out():
    assert inversion.softmax([0.0, 0.0, 0.0]) == pytest.approx([1 / 3] * 3)
    assert inversion.softmax(np.log([[1.0, 2.0, 5.0]]))[0] == pytest.approx([0.125, 0.25, 0.625])
    assert inversion.softmax([1e4, 0.0, -1e4]).tolist() == [1.0, 0.0, 0.0]


@given(logits=hnp.arrays(np.float64, (4, 3), elements=st.floats(-50.0, 50.0)), by=st.floats(-9, 9))
def test_softmax_ignores_a_constant_added_to_every_class(logits, by):
    first, moved = inversion.softmax(logits), inversion.softmax(logits + by)
    np.testing.assert_allclose(moved, first, atol=1e-12)
