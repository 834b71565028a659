"""What child processes are given: a clean environment, and how many threads and what memory."""

import os

from v8ops.run.steps import PROJECT

# The C library learns from large arrays to keep what they leave, hundreds of megabytes at a
# million bars. With these it gives them back, from a column of a million bars on; other systems
# do not look at them. What is smaller stays, a table of an ordinary run or a block of
# `v8lib.features`: given back and asked for again, its pages take as long as what is put on them.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(24 << 20)}


def clean_env(**extra: str) -> dict[str, str]:
    """Return the environment for child processes: no user start-up file changes a result."""
    env = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "PYTHONSTARTUP")}
    path = os.pathsep.join([str(PROJECT), *filter(None, [env.get("PYTHONPATH")])])
    fixed = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "JUPYTER_PLATFORM_DIRS": "1"}
    return env | fixed | extra


def thread_limits(threads: int) -> dict[str, str]:
    """Return the environment that keeps numeric work to this many threads.

    Libraries look at it when they are imported.
    """
    return {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}


def numeric_limits(threads: int) -> dict[str, str]:
    """Return the environment that keeps numeric work to this many threads, and to its memory."""
    return thread_limits(threads) | GIVE_BACK
