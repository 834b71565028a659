"""Part latency: from bars to a signal, warm and cold, for one symbol and for many."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from benchmarks import ours
from benchmarks.figures import rounds
from benchmarks.machine import available_cores
from benchmarks.onnx_net import open_session, write_onnx
from benchmarks.processes import fresh
from benchmarks.suite_run import run_suite
from v8lib.bar_arrays import BarArrays, bar_arrays
from v8lib.errors import RunError
from v8lib.market import simulate_market
from v8lib.model import build_net, use_threads
from v8lib.numpy_net import NetPerRow, NumpyNet
from v8lib.runtime import Member
from v8lib.scaling import apply_scaler
from v8lib.seeds import stream

Works = dict[str, Callable[[int], Any]]
Net = Callable[[NDArray], NDArray]
SYMBOL, SEED = "BTC", 2
WARM_UP = 20  # calls before the clock starts
MANY_CALLS = 3
BATCH_ROWS = 1_000
SIGNAL, NUMPY, TORCH, ONNX = "bars to signal", "numpy", "torch", "onnxruntime"
FEATURES, MODEL = "features alone", "scaler, net, calibration, decision alone"
NET = "net alone, one row"
ALL_CORES = "own models, a thread per core"
KINDS = (NUMPY, TORCH, ONNX)
NORM = "adaptive"  # of the smoke profile's nets, and what `onnx_net` writes
SAME_SCORES = 1e-3  # float32 against float64
COLD_NETS = {"numpy_row": NUMPY, "torch_row": TORCH, "onnx_row": ONNX}


def measure(
    *, n_signals: int, n_symbols: int, repeats: int, cold_repeats: int, ready: Callable[[], None]
) -> dict[str, Any]:
    """Return latencies on a bundle that a smoke run has made.

    Parameters
    ----------
    n_signals : int
        Signals per round and symbol, each from bars that end one bar later.
    n_symbols : int
        How many symbols "many" are; each has a net of its own.
    repeats, cold_repeats : int
        Rounds of warm and of cold measurements.
    ready : callable
        Called before every round; it returns when the round may begin.
    """
    with tempfile.TemporaryDirectory(prefix="v8-bench-") as name:
        folder = Path(name)
        jobs = available_cores()  # so that the run's threads are one
        run = run_suite(folder, "run", profile="smoke", symbols=(SYMBOL,), jobs=jobs)
        use_threads(1)
        bundle = ours.open_bundle(path := folder / run["bundles"][SYMBOL])
        weights = dict(bundle.runtime.members[0].net.weights)
        model = write_onnx(folder / "net.onnx", weights)
        reach = ours.reach_bars(bundle)
        bars = simulated_arrays(reach + n_signals, bundle.manifest["interval_s"])
        tails = [bars.at(slice(k, k + reach)) for k in range(n_signals)]
        single = rounds(_single(bundle, weights, model, tails), repeats, ready)
        many = rounds(_many(bundle, weights, model, tails, n_symbols), repeats, ready)
        save_file(weights, folder / "net.safetensors")
        ours.write_tail(folder / "tail.npz", tails[0])
        cold = rounds(_cold(path, folder), cold_repeats, ready)
    return {
        "bars": reach,
        "n_signals": n_signals,
        "n_symbols": n_symbols,
        "single": single,
        "many": many,
        "cold": {name: [entry["seconds_to_answer"] for entry in cold[name]] for name in cold},
    }


def simulated_arrays(n_bars: int, interval_s: int) -> BarArrays:
    """Return simulated bars as arrays of shape (n_bars,)."""
    market = simulate_market(
        n_bars,
        signal=0.94,
        decay=0.7,
        volatility=1e-4,
        interval_s=interval_s,
        rng=stream(SEED, SYMBOL, "latency"),
    )
    return bar_arrays(market.bars)


def percentiles(work: Callable[[Any], Any], arguments: Sequence[Any]) -> dict[str, float]:
    """Return median and 99th percentile of the seconds of single calls."""
    for argument in arguments[:WARM_UP]:
        work(argument)
    seconds = []
    for argument in arguments:
        began = time.perf_counter()
        work(argument)
        seconds.append(time.perf_counter() - began)
    return {"p50": float(np.quantile(seconds, 0.5)), "p99": float(np.quantile(seconds, 0.99))}


def make_net(kind: str, weights: Mapping[str, NDArray], model: Path) -> Net:
    """Return the net in numpy, torch or onnxruntime, from scaled features to raw scores.

    Each call makes a net with memory of its own.
    """
    if kind == NUMPY:
        return own_net(weights).raw_logits
    if kind == ONNX:
        session = open_session(model)
        return lambda rows: session.run(None, {"features": rows})[0]
    net = build_net(weights, normalization=NORM)

    @torch.inference_mode()
    def in_torch(rows: NDArray) -> NDArray:
        return net(torch.from_numpy(rows)).numpy()

    return in_torch


def own_net(weights: Mapping[str, NDArray]) -> NumpyNet:
    """Return the net in numpy, with memory of its own."""
    return NumpyNet({name: array.copy() for name, array in weights.items()}, NORM)


def make_nets(kind: str, weights: Mapping[str, NDArray], model: Path, n: int) -> Net:
    """Return `n` nets that take a row each: ours all at once, the peers one by one."""
    if kind == NUMPY:
        return NetPerRow(tuple(own_net(weights) for _ in range(n))).raw_logits
    each = [make_net(kind, weights, model) for _ in range(n)]
    return lambda rows: np.concatenate(
        [net(row[None]) for net, row in zip(each, rows, strict=True)]
    )


def checked_nets(weights: Mapping[str, NDArray], model: Path) -> dict[str, Net]:
    """Return the net of every kind.

    Raises
    ------
    RunError
        If one gives other scores: it would not be a peer.
    """
    made = {kind: make_net(kind, weights, model) for kind in KINDS}
    rows = np.random.default_rng(1).standard_normal((64, weights["layers.0.weight"].shape[1]))
    scores = {kind: net(rows.astype(np.float32)) for kind, net in made.items()}
    for kind, found in scores.items():
        gap = float(np.abs(found - scores[NUMPY]).max())
        if not gap <= SAME_SCORES:
            raise RunError(f"the net in {kind} gives other scores: off by {gap:.2g}")
    return made


def _single(
    bundle: Any, weights: Mapping[str, NDArray], model: Path, tails: Sequence[BarArrays]
) -> Works:
    """Return what is done with one symbol's bars, one call at a time."""
    signal, features = ours.signaller(bundle), ours.latest_features(bundle)
    runtime = bundle.runtime
    rows = [np.atleast_2d(features(tail)) for tail in tails]
    scaled = [apply_scaler(runtime.scaler, row) for row in rows]
    works: Works = {
        SIGNAL: lambda _: percentiles(signal, tails),
        FEATURES: lambda _: percentiles(features, tails),
        MODEL: lambda _: percentiles(runtime.predict, rows),
    }
    for kind, net in checked_nets(weights, model).items():
        works[f"{NET}, {kind}"] = lambda _, net=net: percentiles(net, scaled)
    return works


def _many(
    bundle: Any,
    weights: Mapping[str, NDArray],
    model: Path,
    tails: Sequence[BarArrays],
    n_symbols: int,
) -> Works:
    """Return what is done with the bars of many symbols, in one call each."""
    chosen = [tails[k % len(tails)] for k in range(n_symbols)]
    prices = (np.stack(columns) for columns in zip(*(t[:5] for t in chosen), strict=True))
    stacked = BarArrays(*prices, tails[0].epoch_s)
    bundles = [with_own_weights(bundle) for _ in range(n_symbols)]
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((BATCH_ROWS, len(bundle.runtime.scaler.names))).astype(np.float32)
    works: Works = {
        ALL_CORES: _clock(ours.many_signaller(bundles, available_cores()), stacked),
        "own models": _clock(ours.many_signaller(bundles, 1), stacked),
        "one model": _clock(ours.many_signaller([bundle] * n_symbols, 1), stacked),
    }
    several = rows[np.arange(n_symbols) % BATCH_ROWS]
    for kind in KINDS:
        works[f"{BATCH_ROWS} rows, {kind}"] = _clock(make_net(kind, weights, model), rows)
        nets = make_nets(kind, weights, model, n_symbols)
        works[f"{n_symbols} models, {kind}"] = _clock(nets, several)
    return works


def _clock(work: Callable[[Any], Any], argument: Any) -> Callable[[int], float]:
    def measured(_: int) -> float:
        seconds = []
        for _ in range(MANY_CALLS):
            began = time.perf_counter()
            work(argument)
            seconds.append(time.perf_counter() - began)
        return median(seconds)

    work(argument)
    return measured


def with_own_weights(bundle: Any) -> Any:
    """Return a bundle whose nets have memory of their own, as another symbol's would."""
    members = tuple(Member(own_net(m.net.weights), m.calibration) for m in bundle.runtime.members)
    return replace(bundle, runtime=replace(bundle.runtime, members=members))


def _cold(bundle: Path, folder: Path) -> Works:
    """Return the fresh processes that are timed from their start to their first answer."""
    arguments = {
        "nothing": (),
        "signal": (bundle, folder / "tail.npz"),
        "numpy_row": (folder / "net.safetensors",),
        "torch_row": (folder / "net.safetensors",),
        "onnx_row": (folder / "net.onnx",),
    }
    return {name: partial(_fresh, name, given) for name, given in arguments.items()}


def _fresh(work: str, given: Sequence[Path], _: int) -> dict[str, Any]:
    return fresh(work, *given)
