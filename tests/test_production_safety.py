"""The production path stays light and runs nothing from outside: a walk over its code."""

import ast
import subprocess
import sys

import pytest

import v8ops.production

FOLDER = next(iter(v8ops.production.__path__))


def modules():
    from pathlib import Path

    return sorted(Path(FOLDER).glob("*.py"))


MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in modules()}
NEVER = {
    "torch",
    "sklearn",
    "scipy",
    "lightgbm",
    "pickle",
    "joblib",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "requests",
    "urllib",
    "socket",
    "papermill",
}
ONLY_IN = {
    "matplotlib": {"monitor_page", "monitor_plots"},
    "seaborn": set(),
    "subprocess": {"poll"},
    "onnx": {"onnx_graph", "onnx_wrapped", "onnx_file", "export"},
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "os.system"}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(tree):
    return {name.split(".")[0] for name in imported(tree)}


def test_there_is_something_to_walk_over():
    assert {"rollout_file", "transitions", "promote"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_nothing_heavy_or_dangerous_is_imported(name):
    found = packages(MODULES[name])
    assert sorted(found & NEVER) == []
    assert [p for p, where in ONLY_IN.items() if p in found and name not in where] == []


@pytest.mark.parametrize("name", MODULES)
def test_production_stands_on_the_library_and_on_itself(name):
    ours = [m for m in imported(MODULES[name]) if m.split(".")[0] == "v8ops"]
    others = [m for m in ours if not m.startswith("v8ops.production") and m != "v8ops"]
    assert others == []


@pytest.mark.parametrize("name", MODULES)
def test_nothing_from_outside_is_evaluated(name):
    calls = {ast.unparse(n.func) for n in ast.walk(MODULES[name]) if isinstance(n, ast.Call)}
    assert sorted(calls & FORBIDDEN_CALLS) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_no_module_is_longer_than_250_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("name", ["promote", "advance", "rollback_command", "status"])
def test_a_command_starts_without_what_trains_or_draws(repo, name):
    code = (
        f"import sys, v8ops.production.{name}; "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'matplotlib') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
