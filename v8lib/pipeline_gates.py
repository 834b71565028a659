"""Gates on the way to a model: bars, labels, splits, scaler, and the path inference takes.

The gates of `gates` judge what a model says on test. A model can say it well for a wrong
reason, and these ask how it came to it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from v8lib.gates import Gate, Verdict, estimate, plain
from v8lib.intervals import Interval
from v8lib.labels import CLASS_NAMES
from v8lib.oddities import Oddities
from v8lib.scaling import Scaler

Array = NDArray[np.float64]
MIN_AUTOCORRELATION = -0.3
MAX_REPEATED = 0.01
MIN_TRAIN_SHARE = 0.10
MAX_SCALER_GAP = 1e-4
MAX_PATH_GAP = 0.02
LINEAR_SHARE = 0.8


def bars_plausible(found: Oddities) -> Gate:
    """Judge the bars: no noise laid over the prices, no impossible candle, no copied stretch."""
    notes = []
    if found.autocorrelation <= MIN_AUTOCORRELATION:
        notes.append("each return is taken back by the next: noise over the prices")
    if found.inconsistent:
        notes.append(f"{found.inconsistent} bars with a high below or a low above another price")
    if not found.repeated <= MAX_REPEATED:  # a NaN does not pass
        notes.append(f"{found.repeated:.1%} of paths stand there more than once")
    return plain(
        "bars_plausible",
        found.autocorrelation,
        not notes,
        f"lag-1 autocorrelation above {MIN_AUTOCORRELATION}, no impossible or copied bars",
        "; ".join(notes),
    )


def classes_present(train_labels: Sequence[NDArray[np.integer]]) -> Gate:
    """Judge the labels of train, one array per fold: every class on a tenth of them at least."""
    shares = np.array([np.bincount(y, minlength=3) / len(y) for y in train_labels])
    rarest = int(shares.min(axis=0).argmin())
    return plain(
        "classes_present",
        float(shares.min()),
        bool(shares.min() >= MIN_TRAIN_SHARE),
        f"every class on {MIN_TRAIN_SHARE:.0%} of train at least",
        f"rarest: {CLASS_NAMES[rarest]}",
    )


def labels_look_ahead(wrong: Sequence[str], n_cuts: int) -> Gate:
    """Judge when labels become known: after exactly the horizon, and not before.

    Parameters
    ----------
    wrong : sequence of str
        From `past_probe.labels_misplaced`.
    n_cuts : int
        How many bars were tried.
    """
    return plain(
        "labels_look_ahead",
        len(wrong),
        not wrong and n_cuts > 0,
        "known when the horizon is over, not before",
        "; ".join(wrong) or f"{n_cuts} bars tried",
    )


def splits_purged(overlaps: Sequence[int]) -> Gate:
    """Judge the splits of each fold: no label of an earlier one reaches into a later one.

    Parameters
    ----------
    overlaps : sequence of int
        From `splits.overlapping_labels`, one per fold.
    """
    purged = len(overlaps) > 0 and not any(overlaps)
    return plain("splits_purged", sum(overlaps), purged, "no labels that meet")


def scaler_from_train(served: Sequence[Scaler], fitted: Sequence[Scaler]) -> Gate:
    """Judge the scaler of each fold: it must be the one that train alone gives.

    The value is the largest difference of a mean or a scale, in train deviations.

    Parameters
    ----------
    served, fitted : sequences of Scaler
        What the model uses, and what train gives when it is fitted again.
    """
    gaps = np.max([_scaler_gaps(*pair) for pair in zip(served, fitted, strict=True)], axis=0)
    worst = int(np.argmax(np.nan_to_num(gaps, nan=np.inf)))
    return plain(
        "scaler_from_train",
        float(gaps[worst]),
        bool(gaps[worst] <= MAX_SCALER_GAP),
        f"within {MAX_SCALER_GAP:g} deviations of train's",
        f"furthest: {fitted[0].names[worst]}",
    )


def _scaler_gaps(used: Scaler, own: Scaler) -> Array:
    """Return how far mean and scale of each column are apart, in train deviations."""
    return np.maximum(np.abs(used.mean - own.mean), np.abs(used.scale - own.scale)) / own.scale


def inference_path(log_loss_inference: float, log_loss_training: float) -> Gate:
    """Judge the norm that inference goes through: it must have been trained as well.

    Parameters
    ----------
    log_loss_inference, log_loss_training : float
        On calib, each path at its own best temperature: through the norm that inference
        uses, and through the other that training went through. Equal where there is one.
    """
    gap = log_loss_inference - log_loss_training
    return plain(
        "inference_path",
        gap,
        gap < MAX_PATH_GAP,
        f"costs less than {MAX_PATH_GAP} nats against the training path",
    )


def direction(interval: Interval) -> Gate:
    """Judge the part of the skill that is direction, UP against DOWN given a move.

    None is honest on most markets; clearly less than none means that the model points the
    wrong way, which skill in telling moves from HOLD would hide.

    Parameters
    ----------
    interval : Interval
        "direction" of `skill_sources.skill_sources` against climatology.
    """
    verdict: Verdict = "fail" if interval.high < 0.0 else "pass"
    return estimate("direction", interval, "95 % interval not below 0", verdict)


def linear_baseline(interval: Interval) -> Gate:
    """Judge whether the net earns its keep: not clearly below 80 % of a linear model's skill.

    Parameters
    ----------
    interval : Interval
        From `paired.paired_skill` against a logistic regression on the same features and
        rows, with `share` = `LINEAR_SHARE`.
    """
    verdict: Verdict = "fail" if interval.high < 0.0 else "pass"
    limit = f"95 % interval not below {LINEAR_SHARE:.0%} of a logistic regression's skill"
    return estimate("linear_baseline", interval, limit, verdict)


def shifted_labels(interval: Interval) -> Gate:
    """Judge models trained on labels of another time: their mean skill must not be above 0.

    `interval` is over the shifts of `shuffling.train_on_nonsense`, as with shuffled labels.
    """
    verdict: Verdict = "fail" if interval.low > 0.0 else "pass"
    return estimate("shifted_labels", interval, "95 % interval not above 0 twice", verdict)
