"""From probabilities to a decision: argmax, or offsets towards a third of the time each."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # production decides without the parameters of a run
    from v8lib.config import DecisionRule

Array = NDArray[np.float64]
MAX_SWEEPS = 200
TOLERANCE = 1e-9
BLOCKS = 10  # of calib, left out in turn to see how far an offset can be trusted
TARGET = (1 / 3, 1 / 3, 1 / 3)
CONTRASTS = np.array([[-0.5, 1.0, -0.5], [-1.0, 0.0, 1.0]])  # HOLD against a move, UP against DOWN


def fit_offsets(probs: Array, *, rule: "DecisionRule") -> Array:
    """Return what is added to ln(probability) before the largest class is taken, shape (3,).

    The offsets move the decision and never the probability. For ``argmax`` they are zero.
    For ``balanced`` they are first solved so that each class is decided on a third of these
    rows, and then shrunk by what these rows can tell: a stretch in which the market rose
    asks for an offset against UP that the next stretch would pay for. Each of the two
    contrasts c (HOLD against a move, UP against DOWN) keeps the share 1 - se**2 / c**2, or
    nothing, with the standard error se from leaving out ten blocks in turn (positive-part
    James-Stein shrinkage; block jackknife of Kunsch 1989, section 2).

    Parameters
    ----------
    probs : array of shape (n_rows, 3)
        Calibrated probabilities on the calib split, in order of time.
    rule : {"balanced", "argmax"}
        Decision rule.
    """
    if rule == "argmax" or np.ptp(probs, axis=0).max() < 1e-6:  # one answer for every row
        return np.zeros(3)
    scores = np.log(np.maximum(probs, 1e-15))
    contrasts = CONTRASTS @ solve_offsets(scores)
    blocks = np.array_split(np.arange(len(scores)), BLOCKS)
    left_out = np.array(
        [CONTRASTS @ solve_offsets(np.delete(scores, block, axis=0)) for block in blocks]
    )
    spread = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
    variance = (BLOCKS - 1) / BLOCKS * spread
    squares = np.maximum(contrasts**2, 1e-300)
    hold, direction = contrasts * np.maximum(0.0, 1.0 - variance / squares)
    return np.array(
        [-hold / 3.0 - direction / 2.0, 2.0 * hold / 3.0, -hold / 3.0 + direction / 2.0]
    )


def solve_offsets(scores: Array) -> Array:
    """Return the offsets, mean zero, at which each class wins on a third of the rows.

    Each class in turn gets the offset at which its margin over the best other class is
    positive on its share of rows, until nothing moves.

    Parameters
    ----------
    scores : array of shape (n_rows, 3)
        ln of the probabilities.

    Examples
    --------
    >>> scores = np.log(np.random.default_rng(0).dirichlet([4.0, 2.0, 4.0], size=3_000))
    >>> np.bincount((scores + solve_offsets(scores)).argmax(axis=1)).tolist()
    [1000, 1000, 1000]
    """
    offsets = np.zeros(3)
    for _ in range(MAX_SWEEPS):
        before = offsets.copy()
        for k, share in enumerate(TARGET):
            others = np.delete(scores + offsets, k, axis=1).max(axis=1)
            # Midway between two rows: no row sits on the edge of its own decision.
            offsets[k] = np.quantile(others - scores[:, k], share, method="midpoint")
        offsets -= offsets.mean()
        if np.abs(offsets - before).max() < TOLERANCE:
            break
    return offsets


def decide(probs: Array, offsets: Array) -> NDArray[np.int64]:
    """Return the emitted class of every row, shape (n_rows,)."""
    return (np.log(np.maximum(probs, 1e-15)) + offsets).argmax(axis=1)


def actionable(probs: Array, *, min_confidence: float) -> NDArray[np.bool_]:
    """Return which rows are sure enough to act on: calibrated confidence at or above the bar."""
    return probs.max(axis=1) >= min_confidence
