from pathlib import Path
from types import SimpleNamespace

import nbformat
import papermill.execute
import pytest
from papermill import engines, iorw
from papermill.engines import NBClientEngine

from v8ops.run import execute


class Manager:
    """What of papermill's manager the engine looks at: it counts how often it is written."""

    def __init__(self, n_cells):
        self.nb = SimpleNamespace(cells=[object()] * n_cells)
        self.written = 0

    def save(self, **_):
        self.written += 1

    def cell_start(self, cell, cell_index=None, **_):
        self.save()


@pytest.fixture
def manager(monkeypatch):
    def run(nb_man, kernel_name, **kwargs):
        for index, cell in enumerate(nb_man.nb.cells):
            nb_man.cell_start(cell, cell_index=index)

    monkeypatch.setattr(NBClientEngine, "execute_managed_notebook", staticmethod(run))
    return Manager(n_cells=5)


@pytest.mark.parametrize(("every_s", "expected"), [(30.0, 0), (0.0, 5)])
def test_a_running_notebook_is_written_now_and_then(manager, monkeypatch, every_s, expected):
    monkeypatch.setattr(execute, "WRITE_EVERY_S", every_s)
    execute.ReportingEngine.execute_managed_notebook(manager, "python3")
    assert manager.written == expected


def test_what_a_dead_kernel_leaves_is_written(manager, monkeypatch):
    def fail(nb_man, kernel_name, **kwargs):
        raise RuntimeError("the kernel died")

    monkeypatch.setattr(NBClientEngine, "execute_managed_notebook", staticmethod(fail))
    with pytest.raises(RuntimeError, match="the kernel died"):
        execute.ReportingEngine.execute_managed_notebook(manager, "python3")
    manager.save()  # as papermill does at the end of an engine
    assert manager.written == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_notebook_is_written_when_it_begins_and_when_it_ends(tmp_path, monkeypatch, fails):
    def run(nb_man, kernel_name, **kwargs):
        cell = nb_man.nb.cells[0]
        nb_man.cell_start(cell, cell_index=0)
        if fails:
            error = {"ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": []}
            cell.outputs = [nbformat.v4.new_output("error", **error)]
            nb_man.cell_exception(cell, cell_index=0)
        nb_man.cell_complete(cell, cell_index=0)

    writes = []

    def write(nb, path):
        writes.append(Path(path).name)
        return iorw.write_ipynb(nb, path)

    monkeypatch.setattr(NBClientEngine, "execute_managed_notebook", staticmethod(run))
    for place in (engines, papermill.execute):
        monkeypatch.setattr(place, "write_ipynb", write)
    notebook = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()]), notebook)
    output = tmp_path / "out" / "a.ipynb"
    output.parent.mkdir()
    if fails:
        with pytest.raises(execute.NotebookFailed, match="ZeroDivisionError: division by zero"):
            execute.execute(notebook, output, {})
        assert not output.exists()
        kept = nbformat.read(output.with_suffix(".failed.ipynb"), as_version=4)
        assert "ZeroDivisionError" in str(kept.cells)
    else:
        execute.execute(notebook, output, {})
        assert output.is_file()
    assert writes == ["a.partial.ipynb"] * 2


def test_progress_is_told_as_each_cell_starts(manager, monkeypatch):
    told = []
    progress = staticmethod(lambda cell, cells: told.append((cell, cells)))
    monkeypatch.setattr(execute.ReportingEngine, "progress", progress)
    execute.ReportingEngine.execute_managed_notebook(manager, "python3")
    assert told == [(k, 5) for k in range(5)]
