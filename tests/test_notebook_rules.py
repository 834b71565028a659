"""What a notebook of this project looks like, so that each can be read and run alike."""

import ast
import json
import re
from pathlib import Path

import pytest

from v8lib.config import Parameters, merge_parameters
from v8ops.run.notebooks import ORDER
from v8ops.run.steps import NOTEBOOKS, PARAMS, PATHS, declared_parameters

PROJECT = Path(__file__).resolve().parents[1]
ALL = sorted(NOTEBOOKS.glob("**/*.ipynb"))
NAMES = [path.stem for path in ALL]
MAX_LINES = 16  # of one code cell; a call with one argument per line counts its lines
# Notebook 04 has thirty displays, each with the prose that goes before it.
MAX_CELLS = {"04_diagnose": 92, "01_prepare_data": 36}
PLUMBING = {*PATHS, "symbols"}
DRAWS = re.compile(
    r"plots\.show|report\.\w*html|report\.(banner|six_cards|stacked)|report_tables|\.to_frame\("
)


def cells(path, kind=None):
    loaded = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in loaded if kind in (None, cell["cell_type"])]


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def parameters_cell(path):
    found = [cell for cell in cells(path, "code") if "parameters" in tags(cell)]
    assert len(found) == 1
    return found[0]


def test_all_notebooks_are_there_and_checked():
    names = {path.relative_to(NOTEBOOKS).with_suffix("").as_posix() for path in ALL}
    assert names == set(ORDER)
    assert len(ORDER) == 10


@pytest.mark.parametrize("path", ALL, ids=NAMES)
class TestEveryNotebook:
    def test_it_opens_with_one_title(self, path):
        assert source(cells(path)[0]).startswith("# ")
        titles = [c for c in cells(path, "markdown") if source(c).startswith("# ")]
        assert len(titles) == 1

    def test_its_parameters_are_annotated_literals_with_a_comment(self, path):
        text = source(parameters_cell(path))
        for statement, line in zip(ast.parse(text).body, text.splitlines(), strict=True):
            assert isinstance(statement, ast.AnnAssign), line
            ast.literal_eval(statement.value)
            assert "#" in line, line

    def test_every_parameter_is_used(self, path):
        later = "\n".join(source(c) for c in cells(path, "code") if "parameters" not in tags(c))
        used = {n.id for n in ast.walk(ast.parse(later)) if isinstance(n, ast.Name)}
        assert [n for n in declared_parameters(path) if n not in used] == []

    def test_it_defines_nothing_and_prints_nothing(self, path):
        for cell in cells(path, "code"):
            tree = ast.parse(source(cell))
            banned = (ast.FunctionDef, ast.ClassDef, ast.Try, ast.Global, ast.For, ast.While)
            assert [n for n in ast.walk(tree) if isinstance(n, banned)] == []
            assert not re.search(r"\bprint\(|^[!%]", source(cell), re.MULTILINE)

    def test_its_cells_are_short_and_few(self, path):
        assert len(cells(path)) <= MAX_CELLS.get(path.stem, 30)
        for cell in cells(path, "code"):
            if "parameters" not in tags(cell) and not source(cell).startswith(("import", "from")):
                assert len(source(cell).splitlines()) <= MAX_LINES, source(cell)

    def test_prose_stands_before_every_cell_that_draws_or_tabulates(self, path):
        prose = False
        for cell in cells(path):
            if cell["cell_type"] == "markdown":
                prose = True
            elif DRAWS.search(source(cell)) and "remove-cell" not in tags(cell):
                assert prose, source(cell)
                prose = False

    def test_its_prose_carries_no_result(self, path):
        for cell in cells(path, "markdown"):
            assert not re.search(r"\d\.\d{3,}", source(cell).replace("1.099", "")), source(cell)

    def test_its_outputs_come_from_one_run_in_order_without_errors(self, path):
        counts = [c["execution_count"] for c in cells(path, "code")]
        assert counts == list(range(1, len(counts) + 1))
        for cell in cells(path, "code"):
            for output in cell["outputs"]:
                assert output["output_type"] != "error"
                assert output.get("name") != "stderr", output

    def test_its_outputs_hold_no_machine_path(self, path):
        text = json.dumps([c["outputs"] for c in cells(path, "code")])
        assert not re.search(r'[" ](/(?:home|root|work|tmp|Users)/)', text)

    def test_what_is_checked_has_an_output(self, path):
        checked = [c for c in cells(path, "code") if "nbval-check-output" in tags(c)]
        assert checked or path.stem == "explore"
        for cell in checked:
            assert cell["outputs"], source(cell)
            assert cell["execution_count"]

    def test_only_notebook_04_opens_the_test_split(self, path):
        text = "\n".join(source(c) for c in cells(path, "code"))
        opens = re.search(r'load_splits\([^)]*"test"|load_case\(|load_rows\(', text)
        assert bool(opens) == (path.stem == "04_diagnose")

    def test_it_imports_the_method_only(self, path):
        text = "\n".join(source(c) for c in cells(path, "code"))
        allowed = {"v8lib", "numpy", "pandas", "matplotlib"}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                assert {a.name.split(".")[0] for a in node.names} <= allowed
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] in allowed


def test_no_code_cell_is_a_copy_of_another():
    seen = {}
    for path in ALL:
        for cell in cells(path, "code"):
            text = source(cell)
            plain = not text.startswith(("import", "from")) and "parameters" not in tags(cell)
            if plain and text.count("\n") > 2:
                assert text not in seen, (path.stem, seen.get(text))
                seen[text] = path.stem


def test_the_parameters_cells_hold_the_smoke_values():
    smoke = merge_parameters(PARAMS, profile="smoke", symbol="BTC", source="simulated")
    for path in NOTEBOOKS.glob("0*.ipynb"):
        for statement in ast.parse(source(parameters_cell(path))).body:
            name = statement.target.id
            if name not in PLUMBING:
                assert ast.literal_eval(statement.value) == getattr(smoke, name), (path.stem, name)


def test_every_key_of_the_yaml_reaches_a_notebook():
    declared = {n for p in NOTEBOOKS.glob("0*.ipynb") for n in declared_parameters(p)}
    assert declared - PLUMBING == set(Parameters.model_fields)
