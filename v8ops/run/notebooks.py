"""The notebooks of the project themselves: check them against their outputs, or refresh those.

    python -m v8ops.run.notebooks check|refresh

Both first make the interactive run folder with the smoke values, for all three symbols, because
a notebook reads what the one before it wrote.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import v8lib  # noqa: F401 - first: it keeps a slow import out of everything below
from v8lib.storage import read_json, write_bytes
from v8ops.run.execute import execute
from v8ops.run.limits import clean_env
from v8ops.run.steps import COMPARE, NOTEBOOKS, PROJECT, SYMBOL_STEPS

START = "00_start_here"
EXPLORE = (
    "explore/known_answer",
    "explore/v6_postmortem",
    "explore/ablation",
    "explore/audit_bars",
)
ORDER = (START, *SYMBOL_STEPS, COMPARE, *EXPLORE)
STRICT = (START, "01_prepare_data")
INTERACTIVE = "interactive"
SYMBOLS = ("BTC", "ETH", "SOL")
GATES_MAY_FAIL = (0, 3)  # a smoke run is too small to promise more
CELL_TIMEOUT_S = 300
KEPT = ("tags",)  # cell metadata that is part of a notebook


def prepare() -> None:
    """Make the run folder that the parameters cells point at."""
    shutil.rmtree(PROJECT / "reports" / INTERACTIVE, ignore_errors=True)
    command = [sys.executable, "run_all.py", "--profile", "smoke", "--source", "simulated"]
    command += ["--symbols", *SYMBOLS, "--run-id", INTERACTIVE, "--keep-latest"]
    # One thread, as the parameters cells say: the last bits depend on it.
    command += ["--set", "threads=1"]
    done = subprocess.run(command, cwd=PROJECT, check=False)
    if done.returncode not in GATES_MAY_FAIL:
        raise SystemExit(done.returncode)


def check() -> int:
    """Run every notebook and compare it with its stored outputs; return pytest's status.

    Strict where the numbers are those of numpy alone; lax (tagged cells only) where a net has
    been trained, whose last digits differ between processors.
    """
    prepare()
    strict = _nbval("--nbval", STRICT)
    return strict or _nbval("--nbval-lax", [name for name in ORDER if name not in STRICT])


def _nbval(mode: str, names: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", mode, "--nbval-current-env"]
    command += [f"--nbval-cell-timeout={CELL_TIMEOUT_S}", "-p", "no:cacheprovider"]
    command += ["-W", "default", *[f"notebooks/{name}.ipynb" for name in names]]
    return subprocess.run(command, cwd=PROJECT, check=False, env=clean_env()).returncode


def refresh() -> int:
    """Run every notebook with its own values and store the outputs; return 0."""
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        for name in ORDER:
            executed = Path(folder) / f"{Path(name).name}.ipynb"
            execute(NOTEBOOKS / f"{name}.ipynb", executed, {})
            text = json.dumps(cleaned(read_json(executed)), indent=1, ensure_ascii=False)
            write_bytes(NOTEBOOKS / f"{name}.ipynb", (text + "\n").encode())
            sys.stdout.write(f"{name} refreshed\n")
    return 0


def cleaned(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook without what differs from run to run, in place."""
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k in KEPT}
    return notebook


def main(arguments: list[str]) -> int:
    """Check or refresh."""
    jobs = {"check": check, "refresh": refresh}
    if len(arguments) != 1 or arguments[0] not in jobs:
        raise SystemExit("usage: python -m v8ops.run.notebooks check|refresh")
    return jobs[arguments[0]]()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
