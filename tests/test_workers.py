"""Workers come from a parent that is warm, and the parent of kernels imports in two steps."""

import json
import queue
import socket
import sys

import pytest

from tests.runs import smoke_parameters
from v8lib.storage import write_json
from v8ops.run import zygote
from v8ops.run.steps import symbol_steps
from v8ops.run.workers import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")


def heard(events: queue.Queue) -> list[str]:
    """Return what a worker says until it ends."""
    lines = []
    while (line := events.get(timeout=60)[1]) is not None:
        lines.append(line)
    return lines


def worker_of(job: dict | None, folder, **env: str) -> Worker:
    """Return a worker of this job; of a file that does not exist if it is None."""
    path = folder / "job.json"
    if job is not None:
        write_json(path, job)
    return Worker("BTC", path, folder / "worker.log", env)


def test_a_worker_without_steps_ends_well_and_says_nothing(tmp_path):
    job = {"kind": "symbol", "symbol": "BTC", "folder": str(tmp_path), "steps": []}
    worker, events = worker_of(job, tmp_path), queue.Queue()
    worker.listen(events)
    assert heard(events) == []
    assert worker.wait() == 0
    assert (tmp_path / "worker.log").read_text() == ""


def test_what_a_worker_dies_of_stands_in_its_log_alone(tmp_path, capfd):
    worker, events = worker_of(None, tmp_path), queue.Queue()
    worker.listen(events)
    assert heard(events) == []
    assert worker.wait() == 1
    assert "StoreError" in (tmp_path / "worker.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_a_step_says_how_it_ended_and_fails_by_its_status(tmp_path):
    steps = [["01_prepare_data", {"symbol": "BTC", "source": "nonsense"}]]
    job = {"kind": "symbol", "symbol": "BTC", "folder": str(tmp_path), "steps": steps}
    job |= {"input_sha256": "", "banner": ""}
    worker, events = worker_of(job, tmp_path), queue.Queue()
    worker.listen(events)
    told = [json.loads(line) for line in heard(events)]
    assert [told[0]["event"], told[-1]["event"]] == ["started", "failed"]
    assert worker.wait() == 1
    worker.stop()


def test_a_worker_whose_life_line_ends_ends_with_its_kernel_in_the_middle_of_a_cell(tmp_path):
    import psutil

    long = smoke_parameters(market_bars=20_000_000)  # minutes of work in one cell
    places = {"data_path": "", "run_dir": tmp_path, "models_dir": tmp_path}
    steps = [[step.name, dict(step.parameters)] for step in symbol_steps(long, **places)]
    job = {"kind": "symbol", "symbol": "BTC", "folder": str(tmp_path), "steps": steps}
    job |= {"input_sha256": "", "banner": ""}
    worker, events = worker_of(job, tmp_path), queue.Queue()
    worker.listen(events)
    while json.loads(events.get(timeout=60)[1])["event"] != "cell":
        pass
    family = [process := psutil.Process(worker.process.pid), *process.children(recursive=True)]
    assert len(family) > 1
    worker.stop()
    assert worker.wait() == 1  # by itself: one that has to be killed has a status below zero
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert {json.loads(line)["event"] for line in heard(events)} <= {"cell"}


@pytest.fixture
def parent(monkeypatch, tmp_path):
    """A parent of kernels for two clients, with modules to import and forks that are told."""
    forked, imported = [], []
    life, line = zygote.os.pipe()
    monkeypatch.setattr(zygote, "STDIN", life)
    monkeypatch.setattr(zygote, "STAGES", (("one", "two"), ("three",)))
    monkeypatch.setattr(zygote.importlib, "import_module", imported.append)
    monkeypatch.setattr(zygote.gc, "freeze", lambda: imported.append("kept"))
    monkeypatch.setattr(
        zygote,
        "fork_kernel",
        lambda request, _, first: forked.append(request | {"first": first}) or 1,
    )
    monkeypatch.setattr(zygote.os, "pidfd_open", lambda _pid: 99)
    server = zygote.Server(str(tmp_path / "s"), at_first=2)
    yield server, forked, imported
    server.selector.close()
    server.listener.close()
    zygote.os.close(life)
    zygote.os.close(line)


def client_of(server: zygote.Server) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a client that the server knows."""
    near, far = socket.socketpair()
    server.selector.register(near, zygote.selectors.EVENT_READ)
    server.kernels[near], server.buffers[near] = [], b""
    return near, far


def ask(server: zygote.Server, near: socket.socket, far: socket.socket, name: str) -> None:
    """Let a client ask for a kernel, and the server hear it."""
    far.sendall(json.dumps({"name": name}).encode() + b"\n")
    server.hear(near)


def test_the_rest_is_imported_when_all_clients_have_their_first_kernel(parent):
    server, forked, imported = parent
    (a, far_a), (b, far_b) = client_of(server), client_of(server)
    assert not server.has_time()
    ask(server, a, far_a, "a 1")
    assert not server.has_time()
    ask(server, b, far_b, "b 1")
    assert [request["name"] for request in forked] == ["a 1", "b 1"]
    for _ in range(3):
        assert server.has_time()
        server.import_one()
    assert imported == ["one", "two", "kept", "three", "kept"]
    assert not server.has_time()
    for end in (a, far_a, b, far_b):
        end.close()


def test_a_kernel_waits_for_what_it_needs_and_sets_the_imports_going(parent):
    server, forked, imported = parent
    (a, far_a) = client_of(server)

    def names():
        return [request["name"] for request in forked]

    ask(server, a, far_a, "a 1")
    assert not server.has_time()
    ask(server, a, far_a, "a 2")
    assert server.has_time()
    server.import_one()
    assert names() == ["a 1"]
    server.import_one()
    assert names() == ["a 1", "a 2"]
    assert imported == ["one", "two", "kept"]
    assert not server.has_time()
    ask(server, a, far_a, "a 3")
    assert names() == ["a 1", "a 2"]
    assert server.has_time()
    server.import_one()
    assert imported == ["one", "two", "kept", "three", "kept"]
    ask(server, a, far_a, "a 4")
    assert names() == ["a 1", "a 2", "a 3", "a 4"]
    assert [request["first"] for request in forked] == [True, False, False, False]
    for end in (a, far_a):
        end.close()
