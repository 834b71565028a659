"""Conformal prediction sets: the classes that cannot be ruled out at a stated error rate.

Class-conditional (Mondrian) split conformal prediction with the score 1 - p(class): a class
is left out where its score is larger than all but a share `error_rate` of the scores that
class had when it happened (Vovk, Gammerman and Shafer 2005, chapters 2 and 4). Sets have
shape (n_rows, 3), True where the class is in the set, columns DOWN, HOLD, UP.
"""

from bisect import bisect_left

import numpy as np
import pandas as pd
from crepes import ConformalClassifier
from numpy.typing import NDArray

from v8lib.errors import CalibrationError, ParameterError
from v8lib.labels import CLASS_NAMES

Array = NDArray[np.float64]
Ints = NDArray[np.integer]
Sets = NDArray[np.bool_]
WEEK_S = 7 * 86_400
FIRST_MONDAY_S = 4 * 86_400  # 1 January 1970 was a Thursday


def conformal_sets(
    calib_probs: Array, calib_labels: Ints, test_probs: Array, *, error_rate: float
) -> Sets:
    """Return the prediction set of every test row, bool array of shape (n_test, 3).

    If calib and test rows are exchangeable, each class is missing from the sets of the rows
    where it happens with probability at most `error_rate`. A class with fewer than
    1 / error_rate - 1 calib rows cannot be ruled out and is in every set. Nothing is drawn
    at random: p-values are not smoothed, which can only make a set larger.

    Parameters
    ----------
    calib_probs, calib_labels : arrays of shape (n_calib, 3) and (n_calib,)
        Probabilities and what happened, from rows the model was not fitted on.
    test_probs : array of shape (n_test, 3)
        Probabilities of the rows to say something about.
    error_rate : float
        Share of rows whose class may be missing, between 0 and 1.

    Raises
    ------
    CalibrationError
        If there are no calib rows or shapes disagree.
    ParameterError
        If `error_rate` is not between 0 and 1.
    """
    _check(calib_probs, calib_labels, error_rate)
    happened = np.take_along_axis(calib_probs, calib_labels[:, None], axis=1)[:, 0]
    classifier = ConformalClassifier().fit(1.0 - happened, bins=calib_labels)
    columns = [_kept(classifier, 1.0 - c, k, error_rate) for k, c in enumerate(test_probs.T)]
    return np.column_stack(columns)


def _kept(
    classifier: ConformalClassifier, scores: Array, label: int, error_rate: float
) -> NDArray[np.bool_]:
    """Return which scores leave a class in the set, shape (n_rows,).

    A larger score has no larger p-value, so they are those up to a limit. It is looked for by
    halves: the classifier compares every score it is asked for with every calib score.
    """

    def ruled_out(score: float) -> bool:
        # Not predict_set: it compares with 1 - (1 - error_rate), which rounding moves off the edge.
        p = classifier.predict_p(np.array([score]), bins=np.array([label]), smoothing=False)
        return bool(p[0] <= error_rate)

    ascending = np.unique(scores)
    n_kept = bisect_left(ascending, True, key=ruled_out)
    return np.searchsorted(ascending, scores) < n_kept


def rolling_conformal_sets(
    calib_probs: Array,
    calib_labels: Ints,
    test_probs: Array,
    test_labels: Ints,
    *,
    error_rate: float,
    horizon_bars: int,
    window_rows: int,
    refit_rows: int,
) -> Sets:
    """Return prediction sets whose scores are renewed as labels become known, (n_test, 3).

    Rows in order of time are not exchangeable, so each block of `refit_rows` test rows is
    judged by the newest `window_rows` rows whose labels were settled at the block's first
    row. The guarantee of `conformal_sets` is then approximate, the better the less the market
    changes within a window (Barber, Candes, Ramdas and Tibshirani 2023, section 3, with
    weights of one and zero); `coverage_table` shows how well it holds.

    Parameters
    ----------
    calib_probs, calib_labels : arrays of shape (n_calib, 3) and (n_calib,)
        Calib split, before test, in order of time.
    test_probs, test_labels : arrays of shape (n_test, 3) and (n_test,)
        Test split, in order of time. A label is used only from `horizon_bars` rows later on.
    error_rate : float
        Share of rows whose class may be missing, between 0 and 1.
    horizon_bars : int
        Horizon of the labels: the label of row t is settled at row t + `horizon_bars`. Rows
        are never closer together than bars, so a gap only makes this stricter.
    window_rows, refit_rows : int
        Rows the scores come from; test rows between renewals.

    Raises
    ------
    CalibrationError
        If no label is settled at the first test row, or shapes disagree.
    ParameterError
        If `error_rate` is not between 0 and 1, or another number is below one.
    """
    if min(horizon_bars, window_rows, refit_rows) < 1:
        raise ParameterError("horizon_bars, window_rows and refit_rows must be at least 1")
    probs = np.concatenate([calib_probs, test_probs])
    labels = np.concatenate([calib_labels, test_labels])
    blocks = []
    for start in range(len(calib_probs), len(probs), refit_rows):
        settled = max(start - horizon_bars + 1, 0)
        window = slice(max(settled - window_rows, 0), settled)
        block = probs[start : start + refit_rows]
        blocks.append(conformal_sets(probs[window], labels[window], block, error_rate=error_rate))
    return np.concatenate(blocks) if blocks else np.empty((0, 3), dtype=np.bool_)


def coverage_table(sets: Sets, labels: Ints, epoch_s: NDArray[np.int64]) -> pd.DataFrame:
    """Return how often the sets held what happened, per calendar week.

    One row per week that has rows, indexed by its Monday (UTC): n, coverage, mean_set_size.

    Parameters
    ----------
    sets, labels : arrays of shape (n_rows, 3) and (n_rows,)
        Prediction sets and what happened, test split.
    epoch_s : integer array of shape (n_rows,)
        Bar open times in seconds.
    """
    week = (epoch_s - FIRST_MONDAY_S) // WEEK_S * WEEK_S + FIRST_MONDAY_S
    frame = pd.DataFrame(
        {
            "week": pd.to_datetime(week, unit="s", utc=True),
            "coverage": _covered(sets, labels).astype(np.float64),
            "mean_set_size": sets.sum(axis=1),
        }
    )
    grouped = frame.groupby("week")
    table = grouped[["coverage", "mean_set_size"]].mean()
    table.insert(0, "n", grouped.size())
    return table


def coverage_summary(sets: Sets, labels: Ints) -> dict[str, object]:
    """Return what the sets are worth: how often they hold what happened, and how small they are.

    Keys: coverage, mean_set_size (0 to 3), share_empty, share_single, single_accuracy (None
    without a set of one class), coverage_by_class (None for a class that did not happen).
    `sets` and `labels` come from test.
    """
    size, covered = sets.sum(axis=1), _covered(sets, labels)
    single = size == 1
    return {
        "coverage": float(covered.mean()),
        "mean_set_size": float(size.mean()),
        "share_empty": float((size == 0).mean()),
        "share_single": float(single.mean()),
        "single_accuracy": _mean(covered[single]),
        "coverage_by_class": {
            name: _mean(covered[labels == k]) for k, name in enumerate(CLASS_NAMES)
        },
    }


def _check(probs: Array, labels: Ints, error_rate: float) -> None:
    if not 0.0 < error_rate < 1.0:
        raise ParameterError(f"error_rate must be between 0 and 1, got {error_rate}")
    if probs.ndim != 2 or labels.shape != probs.shape[:1]:
        raise CalibrationError(f"shapes disagree: probs {probs.shape}, labels {labels.shape}")
    if not len(labels):
        raise CalibrationError("no settled row to take conformal scores from")


def _covered(sets: Sets, labels: Ints) -> Sets:
    return np.take_along_axis(sets, labels[:, None].astype(np.int64), axis=1)[:, 0]


def _mean(values: Sets) -> float | None:
    return float(values.mean()) if len(values) else None
