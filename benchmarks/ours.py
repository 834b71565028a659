"""What of the suite is measured, each behind one function: the one place that knows its names."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_arrays import BarArrays


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


def with_precision(settings: Any, precision: str) -> Any:
    """Return settings of that precision."""
    return replace(settings, precision=precision)


def has_bf16() -> bool:
    """Return whether the CPU computes in bfloat16 itself."""
    from v8lib.hardware import computes_bf16

    return computes_bf16("cpu")


def open_bundle(folder: str | Path) -> Any:
    """Return a verified bundle."""
    from v8lib.bundle import load_bundle

    return load_bundle(folder)


def reach_bars(bundle: Any) -> int:
    """Return how many bars a signal looks back at, the current one included."""
    return bundle.latest.reach_bars


def latest_features(bundle: Any) -> Callable[[BarArrays], NDArray]:
    """Return what gives the last bar's features of tails, arrays of shape (..., n_bars)."""
    return bundle.latest.features


def signaller(bundle: Any) -> Callable[[BarArrays], NDArray]:
    """Return what gives the probabilities of the last bar of a tail, shape (3,)."""
    from v8lib.signals import make_signal

    latest, runtime = bundle.latest, bundle.runtime
    return lambda tail: make_signal(latest, runtime, tail).probs


def many_signaller(bundles: Sequence[Any], threads: int) -> Callable[[BarArrays], NDArray]:
    """Return what gives the probabilities of many symbols' tails, (n, n_bars), shape (n, 3)."""
    from v8lib.signals import make_signals

    latest, runtimes = bundles[0].latest, [bundle.runtime for bundle in bundles]
    return lambda tails: make_signals(latest, runtimes, tails, threads=threads).probs


def read_tail(path: str | Path) -> BarArrays:
    """Return the arrays of a file of `write_tail`."""
    with np.load(path, allow_pickle=False) as stored:
        return BarArrays(**stored)


def write_tail(path: str | Path, tail: BarArrays) -> None:
    """Write the arrays of a tail for another process."""
    np.savez(path, **tail._asdict())
