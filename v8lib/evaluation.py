"""The judgement of a model on the test split, as the blocks of summary.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.intervals import CalibrationExcess, Interval
from v8lib.metrics import score_table
from v8lib.runtime import Prediction

Array = NDArray[np.float64]


def score_test(
    prediction: Prediction,
    labels: NDArray[np.integer],
    *,
    climatology_log_loss: float,
    skill: Interval,
    excess: CalibrationExcess,
    min_confidence: float,
    n_bins: int,
) -> dict[str, Any]:
    """Return the `test` block: point figures, and the intervals of skill and calibration.

    Parameters
    ----------
    prediction : Prediction
        Of the test rows, n_test of them.
    labels : integer array of shape (n_test,)
        What happened.
    climatology_log_loss : float
        Log loss on the same rows of saying the class frequencies of train.
    skill, excess
        From `intervals.skill_interval` and `intervals.calibration_excess`, same rows.
    min_confidence : float
        Confidence from which a signal is actionable.
    n_bins : int
        Bins of the ECE.
    """
    scores = score_table(
        prediction.probs,
        prediction.logits,
        prediction.decisions,
        labels,
        min_confidence=min_confidence,
        n_bins=n_bins,
    )
    return scores | {
        "log_loss_climatology": climatology_log_loss,
        "log_loss_skill": skill.value,
        "log_loss_skill_ci": skill.ci,
        "ece_null": excess.null,
        "ece_excess": excess.excess.value,
        "ece_excess_ci": excess.excess.ci,
    }


def baseline_rows(
    test: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]], bayes: Mapping | None
) -> list[dict[str, Any]]:
    """Return one row per model for a table: V8, the baselines, and the optimum if known."""
    rows = [{"model": "V8", **_shown(test)}]
    rows += [{"model": name.replace("_", " "), **_shown(s)} for name, s in baselines.items()]
    if bayes is not None:
        skill = 1.0 - bayes["log_loss"] / test["log_loss_climatology"]
        rows.append({"model": "best possible", **_shown(bayes | {"log_loss_skill": skill})})
    return rows


def _shown(scores: Mapping[str, Any]) -> dict[str, Any]:
    low, high = scores.get("log_loss_skill_ci", (scores["log_loss_skill"],) * 2)
    return {
        "log loss": scores["log_loss"],
        "value": scores["log_loss_skill"],
        "low": low,
        "high": high,
        "accuracy": scores["accuracy"],
        "mean confidence": scores["mean_confidence"],
        "ECE": scores.get("ece"),
    }
