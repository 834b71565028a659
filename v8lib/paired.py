"""Is the model better than another one? The difference of their skills on the same rows.

Two intervals that overlap do not say that two models are alike: on the same rows their losses
rise and fall together. Resampling the difference keeps that.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import ParameterError
from v8lib.intervals import Interval, block_length, ratio_intervals
from v8lib.metrics import row_log_loss

Array = NDArray[np.float64]
Comparison = Literal["better", "no difference", "worse"]
REFERENCE = "climatology"


def paired_skill(
    row_loss: Array,
    row_loss_other: Array,
    row_loss_reference: Array,
    *,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
    share: float = 1.0,
) -> Interval:
    """Return the skill of the model minus that of another one, with its 95 % interval.

    Parameters
    ----------
    row_loss, row_loss_other, row_loss_reference : arrays of shape (n_rows,)
        Log loss of each row under the model, the other one and the reference of both skills:
        same rows, in order of time, from a split none of them was fitted on.
    horizon_bars, reps, rng, runs
        As in `intervals.skill_interval`; every draw resamples the three together.
    share : float
        How much of the other's skill is taken off: 1 for the plain difference.
    """
    gain = (1.0 - share) * row_loss_reference + share * row_loss_other - row_loss
    length = block_length(gain, horizon_bars)
    columns = gain[:, None], row_loss_reference[:, None]
    return ratio_intervals(*columns, length=length, reps=reps, rng=rng, runs=runs)[0]


def comparison_verdict(interval: Interval) -> Comparison:
    """Return "better" or "worse" if the whole interval is on one side of 0.

    "no difference" means that these rows show none, not that there is none.
    """
    if interval.low > 0.0:
        return "better"
    return "worse" if interval.high < 0.0 else "no difference"


def compare(
    probs: Array,
    others: Mapping[str, Array],
    labels: NDArray[np.integer],
    *,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return value, ci and verdict of the model's skill minus that of each other one, by name.

    Parameters
    ----------
    probs : array of shape (n_rows, 3)
        Calibrated probabilities of the model, in order of time, test split.
    others : mapping of name to array of shape (n_rows, 3)
        From `baselines.fit_baselines`; "climatology" is the reference of both skills.
    labels : integer array of shape (n_rows,)
        What happened.
    horizon_bars, reps, rng, runs
        As in `intervals.skill_interval`.

    Raises
    ------
    ParameterError
        If there is no climatology among the others.
    """
    if REFERENCE not in others:
        raise ParameterError(f"no {REFERENCE} to measure skill against, only {sorted(others)}")
    losses = {name: row_log_loss(predicted, labels) for name, predicted in others.items()}
    own, found = row_log_loss(probs, labels), {}
    draws: dict[str, Any] = {"horizon_bars": horizon_bars, "reps": reps, "runs": runs}
    for name, loss in losses.items():
        interval = paired_skill(own, loss, losses[REFERENCE], rng=rng, **draws)
        verdict = comparison_verdict(interval)
        found[name] = {"value": interval.value, "ci": interval.ci, "verdict": verdict}
    return found
