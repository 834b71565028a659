"""The steps of a symbol, and the fingerprint that says whether one has to be run again."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from v8lib.provenance import library_sha256
from v8lib.storage import read_json, write_json

if TYPE_CHECKING:  # pydantic takes a tenth of a second, and the first thing a run does needs none
    from v8lib.config import Parameters

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = PROJECT / "notebooks"
PARAMS = PROJECT / "params"

SYMBOL_STEPS = ("01_prepare_data", "02_train", "03_calibrate", "04_diagnose")
COMPARE = "05_compare_symbols"
SOCKET_VARIABLE = "V8_ZYGOTE_SOCKET"  # set where a parent of forked kernels is running
SECONDS_NAMES = dict(zip(SYMBOL_STEPS, ("prepare", "train", "calibrate", "diagnose"), strict=True))
PATHS = ("run_dir", "models_dir", "data_path")  # where things lie, not what they are


@dataclass(frozen=True)
class Step:
    """One notebook to run for a symbol, with the values its parameters cell gets."""

    name: str
    parameters: Mapping[str, Any]

    @property
    def notebook(self) -> Path:
        """The notebook in the project."""
        return NOTEBOOKS / f"{self.name}.ipynb"


def declared_parameters(notebook: Path) -> list[str]:
    """Return the names assigned in the parameters cell of a notebook.

    Raises
    ------
    ValueError
        If the notebook has no parameters cell.
    """
    import ast

    for cell in read_json(notebook)["cells"]:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            tree = ast.parse("".join(cell["source"]))
            return [n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)]
    raise ValueError(f"{notebook}: no cell is tagged 'parameters'")


def symbol_steps(
    parameters: "Parameters", *, data_path: str, run_dir: Path, models_dir: Path
) -> list[Step]:
    """Return the steps of one symbol; each notebook gets the parameters it declares."""
    known = parameters.model_dump() | {
        "data_path": data_path,
        "run_dir": str(run_dir),
        "models_dir": str(models_dir),
    }
    return [
        Step(name, {key: known[key] for key in declared_parameters(NOTEBOOKS / f"{name}.ipynb")})
        for name in SYMBOL_STEPS
    ]


def notebook_source(notebook: Path) -> str:
    """Return what a notebook does: its cells without outputs, counts and metadata."""
    cells = read_json(notebook)["cells"]
    return json.dumps([(cell["cell_type"], "".join(cell["source"])) for cell in cells])


def fingerprint(step: Step, *, input_sha256: str, upstream: str) -> str:
    """Return the hash of everything a step's results depend on.

    Parameters
    ----------
    step : Step
        The notebook and its parameters; paths do not count.
    input_sha256 : str
        Hash of the bars file, empty for the simulated market.
    upstream : str
        Fingerprint of the step before, empty for the first.
    """
    content = [
        {k: v for k, v in step.parameters.items() if k not in PATHS},
        notebook_source(step.notebook),
        library_sha256(),
        input_sha256,
        upstream,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Manifest:
    """`<run>/<SYMBOL>/manifest.json`: status, fingerprint, seconds and error of every step."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "manifest.json"
        self.steps: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            self.steps = read_json(self.path)["steps"]

    def is_done(self, name: str, expected: str) -> bool:
        """Return whether a step has run with this fingerprint and its notebook is there."""
        step = self.steps.get(name, {})
        done = step.get("status") == "ok" and step.get("fingerprint") == expected
        return done and (self.path.parent / f"{name}.ipynb").is_file()

    def write(
        self, name: str, status: str, mark: str, seconds: float, error: str | None = None
    ) -> None:
        """Record how a step ended, and write the file whole."""
        self.steps[name] = {
            "status": status,
            "fingerprint": mark,
            "seconds": round(seconds, 3),
            "error": error,
        }
        write_json(self.path, {"steps": self.steps})

    def begin(self, name: str, mark: str) -> None:
        """Record that a step starts; what an attempt with another fingerprint left is dropped."""
        if self.steps.get(name, {}).get("fingerprint", mark) != mark:
            shutil.rmtree(self.path.parent / "checkpoint", ignore_errors=True)
        self.write(name, "running", mark, 0.0)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each step under its short name, and their total."""
        seconds = {SECONDS_NAMES[n]: s["seconds"] for n, s in self.steps.items()}
        return seconds | {"total": round(sum(seconds.values()), 3)}

    @property
    def error(self) -> str | None:
        """What the first failed step said, with the step's name."""
        for name, step in self.steps.items():
            if step["status"] == "failed":
                return f"{name}: {step['error']}"
        return None
