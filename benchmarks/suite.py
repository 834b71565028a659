"""Part suite: a whole run by profile, engine and jobs, and what its time goes to."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cells import IMPORTS, RENDERING, SHOWN, WORK
from benchmarks.figures import Comparison, comparison, rounds
from benchmarks.suite_run import run_suite, suite_seconds, work_share
from benchmarks.words import megabytes, with_range
from v8ops.proof.checks import Check, at_least, at_most, true
from v8ops.proof.page import table

Found = Mapping[str, Any]
SYMBOLS = ("BTC", "ETH", "SOL")
PROFILES, ENGINES, JOBS = ("smoke", "default"), ("papermill", "fork"), (1, 2)
JUDGED = "by itself"  # the engine and the jobs that a run takes unless told otherwise
MOST_SECONDS = {"smoke": 15.0, "default": 75.0}
LEAST_WORK_SHARE = 0.7


def measure(
    *,
    repeats: Mapping[str, int],
    symbols: Sequence[str] = SYMBOLS,
    ready: Callable[[], None],
) -> dict[str, Any]:
    """Return the figures of every profile, engine and number of jobs.

    What a run does by itself is measured as often as asked: unwatched, for its wall time, and
    then as often watched, for what its time and memory go to. Every combination is run once.

    Parameters
    ----------
    repeats : mapping of profile to int
        Runs of the latter; profiles with 0 are left out.
    symbols : sequence of str
        Whose models are made.
    ready : callable
        Called before every round; it returns when the round may begin.
    """
    found, unwatched = {}, {}
    for profile in (p for p in PROFILES if repeats.get(p)):
        works = {
            f"{profile}, {engine}, jobs {jobs}": _worker(profile, engine, jobs, symbols)
            for engine in ENGINES
            for jobs in JOBS
        }
        judged = {_name(profile): _worker(profile, None, None, symbols)}
        # What has a limit on its seconds comes first: whoever waits for a quiet machine may have
        # no patience left for the rest.
        unwatched |= rounds({profile: _timer(profile, symbols)}, repeats[profile], ready)
        by_itself = rounds(judged, repeats[profile], ready)
        found |= rounds(works, 1, ready) | by_itself
    return {"symbols": list(symbols), "runs": found, "unwatched": unwatched}


def _worker(profile: str, engine: str | None, jobs: int | None, symbols: Sequence[str]) -> Any:
    def work(_: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="v8-bench-") as folder:
            return run_suite(
                Path(folder), "run", profile=profile, symbols=symbols, engine=engine, jobs=jobs
            )

    return work


def _timer(profile: str, symbols: Sequence[str]) -> Any:
    def work(_: int) -> float:
        with tempfile.TemporaryDirectory(prefix="v8-bench-") as folder:
            return suite_seconds(Path(folder), "run", profile=profile, symbols=symbols)

    return work


def _name(profile: str, engine: str | None = None, jobs: int | None = None) -> str:
    return f"{profile}, {engine}, jobs {jobs}" if engine else f"{profile}, {JUDGED}"


def _seconds(found: Found, name: str) -> list[float]:
    return [run["seconds"] for run in found["runs"][name]]


def _profiles(found: Found) -> list[str]:
    return [profile for profile in PROFILES if _name(profile) in found["runs"]]


def differing_scraps(found: Found, profile: str) -> list[str]:
    """Return the scraps that are not the same in all runs with the same number of jobs."""
    differing = set()
    for jobs in JOBS:
        runs = [run for e in ENGINES for run in found["runs"][_name(profile, e, jobs)]]
        names = {name for run in runs for name in run["scraps"]}
        differing |= {n for n in names if len({run["scraps"].get(n) for run in runs}) > 1}
    return sorted(differing)


def comparisons(found: Found) -> list[Comparison]:
    """Return what a run does by itself beside papermill's own kernels and beside fewer jobs."""
    made = []
    for profile in _profiles(found):
        for engine, jobs in (("papermill", 2), ("fork", 2), ("fork", 1)):
            pair = [(n, _seconds(found, n)) for n in (_name(profile), _name(profile, engine, jobs))]
            what = f"a whole {profile} run of {len(found['symbols'])} symbols"
            made.append(comparison(what, "s", *pair, higher_is_better=False))
    return made


def checks(found: Found) -> list[Check]:
    """Return the issue's limits on whole runs."""
    made = []
    for profile in _profiles(found):
        seconds = median(found["unwatched"][profile])
        title = f"{profile} run of {len(found['symbols'])} symbols, seconds"
        made.append(at_most(title, seconds, MOST_SECONDS[profile], ".1f"))
        differing = differing_scraps(found, profile)
        count = len(found["runs"][_name(profile)][0]["scraps"])
        measured = f"{count - len(differing)} of {count} scraps"
        made.append(true(f"{profile}: both engines identical", measured, "all", not differing))
    if "default" in _profiles(found):
        share = median(work_share(run["cpu"]) for run in found["runs"][_name("default")])
        title = "default run, share of CPU time in features, training and statistics"
        made.append(at_least(title, share, LEAST_WORK_SHARE))
    return made


def tables(found: Found) -> str:
    """Return the part's tables in Markdown."""
    runs = found["runs"]
    groups = (IMPORTS, *WORK, SHOWN, RENDERING)
    head = ("run", "repeats", "wall s", "peak memory", *groups)
    rows = [
        (
            name,
            str(len(entries)),
            with_range([run["seconds"] for run in entries], ".1f"),
            megabytes(median(run["peak_bytes"] for run in entries)),
            *(_median_of(entries, "wall", group) for group in groups),
        )
        for name, entries in runs.items()
    ]
    cpu_groups = sorted({g for entries in runs.values() for run in entries for g in run["cpu"]})
    cpu_groups = [*WORK, *(g for g in cpu_groups if g not in WORK)]
    cpu_rows = [
        (
            name,
            with_range([sum(run["cpu"].values()) for run in entries], ".1f"),
            f"{median(work_share(run['cpu']) for run in entries):.1%}",
            *(_median_of(entries, "cpu", group) for group in cpu_groups),
        )
        for name, entries in runs.items()
    ]
    unwatched_rows = [
        (_name(profile), str(len(seconds)), with_range(seconds, ".1f"))
        for profile, seconds in found["unwatched"].items()
    ]
    return "\n\n".join(
        [
            f"{', '.join(found['symbols'])}, simulated market. Seconds by group are sums over the "
            "symbols, so with two jobs they add up to more than the wall time. "
            "Rendering holds the end of the kernel, and leaves out notebook 05.",
            table(head, rows),
            "These runs were watched, which takes time of the cores they run on. The same by "
            "themselves, looked at by nobody, are what the limits are held against:",
            table(("run", "repeats", "wall s"), unwatched_rows),
            "CPU seconds. Each cell's are those of its kernel, read by an event before and after "
            "the cell. A cell that shows a figure or a table counts as such, also where it "
            "computes what it shows. The other processes are read four times a second while they "
            "live. *Work* is the share of features, training, calibration and diagnostics.",
            table(("run", "CPU s", "work", *cpu_groups), cpu_rows),
        ]
    )


def _median_of(entries: Sequence[Found], kind: str, group: str) -> str:
    return f"{median(run[kind].get(group, 0.0) for run in entries):.1f}"
