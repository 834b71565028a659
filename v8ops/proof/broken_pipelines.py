"""Pipelines that are broken in one step each: each function takes the honest one to its defect."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.case import Case
from v8lib.feature import plain
from v8lib.labels import MISSING, Label, Labels
from v8lib.market import START
from v8lib.predecessor import SHARE_KEYS, predecessor_steps, train_predecessor
from v8lib.predecessor import random_split as predecessor_split
from v8lib.recipe import build_case, open_bars
from v8lib.rows import Rows
from v8lib.scaling import Scaler, fit_scaler
from v8lib.splits import SplitIndex
from v8ops.proof.honest import Honest

AUGMENT_COPIES, AUGMENT_NOISE = 4, 0.02


def scaler_of_all_rows(honest: Honest) -> Case:
    """Fit the scaler on all rows, test included."""
    clip = honest.parameters.clip_sigma

    def scaler(rows: Rows, split: SplitIndex, names: list[str]) -> Scaler:
        del split  # that is the defect
        return fit_scaler(rows.features, names, clip_sigma=clip)

    return honest.rebuilt(scaler=scaler)


def shuffled_scaler_columns(honest: Honest) -> Case:
    """Put means and scales in another order than the columns."""
    own = honest.case.prepared.scalers
    order = np.random.default_rng(honest.parameters.seed).permutation(len(own[0].names))
    return honest.with_scalers([replace(s, mean=s.mean[order], scale=s.scale[order]) for s in own])


def stale_scaler(honest: Honest) -> Case:
    """Serve with the scaler of another symbol's model."""
    other = honest.parameters.model_copy(update={"seed": honest.parameters.seed + 1_000})
    source = open_bars(other)
    other_case = build_case(source, other, train=lambda prepared, parameters: [])
    return honest.with_scalers(other_case.prepared.scalers)


def planted_future(honest: Honest) -> Case:
    """Plant a feature that holds the return of the next bar."""
    peek = plain("return_ahead", "returns", 1, lambda s: np.append(np.diff(s.close), 0.0) / 1e-3)
    own = honest.steps.table
    return honest.rebuilt(table=lambda interval_s: [*own(interval_s), peek])


def labels_backwards(honest: Honest) -> Case:
    """Shift the labels by the horizon the wrong way: the move that has just been."""
    make, horizon = honest.steps.labels, honest.parameters.horizon_bars
    return honest.rebuilt(labels=lambda bars: _shifted(make(bars), horizon))


def _shifted(labelled: Labels, horizon_bars: int) -> Labels:
    out = {}
    for name, values in vars(labelled).items():
        empty = MISSING if name == "labels" else np.nan
        out[name] = np.concatenate([np.full(horizon_bars, empty), values[:-horizon_bars]])
    out["labels"] = out["labels"].astype(np.int64)
    return Labels(**out)


def augmented_bars(honest: Honest) -> Case:
    """Multiply the bars by copies with 2 % of noise on every price."""
    rng = np.random.default_rng(honest.parameters.seed)
    bars = honest.source.bars
    originals = bars.iloc[: len(bars) // (AUGMENT_COPIES + 1)]
    made = pd.concat([originals, *(_noisy(originals, rng) for _ in range(AUGMENT_COPIES))])
    made.index = pd.date_range(START, periods=len(made), freq=bars.index[1] - bars.index[0])
    made.index.name = "timestamp"
    source = replace(honest.source, bars=made, market=None)
    return build_case(source, honest.parameters)


def _noisy(bars: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return a copy with noise, its candles put right again so that nothing looks impossible."""
    out = bars.copy()
    prices = ["open", "high", "low", "close"]
    out[prices] *= 1.0 + rng.normal(0.0, AUGMENT_NOISE, size=(len(out), 4))
    out["high"], out["low"] = out[prices].max(axis=1), out[prices].min(axis=1)
    return out


def missing_feature_values(honest: Honest) -> Case:
    """Leave one feature NaN on a tenth of its bars."""

    def table(interval_s: int) -> list:
        first, *others = honest.steps.table(interval_s)
        return [replace(first, function=lambda s: _with_holes(first.function(s))), *others]

    return honest.rebuilt(table=table)


def _with_holes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    out = values.copy()
    out[::10] = np.nan
    return out


def class_missing(honest: Honest) -> Case:
    """Leave HOLD out of train. Training refuses that, so the nets are those trained before."""
    labels = honest.case.prepared.rows
    holds = labels.position[labels.labels == Label.HOLD]
    own = honest.steps.split

    def split(usable: NDArray[np.bool_]) -> list[SplitIndex]:
        return [replace(f, train=np.setdiff1d(f.train, holds)) for f in own(usable)]

    steps = replace(honest.steps, split=split)
    return build_case(
        honest.source,
        honest.parameters,
        steps=steps,
        train=lambda prepared, parameters: [
            replace(m, scaler=s) for m, s in zip(honest.case.models, prepared.scalers, strict=True)
        ],
    )


def random_split(honest: Honest) -> Case:
    """Deal the rows out at random: test rows have neighbours in train."""
    own = honest.parameters
    shares = {key: getattr(own, key) for key in SHARE_KEYS}
    at_random = partial(predecessor_split, seed=own.seed, symbol=own.symbol, **shares)
    return honest.rebuilt(split=at_random)


def unpurged_split(honest: Honest) -> Case:
    """Let the splits follow each other without a gap for the labels."""
    own = honest.steps.split

    def split(usable: NDArray[np.bool_]) -> list[SplitIndex]:
        return [_unpurged(fold, np.flatnonzero(usable)) for fold in own(usable)]

    return honest.rebuilt(split=split)


def _unpurged(fold: SplitIndex, rows: NDArray[np.int64]) -> SplitIndex:
    starts = [fold.valid[0], fold.calib[0], fold.test[0]]
    parts = np.split(rows[rows <= fold.test[-1]], np.searchsorted(rows, starts))
    return SplitIndex(*parts)


def old_recipe(honest: Honest) -> Case:
    """Follow the predecessor: raw prices, no scaler, no regularisation, a random split."""
    steps = predecessor_steps(honest.parameters)
    return build_case(honest.source, honest.parameters, steps=steps, train=train_predecessor)
