"""What the figures were measured on, without names of hosts or places."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean, median
from typing import Any

import psutil

PEERS = ("lightgbm", "onnxruntime", "skorch", "papermill", "ipykernel")
STEPS, ROUNDS = 500_000, 9
MOST_CORES = 8  # whose pace is taken


def describe_machine() -> dict[str, Any]:
    """Return CPU model, cores, memory, operating system and Python, as JSON values."""
    flags = _cpu_field("flags").split()
    return {
        "cpu": _cpu_field("model name") or platform.processor() or platform.machine(),
        "cores": available_cores(),
        "instruction sets": [
            f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags
        ],
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_version()} ({platform.python_compiler()}, "
        f"{platform.python_build()[1]}, {_linkage()})",
    }


def _linkage() -> str:
    """Return whether the interpreter is in a shared library or linked into its program."""
    shared = "/libpython" in Path("/proc/self/maps").read_text()
    return "libpython shared" if shared else "libpython linked in"


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def peer_versions() -> dict[str, str]:
    """Return the versions of what is measured against, of those that are installed."""
    found = {}
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def others_busy(seconds: float) -> float:
    """Return the share of the cores in use while this process only waits for `seconds`."""
    return psutil.cpu_percent(interval=seconds) / 100.0


def pace() -> float:
    """Return the steps a second of a plain Python loop, the mean over the cores.

    Cores of a virtual machine may be shared with others that it cannot see, so the same program
    is slower at another hour, and on one core slower than on the next. This tells at what hour
    seconds were measured.
    """
    allowed = os.sched_getaffinity(0)
    try:
        return fmean(_pace_of(core) for core in sorted(allowed)[:MOST_CORES])
    finally:
        os.sched_setaffinity(0, allowed)


def _pace_of(core: int) -> float:
    os.sched_setaffinity(0, {core})
    return median(STEPS / _loop_seconds() for _ in range(ROUNDS))


def _loop_seconds() -> float:
    total, began = 0, time.perf_counter()
    for step in range(STEPS):
        total += step * step
    return time.perf_counter() - began


def _cpu_field(name: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
