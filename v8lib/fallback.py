"""The model that stands in for the net: a run's logistic baseline, judged and kept as a bundle.

A rollout needs something to fall back on. Where a person brings no model of their own, this is
it: linear, fitted on the same rows, scaled and calibrated like every baseline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from v8lib import gates, pipeline_gates
from v8lib.baselines import climatology
from v8lib.bundle import write_bundle
from v8lib.calibration import fit_temperature
from v8lib.case import Case, ScaledSplits
from v8lib.config import DecisionRule
from v8lib.decision import fit_offsets
from v8lib.drift import Reference
from v8lib.errors import NoSkillError
from v8lib.examination import parity
from v8lib.gates import Gate
from v8lib.intervals import calibration_excess, skill_interval
from v8lib.inversion import softmax
from v8lib.linear import LinearRuntime
from v8lib.metrics import row_log_loss
from v8lib.scraps import to_plain
from v8lib.seeds import stream
from v8lib.skill_sources import skill_sources

OF_THE_PIPELINE = (  # judged once for both models: same bars, labels, splits and scaler
    "feature_normalization",
    "no_lookahead",
    "shuffled_labels",
    "shifted_labels",
    "bars_plausible",
    "classes_present",
    "labels_look_ahead",
    "splits_purged",
    "scaler_from_train",
)


def fallback_case(case: Case, *, rule: DecisionRule) -> Case | None:
    """Return the same case with a logistic regression of each fold as its models.

    None where a class is missing from train: no regression can be fitted then.

    Parameters
    ----------
    case : Case
        The net's.
    rule : {"balanced", "argmax"}
        Decision rule; offsets are fitted on calib, as the net's are.
    """
    if not case.has_every_class:
        return None
    pairs = zip(case.scaled, case.models, strict=True)
    return replace(case, models=[_fitted(splits, model, rule) for splits, model in pairs])


def _fitted(splits: ScaledSplits, model: Any, rule: DecisionRule) -> LinearRuntime:
    fitted, labels = splits.logistic, splits.train_labels
    coefficients = fitted.coef_.astype(np.float64)
    intercepts = fitted.intercept_.astype(np.float64)
    scaled, happened = splits.calib
    scores = scaled.astype(np.float64) @ coefficients.T + intercepts
    try:
        inverse_temperature = 1.0 / fit_temperature(scores, happened)
    except NoSkillError:
        inverse_temperature = 0.0
    linear = LinearRuntime(
        coefficients,
        intercepts,
        model.scaler,
        inverse_temperature,
        climatology(labels),
        np.zeros(3),
        model.min_confidence,
    )
    probs = softmax(linear.logits(scores))
    return replace(linear, offsets=fit_offsets(probs, rule=rule))


def judge_fallback(
    case: Case,
    of_net: Sequence[Gate],
    *,
    n_bins: int,
    horizon_bars: int,
    reps: int,
) -> list[Gate]:
    """Return the gates of a fallback: what it says itself, and what it shares with the net.

    Parameters
    ----------
    case : Case
        From `fallback_case`.
    of_net : sequence of Gate
        The net's, from `examination.judge`; those of the way to the model hold for both.
    n_bins, horizon_bars, reps : int
        As in `intervals`.
    """
    said, test = case.prediction, case.test
    draws = {"horizon_bars": horizon_bars, "reps": reps, "runs": case.test_runs}

    def rng(name: str) -> np.random.Generator:
        return stream(case.seed, case.symbol, f"fallback {name}")

    skill = skill_interval(
        row_log_loss(said.probs, test.labels),
        row_log_loss(case.climatology, test.labels),
        rng=rng("skill"),
        **draws,
    )
    excess = calibration_excess(said.probs, test.labels, n_bins=n_bins, rng=rng("ece"), **draws)
    parts = skill_sources(said.probs, case.climatology, test.labels, rng=rng("direction"), **draws)
    shared = [gate for gate in of_net if gate.name in OF_THE_PIPELINE]
    return [
        *shared[:1],  # the brief's first
        gates.logit_range_healthy(said.logits),
        gates.confidence_calibrated(said.probs),
        gates.class_balanced(said.decisions),
        gates.no_nan_inf(
            case.prepared.missing,
            features=test.features,
            logits=case.said.logits,
            probs=case.said.probs,
        ),
        gates.skill(skill),
        gates.calibration(excess),
        pipeline_gates.direction(parts["direction"]),
        gates.single_row_parity(*parity(case)),
        *shared[1:],
    ]


def write_fallback(
    models_dir: Path | str,
    case: Case,
    of_net: Sequence[Gate],
    facts: Mapping[str, Any],
    golden_bars: pd.DataFrame,
    *,
    rule: DecisionRule,
    reference: Reference | None,
    n_bins: int,
    horizon_bars: int,
    reps: int,
) -> Path | None:
    """Write the fallback of a case and return its folder; None where none can be fitted.

    Parameters
    ----------
    models_dir, facts, golden_bars, reference
        As in `bundle.write_bundle`, of the net: all but the gates hold for both models.
    case : Case
        The net's.
    of_net : sequence of Gate
        The net's.
    rule : {"balanced", "argmax"}
        Decision rule.
    n_bins, horizon_bars, reps : int
        As in `intervals`.
    """
    linear = fallback_case(case, rule=rule)
    if linear is None:
        return None
    judged = judge_fallback(linear, of_net, n_bins=n_bins, horizon_bars=horizon_bars, reps=reps)
    own = {**facts, "gates": to_plain(gates.gate_records(judged))}
    return write_bundle(
        models_dir, case.symbol, linear.models[-1], own, golden_bars, reference=reference
    )
