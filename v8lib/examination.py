"""The probes and the gates of one case: what notebook 04 does, and the defect matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from v8lib import gates, pipeline_gates
from v8lib.calibration import apply_calibration, fit_temperature, inverted_logits
from v8lib.case import Case
from v8lib.errors import NoSkillError
from v8lib.gates import Gate
from v8lib.intervals import CalibrationExcess, Interval, draws_interval
from v8lib.inversion import softmax
from v8lib.metrics import log_loss
from v8lib.model import build_net, predict_logits
from v8lib.oddities import Oddities, bar_oddities
from v8lib.past_probe import labels_misplaced, past_moved
from v8lib.probes import one_by_one, probe_lookahead
from v8lib.runtime import Member, Runtime, averaged_logits
from v8lib.scaling import Scaler, apply_scaler, fit_scaler
from v8lib.seeds import stream
from v8lib.shuffling import ShuffleProbe, train_on_nonsense
from v8lib.splits import overlapping_labels
from v8lib.storage import release

Array = NDArray[np.float64]
PARITY_ROWS = 250  # spread over the test: rows beside each other look alike
N_CUTS = 4  # places at which the future is changed
LABEL_CUTS = 12
CLASS_MISSING = "not run: a class is missing from train"


@dataclass(frozen=True)
class Probes:
    """What the probes found; each is one gate's evidence."""

    oddities: Oddities
    moved: list[str]
    canary_caught: bool
    misplaced: list[str]
    overlaps: list[int]
    refitted: list[Scaler]
    parity: tuple[Array, Array, Array]
    paths: tuple[float, float]
    shuffled: ShuffleProbe | None
    shifted: NDArray[np.float64] | None


def probe(
    case: Case,
    *,
    horizon_bars: int,
    window_bars: int,
    shuffle_draws: int,
    shuffle_epochs: int,
    shift_draws: int,
) -> Probes:
    """Return what every probe finds.

    Parameters
    ----------
    case : Case
        What is judged.
    horizon_bars, window_bars : int
        Of the labels.
    shuffle_draws, shuffle_epochs, shift_draws : int
        As the parameters of these names.
    """
    prepared = case.prepared
    rng = stream(case.seed, case.symbol, "lookahead")
    moved, caught = probe_lookahead(prepared.bars, prepared.table, n_cuts=N_CUTS, rng=rng)
    moved += past_moved(prepared, horizon_bars=horizon_bars, rng=rng)
    nonsense = (None, None)
    if case.has_every_class:
        nonsense = train_on_nonsense(case, shuffle_draws, shuffle_epochs, shift_draws)
    return Probes(
        bar_oddities(prepared.bars),
        moved,
        caught,
        labels_misplaced(
            prepared,
            horizon_bars=horizon_bars,
            window_bars=window_bars,
            n_cuts=LABEL_CUTS,
            rng=stream(case.seed, case.symbol, "labels"),
        ),
        [overlapping_labels(fold, horizon_bars) for fold in prepared.folds],
        prepared_scalers(case),
        parity(case),
        path_losses(case),
        *nonsense,
    )


def prepared_scalers(case: Case) -> list[Scaler]:
    """Return the scaler that each fold's train rows give when it is fitted again."""
    clip = case.models[0].scaler.clip_sigma
    names = case.prepared.names
    refitted = [fit_scaler(rows.features, names, clip_sigma=clip) for rows in case.train]
    release(case.prepared.rows.features)
    return refitted


def parity(case: Case) -> tuple[Array, Array, Array]:
    """Return probabilities of the same test rows: in a batch, one by one, and under torch."""
    model, features = case.models[-1], case.tests[-1].features
    n = len(features)
    rows = features[np.linspace(0, n - 1, min(n, PARITY_ROWS)).astype(np.int64)]
    batch = model.predict(rows).probs
    by_torch = _torch_probs(model, rows) if isinstance(model, Runtime) else batch
    return batch, one_by_one(model, rows), by_torch


def _torch_probs(runtime: Runtime, rows: NDArray[np.float32]) -> Array:
    scaled = apply_scaler(runtime.scaler, rows)
    logits = []
    for member in runtime.members:
        net = build_net(member.net.weights, normalization=member.net.normalization)
        logits.append(apply_calibration(member.calibration, predict_logits(net, scaled)))
    return softmax(averaged_logits(logits))


def path_losses(case: Case) -> tuple[float, float]:
    """Return the log loss on calib through the inference norm and through the training norm.

    Each path at its own best temperature, of the net whose inference norm costs most, over
    all folds and nets; (0, 0) for a model that is no net of this suite and so has one path.
    """
    pairs = [
        _net_path_losses(member, apply_scaler(model.scaler, calib.features), calib.labels)
        for model, calib in zip(case.models, case.calib, strict=True)
        if isinstance(model, Runtime)
        for member in model.members
    ]
    return max(pairs, key=lambda pair: pair[0] - pair[1], default=(0.0, 0.0))


def _net_path_losses(
    member: Member, scaled: NDArray[np.float32], labels: NDArray[np.integer]
) -> tuple[float, float]:
    paths = member.net.raw_logits(scaled), member.net.training_path_logits(scaled)
    used = member.calibration
    losses = []
    for raw in paths:
        logits = inverted_logits(
            raw, gamma=used.gamma, smoothing=used.smoothing, class_weights=used.class_weights
        )
        losses.append(_best_log_loss(logits, labels))
    return losses[0], losses[1]


def _best_log_loss(logits: Array, labels: NDArray[np.integer]) -> float:
    try:
        return log_loss(softmax(logits / fit_temperature(logits, labels)), labels)
    except NoSkillError:
        return float(np.log(logits.shape[1]))


def judge(
    case: Case,
    found: Probes,
    skill: Interval,
    excess: CalibrationExcess,
    direction: Interval,
    against_linear: Interval | None,
) -> list[Gate]:
    """Return every gate: the brief's first, then what the model says, then how it came about.

    Parameters
    ----------
    case : Case
        What is judged.
    found : Probes
        From `probe`.
    skill, excess
        From `intervals.skill_interval` and `intervals.calibration_excess`, on test.
    direction : Interval
        As `pipeline_gates.direction` wants it.
    against_linear : Interval or None
        As `pipeline_gates.linear_baseline` wants it; None where no linear model could be
        fitted because a class is missing from train.
    """
    prediction, names = case.prediction, case.prepared.names
    scaled = case.scaled
    return [
        gates.feature_normalization(
            [part.train[0] for part in scaled],
            np.concatenate([part.test_features for part in scaled]),
            names,
        ),
        gates.logit_range_healthy(prediction.logits),
        gates.confidence_calibrated(prediction.probs),
        gates.class_balanced(prediction.decisions),
        gates.no_nan_inf(
            case.prepared.missing,
            features=case.test.features,
            logits=case.said.logits,
            probs=case.said.probs,
        ),
        gates.skill(skill),
        gates.calibration(excess),
        pipeline_gates.direction(direction),
        pipeline_gates.linear_baseline(against_linear)
        if against_linear
        else gates.not_judged("linear_baseline", CLASS_MISSING),
        gates.single_row_parity(*found.parity),
        gates.no_lookahead(found.moved, found.canary_caught),
        *_control_gates(found),
        pipeline_gates.bars_plausible(found.oddities),
        pipeline_gates.classes_present([rows.labels for rows in case.train]),
        pipeline_gates.labels_look_ahead(found.misplaced, LABEL_CUTS),
        pipeline_gates.splits_purged(found.overlaps),
        pipeline_gates.scaler_from_train([m.scaler for m in case.models], found.refitted),
        pipeline_gates.inference_path(*found.paths),
    ]


def _control_gates(found: Probes) -> Sequence[Gate]:
    if found.shuffled is None or found.shifted is None:
        names = ("shuffled_labels", "shifted_labels")
        return [gates.not_judged(name, CLASS_MISSING) for name in names]
    return [
        gates.shuffled_labels(
            draws_interval(found.shuffled.skills), draws_interval(found.shuffled.agreements)
        ),
        pipeline_gates.shifted_labels(draws_interval(found.shifted)),
    ]
