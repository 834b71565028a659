"""Workers side by side: start, listen, show, and leave nothing behind."""

import contextlib
import queue
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from v8lib.errors import RunError, StoreError
from v8lib.storage import read_json, write_json
from v8ops.run.limits import numeric_limits
from v8ops.run.plan import Plan
from v8ops.run.progress import Display
from v8ops.run.steps import COMPARE, Manifest, symbol_steps
from v8ops.run.workers import Worker

POLL_S = 0.5


@contextlib.contextmanager
def only_runner(run_dir: Path) -> Iterator[None]:
    """Hold the run's lock.

    Raises
    ------
    RunError
        If another process is at work on this run.
    """
    import fcntl

    with (run_dir / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{run_dir.name} is still being run by another process") from None
        yield


def run_symbols(
    plan: Plan, jobs: int, display: Display, env: Mapping[str, str]
) -> dict[str, str | None]:
    """Run the notebooks of every symbol, `jobs` at a time, and return the errors by symbol.

    A symbol that fails does not stop the others.
    """
    waiting = list(plan.parameters)
    errors: dict[str, str | None] = {}
    events: queue.Queue = queue.Queue()
    running: dict[str, Worker] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                symbol = waiting.pop(0)
                running[symbol] = _start(plan, symbol, env)
                running[symbol].listen(events)
            name, event = _next(events, plan, running, display)
            if event is not None:
                display.event(event)
            elif name is not None:
                errors[name] = _ended(running.pop(name), plan)
    finally:
        for worker in running.values():
            worker.stop()
    return errors


def run_comparison(plan: Plan, display: Display, env: Mapping[str, str]) -> str | None:
    """Run notebook 05 and make the index; return what went wrong, if anything."""
    job = plan.run_dir / ".compare.json"
    parameters = {"symbols": " ".join(plan.parameters), "run_dir": str(plan.run_dir)}
    write_json(
        job,
        {
            "kind": "compare",
            "folder": str(plan.run_dir),
            "parameters": parameters,
            "banner": plan.source_words,
            "symbol_parameters": {s: p.model_dump() for s, p in plan.parameters.items()},
        },
    )
    events: queue.Queue = queue.Queue()
    worker = Worker("all", job, plan.run_dir / ".compare.log", numeric_limits(1) | env)
    worker.listen(events)
    error = None
    try:
        while (line := events.get()[1]) is not None:
            event = _parse(line)
            display.event(event)
            error = f"{COMPARE}: {event['error']}" if event["event"] == "failed" else error
        return error or _crash(worker)
    finally:
        worker.stop()


def _start(plan: Plan, symbol: str, env: Mapping[str, str]) -> Worker:
    folder, parameters = plan.run_dir / symbol, plan.parameters[symbol]
    folder.mkdir(exist_ok=True)
    steps = symbol_steps(
        parameters,
        data_path=plan.data_paths[symbol],
        run_dir=plan.run_dir,
        models_dir=plan.models_dir,
    )
    job = {
        "kind": "symbol",
        "symbol": symbol,
        "folder": str(folder),
        "steps": [[step.name, dict(step.parameters)] for step in steps],
        "input_sha256": plan.sha256[symbol],
        "banner": plan.source_words,
    }
    write_json(folder / ".job.json", job)
    limits = numeric_limits(parameters.threads)
    return Worker(symbol, folder / ".job.json", folder / "worker.log", limits | env)


def _next(
    events: queue.Queue, plan: Plan, running: Mapping[str, Worker], display: Display
) -> tuple[str | None, dict[str, Any] | None]:
    """Return (symbol, event); an event of None means that its worker has ended."""
    try:
        name, line = events.get(timeout=POLL_S)
    except queue.Empty:
        for symbol in running:
            display.epoch(symbol, *_epoch(plan, symbol))
        return None, None
    return name, None if line is None else _parse(line)


def _parse(line: str) -> dict[str, Any]:
    import json

    return json.loads(line)


def _epoch(plan: Plan, symbol: str) -> tuple[int, int]:
    """Return how many epochs of training are done, and how many there may be.

    Every net of every fold has a folder of its own; all but the newest are finished.
    """
    parameters = plan.parameters[symbol]
    total = parameters.epochs * parameters.n_folds * parameters.n_seeds
    folder = plan.run_dir / symbol / "checkpoint"
    states = sorted(folder.glob("*/checkpoint.json"), key=_net_order)
    if not states:  # no training going on
        return 0, total
    try:
        running = len(read_json(states[-1])["history"])
    except StoreError:  # finished and removed since it was listed
        return 0, total
    return (len(states) - 1) * parameters.epochs + running, total


def _net_order(path: Path) -> list[int]:
    """Return (fold, net) of a checkpoint in a folder called fold_<k>_net_<j>."""
    return [int(part) for part in path.parent.name.split("_") if part.isdigit()]


def _ended(worker: Worker, plan: Plan) -> str | None:
    """Return what went wrong with a worker that has ended."""
    crash = _crash(worker)
    # Status 1 is a step that failed in this attempt; anything else leaves older entries.
    told = Manifest(plan.run_dir / worker.name).error if worker.wait() == 1 else None
    return told or crash


def _crash(worker: Worker) -> str | None:
    code = worker.wait()
    return None if code == 0 else f"the worker ended with status {code}, see {worker.log.name}"
