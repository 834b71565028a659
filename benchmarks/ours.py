"""What of the suite is measured, each behind one function: the one place that knows its names."""

from collections.abc import Callable
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tail = dict[str, NDArray]
PRICES = ("open", "high", "low", "close", "volume")


def train(data: Any, settings: Any) -> Any:
    """Return our training of some rows, as a `training_data.Run`."""
    import time

    from benchmarks.training_data import Epoch, Run
    from v8lib.training import train_model

    began = time.perf_counter()
    result = train_model(data.train, data.valid, settings, targets=data.targets, mirror=data.mirror)
    seconds = time.perf_counter() - began
    epochs = [
        Epoch(e["seconds"], round(e["seconds"] * e["rows_per_second"]), e["valid_log_loss"])
        for e in result.history
    ]
    return Run(epochs, seconds)


def with_precision(settings: Any, precision: str) -> Any | None:
    """Return settings of that precision, or None where training knows no such thing."""
    if any(field.name == "precision" for field in fields(settings)):
        return replace(settings, precision=precision)
    return settings if precision == "fp32" else None


def open_bundle(folder: str | Path) -> Any:
    """Return a verified bundle."""
    from v8lib.bundle import load_bundle

    return load_bundle(folder)


def has_tail_path() -> bool:
    """Return whether signals are made from arrays of the last bars, without a frame."""
    return find_spec("v8lib.latest") is not None


def features_of(bundle: Any) -> Callable[[Tail], NDArray]:
    """Return what gives the features of the last bar of a tail."""
    if has_tail_path():
        return latest_features(bundle)
    from v8lib.features import feature_table, make_features

    manifest = bundle.manifest
    table = feature_table(manifest["interval_s"], manifest["exclude_families"])
    return lambda tail: make_features(frame(tail), table)[-1]


def frame(tail: Tail) -> Any:
    """Return a tail as the frame that the batch path takes."""
    from v8lib.bars import bars_from

    return bars_from({name: values.tolist() for name, values in tail.items()})


def signaller(bundle: Any) -> Callable[[Tail], NDArray]:
    """Return what gives the probabilities of the last bar of a tail, shape (3,)."""
    if not has_tail_path():
        return lambda tail: bundle.predict(frame(tail)).probs[0]
    features = latest_features(bundle)
    runtime = bundle.runtime
    return lambda tail: runtime.predict(features(tail)).probs[0]


def latest_features(bundle: Any) -> Callable[[Tail], NDArray]:
    """Return what gives the last bar's features of tails, arrays of shape (..., n_bars)."""
    from v8lib.latest import LatestFeatures

    from v8lib.features import feature_table

    manifest = bundle.manifest
    table = feature_table(manifest["interval_s"], manifest["exclude_families"])
    latest = LatestFeatures(table, manifest["interval_s"])
    return lambda tail: latest.features(*(tail[name] for name in PRICES), tail["epoch_s"])


def reach_bars(bundle: Any) -> int:
    """Return how many bars a signal looks back at, the current one included."""
    return max(bundle.manifest["lookbacks"].values())


def many_signaller(bundles: list[Any]) -> Callable[[Tail], NDArray]:
    """Return what gives the probabilities of many symbols' tails, (n, n_bars), shape (n, 3)."""
    if not has_tail_path():
        single = [signaller(bundle) for bundle in bundles]
        return lambda tails: np.array([one(row_of(tails, k)) for k, one in enumerate(single)])
    from v8lib.runtime import predict_many

    features = latest_features(bundles[0])
    runtimes = [bundle.runtime for bundle in bundles]
    return lambda tails: np.array(
        [prediction.probs[0] for prediction in predict_many(runtimes, features(tails))]
    )


def row_of(tails: Tail, k: int) -> Tail:
    """Return the tail of one symbol of many; all have the same times."""
    return {n: a if n == "epoch_s" else a[k] for n, a in tails.items()}


def read_tail(path: str | Path) -> Tail:
    """Return the arrays of a file of `write_tail`."""
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def write_tail(path: str | Path, tail: Tail) -> None:
    """Write the arrays of a tail for another process."""
    np.savez(path, **tail)
