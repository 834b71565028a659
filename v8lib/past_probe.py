"""Whether labels, splits and scalers of the past stay when the future changes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import bar_seconds, epoch_seconds
from v8lib.labels import MISSING, lookback_bars
from v8lib.preparation import Prepared, Steps, prepare
from v8lib.probes import PROBE_BARS, other_future
from v8lib.scaling import Scaler
from v8lib.splits import SplitIndex
from v8lib.windows import segment_slices


def past_moved(prepared: Prepared, *, horizon_bars: int, rng: np.random.Generator) -> list[str]:
    """Return what the first fold fitted before its test that moves with bars after it.

    Every bar after the last one that a calib label may know is put on another path, and all
    steps are taken again. Rows, labels and scaler of train, valid and calib must keep
    every bit.

    Parameters
    ----------
    prepared : Prepared
        Bars and what was made of them.
    horizon_bars : int
        Horizon of the labels.
    rng : numpy Generator
        Draws the other future.
    """
    fold = prepared.folds[0]
    n_past = int(fold.calib.max()) + horizon_bars + 1
    own = _with_later_rows_as_they_were(prepared, n_past)
    again = prepare(other_future(prepared.bars, n_past, rng), own)
    moved = []
    for name in ("train", "valid", "calib"):
        before, after = getattr(fold, name), getattr(again.folds[0], name)
        if not np.array_equal(before, after):
            moved.append(f"split {name}")
        elif not np.array_equal(prepared.rows.at(before).labels, again.rows.at(before).labels):
            moved.append(f"labels of {name}")
    scalers = prepared.scalers[0], again.scalers[0]
    if not all(np.array_equal(*pair) for pair in zip(*map(_numbers, scalers), strict=True)):
        moved.append("scaler")
    return moved


def _with_later_rows_as_they_were(prepared: Prepared, n_past: int) -> Steps:
    """Return the steps with a split that is told of the same usable bars after `n_past`.

    Splits are shares of the usable rows. A bar of the future that becomes usable, because a
    market that stood still now moves, moves their borders without looking ahead.
    """
    before = np.zeros(len(prepared.bars), dtype=bool)
    before[prepared.rows.position] = True

    def split(usable: NDArray[np.bool_]) -> list[SplitIndex]:
        return prepared.steps.split(np.concatenate([usable[:n_past], before[n_past:]]))

    return replace(prepared.steps, split=split)


def _numbers(scaler: Scaler) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return scaler.mean, scaler.scale


def labels_misplaced(
    prepared: Prepared,
    *,
    horizon_bars: int,
    window_bars: int,
    n_cuts: int,
    rng: np.random.Generator,
) -> list[str]:
    """Return what is wrong with when labels become known, in words; empty if nothing is.

    At bars drawn from the rows: the stored label must be the one that exactly the next
    `horizon_bars` bars give, must not be known one bar earlier, and must not move when the
    bars after its horizon do; its threshold must be known at the bar itself.

    Parameters
    ----------
    prepared : Prepared
        Bars and what was made of them.
    horizon_bars, window_bars : int
        Of the labels.
    n_cuts : int
        How many bars are tried.
    rng : numpy Generator
        Draws the bars and the other futures.
    """
    positions = prepared.rows.position
    runs = segment_slices(epoch_seconds(prepared.bars), bar_seconds(prepared.bars))
    ends = {run.start: run.stop for run in runs}
    starts = np.array(sorted(ends))
    found: set[str] = set()
    for t in np.sort(rng.choice(positions, size=n_cuts)).tolist():
        run = int(starts[np.searchsorted(starts, t, side="right") - 1])
        first = max(run, t - lookback_bars(horizon_bars, window_bars))
        window = prepared.bars.iloc[first : min(ends[run], t + horizon_bars + PROBE_BARS)]
        stored = int(prepared.rows.labels[np.searchsorted(positions, t)])
        found.update(_wrong_at(prepared, window, t - first, stored, horizon_bars, rng))
    return sorted(found)


def _wrong_at(
    prepared: Prepared,
    window: pd.DataFrame,
    at: int,
    stored: int,
    horizon_bars: int,
    rng: np.random.Generator,
) -> Sequence[str]:
    """Return what is wrong with the label of the bar at place `at` of a window of bars."""
    settled = at + horizon_bars + 1  # bars that must be there for the label
    make, wrong = prepared.steps.labels, []
    whole, early = make(window.iloc[:settled]), make(window.iloc[: settled - 1])
    if whole.labels[at] != stored:
        wrong.append("a stored label is not the one its horizon gives")
    if early.labels[at] != MISSING:
        wrong.append("a label is known before its horizon is over")
    if make(window.iloc[: at + 1]).threshold[at] != whole.threshold[at]:
        wrong.append("a threshold is not known at its bar")
    if len(window) > settled:
        changed = make(other_future(window, settled, rng))
        if changed.labels[at] != whole.labels[at]:
            wrong.append("a label moves with bars after its horizon")
    return wrong
