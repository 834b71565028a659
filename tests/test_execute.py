from types import SimpleNamespace

import pytest
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


def test_papermill_s_last_call_always_writes_it(manager, monkeypatch):
    execute.ReportingEngine.execute_managed_notebook(manager, "python3")
    manager.save()
    assert manager.written == 1

    def fail(nb_man, kernel_name, **kwargs):
        raise RuntimeError("the kernel died")

    monkeypatch.setattr(NBClientEngine, "execute_managed_notebook", staticmethod(fail))
    with pytest.raises(RuntimeError, match="the kernel died"):
        execute.ReportingEngine.execute_managed_notebook(manager, "python3")
    manager.save()
    assert manager.written == 2


def test_progress_is_told_as_each_cell_starts(manager, monkeypatch):
    told = []
    progress = staticmethod(lambda cell, cells: told.append((cell, cells)))
    monkeypatch.setattr(execute.ReportingEngine, "progress", progress)
    execute.ReportingEngine.execute_managed_notebook(manager, "python3")
    assert told == [(k, 5) for k in range(5)]
