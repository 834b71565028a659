"""One notebook through papermill: whole result or kept evidence, and progress on the way."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from v8ops.run.steps import SOCKET_VARIABLE

PAPERMILL, FORK = "v8-papermill", "v8-fork"
CELL_TIMEOUT_S = 3_600
START_TIMEOUT_S = 120
WRITE_EVERY_S = 30.0  # at most, while a notebook runs
# No history database shared between kernels, and no notice per kernel about its transport.
KERNEL_ARGUMENTS = ["--IPKernelApp.log_level=40", "--HistoryManager.enabled=False"]

Progress = Callable[[int, int], None]


class NotebookFailed(Exception):  # noqa: N818 - an outcome, told apart from bugs in the runner
    """A notebook raised, ran out of time or lost its kernel; the message is one line."""


class ReportingEngine(NBClientEngine):
    """Papermill's own engine, which also tells how many cells are done, and writes less often.

    Papermill writes the notebook before and after each cell, with all its figures.
    """

    progress: Progress | None = None

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> None:
        """Run the notebook, calling `progress` as each cell starts."""
        started, total = nb_man.cell_start, len(nb_man.nb.cells)
        always, written = nb_man.save, time.monotonic()

        def cell_start(cell: Any, cell_index: int | None = None, **inner: Any) -> Any:
            if cls.progress is not None and cell_index is not None:
                cls.progress(cell_index, total)
            return started(cell, cell_index=cell_index, **inner)

        def save(**inner: Any) -> None:
            nonlocal written
            if time.monotonic() - written >= WRITE_EVERY_S:
                always(**inner)
                written = time.monotonic()

        nb_man.cell_start, nb_man.save = cell_start, save
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **kwargs)
        except BaseException:
            nb_man.save = always  # what there is; else papermill writes it once more by itself
            raise


class ForkEngine(ReportingEngine):
    """The same, with kernels forked from a parent that has done the imports already."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> None:
        """Run the notebook in a forked kernel."""
        from v8ops.run.fork import ForkKernelManager

        super().execute_managed_notebook(
            nb_man, kernel_name, kernel_manager_class=ForkKernelManager, **kwargs
        )


papermill_engines.register(PAPERMILL, ReportingEngine)
papermill_engines.register(FORK, ForkEngine)


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    *,
    progress: Progress | None = None,
) -> float:
    """Run a notebook and return the seconds it took.

    The executed notebook appears under `output` only if every cell ran. Otherwise what there
    is stays beside it as `<name>.failed.ipynb`. The kernel is forked where a parent for that
    is running (see `warm.WarmParent`), else started the ordinary way.

    Raises
    ------
    NotebookFailed
        If a cell raised, timed out, or the kernel died.
    """
    plain = json.loads(json.dumps(dict(parameters), allow_nan=False))
    failed = output.with_suffix(".failed.ipynb")
    partial = output.with_suffix(".partial.ipynb")
    for old in (output, failed, partial):
        old.unlink(missing_ok=True)
    ReportingEngine.progress = staticmethod(progress) if progress else None
    started = time.perf_counter()
    try:
        papermill.execute_notebook(
            str(notebook),
            str(partial),
            plain,
            engine_name=FORK if SOCKET_VARIABLE in os.environ else PAPERMILL,
            kernel_name="python3",
            progress_bar=False,
            cwd=str(notebook.parent),
            extra_arguments=KERNEL_ARGUMENTS,
            execution_timeout=CELL_TIMEOUT_S,
            start_timeout=START_TIMEOUT_S,
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
        if partial.is_file():
            partial.replace(failed)
        raise NotebookFailed(_one_line(error)) from None
    partial.replace(output)
    return time.perf_counter() - started


def _one_line(error: Exception) -> str:
    """Return what went wrong as one line; papermill's metadata cannot be trusted for it."""
    if isinstance(error, PapermillExecutionError):
        text = f"{error.ename}: {error.evalue}" if error.ename else str(error.evalue)
        return " ".join(text.split())
    if isinstance(error, DeadKernelError):
        return "the kernel died (out of memory, or killed from outside)"
    return f"a cell ran longer than {CELL_TIMEOUT_S} s"
