"""From what a focal, smoothed, weighted loss makes a net say back to class probabilities.

Focal loss with smoothing is minimised not by the class probabilities eta but by some p bent
towards the middle. At the minimiser (Charoenphakdee et al. 2021, theorem 11, with smoothing
and weights carried along)

    w_i * q_i  proportional to  h(p_i),    h(v) = v / ((1-v)**g - g * (1-v)**(g-1) * v * ln v)
    q_i = eta_i * (1 - e) + (1 - eta_i) * e / 2

so eta follows from p in closed form.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PROBABILITY_FLOOR = 1e-3
"""Smallest class probability the inversion returns before renormalising. Smoothing moves e/2
of mass to every class, so a net that is a little too sure inverts to a negative probability."""


def softmax(logits: NDArray[np.floating]) -> Array:
    """Return the softmax over the last axis in float64; shape unchanged."""
    logits = np.asarray(logits, dtype=np.float64)
    # The ufuncs themselves: for the three numbers of one signal, an array's methods take longer.
    shifted = np.exp(logits - np.maximum.reduce(logits, axis=-1, keepdims=True))
    return shifted / np.add.reduce(shifted, axis=-1, keepdims=True)


def invert_focal(
    probs: NDArray[np.floating],
    *,
    gamma: float,
    smoothing: float,
    class_weights: NDArray[np.floating],
) -> Array:
    """Return the class probabilities behind the softmax outputs of a trained net.

    Parameters
    ----------
    probs : array of shape (n_rows, 3)
        Softmax of the net's raw scores, any split.
    gamma, smoothing : float
        As in the loss that trained the net.
    class_weights : array of shape (3,)
        As in the loss that trained the net.

    Returns
    -------
    array of shape (n_rows, 3)
        Rows sum to one; every entry is at least about `PROBABILITY_FLOOR`.

    Examples
    --------
    Without focus, smoothing and weights there is nothing to undo:

    >>> p = np.array([[0.2, 0.3, 0.5]])
    >>> invert_focal(p, gamma=0.0, smoothing=0.0, class_weights=np.ones(3)).round(3)
    array([[0.2, 0.3, 0.5]])
    """
    v = np.minimum(np.maximum(np.asarray(probs, dtype=np.float64), 1e-12), 1.0 - 1e-12)
    rest = 1.0 - v
    focus = rest**gamma - gamma * rest ** (gamma - 1.0) * v * np.log(v)
    smoothed = v / focus / class_weights
    smoothed /= np.add.reduce(smoothed, axis=-1, keepdims=True)
    other = smoothing / (v.shape[-1] - 1)
    eta = np.maximum((smoothed - other) / (1.0 - smoothing - other), PROBABILITY_FLOOR)
    return eta / np.add.reduce(eta, axis=-1, keepdims=True)
