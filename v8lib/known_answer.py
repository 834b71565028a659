"""A model against the exact probabilities of a simulated market."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.metrics import accuracy, class_shares, log_loss, row_log_loss
from v8lib.skill_sources import split_row_loss

Array = NDArray[np.float64]


def score_against_posterior(
    probs: Array, posterior: Array, climatology: Array, labels: NDArray[np.integer]
) -> dict[str, Any] | None:
    """Return how far a model is from the best possible one, or None on a real market.

    Parameters
    ----------
    probs : array of shape (n_test, 3)
        What the model said of test rows.
    posterior : array of shape (n_test, 3), or (n_test, 0) where it is not known
        Exact class probabilities of the same rows.
    climatology : array of shape (n_test, 3)
        Class frequencies of train: the reference of the skill.
    labels : integer array of shape (n_test,)
        What happened.

    Returns
    -------
    dict
        The best possible model's accuracy, log_loss, log_loss_skill, mean_confidence, and
        decision_shares of its likeliest class; the model's excess_log_loss (on these labels),
        divergence (Kullback-Leibler, its expectation over labels), total_variation (mean
        distance of the probabilities, in [0, 1]), and share_of_skill (model's skill over the
        best possible, None where there is next to none to share); `sources`: how both
        skills split into volatility and direction.
    """
    if posterior.shape[1] == 0:
        return None
    nothing = log_loss(climatology, labels)
    best, own = log_loss(posterior, labels), log_loss(probs, labels)
    safe = np.maximum(posterior, 1e-15)
    divergence = (safe * np.log(safe / np.maximum(probs, 1e-15))).sum(axis=1).mean()
    possible = 1.0 - best / nothing
    return {
        "accuracy": accuracy(posterior.argmax(axis=1), labels),
        "log_loss": best,
        "log_loss_skill": possible,
        "mean_confidence": float(posterior.max(axis=1).mean()),
        "decision_shares": class_shares(posterior.argmax(axis=1)),
        "excess_log_loss": own - best,
        "divergence": float(divergence),
        "total_variation": float(0.5 * np.abs(probs - posterior).sum(axis=1).mean()),
        "share_of_skill": (1.0 - own / nothing) / possible if possible > 1e-3 else None,
        "sources": {
            "model": _sources(probs, climatology, labels),
            "best possible": _sources(posterior, climatology, labels),
        },
    }


def _sources(probs: Array, reference: Array, labels: NDArray[np.integer]) -> dict[str, float]:
    """Return the two parts of a skill; see `skill_sources` for the same with intervals."""
    total = row_log_loss(reference, labels).mean()
    pairs = zip(split_row_loss(probs, labels), split_row_loss(reference, labels), strict=True)
    gains = [float((ref.mean() - own.mean()) / total) for own, ref in pairs]
    return dict(zip(("volatility", "direction"), gains, strict=True))


def posterior_table(probs: Array, posterior: Array, *, n_bins: int = 20) -> pd.DataFrame:
    """Return estimate against exact probability, one row per class and bin of the exact one.

    Columns class, exact (mean of the bin), estimate (mean), low and high (5 % and 95 % of
    the estimates in the bin), n. Without rows where the exact probabilities are not known.
    """
    parts = []
    if posterior.shape[1] == 0:
        return pd.DataFrame(columns=["class", "exact", "estimate", "low", "high", "n"])
    for k, name in enumerate(("DOWN", "HOLD", "UP")):
        order = np.array_split(np.argsort(posterior[:, k], kind="stable"), n_bins)
        parts += [
            {
                "class": name,
                "exact": posterior[rows, k].mean(),
                "estimate": probs[rows, k].mean(),
                "low": np.quantile(probs[rows, k], 0.05),
                "high": np.quantile(probs[rows, k], 0.95),
                "n": len(rows),
            }
            for rows in order
        ]
    return pd.DataFrame(parts)
