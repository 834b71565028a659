"""What part latency says: its comparisons, its limits and its tables."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.figures import Comparison, comparison
from benchmarks.latency import ALL_CORES, BATCH_ROWS, COLD_NETS, NET, NUMPY, ONNX, SIGNAL, TORCH
from benchmarks.words import milliseconds, with_range
from v8ops.proof.checks import Check, at_most
from v8ops.proof.page import table

Found = Mapping[str, Any]
MOST_P50_S, MOST_P99_S, MOST_MANY_S, MOST_COLD_S = 1e-3, 3e-3, 0.5, 0.6
COLD = {"signal": "process start to first signal", "nothing": "process start alone"}


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
        pair = [(n, many[f"{found['n_symbols']} models, {n}"]) for n in (NUMPY, peer)]
        what = f"net alone, {found['n_symbols']:,} models, a row each"
        made.append(comparison(what, "s", *pair, higher_is_better=False))
        work = next(w for w, name in COLD_NETS.items() if name == peer)
        pair = [(NUMPY, cold["numpy_row"]), (peer, cold[work])]
        what = "process start to the net's first scores"
        made.append(comparison(what, "s", *pair, higher_is_better=False))
    return made


def checks(found: Found) -> list[Check]:
    """Return the issue's limits on signals."""
    p50, p99 = (median(e[name] for e in found["single"][SIGNAL]) for name in ("p50", "p99"))
    many = median(found["many"][ALL_CORES])
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
        ALL_CORES: f"bars to signals, {n} symbols, a model each, a thread per core",
        "own models": f"bars to signals, {n} symbols, a model each",
        "one model": f"bars to signals, {n} symbols, one model",
    }
    many_rows = [(names.get(w, f"net alone, {w}"), with_range(v)) for w, v in found["many"].items()]
    cold_names = COLD | {
        w: f"process start to the net's first scores, {n}" for w, n in COLD_NETS.items()
    }
    cold_rows = [(cold_names[work], with_range(values)) for work, values in found["cold"].items()]
    return "\n\n".join(
        [
            "One thread, where nothing else is said. A signal is made from the arrays of the last "
            f"{found['bars']:,} bars, each time one bar later; {found['n_signals']:,} signals a "
            "round. Percentiles are of a round, shown is their median over the rounds.",
            table(("one symbol", "p50", "p99", "p99 of the worst round"), rows),
            table(("many at once", "s"), many_rows),
            "A fresh process each time, files already in the page cache. The peers load weights "
            "and score one row; ours checks the bundle and computes features as well.",
            table(("cold", "s"), cold_rows),
        ]
    )
