"""Build .venv once and do one job in it; needs nothing but Python's standard library.

    python bootstrap.py run|test|fetch|check-bars|lab|lint|notebooks|proof|bench|clean [arguments]

The environment comes from pyproject.toml (ranges) and constraints.txt (the exact set that was
tested). A stamp of both files is left in .venv, so the second call starts at once. On Linux
machines without a GPU, V8_TORCH_INDEX may name an extra package index with CPU builds of torch.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent
VENV = PROJECT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
EXTRAS = {
    "run": [],
    "lab": ["lab"],
    "fetch": ["feeds"],
    "check-bars": [],
    "test": ["feeds", "onnx", "test"],
    "lint": ["feeds", "test"],
    "notebooks": ["feeds", "test"],
    "proof": [],
    "bench": ["bench"],
}
REBUILT = (".pytest_cache", ".ruff_cache", ".hypothesis", "build", ".venv")


def stamp() -> str:
    """Return a hash of everything that decides what is installed."""
    python = f"{sys.version_info[:2]} {sys.base_prefix}"  # another build is another environment
    digest = hashlib.sha256(f"{python} {PROJECT}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((PROJECT / name).read_bytes())
    return digest.hexdigest()


def installed() -> set[str]:
    """Return the extras that are installed for this stamp; the core is called ""."""
    mark = VENV / "bootstrap.stamp"
    if not (mark.is_file() and PYTHON.is_file()):
        return set()
    found, *extras = mark.read_text().split("\n")
    return set(extras) if found == stamp() else set()


def install(extras: list[str]) -> None:
    """Bring .venv to the pinned set with these extras; nothing if it is there already."""
    have = installed()
    wanted = have | {"", *extras}
    if wanted == have:
        return
    if not have:
        check_python()
        shutil.rmtree(VENV, ignore_errors=True)
        venv.create(VENV, with_pip=True, symlinks=os.name != "nt")
    names = ",".join(sorted(wanted - {""}))
    target = f"{PROJECT}[{names}]" if names else str(PROJECT)
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--editable", target, "--constraint", PROJECT / "constraints.txt"]
    if index := os.environ.get("V8_TORCH_INDEX"):
        command += ["--extra-index-url", index]
    say(f"installing into .venv ({names or 'core'}); a minute or two, once")
    call(command)
    (VENV / "bootstrap.stamp").write_text("\n".join([stamp(), *sorted(wanted)]))


def check_python() -> None:
    """Leave if this Python cannot make an environment that has pip."""
    if importlib.util.find_spec("ensurepip") is None:
        package = "python{}.{}-venv".format(*sys.version_info)
        raise SystemExit(
            "bootstrap.py: this Python comes without ensurepip, so .venv would have no pip; "
            f"Debian and Ubuntu have it in another package: apt-get install {package}"
        )


def say(text: str) -> None:
    """Print a line about what is going on."""
    sys.stdout.write(f"bootstrap: {text}\n")
    sys.stdout.flush()


def call(command: list[object], **extra: object) -> None:
    """Run a command in the project; leave with its status if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=PROJECT, check=False, **extra)
    if done.returncode:
        raise SystemExit(done.returncode)


def run(arguments: list[str]) -> None:
    """Run every symbol and write the reports."""
    call([PYTHON, "run_all.py", *(arguments or ["--symbols", "BTC", "ETH", "SOL"])])


def fetch(arguments: list[str]) -> None:
    """Get bars from an exchange or an archive into data/."""
    call([PYTHON, "-m", "v8ops", "fetch", *arguments])


def check_bars(arguments: list[str]) -> None:
    """Say what is in bar files and whether they can be used."""
    call([PYTHON, "-m", "v8ops", "check-bars", *arguments])


def test(arguments: list[str]) -> None:
    """Run the tests, then every notebook against its stored outputs."""
    # One process per core, a file at a time: what the tests of a file share is made once.
    spread = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
    call([PYTHON, "-m", "pytest", *(arguments or [*spread, "tests"])])
    if not arguments:
        call([PYTHON, "-m", "v8ops.run.notebooks", "check"])


def lab(arguments: list[str]) -> None:
    """Open JupyterLab at the first notebook."""
    call([PYTHON, "-m", "jupyterlab", *(arguments or ["notebooks/00_start_here.ipynb"])])


def lint(_: list[str]) -> None:
    """Check style of code and notebooks."""
    call([PYTHON, "-m", "ruff", "check", "."])
    call([PYTHON, "-m", "ruff", "format", "--check", "."])
    call([PYTHON, "-m", "pytest", "tests/test_notebook_rules.py"])


def notebooks(_: list[str]) -> None:
    """Store fresh outputs in the notebooks."""
    call([PYTHON, "-m", "v8ops.run.notebooks", "refresh"])


def proof(arguments: list[str]) -> None:
    """Measure what the suite claims of itself and write docs/proof.md."""
    call([PYTHON, "-m", "v8ops.proof", *arguments])


def bench(arguments: list[str]) -> None:
    """Measure the suite beside what people would use instead; write benchmarks/RESULTS.md."""
    call([PYTHON, "-m", "benchmarks", *arguments])


def clean() -> None:
    """Remove what can be made again."""
    for name in REBUILT:
        shutil.rmtree(PROJECT / name, ignore_errors=True)
    for pattern in ("**/__pycache__", "*.egg-info", "notebooks/**/.ipynb_checkpoints"):
        for folder in PROJECT.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> None:
    """Do one job."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file an older Python gets to read
        raise SystemExit("bootstrap.py: Python 3.11 or newer is needed")
    job = arguments[0] if arguments else ""
    if job == "clean":
        clean()
        return
    if job not in EXTRAS:
        raise SystemExit(f"usage: bootstrap.py {'|'.join([*EXTRAS, 'clean'])}")
    install(EXTRAS[job])
    jobs = {"run": run, "test": test, "lab": lab, "lint": lint}
    jobs |= {"notebooks": notebooks, "proof": proof, "fetch": fetch, "check-bars": check_bars}
    jobs |= {"bench": bench}
    jobs[job](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
