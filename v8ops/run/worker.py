"""The process of one symbol: its notebooks in order, their pages, its manifest.

Forked by `workers`; it speaks JSON lines on stdout and ends when its stdin closes, so that
nothing goes on after the parent has died.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import v8lib  # noqa: F401 - first: it keeps a slow import out of everything below
from v8lib.storage import read_json
from v8ops.run.execute import NotebookFailed, execute
from v8ops.run.pages import write_index
from v8ops.run.render import render_page
from v8ops.run.steps import COMPARE, Manifest, Step, fingerprint
from v8ops.run.summary import mark_failed


def say(**event: Any) -> None:
    """Send one event to the parent."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    """End this process and its kernels when the parent closes our stdin, or dies."""

    def watch() -> None:
        import psutil

        os.read(0, 1)  # unbuffered: a buffer would be locked at shutdown
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_symbol(job: Mapping[str, Any]) -> int:
    """Run the steps of one symbol and return 0, or 1 at the first that fails."""
    symbol, folder = job["symbol"], Path(job["folder"])
    manifest, upstream = Manifest(folder), ""
    for name, parameters in job["steps"]:
        step = Step(name, parameters)
        mark = fingerprint(step, input_sha256=job["input_sha256"], upstream=upstream)
        upstream = mark
        if manifest.is_done(name, mark):
            say(event="skipped", symbol=symbol, step=name)
            continue
        manifest.begin(name, mark)
        say(event="started", symbol=symbol, step=name)
        began = time.perf_counter()
        try:
            execute(step.notebook, folder / f"{name}.ipynb", parameters, progress=_teller(symbol))
            render_page(folder / f"{name}.ipynb", title=f"{symbol} {name}", banner=job["banner"])
        except NotebookFailed as error:
            seconds = time.perf_counter() - began
            manifest.write(name, "failed", mark, seconds, str(error))
            say(event="failed", symbol=symbol, step=name, seconds=seconds, error=str(error))
            return 1
        seconds = time.perf_counter() - began
        manifest.write(name, "ok", mark, seconds)
        say(event="done", symbol=symbol, step=name, seconds=seconds)
    return 0


def run_comparison(job: Mapping[str, Any]) -> int:
    """Run notebook 05 over the whole run if there is anything to compare, and make the index."""
    folder = Path(job["folder"])
    summary = read_json(folder / "summary.json")
    code = _compare(job, folder) if any("test" in s for s in summary["symbols"].values()) else 0
    if code:
        mark_failed(folder, summary)
    write_index(folder, summary, banner=job["banner"], parameters=job["symbol_parameters"])
    return code


def _compare(job: Mapping[str, Any], folder: Path) -> int:
    output = folder / f"{COMPARE}.ipynb"
    say(event="started", symbol="all", step=COMPARE)
    began = time.perf_counter()
    try:
        execute(Step(COMPARE, {}).notebook, output, job["parameters"], progress=_teller("all"))
        render_page(output, title="Compare symbols", banner=job["banner"])
    except NotebookFailed as error:
        seconds = time.perf_counter() - began
        say(event="failed", symbol="all", step=COMPARE, seconds=seconds, error=str(error))
        return 1
    say(event="done", symbol="all", step=COMPARE, seconds=time.perf_counter() - began)
    return 0


def _teller(symbol: str) -> Any:
    return lambda cell, cells: say(event="cell", symbol=symbol, cell=cell, cells=cells)


def main(arguments: list[str]) -> int:
    """Run the job described in a JSON file."""
    end_with_parent()
    job = read_json(arguments[0])
    return run_comparison(job) if job["kind"] == "compare" else run_symbol(job)
