"""What the net has to beat, on the same rows: climatology, volatility only, linear, trees.

Every baseline is fitted on train and gets the same temperature scaling on calib as the net.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from v8lib.boosting import FLOOR, LogProbs, histogram_trees, lightgbm_trees
from v8lib.calibration import fit_temperature
from v8lib.errors import FeatureError, NoSkillError
from v8lib.intervals import skill_interval
from v8lib.inversion import softmax
from v8lib.metrics import accuracy, ece, log_loss, row_log_loss

Array = NDArray[np.float64]
Data = tuple[NDArray[np.float32], NDArray[np.int64]]

VOLATILITY_FAMILIES = ("volatility", "volume", "time", "season")
SIGNED = ("volume_signed_16",)  # of these families, and yet about direction
LOGISTIC_C = 0.03  # inverse strength of the L2 penalty on standardised features


class LogisticOnce:
    """Splits that keep the logistic regression of all their columns: several ask for it."""

    train: Data

    @cached_property
    def logistic(self) -> LogisticRegression:
        """Fitted on train when it is first asked for."""
        return _fitted_logistic(*self.train)


@dataclass(frozen=True)
class Splits(LogisticOnce):
    """Scaled features and labels of the splits a baseline needs, and the rows it predicts."""

    train: Data
    valid: Data
    calib: Data
    test_features: NDArray[np.float32]

    @property
    def train_labels(self) -> NDArray[np.int64]:
        """Labels of train, for who needs no features."""
        return self.train[1]


Fit = Callable[[Splits], Array]


def climatology(train_labels: NDArray[np.integer]) -> Array:
    """Return the class frequencies of train, shape (3,): the forecast that knows nothing else."""
    return np.bincount(train_labels, minlength=3) / len(train_labels)


def fit_baselines(
    folds: Sequence[Splits],
    columns: Sequence[tuple[str, str]],
    *,
    trees: int,
    tree_rate: float,
    seed: int,
    with_lightgbm: bool,
) -> dict[str, Array]:
    """Return the test probabilities of every baseline, each of shape (n_test, 3).

    Parameters
    ----------
    folds : sequence of Splits
        Of each fold, train fits, valid chooses the number of trees, calib the temperature.
        The answer has the test rows of all folds in order.
    columns : sequence of (name, family)
        The feature columns, in order.
    trees : int
        How many of each class "gradient_boosting" may have; LightGBM stops by itself.
    tree_rate : float
        The step of each of these, in (0, 1].
    seed : int
        Seed of the tree learners.
    with_lightgbm : bool
        Whether LightGBM is one of them.

    Raises
    ------
    FeatureError
        If no column is left that "volatility_only" could look at.
    """
    is_volatility = np.array(
        [family in VOLATILITY_FAMILIES and name not in SIGNED for name, family in columns]
    )
    if not is_volatility.any():
        raise FeatureError(
            "exclude_families leaves nothing to the baseline volatility_only: keep one of "
            f"{', '.join(VOLATILITY_FAMILIES)}"
        )
    fits: dict[str, Fit] = {
        "climatology": lambda s: np.tile(climatology(s.train_labels), (len(s.test_features), 1)),
        "volatility_only": lambda s: _volatility_only(s, is_volatility),
        "logistic": _logistic,
        # Fitted right here: whoever hands train on to the learner holds it until that is done.
        "gradient_boosting": lambda s: calibrated(
            histogram_trees(s.train, s.valid, trees=trees, rate=tree_rate, seed=seed), s
        ),
    }
    if with_lightgbm:
        fits["lightgbm"] = lambda s: calibrated(lightgbm_trees(s.train, s.valid, seed=seed), s)
    return {name: np.concatenate([fit(s) for s in folds]) for name, fit in fits.items()}


def fit_linear(folds: Sequence[Splits]) -> Array:
    """Return the test probabilities of a logistic regression on all features, (n_test, 3)."""
    return np.concatenate([_logistic(s) for s in folds])


def _logistic(splits: Splits) -> Array:
    return calibrated(_log_probs(splits.logistic), splits)


def _volatility_only(splits: Splits, columns: NDArray[np.bool_]) -> Array:
    features, labels = splits.train
    log_probs = linear_log_probs(features[:, columns], labels)
    return calibrated(lambda rows: log_probs(rows[:, columns]), splits)


def linear_log_probs(features: NDArray[np.float32], labels: NDArray[np.integer]) -> LogProbs:
    """Return what gives a logistic regression's log probabilities, (n_rows, 3), of features.

    Parameters
    ----------
    features, labels
        Scaled features (n_rows, n_features) and labels (n_rows,) of train, with every class.
    """
    return _log_probs(_fitted_logistic(features, labels))


def _log_probs(model: LogisticRegression) -> LogProbs:
    return lambda rows: np.log(np.maximum(model.predict_proba(rows), FLOOR))


def _fitted_logistic(
    features: NDArray[np.float32], labels: NDArray[np.integer]
) -> LogisticRegression:
    with warnings.catch_warnings():
        # Features on a broken scale do not converge, or their Hessian cannot be inverted and the
        # solver goes on with L-BFGS. The fit is then judged as it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        # Newton's method: far more rows than columns, and here a few steps where L-BFGS takes a
        # hundred and stops further from the optimum.
        model = LogisticRegression(C=LOGISTIC_C, solver="newton-cholesky", max_iter=500)
        return model.fit(features, labels)


def calibrated(log_probs: LogProbs, splits: Splits) -> Array:
    """Return test probabilities of a fitted learner at the temperature that suits calib."""
    return at_temperature(
        log_probs(splits.calib[0]),
        splits.calib[1],
        log_probs(splits.test_features),
        climatology(splits.train_labels),
    )


def at_temperature(
    calib_scores: Array, calib_labels: NDArray[np.integer], test_scores: Array, prior: Array
) -> Array:
    """Return test probabilities at calib's temperature; the prior where calib shows no skill.

    Parameters
    ----------
    calib_scores, test_scores : arrays of shape (n_rows, 3)
        Logits or log probabilities of calib and of the rows to be judged.
    calib_labels : integer array
        What happened on calib.
    prior : array of shape (3,)
        Class frequencies of train.
    """
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
    runs: Sequence[int] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the scores of each baseline on test, with the interval of its skill.

    Parameters
    ----------
    probs : mapping of name to array of shape (n_test, 3)
        From `fit_baselines`; "climatology" is the reference of the skill.
    labels : integer array of shape (n_test,)
        What happened.
    n_bins, horizon_bars, reps, rng, runs
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
            runs=runs,
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
