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
from benchmarks.figures import Comparison, comparison, rounds
from benchmarks.onnx_net import open_session, write_onnx
from benchmarks.processes import fresh
from benchmarks.suite_run import run_suite
from benchmarks.words import milliseconds, with_range
from v8lib.bars import epoch_seconds
from v8lib.market import simulate_market
from v8lib.model import build_net, use_threads
from v8lib.numpy_net import NumpyNet
from v8lib.runtime import Member
from v8lib.scaling import apply_scaler
from v8lib.seeds import stream
from v8ops.proof.checks import Check, at_most
from v8ops.proof.page import table

Found = Mapping[str, Any]
SYMBOL, SEED = "BTC", 2
WARM_UP = 20  # calls before the clock starts
MANY_CALLS = 3
BATCH_ROWS = 1_000
SIGNAL, NUMPY, TORCH, ONNX = "bars to signal", "numpy", "torch", "onnxruntime"
FEATURES, MODEL = "features alone", "scaler, net, calibration, decision alone"
NET = "net alone, one row"
MOST_P50_S, MOST_P99_S, MOST_MANY_S, MOST_COLD_S = 1e-3, 3e-3, 0.5, 0.6
COLD = {"signal": "process start to first signal", "nothing": "process start alone"}
COLD_NETS = {"numpy_row": NUMPY, "torch_row": TORCH, "onnx_row": ONNX}


def measure(*, n_signals: int, n_symbols: int, repeats: int, cold_repeats: int) -> dict[str, Any]:
    """Return latencies on a bundle that a smoke run has made.

    Parameters
    ----------
    n_signals : int
        Signals per round and symbol, each from bars that end one bar later.
    n_symbols : int
        How many symbols "many" are; each has a net of its own.
    repeats, cold_repeats : int
        Rounds of warm and of cold measurements.
    """
    use_threads(1)
    with tempfile.TemporaryDirectory(prefix="v8-bench-") as name:
        folder = Path(name)
        run = run_suite(folder, "run", profile="smoke", symbols=(SYMBOL,), jobs=1)
        path = folder / run["bundles"][SYMBOL]
        bundle = ours.open_bundle(path)
        weights = dict(bundle.runtime.members[0].net.weights)
        model = write_onnx(folder / "net.onnx", weights)
        reach = ours.reach_bars(bundle)
        bars = simulated_arrays(reach + n_signals, bundle.manifest["interval_s"])
        tails = [last_bars(bars, k, reach) for k in range(n_signals)]
        single = rounds(_single(bundle, weights, model, tails), repeats)
        many = rounds(_many(bundle, weights, model, tails, n_symbols), repeats)
        save_file(weights, folder / "net.safetensors")
        ours.write_tail(folder / "tail.npz", tails[0])
        cold = rounds(_cold(path, folder), cold_repeats)
    return {
        "bars": reach,
        "n_signals": n_signals,
        "n_symbols": n_symbols,
        "from_arrays": ours.has_tail_path(),
        "single": single,
        "many": many,
        "cold": {name: [entry["seconds_to_answer"] for entry in cold[name]] for name in cold},
    }


def simulated_arrays(n_bars: int, interval_s: int) -> ours.Tail:
    """Return simulated bars as arrays of shape (n_bars,)."""
    market = simulate_market(
        n_bars,
        signal=0.94,
        decay=0.7,
        volatility=1e-4,
        interval_s=interval_s,
        rng=stream(SEED, SYMBOL, "latency"),
    )
    arrays = {name: market.bars[name].to_numpy(np.float64) for name in ours.PRICES}
    return arrays | {"epoch_s": epoch_seconds(market.bars)}


def last_bars(bars: ours.Tail, first: int, n_bars: int) -> ours.Tail:
    """Return `n_bars` bars from `first` on."""
    return {name: values[first : first + n_bars] for name, values in bars.items()}


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


def nets(weights: Mapping[str, NDArray], model: Path) -> dict[str, Callable[[NDArray], Any]]:
    """Return the net in numpy, torch and onnxruntime, from scaled features to raw scores."""
    session, net = open_session(model), build_net(weights, normalization="adaptive")

    @torch.inference_mode()
    def in_torch(rows: NDArray) -> NDArray:
        return net(torch.from_numpy(rows)).numpy()

    return {
        NUMPY: NumpyNet(weights, "adaptive").raw_logits,
        TORCH: in_torch,
        ONNX: lambda rows: session.run(None, {"features": rows})[0],
    }


Works = dict[str, Callable[[int], Any]]


def _single(
    bundle: Any, weights: Mapping[str, NDArray], model: Path, tails: Sequence[ours.Tail]
) -> Works:
    """Return what is done with one symbol's bars, one call at a time."""
    signal, features = ours.signaller(bundle), ours.features_of(bundle)
    runtime = bundle.runtime
    rows = [np.atleast_2d(features(tail)) for tail in tails[: max(1, len(tails) // 10)]]
    scaled = [apply_scaler(runtime.scaler, row) for row in rows]
    works: Works = {
        SIGNAL: lambda _: percentiles(signal, tails),
        FEATURES: lambda _: percentiles(features, tails),
        MODEL: lambda _: percentiles(runtime.predict, rows),
    }
    for name, net in nets(weights, model).items():
        works[f"{NET}, {name}"] = lambda _, net=net: percentiles(net, scaled)
    return works


def _many(
    bundle: Any,
    weights: Mapping[str, NDArray],
    model: Path,
    tails: Sequence[ours.Tail],
    n_symbols: int,
) -> Works:
    """Return what is done with the bars of many symbols, in one call each."""
    stacked = {
        n: np.stack([tails[k % len(tails)][n] for k in range(n_symbols)]) for n in ours.PRICES
    }
    stacked |= {"epoch_s": tails[0]["epoch_s"]}
    bundles = [with_other_weights(bundle, k) for k in range(n_symbols)]
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((BATCH_ROWS, len(bundle.runtime.scaler.names))).astype(np.float32)
    works: Works = {
        "own models": _clock(ours.many_signaller(bundles), stacked),
        "one model": _clock(ours.many_signaller([bundle] * n_symbols), stacked),
    }
    for name, net in nets(weights, model).items():
        works[f"{BATCH_ROWS} rows, {name}"] = _clock(net, rows)
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


def with_other_weights(bundle: Any, number: int) -> Any:
    """Return a bundle whose nets have arrays of their own, as another symbol's would."""
    members = tuple(
        Member(
            NumpyNet(
                {n: w * np.float32(1.0 + 1e-6 * number) for n, w in m.net.weights.items()},
                m.net.normalization,
            ),
            m.calibration,
        )
        for m in bundle.runtime.members
    )
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


def comparisons(found: Found) -> list[Comparison]:
    """Return the net in numpy beside torch and onnxruntime, warm and cold."""
    single, many, cold = found["single"], found["many"], found["cold"]
    made = []
    for peer in (TORCH, ONNX):
        for name in ("p50", "p99"):
            pair = [(n, [e[name] for e in single[f"{NET}, {n}"]]) for n in (NUMPY, peer)]
            made.append(
                comparison(f"net alone, one row, {name}", "s", *pair, higher_is_better=False)
            )
        pair = [(n, many[f"{BATCH_ROWS} rows, {n}"]) for n in (NUMPY, peer)]
        what = f"net alone, {BATCH_ROWS:,} rows of one model"
        made.append(comparison(what, "s", *pair, higher_is_better=False))
        work = next(w for w, name in COLD_NETS.items() if name == peer)
        pair = [(NUMPY, cold["numpy_row"]), (peer, cold[work])]
        what = "process start to the net's first scores"
        made.append(comparison(what, "s", *pair, higher_is_better=False))
    return made


def checks(found: Found) -> list[Check]:
    """Return the issue's limits on signals."""
    p50, p99 = (median(e[name] for e in found["single"][SIGNAL]) for name in ("p50", "p99"))
    many = median(found["many"]["own models"])
    return [
        at_most("warm signal, one symbol, p50, ms", 1e3 * p50, 1e3 * MOST_P50_S, ".2f"),
        at_most("warm signal, one symbol, p99, ms", 1e3 * p99, 1e3 * MOST_P99_S, ".2f"),
        at_most(f"signals of {found['n_symbols']:,} symbols, s", many, MOST_MANY_S, ".3f"),
        at_most("cold process to first signal, s", median(found["cold"]["signal"]), MOST_COLD_S),
    ]


def tables(found: Found) -> str:
    """Return the part's tables in Markdown."""
    rows = [
        (
            name,
            milliseconds(median(entry["p50"] for entry in entries)),
            milliseconds(median(entry["p99"] for entry in entries)),
            milliseconds(max(entry["p99"] for entry in entries)),
        )
        for name, entries in found["single"].items()
    ]
    n = f"{found['n_symbols']:,}"
    names = {
        "own models": f"bars to signals, {n} symbols, a model each",
        "one model": f"bars to signals, {n} symbols, one model",
    }
    many_rows = [(names.get(w, f"net alone, {w}"), with_range(v)) for w, v in found["many"].items()]
    cold_names = COLD | {
        w: f"process start to the net's first scores, {n}" for w, n in COLD_NETS.items()
    }
    cold_rows = [(cold_names[work], with_range(values)) for work, values in found["cold"].items()]
    how = "arrays of the last bars" if found["from_arrays"] else "a frame of the last bars"
    return "\n\n".join(
        [
            f"One thread. A signal is made from {how}, {found['bars']:,} of them, each time one "
            f"bar later; {found['n_signals']:,} signals a round. Percentiles are of a round, shown "
            "is their median over the rounds.",
            table(("one symbol", "p50", "p99", "p99 of the worst round"), rows),
            table(("many at once", "s"), many_rows),
            "A fresh process each time, files already in the page cache. The peers load weights "
            "and score one row; ours checks the bundle and computes features as well.",
            table(("cold", "s"), cold_rows),
        ]
    )
