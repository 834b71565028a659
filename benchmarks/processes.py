"""Runs of other processes, watched: wall time, CPU time and memory of the whole tree.

Memory is PSS, the proportional set size: a page that forked processes share is counted once
and not once in each. CPU time is read from every process while it lives, because a parent that
ignores the end of its children (the parent of forked kernels does) is never told theirs; a
process loses what it did after it was last looked at.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from v8lib.errors import RunError

PROJECT = Path(__file__).resolve().parents[1]
CPU_EVERY_S, MEMORY_EVERY_S = 0.25, 0.5
RUN, PREFLIGHT, WORKER, PARENT, KERNEL = "run", "preflight", "worker", "warm parent", "kernel"
OTHER = "other"


@dataclass
class Watched:
    """A finished process: wall seconds, peak memory, and CPU seconds and role of each process."""

    status: int = -1
    seconds: float = 0.0
    peak_bytes: int = 0
    cpu: dict[int, float] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)


def run_timed(command: Sequence[str], *, log: Path, cwd: Path = PROJECT) -> Watched:
    """Return a finished process, its output in `log`, that nobody looked at while it ran.

    Looking at the memory of ten processes takes time of the same cores, and they wait for it.
    """
    with log.open("wb") as output:
        began = time.perf_counter()
        done = subprocess.run(command, stdout=output, stderr=output, cwd=cwd, check=False)
        return Watched(status=done.returncode, seconds=time.perf_counter() - began)


def run_watched(
    command: Sequence[str], *, log: Path, cwd: Path = PROJECT, env: Mapping[str, str] | None = None
) -> Watched:
    """Return a finished process, its output in `log`."""
    found = Watched()
    with log.open("wb") as output:
        began = time.perf_counter()
        process = psutil.Popen(command, stdout=output, stderr=output, cwd=cwd, env=env)
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process, ended, found), daemon=True)
        watcher.start()
        try:
            found.status = process.wait()
            found.seconds = time.perf_counter() - began
        finally:
            if process.poll() is None:  # we are being stopped: so is what we started
                process.terminate()
            ended.set()
            watcher.join()
    return found


def _watch(root: psutil.Process, ended: threading.Event, found: Watched) -> None:
    looked = 0.0
    while not ended.wait(CPU_EVERY_S):
        memory = time.monotonic() - looked >= MEMORY_EVERY_S
        looked = time.monotonic() if memory else looked
        total = sum(_look(process, root.pid, found, memory) for process in _tree(root))
        found.peak_bytes = max(found.peak_bytes, total)


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _look(process: psutil.Process, root_pid: int, found: Watched, memory: bool) -> int:
    """Note a process's CPU time and return its memory, 0 if it has ended or is not asked for."""
    try:
        words = " ".join(process.cmdline())
        if words:  # one that has ended and waits to be noticed has none; it was seen before
            found.roles[process.pid] = role_of(process, words, root_pid)
        times = process.cpu_times()
        found.cpu[process.pid] = times.user + times.system
        return process.memory_full_info().pss if memory else 0
    except psutil.Error:  # it ended between two looks
        return 0


def role_of(process: psutil.Process, words: str, root_pid: int) -> str:
    """Return what a process of a run is there for, by the words it was started with."""
    if process.pid == root_pid:
        return RUN
    if "v8ops.run.zygote" in words:  # a fork carries its parent's command line
        return PARENT if process.ppid() == root_pid else KERNEL
    roles = {"v8ops.run.worker": WORKER, "v8ops.run.preflight": PREFLIGHT}
    roles |= {"ipykernel_launcher": KERNEL}
    return next((role for word, role in roles.items() if word in words), OTHER)


def fresh(
    work: str,
    *arguments: object,
    threads: int = 1,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what a fresh process measured, and the seconds from its start to its answer.

    Parameters
    ----------
    work : str
        A function of `benchmarks.fresh`.
    arguments
        Its arguments, as text.
    threads : int
        Threads of its numeric libraries.
    environment : mapping, optional
        What its environment has beyond that of the suite's own processes.

    Raises
    ------
    RunError
        If it failed; the message is its last line.
    """
    from v8ops.run.limits import clean_env, numeric_limits

    command = [sys.executable, "-m", "benchmarks.fresh", work, *map(str, arguments)]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=clean_env(**numeric_limits(threads) | dict(environment or {})),
    ) as process:
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
        errors = process.stderr.read()
    if process.returncode or not line:
        raise RunError(f"{work}: {errors.strip().splitlines()[-1] if errors.strip() else 'failed'}")
    return json.loads(line) | {"seconds_to_answer": seconds}


def peak_memory_bytes() -> int:
    """Return the most memory this process has held since it was started, in bytes.

    From VmHWM and not from ru_maxrss, which begins with what the parent held.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RunError("the peak memory of a process can be read on Linux only")
