"""Several nets per fold, fold after fold: trained, calibrated and put together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.auxiliary import auxiliary_targets
from v8lib.baselines import climatology
from v8lib.calibration import apply_calibration, fit_calibration
from v8lib.config import DecisionRule
from v8lib.decision import fit_offsets
from v8lib.inversion import softmax
from v8lib.mirror import mirror_of
from v8lib.numpy_net import NumpyNet
from v8lib.rows import Rows
from v8lib.runtime import Member, Prediction, Runtime, averaged_logits, joined
from v8lib.scaling import Scaler, apply_scaler
from v8lib.storage import release
from v8lib.training import TrainingResult, TrainingSettings, train_model


def train_folds(
    folds: Sequence[tuple[Scaler, Rows, Rows]],
    settings: TrainingSettings,
    *,
    n_seeds: int,
    checkpoint_dir: Path | str | None = None,
) -> list[list[TrainingResult]]:
    """Return the trained nets of every fold, `n_seeds` of them each.

    Parameters
    ----------
    folds : sequence of (scaler, train rows, valid rows)
        Scaler and splits of each fold, oldest first; features unscaled.
    settings : TrainingSettings
        Shared by all; every net has random streams of its own.
    n_seeds : int
        Nets per fold.
    checkpoint_dir : path, optional
        Each net keeps its state in a folder of its own below; one that is finished there is
        taken as it is, so that an interrupted walk goes on with the net it was at.
    """
    results = []
    for k, (scaler, *splits) in enumerate(folds):
        train, valid = ((apply_scaler(scaler, rows.features), rows.labels) for rows in splits)
        release(splits[0].features)
        targets = auxiliary_targets(splits[0]) if settings.uses_targets else None
        extra = {"targets": targets, "mirror": mirror_of(scaler)}
        nets = []
        for j in range(n_seeds):
            folder = Path(checkpoint_dir) / f"fold_{k}_net_{j}" if checkpoint_dir else None
            own = replace(settings, fold=k, member=j)
            nets.append(train_model(train, valid, own, checkpoint_dir=folder, **extra))
        results.append(nets)
    return results


def training_table(trained: Sequence[Sequence[TrainingResult]]) -> pd.DataFrame:
    """Return one row per net: epochs run, epoch kept, its valid log loss and accuracy."""
    rows = {
        (f"fold {k + 1}", f"net {j + 1}"): {
            "epochs run": len(net.history),
            "epoch kept": net.best_epoch,
            "valid log loss": net.history[net.best_epoch - 1]["valid_log_loss"],
            "valid accuracy": net.history[net.best_epoch - 1]["valid_accuracy"],
        }
        for k, nets in enumerate(trained)
        for j, net in enumerate(nets)
    }
    table = pd.DataFrame(rows).T
    table.index = table.index.map(", ".join)
    return table.rename_axis("net")


def fit_runtime(
    nets: Sequence[NumpyNet],
    scaler: Scaler,
    calib: Rows,
    train_labels: NDArray[np.int64],
    *,
    gamma: float,
    smoothing: float,
    class_weights: NDArray[np.floating],
    rule: DecisionRule,
    min_confidence: float,
) -> Runtime:
    """Return the calibrated model of one fold.

    Parameters
    ----------
    nets : sequence of NumpyNet
        Trained on the fold's train rows.
    scaler : Scaler
        Of the fold's train rows.
    calib : Rows
        The fold's calib split: each net gets its own temperature on it, and the mean of their
        probabilities its decision offsets.
    train_labels : integer array
        Labels of the fold's train split, for the class frequencies.
    gamma, smoothing, class_weights
        Of the loss that trained the nets.
    rule : {"balanced", "argmax"}
        Decision rule.
    min_confidence : float
        Confidence from which a signal is actionable.
    """
    scaled, prior = apply_scaler(scaler, calib.features), climatology(train_labels)
    members, logits = [], []
    for net in nets:
        raw = net.raw_logits(scaled)
        calibration = fit_calibration(
            raw,
            calib.labels,
            gamma=gamma,
            smoothing=smoothing,
            class_weights=class_weights,
            prior=prior,
        )
        members.append(Member(net, calibration))
        logits.append(apply_calibration(calibration, raw))
    offsets = fit_offsets(softmax(averaged_logits(logits)), rule=rule)
    return Runtime(tuple(members), scaler, offsets, min_confidence)


def predict_folds(runtimes: Sequence[Runtime], tests: Sequence[Rows]) -> Prediction:
    """Return the predictions of each fold's test rows by that fold's model, in order of time."""
    return joined([r.predict(t.features) for r, t in zip(runtimes, tests, strict=True)])


def predict_members(runtimes: Sequence[Runtime], tests: Sequence[Rows]) -> list[Prediction]:
    """Return, for each seed, what a model of that net alone would have said on all folds."""
    n_seeds = min(len(runtime.members) for runtime in runtimes)
    alone = [[replace(r, members=(r.members[j],)) for r in runtimes] for j in range(n_seeds)]
    return [predict_folds(single, tests) for single in alone]


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several stretches as one, in the order given."""
    names = vars(parts[0])
    return Rows(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})
