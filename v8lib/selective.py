"""Selective prediction: how right a model is on the rows it is surest about.

Confidence is the largest probability of a row and the class it belongs to is what the row
is judged by. `probs` has shape (n_rows, 3), `labels` shape (n_rows,) with `Label` values,
in order of time, from rows that neither the model nor its calibration was fitted on.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.blocks import resampled_sums
from v8lib.decision import actionable
from v8lib.intervals import LEVEL, Interval, block_length
from v8lib.labels import CLASS_NAMES

Array = NDArray[np.float64]
Ints = NDArray[np.integer]
MIN_SELECTED = 20  # below this an interval says more about the draws than about the model


def risk_coverage_table(probs: Array, labels: Ints, *, n_points: int = 50) -> pd.DataFrame:
    """Return accuracy on the surest rows, from few of them to all.

    One row per point: coverage (share of rows selected), threshold (their least confidence),
    accuracy and mean_confidence of the selected rows. Rows of equal confidence enter
    together, so there are fewer than `n_points` rows where the confidence takes few values.
    El-Yaniv and Wiener (2010), "On the foundations of noise-free selective classification".

    Parameters
    ----------
    probs, labels : arrays of shape (n_rows, 3) and (n_rows,)
        Test split.
    n_points : int
        Each point is the smallest selection that reaches the next of `n_points` equal steps
        of coverage.
    """
    confidence, right = _by_confidence(probs, labels)
    # A selection may end only where the next row is less sure.
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    sizes = ends + 1
    wanted = np.arange(1, n_points + 1) * len(confidence) / n_points
    # One millionth of a row forgives the rounding of k * n / n_points.
    kept = ends[np.unique(np.searchsorted(sizes, wanted - 1e-6))]
    return pd.DataFrame(
        {
            "coverage": (kept + 1) / len(confidence),
            "threshold": confidence[kept],
            "accuracy": np.cumsum(right)[kept] / (kept + 1),
            "mean_confidence": np.cumsum(confidence)[kept] / (kept + 1),
        }
    )


def aurc(probs: Array, labels: Ints) -> float:
    """Return the area under the risk-coverage curve, in [0, 1]; lower is better.

    The mean over k = 1 .. n of the error rate of the k surest rows (Geifman, Uziel and
    El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep neural classifiers"). Rows of
    equal confidence count with their mean error, which is the expectation over the orders
    they could be taken in. A confidence that says nothing about errors scores the error rate.
    """
    confidence, right = _by_confidence(probs, labels)
    _, group = np.unique(confidence, return_inverse=True)
    error = (np.bincount(group, weights=1.0 - right) / np.bincount(group))[group]
    return float((np.cumsum(error) / np.arange(1, len(error) + 1)).mean())


def selected_accuracy(
    probs: Array,
    labels: Ints,
    *,
    min_confidence: float,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> Interval | None:
    """Return the accuracy of the rows at or above a confidence, with its 95 % interval.

    None if fewer than `MIN_SELECTED` rows are selected. The whole series is resampled in
    blocks, so that the number of selected rows varies as it would; the accuracy of a draw is
    a ratio of sums, and a draw without a selected row is left out. The block length is that
    of the linearised ratio. Where every selected row is right (or wrong) every draw is, and
    the interval has no width.

    Parameters
    ----------
    probs, labels : arrays of shape (n_rows, 3) and (n_rows,)
        Test split, in order of time.
    min_confidence : float
        Confidence from which a row is selected, in [0, 1].
    horizon_bars : int
        Horizon of the labels.
    reps : int
        Bootstrap draws.
    rng : numpy Generator
        Randomness of the draws.
    runs : sequence of int, optional
        As in `intervals.skill_interval`.
    """
    selected = actionable(probs, min_confidence=min_confidence).astype(np.float64)
    if selected.sum() < MIN_SELECTED:
        return None
    hits = selected * (probs.argmax(axis=1) == labels)
    value = hits.sum() / selected.sum()
    length = block_length(hits - value * selected, horizon_bars)
    both = np.column_stack([hits, selected])
    right, drawn = resampled_sums(both, length, reps=reps, rng=rng, runs=runs).T
    some = drawn > 0.0
    draws = right[some] / drawn[some]
    low, high = np.quantile(draws, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(float(value), float(low), float(high))


def signal_table(
    probs: Array, decisions: Ints, labels: Ints, *, min_confidence: float
) -> pd.DataFrame:
    """Return how each emitted class did among the actionable rows.

    One row per class, DOWN, HOLD, UP: n, share (of the actionable rows), accuracy,
    mean_confidence, and mean_probability (of the emitted class: below the confidence where
    an offset moved the decision). A class that was not emitted has n = 0 and NaN figures.

    Parameters
    ----------
    probs : array of shape (n_rows, 3)
        Calibrated probabilities, test split.
    decisions, labels : integer arrays of shape (n_rows,)
        The emitted class and what happened.
    min_confidence : float
        Confidence from which a signal is actionable, in [0, 1].
    """
    acting = actionable(probs, min_confidence=min_confidence)
    frame = pd.DataFrame(
        {
            "signal": pd.Categorical.from_codes(decisions[acting], CLASS_NAMES),
            "accuracy": (decisions == labels)[acting].astype(np.float64),
            "mean_confidence": probs.max(axis=1)[acting],
            "mean_probability": probs[acting, decisions[acting]],
        }
    )
    grouped = frame.groupby("signal", observed=False)
    table = grouped[["accuracy", "mean_confidence", "mean_probability"]].mean()
    table.insert(0, "n", grouped.size())
    table.insert(1, "share", table["n"] / max(len(frame), 1))
    table.index = pd.Index(CLASS_NAMES, name="signal")
    return table


def _by_confidence(probs: Array, labels: Ints) -> tuple[Array, Array]:
    """Return confidence, falling, and whether the top class happened (1 or 0), in that order."""
    confidence = probs.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probs.argmax(axis=1) == labels).astype(np.float64)
    return confidence[order], right[order]
