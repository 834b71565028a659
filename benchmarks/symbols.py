"""Part symbols: how the time and memory of a run grow with the number of symbols."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Comparison
from benchmarks.suite_run import project_with_symbols, run_suite, work_share
from benchmarks.words import megabytes, with_range
from v8ops.proof.checks import Check
from v8ops.proof.page import table

Found = Mapping[str, Any]
JOBS = 2
KEPT = ("seconds", "peak_bytes", "cpu")


def measure(
    repeats: Mapping[int, int], *, profile: str, ready: Callable[[], None]
) -> dict[str, Any]:
    """Return the figures of runs of many symbols, two at a time.

    Parameters
    ----------
    repeats : mapping of int to int
        How often to run with each number of symbols.
    profile : str
        Of the runs.
    ready : callable
        Called before every run; it returns when the run may begin.
    """
    names = [f"S{k:02d}" for k in range(1, max(repeats) + 1)]
    runs: dict[str, list[dict[str, Any]]] = {}
    for n, times in repeats.items():
        for _ in range(times):
            with tempfile.TemporaryDirectory(prefix="v8-bench-") as name:
                folder = Path(name)
                ready()
                run = run_suite(
                    folder,
                    "run",
                    profile=profile,
                    symbols=names[:n],
                    jobs=JOBS,
                    project=project_with_symbols(folder, names),
                )
            runs.setdefault(str(n), []).append({key: run[key] for key in KEPT})
    return {"profile": profile, "runs": runs}


def comparisons(_: Found) -> list[Comparison]:
    """Return none: what is told here is growth."""
    return []


def checks(_: Found) -> list[Check]:
    """Return none: the issue sets no limit here."""
    return []


def tables(found: Found) -> str:
    """Return the part's table in Markdown."""
    ordered = sorted(found["runs"].items(), key=lambda item: int(item[0]))
    base = median(run["seconds"] / int(ordered[0][0]) for run in ordered[0][1])
    rows = []
    for n, entries in ordered:
        each = [run["seconds"] / int(n) for run in entries]
        rows.append(
            (
                n,
                str(len(entries)),
                with_range([run["seconds"] for run in entries], ".1f"),
                f"{median(each):.2f}",
                f"{median(each) / base:.2f}",
                megabytes(median(run["peak_bytes"] for run in entries)),
                f"{median(work_share(run['cpu']) for run in entries):.1%}",
            )
        )
    head = ("symbols", "repeats", "wall s", "s per symbol", "against the fewest", "peak memory")
    return "\n\n".join(
        [
            f"Profile {found['profile']}, simulated markets, {JOBS} symbols at a time. *Work* is "
            "the share of CPU time in features, training, calibration and diagnostics.",
            table((*head, "work"), rows),
        ]
    )
