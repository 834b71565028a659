"""From the last bars of a market to a signal, for one symbol or for many at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_arrays import BarArrays
from v8lib.errors import FeatureError, ParameterError
from v8lib.label import Label
from v8lib.latest import LatestFeatures
from v8lib.many_runtimes import predict_many
from v8lib.runtime import Runtime

NO_DECISION = -1


@dataclass(frozen=True)
class Signal:
    """What a model says of one symbol at one bar.

    Attributes
    ----------
    epoch_s : int
        Opening time of the bar, in seconds since 1970-01-01 UTC.
    probs : float64, (3,)
        Calibrated probabilities of DOWN, HOLD and UP.
    confidence : float
        The largest of them.
    decision : Label
        The emitted class.
    actionable : bool
        Whether the confidence reaches the model's bar.
    """

    epoch_s: int
    probs: NDArray[np.float64]
    confidence: float
    decision: Label
    actionable: bool


@dataclass(frozen=True)
class Signals:
    """What models say of several symbols at their last bars, one row per symbol.

    Attributes
    ----------
    epoch_s : int64, (n_symbols,)
    probs : float64, (n_symbols, 3), NaN where there is no signal
    confidence : float64, (n_symbols,), NaN where there is no signal
    decisions : int64, (n_symbols,), `Label` values or `NO_DECISION`
    actionable : bool, (n_symbols,), False where there is no signal
    complaints : tuple of str
        Why there is no signal, one line per symbol; empty where there is one.
    """

    epoch_s: NDArray[np.int64]
    probs: NDArray[np.float64]
    confidence: NDArray[np.float64]
    decisions: NDArray[np.int64]
    actionable: NDArray[np.bool_]
    complaints: tuple[str, ...]


def make_signal(latest: LatestFeatures, runtime: Runtime, bars: BarArrays) -> Signal:
    """Return the signal of the last bar.

    Parameters
    ----------
    latest : LatestFeatures
        Of the model's columns, as `Bundle.latest`.
    runtime : Runtime
        The model, as `Bundle.runtime`.
    bars : BarArrays of shape (n_bars,)
        Validated bars of one symbol; `latest.reach_bars` of them are looked at.

    Raises
    ------
    FeatureError
        If the last bar has no features: too few bars, a gap, a market that never moved.
    """
    row = latest.features(bars)
    if not np.isfinite(row).all():
        raise FeatureError(latest.complaint(bars, row))
    said = runtime.predict(row)
    probs = said.probs[0]
    return Signal(
        int(bars.epoch_s[-1]),
        probs,
        float(probs.max()),
        Label(int(said.decisions[0])),
        bool(said.actionable[0]),
    )


def make_signals(
    latest: LatestFeatures, runtimes: Sequence[Runtime], bars: BarArrays, *, threads: int = 1
) -> Signals:
    """Return the signals of the last bars of several symbols.

    A symbol without features leaves the others as they are: it has a complaint instead.

    Parameters
    ----------
    latest : LatestFeatures
        Of the columns that all the models share.
    runtimes : sequence of Runtime, one per symbol
        The models; symbols that share one are computed together.
    bars : BarArrays of shape (n_symbols, n_bars)
        Validated bars; open times may have shape (n_bars,).
    threads : int
        Among how many the symbols are divided, from 1; no more than there are cores, and with
        numeric libraries at one thread each. What each gets agrees to the last few bits, as a
        row alone and in a batch do.

    Raises
    ------
    FeatureError
        If there is not one model per symbol.
    ParameterError
        If there is no thread to work on.
    """
    n = len(runtimes)
    if threads < 1:
        raise ParameterError(f"threads = {threads}: at least one is needed")
    if min(threads, n) <= 1 or np.ndim(bars.close) != 2 or n != len(bars.close):
        return _signals(latest, runtimes, bars)
    # Imported here: ten milliseconds that a process with one symbol need not wait for.
    from concurrent.futures import ThreadPoolExecutor

    edges = np.linspace(0, n, min(threads, n) + 1).astype(np.int64).tolist()
    parts = [slice(*edge) for edge in pairwise(edges)]
    with ThreadPoolExecutor(len(parts)) as pool:
        found = pool.map(
            lambda part: _signals(latest, runtimes[part], _of_symbols(bars, part)), parts
        )
        return _joined(list(found))


def _joined(found: Sequence[Signals]) -> Signals:
    """Return the signals of several groups of symbols as one, in the order given."""
    arrays = {
        field.name: np.concatenate([getattr(signals, field.name) for signals in found])
        for field in fields(Signals)
        if field.name != "complaints"
    }
    return Signals(**arrays, complaints=tuple(line for s in found for line in s.complaints))


def _of_symbols(bars: BarArrays, part: slice) -> BarArrays:
    return BarArrays(*(array[part] if np.ndim(array) == 2 else array for array in bars))


def _signals(latest: LatestFeatures, runtimes: Sequence[Runtime], bars: BarArrays) -> Signals:
    rows = latest.features(bars)
    n = len(rows)
    if rows.ndim != 2 or len(runtimes) != n:
        raise FeatureError(f"{len(runtimes)} models for features of shape {rows.shape}")
    epoch_s = np.broadcast_to(bars.epoch_s, bars.close.shape)
    ready = np.isfinite(rows).all(axis=1)
    out = Signals(
        epoch_s[:, -1].copy(),
        np.full((n, 3), np.nan),
        np.full(n, np.nan),
        np.full(n, NO_DECISION, np.int64),
        np.zeros(n, np.bool_),
        tuple(
            "" if ready[i] else latest.complaint(_of_symbol(bars, epoch_s, i), rows[i])
            for i in range(n)
        ),
    )
    if ready.any():
        chosen = [runtime for runtime, there in zip(runtimes, ready, strict=True) if there]
        said = predict_many(chosen, rows[ready])
        out.probs[ready], out.confidence[ready] = said.probs, said.probs.max(axis=1)
        out.decisions[ready], out.actionable[ready] = said.decisions, said.actionable
    return out


def _of_symbol(bars: BarArrays, epoch_s: NDArray[np.int64], i: int) -> BarArrays:
    return BarArrays(*(array[i] for array in bars[:5]), epoch_s[i])
