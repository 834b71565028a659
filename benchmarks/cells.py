"""What the cells of an executed notebook did: wall and CPU seconds by group, and scraps."""

import ast
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from v8lib.errors import RunError
from v8lib.storage import read_json
from v8ops.run.steps import COMPARE, SYMBOL_STEPS

IMPORTS, SHOWN = "imports and start-up", "figures and tables"
STEP_GROUPS = dict(
    zip(
        (*SYMBOL_STEPS, COMPARE),
        ("features", "training", "calibration", "diagnostics", "diagnostics"),
        strict=True,
    )
)
WORK = ("features", "training", "calibration", "diagnostics")
RENDERING = "rendering"
SHOWING = ("image/png", "image/svg+xml", "text/html")
SCRAP = "application/scrapbook.scrap."
TIMES = ("seconds", "rows_per_second", "train_rows_per_second", "path", "run_dir")
STARTUP = Path(__file__).with_name("kernel_startup.py")


@dataclass(frozen=True)
class Cell:
    """One executed code cell."""

    group: str
    seconds: float
    cpu_seconds: float


def listen_to_kernels(folder: Path) -> None:
    """Let kernels whose IPython directory this is note their CPU time."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(STARTUP, startup / "00-note-cpu-time.py")


def kernel_notes(folder: Path) -> list[tuple[int, list[dict[str, Any]]]]:
    """Return what each kernel noted, as (process id, notes), oldest first.

    Raises
    ------
    RunError
        If no kernel noted anything: then CPU time cannot be told apart by cell.
    """
    paths = (folder / "profile_default" / "startup").glob("*.jsonl")
    found = [
        (int(p.stem), [json.loads(line) for line in p.read_text().splitlines()]) for p in paths
    ]
    if not found:
        raise RunError(f"no kernel has noted its CPU time in {folder.name}")
    return sorted(found, key=lambda entry: entry[1][0]["time"])


def code_cells(notebook: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the code cells that a kernel was given."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip():
            yield cell


def timed_cells(path: Path, notes: list[dict[str, Any]]) -> list[Cell]:
    """Return the cells of an executed notebook with their times.

    Parameters
    ----------
    path : path
        The executed notebook; papermill has left each cell's wall time in it.
    notes : list of dict
        What its kernel noted.
    """
    cells = list(code_cells(read_json(path)))
    noted = [note["cpu"] for note in notes if note["event"] == "cell"]
    if len(noted) != len(cells):
        raise RunError(f"{path.name}: {len(cells)} cells, CPU times of {len(noted)}")
    step, setting_up, made = path.stem, True, []
    for cell, (before, after) in zip(cells, noted, strict=True):
        group = IMPORTS if setting_up else group_of(step, cell)
        seconds = cell["metadata"]["papermill"]["duration"]
        made.append(Cell(group, seconds, after - before))
        setting_up = setting_up and "use_style" not in "".join(cell["source"])
    return made


def group_of(step: str, cell: Mapping[str, Any]) -> str:
    """Return where the time of a cell counts.

    What imports counts as start-up, and so do the cells before the style is set. A cell that
    shows a figure or a table counts as showing, whatever else it computes. All others count
    for their notebook.
    """
    statements = ast.parse("".join(cell["source"])).body
    if all(isinstance(s, ast.Import | ast.ImportFrom) for s in statements):
        return IMPORTS
    kinds = {kind for output in cell["outputs"] for kind in output.get("data", {})}
    return SHOWN if kinds & set(SHOWING) else STEP_GROUPS[step]


def start_seconds(path: Path) -> float:
    """Return the seconds from papermill's start to the first cell of a notebook."""
    notebook = read_json(path)
    first = next(code_cells(notebook))["metadata"]["papermill"]["start_time"]
    began = notebook["metadata"]["papermill"]["start_time"]
    return (datetime.fromisoformat(first) - datetime.fromisoformat(began)).total_seconds()


def papermill_seconds(path: Path) -> float:
    """Return the seconds that papermill took for a notebook, kernel included."""
    return read_json(path)["metadata"]["papermill"]["duration"]


def summed(cells: list[Cell]) -> tuple[Counter[str], Counter[str]]:
    """Return wall and CPU seconds by group."""
    wall: Counter[str] = Counter()
    cpu: Counter[str] = Counter()
    for cell in cells:
        wall[cell.group] += cell.seconds
        cpu[cell.group] += cell.cpu_seconds
    return wall, cpu


def scraps_of(path: Path) -> dict[str, Any]:
    """Return what a notebook recorded, without times and places, by name."""
    found: dict[str, Any] = {}
    for cell in code_cells(read_json(path)):
        for output in cell["outputs"]:
            for kind, content in output.get("data", {}).items():
                if kind.startswith(SCRAP):
                    found[content["name"]] = without_times(content["data"])
    return found


def without_times(content: Any) -> Any:
    """Return recorded values without what must differ between two runs, at every depth."""
    if isinstance(content, dict):
        return {k: without_times(v) for k, v in content.items() if k not in TIMES}
    if isinstance(content, list):
        return [without_times(v) for v in content]
    return content
