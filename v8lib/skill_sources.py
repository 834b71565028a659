"""Where skill comes from: knowing whether the price moves, or knowing which way.

By the chain rule the log loss of a row is the loss of saying HOLD or move, plus, if it moved,
the loss of saying UP or DOWN given a move. Probabilities have shape (n_rows, 3) with rows that
sum to one; they and the labels, shape (n_rows,), come from rows the model was not fitted on,
in order of time.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.intervals import Interval, block_length, ratio_intervals
from v8lib.metrics import row_log_loss

Array = NDArray[np.float64]
Ints = NDArray[np.integer]
SOURCES = ("volatility", "direction")


def split_row_loss(probs: Array, labels: Ints) -> tuple[Array, Array]:
    """Return the volatility and the direction part of each row's log loss, (n_rows,) in nats.

    Volatility is -ln P(HOLD) or -ln(P(DOWN) + P(UP)); direction is -ln of what happened given
    a move, and 0 on HOLD rows. They add up to `metrics.row_log_loss`, its floor included.
    """
    total = row_log_loss(probs, labels)
    move = -np.log(np.maximum(probs[:, 0] + probs[:, 2], 1e-15))
    volatility = np.where(labels == 1, total, move)
    return volatility, total - volatility


def skill_sources(
    probs: Array,
    reference: Array,
    labels: Ints,
    *,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> dict[str, Interval]:
    """Return what "volatility" and "direction" contribute to skill, with 95 % intervals.

    Each is the gain over the reference in that part of the loss, divided by the whole loss of
    the reference, so that both add up to the log-loss skill against it.

    Parameters
    ----------
    probs, reference : arrays of shape (n_rows, 3)
        Probabilities of the model and of what it is compared with, same rows.
    labels : integer array of shape (n_rows,)
        What happened.
    horizon_bars, reps, rng, runs
        As in `intervals.skill_interval`; the blocks are as long as the more dependent of the
        two parts asks for.
    """
    intervals = _part_intervals(probs, reference, labels, horizon_bars, reps, rng, runs)
    return {source: intervals[source] for source in SOURCES}


def _part_intervals(
    probs: Array,
    reference: Array,
    labels: Ints,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> dict[str, Interval]:
    """Return the contributions and their total, all three on the same draws."""
    pairs = zip(split_row_loss(reference, labels), split_row_loss(probs, labels), strict=True)
    gains = [theirs - ours for theirs, ours in pairs]
    columns = np.column_stack([*gains, sum(gains)])
    loss = np.tile(row_log_loss(reference, labels)[:, None], 3)
    length = max(block_length(gain, horizon_bars) for gain in gains)
    found = ratio_intervals(columns, loss, length=length, reps=reps, rng=rng, runs=runs)
    return dict(zip((*SOURCES, "total"), found, strict=True))


def skill_split_table(
    probs: Array,
    references: Mapping[str, Array],
    labels: Ints,
    *,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return rows (reference, source) with columns value, low, high.

    Sources are volatility, direction and total; parameters as in `skill_sources`, with one
    array of shape (n_rows, 3) per reference.
    """
    rows = {
        (name, source): (interval.value, *interval.ci)
        for name, reference in references.items()
        for source, interval in _part_intervals(
            probs, reference, labels, horizon_bars, reps, rng, runs
        ).items()
    }
    index = pd.MultiIndex.from_tuples(rows, names=["reference", "source"])
    return pd.DataFrame(rows.values(), index=index, columns=["value", "low", "high"])
