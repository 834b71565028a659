"""Scores of class probabilities: pure functions of arrays, in numpy.

Unless said otherwise `probs` has shape (n_rows, 3) with rows that sum to one, `labels` has
shape (n_rows,) with `Label` values, and both come from rows the model was not fitted on.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.integer]


def row_log_loss(probs: Array, labels: Ints) -> Array:
    """Return -ln of the probability given to what happened, shape (n_rows,), in nats."""
    picked = np.take_along_axis(probs, labels[:, None].astype(np.int64), axis=1)[:, 0]
    return -np.log(np.maximum(picked, 1e-15))


def log_loss(probs: Array, labels: Ints) -> float:
    """Return the mean log loss in nats; 0 is perfect, ln 3 = 1.0986 is knowing nothing."""
    return float(row_log_loss(probs, labels).mean())


def brier(probs: Array, labels: Ints) -> float:
    """Return the multiclass Brier score, the mean squared error summed over classes, in [0, 2]."""
    return float(((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1).mean())


def class_shares(classes: Ints) -> list[float]:
    """Return the share of DOWN, HOLD and UP."""
    return (np.bincount(classes, minlength=3) / max(len(classes), 1)).tolist()


def accuracy(decisions: Ints, labels: Ints) -> float:
    """Return the share of rows where the decision is what happened."""
    return float((decisions == labels).mean())


def matthews(decisions: Ints, labels: Ints) -> float:
    """Return the multiclass Matthews correlation, in [-1, 1]; 0 is chance.

    Gorodkin (2004), equation 8. A constant decision, where it is 0/0, scores 0.
    """
    table = confusion_table(decisions, labels).to_numpy(np.float64)
    n, right = table.sum(), np.trace(table)
    happened, decided = table.sum(axis=1), table.sum(axis=0)
    covariance = right * n - happened @ decided
    spread = (n**2 - happened @ happened) * (n**2 - decided @ decided)
    return float(covariance / np.sqrt(spread)) if spread > 0.0 else 0.0


def balanced_accuracy(decisions: Ints, labels: Ints) -> float:
    """Return the mean, over the classes that happened, of the share decided right, in [0, 1].

    Always deciding one of them scores 1 / their number, however often it happened.
    """
    table = confusion_table(decisions, labels).to_numpy()
    happened = table.sum(axis=1)
    return float((np.diag(table)[happened > 0] / happened[happened > 0]).mean())


def f1_scores(decisions: Ints, labels: Ints) -> list[float]:
    """Return the F1 of DOWN, HOLD and UP: right / mean of the times decided and happened.

    A class that was neither decided nor happened, where it is 0/0, scores 0.
    """
    table = confusion_table(decisions, labels).to_numpy()
    either = table.sum(axis=0) + table.sum(axis=1)
    return (2.0 * np.diag(table) / np.maximum(either, 1)).tolist()


def direction_accuracy(probs: Array, labels: Ints) -> float | None:
    """Return how often the likelier of DOWN and UP is right, among rows that moved.

    None if no row moved. Chance is the share of the more frequent direction.
    """
    moved = labels != 1
    if not moved.any():
        return None
    return float(((probs[moved, 2] > probs[moved, 0]) == (labels[moved] == 2)).mean())


def confusion_table(decisions: Ints, labels: Ints) -> pd.DataFrame:
    """Return counts, one row per class that happened, one column per class decided."""
    names = ["DOWN", "HOLD", "UP"]
    counts = np.bincount(labels * 3 + decisions, minlength=9).reshape(3, 3)
    return pd.DataFrame(
        counts, index=pd.Index(names, name="happened"), columns=pd.Index(names, name="decided")
    )


def equal_mass_bins(confidence: Array, n_bins: int) -> Ints:
    """Return the bin of each row, 0 .. n_bins-1, shape (n_rows,).

    Inner edges are the quantiles of `confidence`. Equal values share a bin, so bins can be
    empty where the confidence takes few values.
    """
    edges = np.quantile(confidence, np.linspace(0.0, 1.0, n_bins + 1)[1:-1])
    return np.searchsorted(edges, confidence, side="right")


def binned_gap(residual: Array, bins: Ints, n_bins: int) -> float:
    """Return sum over bins of share * |mean residual|: the ECE when residual is conf - right."""
    return float(np.abs(np.bincount(bins, weights=residual, minlength=n_bins)).sum() / len(bins))


def ece(probs: Array, labels: Ints, *, n_bins: int) -> float:
    """Return the expected calibration error of the top class, in [0, 1]; lower is better.

    Equal-mass bins (Nguyen and O'Connor 2015). Not zero for a perfect model: see
    `intervals.calibration_excess` for what it shows at this number of rows.
    """
    confidence = probs.max(axis=1)
    residual = confidence - (probs.argmax(axis=1) == labels)
    return binned_gap(residual, equal_mass_bins(confidence, n_bins), n_bins)


def reliability_table(probs: Array, labels: Ints, *, n_bins: int) -> pd.DataFrame:
    """Return one row per bin that has rows: n, mean confidence, accuracy of the top class."""
    confidence = probs.max(axis=1)
    frame = pd.DataFrame(
        {
            "bin": equal_mass_bins(confidence, n_bins),
            "confidence": confidence,
            "accuracy": (probs.argmax(axis=1) == labels).astype(float),
        }
    )
    grouped = frame.groupby("bin")
    table = grouped[["confidence", "accuracy"]].mean()
    table.insert(0, "n", grouped.size())
    return table.reset_index(drop=True)


def score_table(
    probs: Array,
    logits: Array,
    decisions: Ints,
    labels: Ints,
    *,
    min_confidence: float,
    n_bins: int,
) -> dict[str, object]:
    """Return the point figures of summary.json's `test` block that need no interval.

    Parameters
    ----------
    probs, logits : arrays of shape (n_rows, 3)
        Calibrated probabilities and the final logits behind them, test split.
    decisions, labels : arrays of shape (n_rows,)
        The emitted class and what happened.
    min_confidence : float
        Confidence from which a signal is actionable.
    n_bins : int
        Bins of the ECE.
    """
    confidence, top = probs.max(axis=1), probs.argmax(axis=1)
    acting = confidence >= min_confidence
    return {
        "n": len(labels),
        "accuracy": accuracy(top, labels),
        "decision_accuracy": accuracy(decisions, labels),
        "log_loss": log_loss(probs, labels),
        "brier": brier(probs, labels),
        "ece": ece(probs, labels, n_bins=n_bins),
        "mean_confidence": float(confidence.mean()),
        "share_confidence_over_99": float((confidence > 0.99).mean()),
        "max_abs_logit": float(np.abs(logits).max()),
        "decision_shares": class_shares(decisions),
        "mcc": matthews(decisions, labels),
        "balanced_accuracy": balanced_accuracy(decisions, labels),
        "f1": f1_scores(decisions, labels),
        "direction_accuracy": direction_accuracy(probs, labels),
        "actionable_share": float(acting.mean()),
        "actionable_accuracy": accuracy(top[acting], labels[acting]) if acting.any() else None,
        "actionable_mean_confidence": float(confidence[acting].mean()) if acting.any() else None,
    }


def shares_through_time(
    classes: Ints, epoch_s: NDArray[np.int64], *, n_periods: int = 48
) -> pd.DataFrame:
    """Return the share of each class in `n_periods` equal stretches of time.

    One row per stretch that has rows, indexed by its start (UTC); columns DOWN, HOLD, UP.
    """
    edges = np.linspace(epoch_s[0], epoch_s[-1] + 1, n_periods + 1)
    period = np.searchsorted(edges, epoch_s, side="right") - 1
    counts = np.bincount(period * 3 + classes, minlength=3 * n_periods).reshape(-1, 3)
    used = counts.sum(axis=1) > 0
    shares = counts[used] / counts[used].sum(axis=1, keepdims=True)
    index = pd.to_datetime(edges[:-1][used].astype(np.int64), unit="s", utc=True)
    return pd.DataFrame(shares, index=index, columns=["DOWN", "HOLD", "UP"])
