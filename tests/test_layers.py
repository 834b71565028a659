"""Imports go downward only, heavy packages stay in their modules, and nothing is pickled."""

import ast
from pathlib import Path

import pytest

import v8lib

LAYERS = {
    0: (
        "errors",
        "config",
        "looks",
        "storage",
        "seeds",
        "windows",
        "provenance",
        "bar_interval",
        "label",
        "audit_finding",
        "json_values",
    ),
    1: (
        "bars",
        "raw_bars",
        "bar_table",
        "bar_moment",
        "bar_container",
        "bar_arrow",
        "bar_header",
        "bar_text",
        "bar_columns",
        "bar_numbers",
        "bar_dates",
        "bar_date_order",
        "bar_epochs",
        "bar_time_columns",
        "bar_times",
        "bar_headerless",
        "bar_files",
        "bar_schema",
        "resample",
        "bar_damage",
        "bar_defects",
        "bar_clock",
        "bar_shape",
        "market",
        "garch",
        "sources",
        "series",
        "features",
        "bar_arrays",
        "history",
        "last_bar",
        "last_numbers",
        "latest",
        "feature",
        "price_features",
        "activity_features",
        "labels",
        "rows",
        "blocks",
        "splits",
        "scaling",
        "preparation",
        "store",
        "training_settings",
    ),
    2: ("model", "losses", "inversion", "metrics", "intervals", "decision", "sharpe"),
    3: (
        "hardware",
        "noise",
        "replay",
        "flat_parameters",
        "adamw",
        "gate",
        "norm_parts",
        "fast_net",
        "epoch_rows",
        "loss_gradient",
        "training_step",
        "checkpoint",
        "auxiliary",
        "mirror",
        "training",
        "calibration",
        "boosting",
        "baselines",
        "numpy_net",
        "runtime",
        "many_runtimes",
        "signals",
        "ensemble",
        "drift",
        "bundle",
        "bundle_folder",
        "golden",
        "kinds",
        "manifest",
        "linear",
        "net_values",
        "scaling_values",
        "onnx_net",
        "onnx_session",
        "drift",
        "train_reference",
        "skill_sources",
        "paired",
        "conditions",
        "power",
        "selective",
        "conformal",
        "earnings",
    ),
    4: (
        "gates",
        "pipeline_gates",
        "probes",
        "past_probe",
        "oddities",
        "bar_look",
        "bar_against",
        "bar_audit",
        "bar_fix",
        "audit_words",
        "bar_plots",
        "shuffling",
        "case",
        "examination",
        "recipe",
        "stored_case",
        "fallback",
        "foreign",
        "predecessor",
        "postmortem",
        "ablation",
        "experiments",
        "evaluation",
        "known_answer",
        "insight",
        "comparison",
        "figure_layout",
        "figure_png",
        "figure_stock",
        "plots",
        "skill_plots",
        "signal_plots",
        "scraps",
        "report",
        "report_tables",
    ),
}
LAYER = {name: layer for layer, names in LAYERS.items() for name in names}
FOLDER = Path(v8lib.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
MAY_IMPORT = {
    "torch": {
        "model",
        "losses",
        "auxiliary",
        "hardware",
        "noise",
        "replay",
        "flat_parameters",
        "adamw",
        "gate",
        "norm_parts",
        "fast_net",
        "epoch_rows",
        "loss_gradient",
        "training_step",
        "training",
        "predecessor",
    },
    "scrapbook": {"scraps"},
    "sklearn": {"baselines", "scaling", "boosting"},
    "lightgbm": {"boosting"},
    "crepes": {"conformal"},
    "purgedcv": set(),
    "matplotlib": {
        "figure_layout",
        "figure_png",
        "figure_stock",
        "plots",
        "skill_plots",
        "signal_plots",
        "bar_plots",
    },
    "seaborn": {"figure_stock", "plots"},
    "v8ops": set(),
    "pickle": set(),
    "joblib": set(),
    "dill": set(),
    "cloudpickle": set(),
    "subprocess": set(),
    "requests": set(),
    "urllib": set(),
    "socket": set(),
}
FORBIDDEN_CALLS = {"eval", "exec", "torch.load", "torch.save", "joblib.dump", "joblib.load"}


def parse(source):
    return ast.parse(source)


def tree_of(name):
    return parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def imported(tree):
    """Return the dotted names imported anywhere in a module, functions included."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "v8lib" if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            found |= {f"{base}.{alias.name}" for alias in node.names} | {base}
    return found


def siblings(tree):
    """Return the v8lib modules that a module imports, however it spells it."""
    parts = (name.split(".") for name in imported(tree))
    return {p[1] for p in parts if p[0] == "v8lib" and len(p) > 1 and p[1] in LAYER}


def packages(tree):
    return {name.split(".")[0] for name in imported(tree)}


def calls(tree):
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_the_walk_sees_every_spelling_of_an_import():
    source = (
        "import v8lib.gates\nfrom v8lib import plots as p\nfrom v8lib.bars import load_bars\n"
        "from . import scraps\nfrom .model import V8TradingNet\n"
        "def f():\n    import torch.nn\n    from sklearn.svm import SVC\n"
    )
    tree = parse(source)
    assert siblings(tree) == {"gates", "plots", "bars", "scraps", "model"}
    assert packages(tree) >= {"torch", "sklearn"}
    assert calls(parse("net.eval(); eval('1'); torch.load(f)")) == {
        "net.eval",
        "eval",
        "torch.load",
    }


def test_every_module_has_its_layer():
    assert sorted(set(MODULES) - set(LAYER)) == []
    assert len(MODULES) >= 60


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_downward_only(name):
    upward = sorted(other for other in siblings(tree_of(name)) if LAYER[other] > LAYER[name])
    assert upward == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_heavy_or_dangerous_package_is_imported_only_where_it_may_be(package):
    importing = {name for name in MODULES if package in packages(tree_of(name))}
    assert importing <= MAY_IMPORT[package]


@pytest.mark.parametrize(
    "package", ["torch", "scrapbook", "sklearn", "matplotlib", "lightgbm", "crepes"]
)
def test_the_packages_looked_for_are_really_in_use(package):
    there = MAY_IMPORT[package] & set(MODULES)
    assert any(package in packages(tree_of(name)) for name in there)


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_pickled_or_evaluated(name):
    assert sorted(calls(tree_of(name)) & FORBIDDEN_CALLS) == []


def test_no_module_is_longer_than_250_lines():
    lengths = {n: len((FOLDER / f"{n}.py").read_text("utf-8").splitlines()) for n in MODULES}
    assert {name: length for name, length in lengths.items() if length > 250} == {}


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc"])
def test_no_module_is_a_drawer_for_everything(name):
    assert name not in MODULES
