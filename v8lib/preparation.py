"""From bars to the rows of every fold: the steps of notebook 01, as one function.

Notebook 01 takes the same steps one by one, to be read. Here they are values, so that a probe
can take them again on a changed future, and a broken pipeline can differ in exactly one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import bar_seconds
from v8lib.config import Parameters
from v8lib.feature import Feature
from v8lib.features import feature_table, make_features, warmup_bars
from v8lib.labels import Labels, make_labels
from v8lib.rows import Rows, make_rows, missing_values, usable
from v8lib.scaling import Scaler, fit_scaler
from v8lib.splits import SplitIndex, walk_forward

LABEL_KEYS = {  # of a parameter: what `make_labels` calls it
    "label_scheme": "scheme",
    "horizon_bars": "horizon_bars",
    "label_window_bars": "window_bars",
    "label_threshold_bps": "threshold_bps",
    "label_sigmas": "sigmas",
}
SPLIT_KEYS = ("horizon_bars", "train_share", "valid_share", "calib_share", "n_folds")


@dataclass(frozen=True)
class Steps:
    """What turns bars into rows; each is a function of its own.

    Attributes
    ----------
    table : from the bar length in seconds to the features
    labels : from bars to their labels
    split : from which bars are usable, (n_bars,), to the splits of each fold
    scaler : from all rows, one fold's splits and the feature names to the fold's scaler
    """

    table: Callable[[int], list[Feature]]
    labels: Callable[[pd.DataFrame], Labels]
    split: Callable[[NDArray[np.bool_]], list[SplitIndex]]
    scaler: Callable[[Rows, SplitIndex, Sequence[str]], Scaler]


@dataclass(frozen=True)
class Prepared:
    """Bars and what the steps made of them."""

    bars: pd.DataFrame
    table: list[Feature]
    steps: Steps
    rows: Rows
    folds: list[SplitIndex]
    scalers: list[Scaler]
    missing: dict[str, int]

    @property
    def names(self) -> list[str]:
        """The feature names, in column order."""
        return [feature.name for feature in self.table]

    def split(self, name: str) -> list[Rows]:
        """Return the rows of one split, one entry per fold."""
        return [self.rows.at(getattr(fold, name)) for fold in self.folds]


def label_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of `make_labels` among parameters."""
    return {word: values[key] for key, word in LABEL_KEYS.items()}


def default_steps(
    *,
    exclude_families: Sequence[str],
    clip_sigma: float,
    labels: Mapping[str, Any],
    splits: Mapping[str, Any],
) -> Steps:
    """Return the steps of the suite.

    Parameters
    ----------
    exclude_families, clip_sigma
        As the parameters of these names.
    labels, splits : mapping
        Keyword arguments of `labels.make_labels` and of `splits.walk_forward`.
    """
    return Steps(
        partial(feature_table, exclude_families=exclude_families),
        partial(make_labels, **labels),
        partial(walk_forward, **splits),
        partial(scaler_of_train, clip_sigma=clip_sigma),
    )


def steps_of(parameters: Parameters) -> Steps:
    """Return the steps that parameters ask for."""
    values = parameters.model_dump()
    return default_steps(
        exclude_families=parameters.excluded,
        clip_sigma=parameters.clip_sigma,
        labels=label_settings(values),
        splits={key: values[key] for key in SPLIT_KEYS},
    )


def scaler_of_train(
    rows: Rows, split: SplitIndex, names: Sequence[str], *, clip_sigma: float
) -> Scaler:
    """Return the scaler fitted on the train rows of a fold."""
    return fit_scaler(rows.at(split.train).features, names, clip_sigma=clip_sigma)


def prepare(
    bars: pd.DataFrame,
    steps: Steps,
    posterior: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> Prepared:
    """Return the rows, folds and scalers of some bars.

    Parameters
    ----------
    bars : DataFrame
        Validated bars.
    steps : Steps
        What to do with them.
    posterior : callable, optional
        From the label threshold of every bar to the exact class probabilities, on a
        simulated market.

    Raises
    ------
    V8Error
        What the steps raise: too few bars, a constant feature.
    """
    table = steps.table(bar_seconds(bars))
    features, labelled = make_features(bars, table), steps.labels(bars)
    known = posterior(labelled.threshold) if posterior else np.empty((len(bars), 0))
    rows = make_rows(bars, features, labelled, known)
    folds = steps.split(usable(features, labelled))
    names = [feature.name for feature in table]
    scalers = [steps.scaler(rows, fold, names) for fold in folds]
    missing = missing_values(bars, features, names, warmup_bars(table))
    return Prepared(bars, table, steps, rows, folds, scalers, missing)
