"""What takes a model out at the bar where it happens, without waiting for a window."""

import numpy as np
from numpy.typing import NDArray

from v8lib.runtime import Prediction

MAX_LOGIT = 15.0  # the brief's limit, and the gate's
MAX_SUM_ERROR = 1e-6
LATENCY_S = 1.0  # for one row; a signal takes a thousandth of it


def first_fault(said: Prediction, *, seconds_per_row: float) -> tuple[int, str] | None:
    """Return the first row that no model may say, and why; None where there is none.

    Parameters
    ----------
    said : Prediction
        Of some bars in order of time.
    seconds_per_row : float
        How long it took, per row.
    """
    if seconds_per_row > LATENCY_S:
        return 0, f"{seconds_per_row:.2g} s for a row, {LATENCY_S:g} s is the limit"
    finite = np.isfinite(said.logits).all(axis=1) & np.isfinite(said.probs).all(axis=1)
    sums = np.where(finite[:, None], said.probs, 0.0)
    whole = (np.abs(sums.sum(axis=1) - 1.0) <= MAX_SUM_ERROR) & (sums >= 0.0).all(axis=1)
    largest = np.abs(np.where(finite[:, None], said.logits, 0.0)).max(axis=1)
    classes = (said.decisions >= 0) & (said.decisions < said.probs.shape[1])
    bad = ~finite | ~whole | (largest >= MAX_LOGIT) | ~classes
    if not bad.any():
        return None
    row = int(bad.argmax())
    return row, _words(row, said, finite, largest, classes)


def _words(
    row: int,
    said: Prediction,
    finite: NDArray[np.bool_],
    largest: NDArray[np.float64],
    classes: NDArray[np.bool_],
) -> str:
    if not finite[row]:
        return "NaN or infinity in what the model says"
    if largest[row] >= MAX_LOGIT:
        return f"logit of {largest[row]:.1f}, {MAX_LOGIT:g} is the limit"
    if not classes[row]:
        return f"decision {said.decisions[row]} is no class"
    return f"probabilities that sum to {said.probs[row].sum():.4f}"
