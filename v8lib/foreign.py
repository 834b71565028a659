"""A model that was trained elsewhere, tried on bars: gates, golden bars, drift reference.

Nobody here knows what such a model was trained on. It is judged on the last fifth of the bars
that come with it; what those look like is compared with the bars before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib import gates
from v8lib.bars import bar_seconds
from v8lib.baselines import climatology
from v8lib.drift import Reference
from v8lib.errors import BundleError
from v8lib.features import make_features
from v8lib.gates import Gate
from v8lib.golden import latest_features
from v8lib.intervals import calibration_excess, skill_interval
from v8lib.labels import make_labels
from v8lib.metrics import row_log_loss
from v8lib.onnx_net import OnnxRuntime
from v8lib.probes import last_unbroken, one_by_one
from v8lib.rows import Rows, make_rows, missing_values
from v8lib.runtime import Prediction
from v8lib.scaling import apply_scaler, column_moments
from v8lib.seeds import stream
from v8lib.train_reference import drift_reference
from v8lib.windows import run_lengths

EARLY_SHARE = 0.8  # of the bars; what comes after is the trial
MIN_ROWS = 500  # of either part
PARITY_ROWS = 500
BEFORE_GOLDEN = 64  # bars before those that the golden bar's features need
N_BINS, REPS = 15, 1_000
MAX_SUM_ERROR = 1e-3


@dataclass(frozen=True)
class Trial:
    """What a bundle of a foreign model holds beside the model."""

    facts: dict[str, Any]
    golden_bars: pd.DataFrame
    reference: Reference | None
    gates: list[Gate]


def try_model(
    runtime: OnnxRuntime,
    bars: pd.DataFrame,
    *,
    interval_s: int,
    labels: Mapping[str, Any],
    symbol: str,
) -> Trial:
    """Return what trying a model on some bars has shown.

    Parameters
    ----------
    runtime : OnnxRuntime
        The model.
    bars : DataFrame
        Validated bars, the last of which the model should not have seen in training.
    interval_s : int
        Bar length the model was made for, in seconds.
    labels : mapping
        What it predicts, as `labels.make_labels` takes it.
    symbol : str
        Whose model it is, for the random streams.

    Raises
    ------
    BundleError
        If the bars are of another length or too few, or the model says NaN, says something
        else of a row alone than inside a batch, or says no probabilities.
    """
    found = bar_seconds(bars)
    if found != interval_s:
        raise BundleError(f"bars of {found} s, the model is said to be for bars of {interval_s} s")
    latest = latest_features({"interval_s": interval_s, "exclude_families": []}, runtime)
    features = make_features(bars, latest.table)
    rows = make_rows(bars, features, make_labels(bars, **labels), np.empty((len(bars), 0)))
    early, late = _parts(rows, len(bars), labels["horizon_bars"])
    missing = missing_values(bars, features, list(runtime.names), latest.warmup_bars)
    shares = climatology(early.labels)
    judged = _judge(runtime, late, shares, missing, labels["horizon_bars"], symbol, interval_s)
    facts = {
        "interval_s": interval_s,
        "exclude_families": [],
        "warmup_bars": latest.warmup_bars,
        "lookbacks": {f.name: f.lookback_bars for f in latest.table},
        "labels": dict(labels),
        "class_shares": shares.tolist(),
        "tried_on": late.epoch_s[[0, -1]].tolist(),
        "gates": gates.gate_records(judged),
    }
    golden = bars.iloc[: int(late.position[-1]) + 1]
    golden = last_unbroken(golden, latest.warmup_bars + BEFORE_GOLDEN)
    return Trial(facts, golden, drift_reference(early.features, runtime.names), judged)


def _parts(rows: Rows, n_bars: int, horizon_bars: int) -> tuple[Rows, Rows]:
    """Return the rows before the trial, purged by the horizon, and those of the trial."""
    cut = int(EARLY_SHARE * n_bars)
    early = rows.at(rows.position[rows.position + horizon_bars < cut])
    late = rows.at(rows.position[rows.position >= cut])
    fewer = min(len(early.labels), len(late.labels))
    if fewer < MIN_ROWS:
        raise BundleError(
            f"too few bars for a trial: {len(early.labels)} rows with features and label before "
            f"it and {len(late.labels)} in it, {MIN_ROWS} of each are needed"
        )
    return early, late


def _judge(
    runtime: OnnxRuntime,
    late: Rows,
    shares: NDArray[np.float64],
    missing: Mapping[str, int],
    horizon_bars: int,
    symbol: str,
    interval_s: int,
) -> list[Gate]:
    said = runtime.predict(late.features)
    _refuse_nonsense(said)
    alone = _alone(runtime, late, said)
    draws = {
        "horizon_bars": horizon_bars,
        "reps": REPS,
        "runs": run_lengths(late.epoch_s, interval_s),
    }
    losses = row_log_loss(said.probs, late.labels)
    nothing = row_log_loss(np.tile(shares, (len(losses), 1)), late.labels)
    skill = skill_interval(losses, nothing, rng=stream(0, symbol, "trial skill"), **draws)
    excess = calibration_excess(
        said.probs, late.labels, n_bins=N_BINS, rng=stream(0, symbol, "trial ece"), **draws
    )
    return [
        _normalization(runtime, late),
        gates.logit_range_healthy(said.logits),
        gates.confidence_calibrated(said.probs),
        gates.class_balanced(said.decisions),
        gates.no_nan_inf(missing, features=late.features, logits=said.logits, probs=said.probs),
        gates.skill(skill),
        gates.calibration(excess),
        gates.single_row_parity(said.probs[: len(alone)], alone, alone),
    ]


def _refuse_nonsense(said: Prediction) -> None:
    finite = np.isfinite(said.logits).all(axis=1) & np.isfinite(said.probs).all(axis=1)
    if not finite.all():
        raise BundleError(f"the model says NaN or infinity in {int((~finite).sum())} rows")
    off = np.abs(said.probs.sum(axis=1) - 1.0)
    if off.max() > MAX_SUM_ERROR or said.probs.min() < 0.0:
        raise BundleError(
            f"the model's probabilities sum to {said.probs[int(off.argmax())].sum():.4g}: "
            "is its output said to be what it is (logits, probs, log_probs)?"
        )


def _alone(runtime: OnnxRuntime, late: Rows, said: Prediction) -> NDArray[np.float64]:
    """Return what the model says of the first rows one by one."""
    alone = one_by_one(runtime, late.features[:PARITY_ROWS])
    gap = float(np.abs(alone - said.probs[: len(alone)]).max())
    if not gap <= gates.MAX_PARITY_GAP:
        raise BundleError(
            f"the model says something else of a row alone than inside a batch (off by {gap:.2g}): "
            "export it in inference mode, with fixed statistics in its norms"
        )
    return alone


def _normalization(runtime: OnnxRuntime, late: Rows) -> Gate:
    """Judge what goes into the file: all columns pooled, the model's train rows being unknown."""
    rows = late.features if runtime.scaler is None else apply_scaler(runtime.scaler, late.features)
    mean, std = column_moments(rows)
    pooled_mean = float(mean.mean())
    pooled_std = float(np.sqrt((std**2 + mean**2).mean() - pooled_mean**2))
    value = max(abs(pooled_mean), abs(pooled_std - 1.0))
    return gates.plain(
        "feature_normalization",
        value,
        value < gates.MAX_MEAN,
        f"|mean| < {gates.MAX_MEAN} and |std - 1| < {gates.MAX_STD_ERROR}",
        f"all columns pooled on the trial's bars: mean {pooled_mean:.3f}, std {pooled_std:.3f}",
    )
