"""Focal loss with label smoothing and class weights."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from v8lib.errors import TrainingError

REST_FLOOR = 1e-7  # of 1 - p: a root of zero has no slope


def focal_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float,
    alpha: float,
    smoothing: float,
    class_weights: Tensor,
) -> Tensor:
    """Return the mean focal loss of smoothed targets, a scalar (lower is better).

    loss = -alpha * sum over classes of w_i * q_i * (1 - p_i)**gamma * ln p_i, with q the
    smoothed target: 1 - e on the label, e / 2 on each other class (Lin et al. 2017, section
    3.2; Szegedy et al. 2016, section 7).

    Parameters
    ----------
    logits : Tensor of shape (n_rows, 3)
        Raw scores.
    labels : int64 Tensor of shape (n_rows,)
        `Label` values.
    gamma, alpha, smoothing : float
        Focusing exponent, overall scale, and smoothing mass e. With gamma = 0, alpha = 1 and
        smoothing = 0 this is weighted cross-entropy.
    class_weights : Tensor of shape (3,)
        From train frequencies.
    """
    n_classes = logits.shape[1]
    log_probs = functional.log_softmax(logits, dim=1)  # (n_rows, 3)
    targets = torch.full_like(log_probs, smoothing / (n_classes - 1))
    targets.scatter_(1, labels[:, None], 1.0 - smoothing)
    terms = class_weights * targets * log_probs
    if gamma:
        terms = terms * (1.0 - log_probs.exp()).clamp_min(REST_FLOOR) ** gamma
    return -alpha * terms.sum(dim=1).mean()


def loss_table(*, alpha: float, smoothing: float, class_weights: Tensor) -> Tensor:
    """Return alpha * w_i * q_i for each label, shape (3 labels, 3 classes): see `focal_loss`."""
    n_classes = len(class_weights)
    targets = class_weights.new_full((n_classes, n_classes), smoothing / (n_classes - 1))
    return alpha * class_weights * targets.fill_diagonal_(1.0 - smoothing)


def balanced_class_weights(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return n / (3 * count) of each class on train, shape (3,), mean frequency-weighted 1.

    Raises
    ------
    TrainingError
        If a class does not occur.
    """
    counts = np.bincount(labels, minlength=3)
    if (counts == 0).any():
        raise TrainingError(f"a class does not occur in train: counts {counts.tolist()}")
    return len(labels) / (3.0 * counts)
