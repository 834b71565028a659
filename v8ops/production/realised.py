"""Means over rows that are not independent, with their standard error.

Horizons overlap and markets have moods, so neighbouring rows say much the same. The error of
a mean is taken from means of whole blocks (batch means: Law and Kelton 2000, section 9.5.3),
which are nearly independent.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK_ROWS = 100
FLOOR = 1e-12  # of a probability whose logarithm is taken


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return the mean of values in order of time and its standard error.

    Parameters
    ----------
    values : array of shape (n,)
        At least two blocks of `BLOCK_ROWS`; the oldest rows that fill no block count in the
        mean only.
    """
    n_blocks = len(values) // BLOCK_ROWS
    blocks = values[len(values) - n_blocks * BLOCK_ROWS :].reshape(n_blocks, BLOCK_ROWS)
    means = blocks.mean(axis=1)
    return float(values.mean()), float(means.std(ddof=1) / np.sqrt(n_blocks))


def loss_against(probs: Array, labels: NDArray[np.int64], shares: Array) -> Array:
    """Return log loss minus climatology's of every row, shape (n,): below 0 the model knows more.

    Parameters
    ----------
    probs : array of shape (n, 3)
        What the model said.
    labels : int64 array of shape (n,)
        What happened, all known.
    shares : array of shape (3,)
        Class frequencies of the model's train rows.
    """
    rows = np.arange(len(labels))
    said = np.log(np.maximum(probs[rows, labels], FLOOR))
    return np.log(np.maximum(shares, FLOOR))[labels] - said


def confidence_gap(probs: Array, labels: NDArray[np.int64]) -> Array:
    """Return confidence minus whether it was right of every row, shape (n,); above 0: too sure."""
    return probs.max(axis=1) - (probs.argmax(axis=1) == labels)
