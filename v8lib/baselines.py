"""What the net has to beat, on the same rows: climatology, volatility only, linear, trees.

Every baseline is fitted on train and gets the same temperature scaling on calib as the net.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from v8lib.calibration import fit_temperature
from v8lib.errors import NoSkillError
from v8lib.intervals import skill_interval
from v8lib.inversion import softmax
from v8lib.metrics import accuracy, ece, log_loss, row_log_loss

Array = NDArray[np.float64]
Data = tuple[NDArray[np.float32], NDArray[np.int64]]

VOLATILITY_FAMILIES = ("volatility", "volume", "time", "season")
SIGNED = ("volume_signed_16",)  # of these families, and yet about direction
LOGISTIC_C = 0.03  # inverse strength of the L2 penalty on standardised features
TREES, TREE_RATE = 150, 0.05


@dataclass(frozen=True)
class Splits:
    """Scaled features and labels of the splits a baseline needs, and the rows it predicts."""

    train: Data
    valid: Data
    calib: Data
    test_features: NDArray[np.float32]


def climatology(train_labels: NDArray[np.integer]) -> Array:
    """Return the class frequencies of train, shape (3,): the forecast that knows nothing else."""
    return np.bincount(train_labels, minlength=3) / len(train_labels)


def fit_baselines(
    splits: Splits, columns: Sequence[tuple[str, str]], *, seed: int
) -> dict[str, Array]:
    """Return the test probabilities of every baseline, each of shape (n_test, 3).

    Parameters
    ----------
    splits : Splits
        Train fits, valid chooses the number of trees, calib the temperature.
    columns : sequence of (name, family)
        The feature columns, in order.
    seed : int
        Seed of the tree learner.
    """
    is_volatility = np.array(
        [family in VOLATILITY_FAMILIES and name not in SIGNED for name, family in columns]
    )
    frequencies = climatology(splits.train[1])
    return {
        "climatology": np.tile(frequencies, (len(splits.test_features), 1)),
        "volatility_only": _logistic(splits, is_volatility),
        "logistic": _logistic(splits, np.ones(len(columns), dtype=bool)),
        "gradient_boosting": _trees(splits, seed),
    }


def _logistic(splits: Splits, columns: NDArray[np.bool_]) -> Array:
    features, labels = splits.train
    model = LogisticRegression(C=LOGISTIC_C, max_iter=500).fit(features[:, columns], labels)
    return _calibrated(
        model.predict_log_proba(splits.calib[0][:, columns]),
        splits.calib[1],
        model.predict_log_proba(splits.test_features[:, columns]),
        climatology(labels),
    )


def _trees(splits: Splits, seed: int) -> Array:
    """Fit histogram gradient boosting and keep as many trees as valid likes best."""
    model = HistGradientBoostingClassifier(
        learning_rate=TREE_RATE,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        max_iter=TREES,
        early_stopping=False,
        random_state=seed,
    ).fit(*splits.train)
    losses = [log_loss(p, splits.valid[1]) for p in model.staged_predict_proba(splits.valid[0])]
    best = int(np.argmin(losses))
    return _calibrated(
        np.log(_staged(model, splits.calib[0], best)),
        splits.calib[1],
        np.log(_staged(model, splits.test_features, best)),
        climatology(splits.train[1]),
    )


def _staged(model: HistGradientBoostingClassifier, features: NDArray, stage: int) -> Array:
    for index, probs in enumerate(model.staged_predict_proba(features)):
        if index == stage:
            return np.maximum(probs, 1e-12)
    raise IndexError(f"no stage {stage}")


def _calibrated(
    calib_scores: Array, calib_labels: NDArray[np.integer], test_scores: Array, prior: Array
) -> Array:
    """Return test probabilities at calib's temperature; the prior where calib shows no skill."""
    try:
        return softmax(test_scores / fit_temperature(calib_scores, calib_labels))
    except NoSkillError:
        return np.tile(prior, (len(test_scores), 1))


def score_baselines(
    probs: Mapping[str, Array],
    labels: NDArray[np.integer],
    *,
    n_bins: int,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
) -> dict[str, dict[str, Any]]:
    """Return the scores of each baseline on test, with the interval of its skill.

    Parameters
    ----------
    probs : mapping of name to array of shape (n_test, 3)
        From `fit_baselines`; "climatology" is the reference of the skill.
    labels : integer array of shape (n_test,)
        What happened.
    n_bins, horizon_bars, reps, rng
        As in `intervals`.
    """
    reference = row_log_loss(probs["climatology"], labels)
    scores = {}
    for name, predicted in probs.items():
        interval = skill_interval(
            row_log_loss(predicted, labels),
            reference,
            horizon_bars=horizon_bars,
            reps=reps,
            rng=rng,
        )
        scores[name] = {
            "accuracy": accuracy(predicted.argmax(axis=1), labels),
            "log_loss": log_loss(predicted, labels),
            "log_loss_skill": interval.value,
            "log_loss_skill_ci": interval.ci,
            "ece": ece(predicted, labels, n_bins=n_bins),
            "mean_confidence": float(predicted.max(axis=1).mean()),
        }
    return scores
