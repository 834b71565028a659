"""Part features: bars a second and peak memory by number of bars, alone and in a whole run."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.figures import Comparison, rounds
from benchmarks.processes import fresh
from benchmarks.suite_run import run_suite
from benchmarks.words import megabytes, one_row, with_range
from v8lib.market import simulate_market
from v8lib.seeds import stream
from v8ops.proof.checks import Check, at_most
from v8ops.proof.page import table

Found = Mapping[str, Any]
SYMBOL, SEED, INTERVAL_S = "BTC", 2, 60
MOST_BARS = 1_051_200  # two years; the limits are for this many bars
LEAST_BARS = 131_400  # a quarter of a year
LARGE_PAGES = "NUMPY_MADVISE_HUGEPAGE"  # "1": numpy asks for pages of 2 MB for large arrays
MOST_SECONDS, MOST_BYTES, MOST_RUN_BYTES, MOST_GROWTH = 2.5, 1.2e9, 1.6e9, 9.0


def measure(
    sizes: Sequence[int],
    run_sizes: Sequence[int],
    *,
    repeats: int,
    profile: str,
    ready: Callable[[], None],
) -> dict[str, Any]:
    """Return times and memory.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of bars whose features are computed in a fresh process each time.
    run_sizes : sequence of int
        Numbers of bars of a whole run of one symbol.
    repeats : int
        Rounds of the former; a run is made once per size. In a round every size is computed in
        as many processes as make up the most bars, and the mean of these is its figure: one
        short work would see one pace of the machine, and the long one the mean of several.
    profile : str
        Of the runs.
    ready : callable
        Called before every round and every run; it returns when they may begin.
    """
    with tempfile.TemporaryDirectory(prefix="v8-bench-") as name:
        folders = {n: write_bars(Path(name) / str(n), n) for n in {*sizes, *run_sizes}}
        works = {
            f"{n}, {pages}": partial(
                _features_of, folders[n] / f"{SYMBOL}.parquet", pages, max(sizes) // n
            )
            for n in sizes
            for pages in "01"
        }
        found = rounds(works, repeats, ready)
        runs = {}
        for n in run_sizes:
            out = Path(name) / f"out-{n}"
            out.mkdir()
            ready()
            run = run_suite(out, "run", profile=profile, symbols=(SYMBOL,), jobs=1, data=folders[n])
            runs[str(n)] = {key: run[key] for key in ("seconds", "peak_bytes", "wall", "cpu")}
    computed, with_large = ({str(n): found[f"{n}, {pages}"] for n in sizes} for pages in "01")
    return {"features": computed, "large_pages": with_large, "runs": runs, "profile": profile}


def _features_of(path: Path, pages: str, n_processes: int, _: int) -> dict[str, float]:
    """Return the means of several processes, one after the other."""
    entries = [
        fresh("features", path, environment={LARGE_PAGES: pages}) for _ in range(n_processes)
    ]
    keys = ("seconds", "cpu_seconds", "bytes_before", "peak_bytes")
    return {key: fmean(entry[key] for entry in entries) for key in keys}


def write_bars(folder: Path, n_bars: int) -> Path:
    """Write simulated minute bars as Parquet and return their folder."""
    market = simulate_market(
        n_bars,
        signal=0.94,
        decay=0.7,
        volatility=1e-4,
        interval_s=INTERVAL_S,
        rng=stream(SEED, SYMBOL, "market"),
    )
    folder.mkdir(parents=True)
    market.bars.reset_index().to_parquet(folder / f"{SYMBOL}.parquet")
    return folder


def comparisons(_: Found) -> list[Comparison]:
    """Return none: what is told here is growth."""
    return []


def _median(entries: Sequence[Mapping[str, float]], key: str) -> float:
    return median(entry[key] for entry in entries)


def _growth(found: Found, n_bars: str, fewest: str) -> float:
    """Return how many times as long so many bars take: the median over the rounds."""
    pairs = zip(found["features"][n_bars], found["features"][fewest], strict=True)
    return median(many["seconds"] / few["seconds"] for many, few in pairs)


def checks(found: Found) -> list[Check]:
    """Return the issue's limits on features and memory, as far as these sizes were measured."""
    made, computed, runs = [], found["features"], found["runs"]
    small, large = str(LEAST_BARS), str(MOST_BARS)
    if large in computed:
        entries, bars = computed[large], f"{MOST_BARS:,} bars"
        made.append(at_most(f"features of {bars}, s", _median(entries, "seconds"), MOST_SECONDS))
        gigabytes = _median(entries, "peak_bytes") / 1e9
        made.append(at_most("peak memory of that process, GB", gigabytes, MOST_BYTES / 1e9))
    if small in computed and large in computed:
        ratio = _growth(found, large, small)
        title = f"time of features at {MOST_BARS:,} bars over {LEAST_BARS:,}"
        made.append(at_most(title, ratio, MOST_GROWTH, ".2f"))
    if large in runs:
        title = f"{found['profile']} run of one symbol, {MOST_BARS:,} bars, peak GB"
        made.append(at_most(title, runs[large]["peak_bytes"] / 1e9, MOST_RUN_BYTES / 1e9))
    if small in runs and large in runs:
        ratio = runs[large]["seconds"] / runs[small]["seconds"]
        title = f"time of that run over the one of {LEAST_BARS:,} bars"
        made.append(at_most(title, ratio, MOST_GROWTH, ".2f"))
    return made


def tables(found: Found) -> str:
    """Return the part's tables in Markdown."""
    computed = found["features"]
    first = min(computed, key=int)
    rows = [
        (
            f"{int(n):,}",
            with_range([entry["seconds"] for entry in entries], ".3f"),
            one_row([int(n) / entry["seconds"] for entry in entries]),
            f"{_growth(found, n, first):.2f} ({int(n) / int(first):.2f} times the bars)",
            megabytes(_median(entries, "peak_bytes")),
            megabytes(_median(entries, "bytes_before")),
            with_range([entry["seconds"] for entry in found["large_pages"][n]], ".3f"),
        )
        for n, entries in sorted(computed.items(), key=lambda item: int(item[0]))
    ]
    head = ("bars", "s", "bars/s", "against the fewest", "peak memory", "before, with the bars")
    head += ("s, large pages",)
    run_rows = [
        (f"{int(n):,}", f"{run['seconds']:.1f}", megabytes(run["peak_bytes"]))
        for n, run in sorted(found["runs"].items(), key=lambda item: int(item[0]))
    ]
    return "\n\n".join(
        [
            "Features of simulated minute bars, one thread, a fresh process each time; it has "
            "read the bars from Parquet before the clock starts. Of fewer bars, a round computes "
            "as many processes as make up the most bars, and takes their mean; growth is the "
            "median over the rounds. Peak memory is that of the "
            "whole process. Numpy asks for pages of 2 MB unless told not to, as here; the last "
            "column is with them. A virtual machine whose host backs such a page only when it is "
            "touched waits for that, and the wait grows with the memory and not with the work.",
            table(head, rows),
            f"A whole run of one symbol, profile {found['profile']}, bars from a Parquet file; "
            "memory of all its processes together, shared pages counted once.",
            table(("bars", "wall s", "peak memory"), run_rows),
        ]
    )
