"""Golden figures: bars and what the model said of them, said again whenever it is loaded."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from v8lib.bar_arrays import BarArrays, bar_arrays
from v8lib.bundle_folder import GOLDEN, json_object
from v8lib.errors import BundleError
from v8lib.features import feature_table
from v8lib.json_values import Values
from v8lib.kinds import KINDS, AnyRuntime, kind_of
from v8lib.latest import LatestFeatures
from v8lib.raw_bars import COLUMNS
from v8lib.runtime import Prediction

if TYPE_CHECKING:  # production computes signals from arrays and does without pandas
    import pandas as pd

MAX_GOLDEN_BARS = 200_000


def latest_features(facts: Mapping[str, Any], runtime: AnyRuntime) -> LatestFeatures:
    """Return what computes a model's columns for bars of the length it was trained on.

    Raises
    ------
    BundleError
        If a column is not one this code computes, or, of a model of this suite, the columns
        are not all of them in their order.
    """
    names = list(runtime.names)
    table = {f.name: f for f in feature_table(facts["interval_s"], facts["exclude_families"])}
    if KINDS[kind_of(runtime)].whole_table and list(table) != names:
        raise BundleError("the bundle's features are not the ones this code computes, in order")
    unknown = [name for name in names if name not in table]
    if unknown or not names:
        raise BundleError(f"feature '{(unknown or ['?'])[0]}' is not one this code computes")
    return LatestFeatures([table[name] for name in names], facts["interval_s"])


def golden_figures(
    runtime: AnyRuntime, facts: Mapping[str, Any], golden_bars: "pd.DataFrame"
) -> bytes:
    """Return golden.json: bars, and the probabilities of the last of them.

    Raises
    ------
    BundleError
        If the bars do not end in a bar with features, or the model says no numbers of it.
    """
    bars = bar_arrays(golden_bars)
    row = latest_features(facts, runtime).features(bars)
    if not np.isfinite(row).all():
        raise BundleError("the golden bars do not end in a bar with features")
    figures = {
        "epoch_s": bars.epoch_s.tolist(),
        **{name: array.tolist() for name, array in zip(COLUMNS, bars, strict=False)},
        "probs": runtime.predict(row).probs[0].tolist(),
    }
    return compact(figures)


def check_golden(
    predict: Callable[[BarArrays], Prediction], content: bytes, tolerance: float
) -> None:
    """Refuse a model that says something else of the golden bars than is written down.

    Raises
    ------
    BundleError
        If it does, or golden.json is not what it must be.
    """
    values = Values.of(json_object(content, GOLDEN), GOLDEN)
    times = values.value("epoch_s")
    n = len(times) if isinstance(times, Sequence) else 0
    if not 2 <= n <= MAX_GOLDEN_BARS:
        raise values.wrong("epoch_s", f"a list of 2 to {MAX_GOLDEN_BARS} times")
    epoch_s = values.numbers("epoch_s", n)
    if (np.abs(epoch_s) >= 2**53).any() or (epoch_s != np.round(epoch_s)).any():
        raise values.wrong("epoch_s", "whole seconds")
    prices = (values.numbers(name, n) for name in COLUMNS)
    bars = BarArrays(*prices, epoch_s.astype(np.int64))
    with np.errstate(all="ignore"):  # hostile numbers overflow; what comes of it is judged
        said = predict(bars).probs[0]
    gap = float(np.abs(said - values.numbers("probs", 3)).max())
    if not gap <= tolerance:  # a NaN fails too
        raise BundleError(f"the golden bars give other probabilities (off by {gap:.2g})")


def compact(content: Mapping[str, Any]) -> bytes:
    """Return figures as strict JSON in one line.

    Raises
    ------
    BundleError
        If one is not finite.
    """
    try:
        return (json.dumps(content, allow_nan=False) + "\n").encode()
    except ValueError:
        raise BundleError(
            "the figures to be stored are not finite: the model says no numbers"
        ) from None
