"""The production path stays light and runs nothing from outside: a walk over its code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import v8ops.production

FOLDER = next(iter(v8ops.production.__path__))


def modules():
    return sorted(Path(FOLDER).glob("*.py"))


MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in modules()}
# What is imported from outside the standard library, and where: nothing else may be.
EVERYWHERE = {"numpy", "v8lib", "v8ops"}
ONLY_IN = {
    "matplotlib": {"monitor_page", "monitor_plots"},
    "jinja2": {"monitor_page"},
    "markupsafe": {"monitor_page"},
    "onnx": {"onnx_graph", "onnx_wrapped"},  # export
    "onnxruntime": {"export"},
    "pydantic": {"spec"},  # register
    "subprocess": {"poll"},  # runs `fetch`
}
# Of the standard library: what runs code from outside, or talks to a network.
NEVER = {
    *("pickle", "pickletools", "shelve", "marshal", "dbm", "copyreg"),
    *("code", "codeop", "runpy", "importlib", "imp", "ctypes", "pty", "multiprocessing"),
    *("socket", "ssl", "urllib", "http", "ftplib", "smtplib", "xmlrpc", "asyncio"),
}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "breakpoint", "input", "print"),
    *("torch.load", "np.load", "numpy.load", "np.fromfile", "yaml.load"),
    *("os.system", "os.popen", "os.fork", "os.execv", "os.execve", "os.execvp", "os.spawnv"),
}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(tree):
    return {name.split(".")[0] for name in imported(tree)}


def test_there_is_something_to_walk_over():
    assert {"rollout_file", "transitions", "promote"} <= set(MODULES)


def complaints(name, tree):
    """Return what a module imports or calls that it may not."""
    found = packages(tree)
    foreign = {p for p in found if p not in sys.stdlib_module_names} - EVERYWHERE - set(ONLY_IN)
    misplaced = {p for p, where in ONLY_IN.items() if p in found and name not in where}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {ast.unparse(node.func) for node in calls} & FORBIDDEN_CALLS
    shells = {"shell" for node in calls for k in node.keywords if k.arg == "shell"}
    relative = {"relative" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level}
    return sorted(foreign | misplaced | (found & NEVER) | called | shells | relative)


@pytest.mark.parametrize("name", MODULES)
def test_nothing_heavy_or_dangerous_is_imported_or_called(name):
    assert complaints(name, MODULES[name]) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import torch", ["torch"]),
        ("def f():\n    from sklearn import svm", ["sklearn"]),
        ("import scipy.stats as s", ["scipy"]),
        ("import pandas", ["pandas"]),
        ("import pickle", ["pickle"]),
        ("import joblib", ["joblib"]),
        ("import matplotlib.pyplot as plt", ["matplotlib"]),
        ("import subprocess", ["subprocess"]),
        ("eval('1')", ["eval"]),
        ("import os\nos.system('x')", ["os.system"]),
        ("f('x', shell=True)", ["shell"]),
        ("from . import names", ["relative"]),
        ("import importlib", ["importlib"]),
        ("import json, numpy\nfrom v8lib import bundle", []),
    ],
)
def test_the_walk_sees_what_it_is_there_to_see(code, said):
    assert complaints("rollout_file", ast.parse(code)) == said
    assert complaints("poll", ast.parse("import subprocess")) == []


def test_no_folder_of_v8ops_imports_another():
    root = Path(FOLDER).parent
    folders = sorted(p.parent.name for p in root.glob("*/__init__.py"))
    assert {"production", "feeds", "run"} <= set(folders)
    crossings = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for module in imported(tree):
                parts = module.split(".")
                if parts[0] == "v8ops" and len(parts) > 1 and parts[1] in folders:
                    if parts[1] != folder:
                        crossings.append(f"{path.relative_to(root)}: {module}")
    assert crossings == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_no_module_is_longer_than_250_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize(
    "name", ["promote", "advance", "rollback_command", "release", "restore", "status"]
)
def test_a_command_starts_without_what_trains_or_draws(repo, name):
    code = (
        f"import sys, v8ops.production.{name}; "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'pydantic') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["rollback_command", "release", "restore", "status"])
def test_a_command_that_looks_at_no_bundle_does_not_wait_for_numpy(repo, name):
    code = f"import sys, v8ops.__main__, v8ops.production.{name}; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
