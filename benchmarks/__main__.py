"""Measure the suite beside what people would use instead, and write RESULTS.md and .json.

    python -m benchmarks [--part NAME ...] [--repeats N] [--quick] [--pace M --patience MINUTES]

A part that is measured alone takes its place in RESULTS.json, and the others stay: RESULTS.md is
written from all that is there. On a machine that is shared with others, --pace holds every round
back until a plain Python loop makes so many million steps a second; what was waited for, and for
how long, is part of the results. Exit status: 0 every limit held, 1 a step failed, 2 bad
arguments, 3 a limit was missed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, others_busy, pace, peer_versions
from benchmarks.patience import Patience
from v8lib.errors import RunError, V8Error
from v8lib.provenance import git_commit, library_sha256, package_versions
from v8lib.scraps import to_plain
from v8lib.storage import read_json

FOLDER = Path(__file__).resolve().parent
QUICK_FOLDER = FOLDER.parent / "reports" / "benchmarks-quick"
PARTS = ("training", "suite", "features", "latency", "symbols")
SYMBOLS = ("BTC", "ETH", "SOL")
LISTEN_S, QUICK_LISTEN_S = 3.0, 0.3  # how long to look whether others use the machine


def parameters_of(*, quick: bool) -> list[Any]:
    """Return the parameters of the three symbols whose training is measured."""
    from v8lib.config import merge_parameters

    settings = [("market_bars", 9_000), ("epochs", 1)] if quick else []
    folder = FOLDER.parent / "params"
    return [
        merge_parameters(
            folder, profile="default", symbol=symbol, source="simulated", settings=settings
        )
        for symbol in SYMBOLS
    ]


def measure(part: str, *, quick: bool, repeats: int | None, ready: Callable[[], None]) -> Any:
    """Return the measurements of a part; `ready` is called before each of its rounds."""
    work: dict[str, Callable[[bool, int | None, Callable[[], None]], Any]] = {
        "training": measure_training,
        "suite": measure_suite,
        "features": measure_features,
        "latency": measure_latency,
        "symbols": measure_symbols,
    }
    return work[part](quick, repeats, ready)


def measure_training(quick: bool, repeats: int | None, ready: Callable[[], None]) -> Any:
    """Return part training: three rounds."""
    from benchmarks import training

    return training.measure(
        parameters_of(quick=quick), repeats=repeats or (1 if quick else 3), ready=ready
    )


def measure_suite(quick: bool, repeats: int | None, ready: Callable[[], None]) -> Any:
    """Return part suite: each combination once, a run by itself three times; quick is smoke."""
    from benchmarks import suite

    if quick:
        return suite.measure(repeats={"smoke": repeats or 1}, symbols=SYMBOLS[:2], ready=ready)
    return suite.measure(repeats=dict.fromkeys(suite.PROFILES, repeats or 3), ready=ready)


def measure_features(quick: bool, repeats: int | None, ready: Callable[[], None]) -> Any:
    """Return part features: five processes per size, and a run at the ends."""
    from benchmarks import features

    if quick:
        return features.measure(
            (8_000, 16_000, 64_000), (24_000,), repeats=repeats or 1, profile="smoke", ready=ready
        )
    ends = (features.LEAST_BARS, features.MOST_BARS)
    sizes = (ends[0], 4 * ends[0], ends[1])
    return features.measure(sizes, ends, repeats=repeats or 5, profile="default", ready=ready)


def measure_latency(quick: bool, repeats: int | None, ready: Callable[[], None]) -> Any:
    """Return part latency: five rounds of 2,000 signals, ten cold starts, 1,000 symbols."""
    from benchmarks import latency

    if quick:
        sizes = {"n_signals": 30, "n_symbols": 20, "cold_repeats": 2}
        return latency.measure(**sizes, repeats=repeats or 1, ready=ready)
    sizes = {"n_signals": 2_000, "n_symbols": 1_000, "cold_repeats": 10}
    return latency.measure(**sizes, repeats=repeats or 5, ready=ready)


def measure_symbols(quick: bool, repeats: int | None, ready: Callable[[], None]) -> Any:
    """Return part symbols: one run of each number."""
    from benchmarks import symbols

    if quick:
        return symbols.measure({1: 1, 2: 1}, profile="smoke", ready=ready)
    return symbols.measure(dict.fromkeys((3, 12, 48), repeats or 1), profile="smoke", ready=ready)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command line as a namespace."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--repeats", type=int, metavar="N", help="rounds, in place of each part's")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, kept and written apart from the others"
    )
    parser.add_argument(
        "--pace",
        type=float,
        default=0.0,
        metavar="M",
        help="begin no round below M million steps/s",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=20.0,
        metavar="MINUTES",
        help="how long a part may wait for that pace, all its rounds together (default: 20)",
    )
    options = parser.parse_args(arguments)
    if options.pace < 0.0 or options.patience < 0.0:
        parser.error("--pace and --patience: at least 0")
    if options.repeats is not None and options.repeats < 1:
        parser.error(f"--repeats {options.repeats}: at least 1")
    return options


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def earlier_parts(folder: Path) -> dict[str, Any]:
    """Return the parts of the results that are there, none before the first."""
    path = folder / "RESULTS.json"
    return dict(read_json(path)["parts"]) if path.is_file() else {}


def run(options: argparse.Namespace) -> int:
    """Measure the parts, write the results, and say which limits held."""
    from benchmarks import page

    folder = QUICK_FOLDER if options.quick else FOLDER
    stored = earlier_parts(folder)
    listen_s = QUICK_LISTEN_S if options.quick else LISTEN_S
    for part in options.part:
        say(f"{part}: measuring")
        origin = {  # before, not after: the code may be edited while it is measured
            "git_commit": git_commit(),
            "library_sha256": library_sha256(),
            "versions": package_versions() | peer_versions(),
            "machine": describe_machine(),
            "quick": options.quick,
        }
        ready = Patience(options.pace * 1e6, options.patience * 60.0)
        before, paces, began = others_busy(listen_s), [pace()], time.perf_counter()
        how = {"quick": options.quick, "repeats": options.repeats, "ready": ready}
        found = to_plain(measure(part, **how))
        origin["seconds"] = time.perf_counter() - began - ready.waited
        origin["patience"] = ready.told()
        origin["paces"] = [*paces, pace()]
        origin["others_busy"] = [before, others_busy(listen_s)]
        stored[part] = origin | {"found": found}
        written = page.write_results(folder, stored)  # at once: the next part may fail
        say(f"{part}: {origin['seconds']:.0f} s")
    missed = 0
    for check in page.limits(stored):
        missed += not check.held
        word = "held  " if check.held else "MISSED"
        say(f"  {word} {check.name}: {check.measured} ({check.limit})")
    say(f"written: {written.relative_to(FOLDER.parent)}")
    return 3 if missed and not options.quick else 0


def main(arguments: Sequence[str]) -> int:
    """Parse, run, and turn an expected error into one line."""
    options = parse(arguments)
    try:
        if sys.platform != "linux":
            raise RunError("memory and CPU time of processes are read as Linux gives them")
        return run(options)
    except V8Error as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 1
    except ModuleNotFoundError as error:
        sys.stderr.write(f"benchmarks: {error.name} is not installed: make bench installs it\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
