"""The method with one part changed at a time: norm, loss, calibration, and the aids in training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.auxiliary import auxiliary_targets
from v8lib.baselines import at_temperature, climatology
from v8lib.calibration import inverted_logits
from v8lib.config import Parameters
from v8lib.inversion import softmax
from v8lib.metrics import accuracy, ece, log_loss
from v8lib.mirror import Mirror, mirror_of
from v8lib.model import HIDDEN
from v8lib.numpy_net import NumpyNet
from v8lib.preparation import prepare, steps_of
from v8lib.recipe import exact_probabilities, training_settings
from v8lib.rows import Rows
from v8lib.scaling import apply_scaler
from v8lib.sources import Source
from v8lib.training import TrainingResult, train_model

Array = NDArray[np.float64]
LITERAL = "literal adaptive"
NORMS = ("adaptive", LITERAL, "batch", "layer")
LOSSES: dict[str, dict[str, float]] = {
    "focal + smoothing": {},
    "focal": {"label_smoothing": 0.0},
    "cross-entropy + smoothing": {"focal_gamma": 0.0},
    "cross-entropy": {"focal_gamma": 0.0, "label_smoothing": 0.0},
}
CALIBRATIONS = ("raw", "temperature", "inversion", "inversion + temperature")
AIDS: dict[str, dict[str, float]] = {
    "all": {},
    "no second task": {"aux_volatility_weight": 0.0, "aux_return_weight": 0.0},
    "no mirror": {"mirror_share": 0.0},
}


@dataclass(frozen=True)
class Bench:
    """Scaled rows of one split of a market; every variant is fitted and judged on them."""

    train: tuple[NDArray[np.float32], NDArray[np.int64]]
    valid: tuple[NDArray[np.float32], NDArray[np.int64]]
    calib: tuple[NDArray[np.float32], NDArray[np.int64]]
    judged: tuple[NDArray[np.float32], NDArray[np.int64]]
    targets: NDArray[np.float32]
    mirror: Mirror
    posterior: Array


def make_bench(source: Source, parameters: Parameters, *, judged: str) -> Bench:
    """Return the rows that variants are compared on.

    Parameters
    ----------
    source : Source
        Bars.
    parameters : Parameters
        Labels, splits and scaling.
    judged : {"calib", "test"}
        Where variants are judged. "test" for a simulated market, of which there are as many
        as one likes; on real bars "calib", the second half of it, with the temperature
        fitted on the first: a choice made on test would spend it.
    """
    exact = exact_probabilities(source, parameters)
    prepared = prepare(source.bars, steps_of(parameters), exact)
    scaler, fold = prepared.scalers[-1], prepared.folds[-1]
    train, valid = (prepared.rows.at(part) for part in (fold.train, fold.valid))
    calib, rows = prepared.rows.at(fold.calib), prepared.rows.at(fold.test)
    if judged == "calib":
        half = len(fold.calib) // 2
        calib = prepared.rows.at(fold.calib[: half - parameters.horizon_bars])
        rows = prepared.rows.at(fold.calib[half:])
    parts = [_scaled(scaler, part) for part in (train, valid, calib, rows)]
    return Bench(*parts, auxiliary_targets(train), mirror_of(scaler), rows.posterior)


def _scaled(scaler, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return apply_scaler(scaler, rows.features), rows.labels


def ablation_table(
    bench: Bench,
    parameters: Parameters,
    *,
    norms: tuple[str, ...] = NORMS,
    losses: tuple[str, ...] = tuple(LOSSES),
) -> pd.DataFrame:
    """Return one row per norm, loss and calibration: log loss, skill, ECE, confidence.

    On a simulated market also the total-variation distance to the exact probabilities.
    """
    rows = []
    for norm, loss in ((n, v) for n in norms for v in losses):
        own = parameters.model_copy(update=LOSSES[loss])
        result = _trained(bench, own, "batch" if norm == LITERAL else norm)
        net = NumpyNet(result.weights, norm)
        if norm == LITERAL:
            net = NumpyNet(with_fresh_layer_norm(result.weights), "adaptive")
        for calibration, probs in _calibrated(bench, own, net, result):
            names = {"norm": norm, "loss": loss, "calibration": calibration}
            rows.append(names | _scores(bench, probs, parameters.n_bins))
    return pd.DataFrame(rows).set_index(["norm", "loss", "calibration"])


def aid_table(bench: Bench, parameters: Parameters, *, n_seeds: int) -> pd.DataFrame:
    """Return the default method with and without what helps it train, one row per aid and seed."""
    rows = []
    for aid, seed in ((a, k) for a in AIDS for k in range(n_seeds)):
        own = parameters.model_copy(update=AIDS[aid] | {"seed": parameters.seed + seed})
        result = _trained(bench, own, own.normalization)
        net = NumpyNet(result.weights, own.normalization)
        final = dict(_calibrated(bench, own, net, result))[CALIBRATIONS[-1]]
        rows.append({"aids": aid, "seed": seed} | _scores(bench, final, parameters.n_bins))
    return pd.DataFrame(rows).set_index(["aids", "seed"])


def _trained(bench: Bench, parameters: Parameters, normalization: str) -> TrainingResult:
    settings = replace(training_settings(parameters), normalization=normalization)
    return train_model(
        bench.train, bench.valid, settings, targets=bench.targets, mirror=bench.mirror
    )


def with_fresh_layer_norm(weights: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Return BatchNorm-trained weights as an adaptive net whose LayerNorm was never trained.

    This is adaptive normalisation taken by the letter: one norm in training, another at
    inference, and no gradient through the second.
    """
    out = {}
    for name, array in weights.items():
        _, layer, kind = name.split(".")
        is_norm = int(layer) % 4 == 1
        out[f"layers.{layer}.batch.{kind}" if is_norm else name] = array
    for k, width in enumerate(HIDDEN):
        out[f"layers.{4 * k + 1}.layer.weight"] = np.ones(width, dtype=np.float32)
        out[f"layers.{4 * k + 1}.layer.bias"] = np.zeros(width, dtype=np.float32)
    return out


def _calibrated(
    bench: Bench, parameters: Parameters, net: NumpyNet, result: TrainingResult
) -> Iterator[tuple[str, Array]]:
    """Yield each way to read the scores of the judged rows as probabilities."""
    terms: dict[str, Any] = {
        "gamma": parameters.focal_gamma,
        "smoothing": parameters.label_smoothing,
        "class_weights": result.class_weights,
    }
    prior = climatology(bench.train[1])
    raw = [net.raw_logits(part[0]) for part in (bench.calib, bench.judged)]
    inverted = [inverted_logits(logits, **terms) for logits in raw]
    for (plain, heated), (calib, judged) in zip(
        (CALIBRATIONS[:2], CALIBRATIONS[2:]), (raw, inverted), strict=True
    ):
        yield plain, softmax(judged)
        yield heated, at_temperature(calib, bench.calib[1], judged, prior)


def _scores(bench: Bench, probs: Array, n_bins: int) -> dict[str, float]:
    labels = bench.judged[1]
    nothing = log_loss(np.tile(climatology(bench.train[1]), (len(labels), 1)), labels)
    loss = log_loss(probs, labels)
    scores = {
        "log loss": loss,
        "skill": 1.0 - loss / nothing,
        "ECE": ece(probs, labels, n_bins=n_bins),
        "accuracy": accuracy(probs.argmax(axis=1), labels),
        "confidence": float(probs.max(axis=1).mean()),
    }
    if bench.posterior.shape[1]:
        scores["total variation"] = float(0.5 * np.abs(probs - bench.posterior).sum(axis=1).mean())
    return scores
