"""Gradient-boosted trees as baselines: scikit-learn's histogram trees, and LightGBM.

Both are fitted on train and keep as many trees as valid likes best.
"""

from collections.abc import Callable
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from v8lib.errors import TrainingError

Array = NDArray[np.float64]
Data = tuple[NDArray[np.float32], NDArray[np.int64]]
LogProbs = Callable[[NDArray[np.float32]], Array]

TREE_PATIENCE = 25  # histogram trees without a better valid log loss before it stops
LEAVES, LEAF_ROWS = 15, 200
LIGHTGBM_TREES, LIGHTGBM_RATE = 2_000, 0.02
LIGHTGBM_PATIENCE = 50  # trees without a better valid log loss before it stops
FLOOR = 1e-12


def histogram_trees(train: Data, valid: Data, *, trees: int, rate: float, seed: int) -> LogProbs:
    """Return what gives the log probabilities of scaled features, shape (n_rows, 3).

    Parameters
    ----------
    train, valid : (features, labels)
        Scaled features and labels of these splits.
    trees : int
        How many at most, of each class.
    rate : float
        The step of each, in (0, 1].
    seed : int
        Seed of the learner.
    """
    features, labels = train
    # What the learner would make for itself, so that the float32 rows need not stay beside it.
    features = features.astype(np.float64)
    del train
    model = HistGradientBoostingClassifier(
        learning_rate=rate,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAF_ROWS,
        max_iter=trees,
        early_stopping=True,
        n_iter_no_change=TREE_PATIENCE,
        scoring="loss",
        tol=0.0,
        random_state=seed,
    ).fit(features, labels, X_val=valid[0], y_val=valid[1])
    best = int(np.argmax(model.validation_score_[1:]))  # minus the log loss; first, of no tree

    def log_probs(features: NDArray[np.float32]) -> Array:
        for stage, probs in enumerate(model.staged_predict_proba(features)):
            if stage == best:
                return np.log(np.maximum(probs, FLOOR))
        raise IndexError(f"no stage {best}")

    return log_probs


def load_lightgbm() -> ModuleType:
    """Return the lightgbm module.

    Raises
    ------
    TrainingError
        If it is not installed, or cannot be loaded on this machine.
    """
    try:
        import lightgbm
    except (ImportError, OSError) as error:  # its library needs libgomp, which is the system's
        raise TrainingError(
            f"with_lightgbm: LightGBM cannot be loaded ({error}); install it and the system's "
            "OpenMP library (libgomp1), or set with_lightgbm=false"
        ) from None
    return lightgbm


def lightgbm_trees(train: Data, valid: Data, *, seed: int) -> LogProbs:
    """Return the same for LightGBM (Ke et al. 2017) with early stopping on valid.

    Raises
    ------
    TrainingError
        As `load_lightgbm`.
    """
    lightgbm = load_lightgbm()
    model = lightgbm.LGBMClassifier(
        n_estimators=LIGHTGBM_TREES,
        learning_rate=LIGHTGBM_RATE,
        num_leaves=LEAVES,
        min_child_samples=LEAF_ROWS,
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    model.fit(
        *train,
        eval_X=valid[0],
        eval_y=valid[1],
        callbacks=[lightgbm.early_stopping(LIGHTGBM_PATIENCE, verbose=False)],
    )
    booster, best = model.booster_, model.best_iteration_

    def log_probs(features: NDArray[np.float32]) -> Array:
        probs = booster.predict(features, num_iteration=best)
        return np.log(np.maximum(probs, FLOOR))

    return log_probs
