"""One run of the whole suite, watched: where its wall time, CPU time and memory went."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cells
from benchmarks.processes import (
    KERNEL,
    OTHER,
    PARENT,
    PREFLIGHT,
    PROJECT,
    RUN,
    WORKER,
    Watched,
    run_timed,
    run_watched,
)
from v8lib.errors import RunError
from v8lib.storage import read_json, sha256_bytes
from v8ops.run.steps import COMPARE, SYMBOL_STEPS, Manifest

RAN = (0, 3)  # exit statuses of a run that went through
BETWEEN, SERVING = "kernels between cells", "papermill and rendering"
ROLE_GROUPS = {
    RUN: "run_all itself",
    PREFLIGHT: "preflight",
    PARENT: cells.IMPORTS,
    WORKER: SERVING,
    OTHER: "other processes",
}


def run_suite(
    folder: Path,
    run_id: str,
    *,
    profile: str,
    symbols: Sequence[str],
    engine: str | None = None,
    jobs: int | None = None,
    data: Path | None = None,
    project: Path = PROJECT,
) -> dict[str, Any]:
    """Return the figures of a run of run_all.py; the run is left in `folder`.

    Raises
    ------
    RunError
        If a step failed; the message is the run's last line.
    """
    run_dir = folder / run_id
    for kernels in (run_dir, *(run_dir / symbol for symbol in symbols)):
        cells.listen_to_kernels(kernels / ".ipython")
    command = _command(folder, run_id, profile, symbols, project)
    command += ["--engine", engine] if engine else []
    command += ["--jobs", str(jobs)] if jobs else []
    command += ["--data", str(data), "--source", "files"] if data else ["--source", "simulated"]
    log = folder / f"{run_id}.log"
    watched = run_watched(command, log=log, cwd=project)
    _check(watched, profile, log)
    notebooks = _notebooks(run_dir, symbols)
    wall, cpu = _times(watched, notebooks)
    return {
        "seconds": watched.seconds,
        "peak_bytes": watched.peak_bytes,
        "wall": dict(wall),
        "cpu": dict(cpu),
        "scraps": _scraps(notebooks),
        "bundles": _bundles(run_dir),
    }


def suite_seconds(folder: Path, run_id: str, *, profile: str, symbols: Sequence[str]) -> float:
    """Return the wall seconds of a run of run_all.py as it is by itself, looked at by nobody.

    Raises
    ------
    RunError
        As `run_suite`.
    """
    log = folder / f"{run_id}.log"
    command = _command(folder, run_id, profile, symbols, PROJECT)
    timed = run_timed([*command, "--source", "simulated"], log=log)
    _check(timed, profile, log)
    return timed.seconds


def _command(
    folder: Path, run_id: str, profile: str, symbols: Sequence[str], project: Path
) -> list[str]:
    command = [sys.executable, str(project / "run_all.py"), "--profile", profile]
    command += ["--symbols", *symbols]
    return [*command, "--out", str(folder), "--run-id", run_id, "--keep-latest"]


def _check(ended: Watched, profile: str, log: Path) -> None:
    if ended.status not in RAN:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise RunError(f"{profile}: status {ended.status}: {' '.join(last)}")


def _notebooks(run_dir: Path, symbols: Sequence[str]) -> dict[Path, tuple[int, list[dict]]]:
    """Return the executed notebooks and which kernel ran each, as (process id, notes)."""
    found: dict[Path, tuple[int, list[dict]]] = {}
    for symbol in symbols:
        noted = cells.kernel_notes(run_dir / symbol / ".ipython")
        for step, kernel in zip(SYMBOL_STEPS, noted, strict=True):
            found[run_dir / symbol / f"{step}.ipynb"] = kernel
    (compared,) = cells.kernel_notes(run_dir / ".ipython")
    return found | {run_dir / f"{COMPARE}.ipynb": compared}


def _times(
    watched: Watched, notebooks: Mapping[Path, tuple[int, list[dict]]]
) -> tuple[Counter[str], Counter[str]]:
    """Return wall and CPU seconds by group, summed over all notebooks and processes.

    The CPU time of a cell is its kernel's, read before and after it. What a kernel needed
    before its first cell counts as start-up. Everything else counts for the process it was.
    """
    wall: Counter[str] = Counter()
    cpu: Counter[str] = Counter()
    for path, (pid, notes) in notebooks.items():
        of_cells = cells.summed(cells.timed_cells(path, notes))
        wall.update(of_cells[0])
        cpu.update(of_cells[1])
        wall[cells.IMPORTS] += cells.start_seconds(path)
        ready = next(note["cpu"][0] for note in notes if note["event"] == "cell")
        cpu[cells.IMPORTS] += ready
        total = max(notes[-1]["cpu"][-1], watched.cpu.get(pid, 0.0))
        cpu[BETWEEN] += max(0.0, total - ready - sum(of_cells[1].values()))
        if path.stem != COMPARE:
            step = Manifest(path.parent).steps[path.stem]["seconds"]
            wall[cells.RENDERING] += step - cells.papermill_seconds(path)
    for pid, seconds in watched.cpu.items():
        role = watched.roles.get(pid, OTHER)
        if role != KERNEL:
            cpu[ROLE_GROUPS[role]] += seconds
    return wall, cpu


def _scraps(notebooks: Mapping[Path, Any]) -> dict[str, str]:
    """Return a hash of every scrap under notebook and name."""
    return {
        f"{path.parent.name if path.stem != COMPARE else 'all'} {path.stem} {name}": sha256_bytes(
            json.dumps(value, sort_keys=True).encode()
        )
        for path in notebooks
        for name, value in cells.scraps_of(path).items()
    }


def _bundles(run_dir: Path) -> dict[str, str]:
    summary = read_json(run_dir / "summary.json")
    return {name: symbol["bundle"] for name, symbol in summary["symbols"].items()}


def work_share(cpu: Mapping[str, float]) -> float:
    """Return the share of CPU time in features, training and statistics."""
    return sum(cpu.get(group, 0.0) for group in cells.WORK) / sum(cpu.values())


def project_with_symbols(folder: Path, symbols: Sequence[str]) -> Path:
    """Return a copy of the project that knows these symbols as well.

    A symbol is a file in params/symbols; the project's own folder stays as it is.
    """
    copy = folder / "project"
    for name in ("v8lib", "v8ops", "notebooks", "params"):
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(PROJECT / name, copy / name, ignore=ignored)
    shutil.copy(PROJECT / "run_all.py", copy / "run_all.py")
    for symbol in symbols:
        (copy / "params" / "symbols" / f"{symbol}.yaml").write_text(f"market_name: {symbol}-USD\n")
    return copy
