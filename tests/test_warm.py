"""The parent of forked kernels from the runner's side: when it starts, what it is told, its end."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from v8lib.errors import RunError
from v8ops.run import warm, zygote
from v8ops.run.steps import PROJECT, SOCKET_VARIABLE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
LOOKED_FOR = ("numpy", "pandas", "pyarrow", "scipy", "torch", "pydantic")


def loaded(*names: str) -> list[str]:
    """Return which numeric libraries and pydantic a fresh process has after these imports."""
    code = f"import importlib, json, sys; [importlib.import_module(n) for n in {names!r}]; "
    code += f"print(json.dumps([n for n in {LOOKED_FOR!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    return json.loads(done.stdout)


def gone(parent: warm.WarmParent) -> bool:
    """Return whether a parent and its folder are no more."""
    return parent.process.returncode is not None and not parent.folder.exists()


def test_starting_a_parent_needs_nothing_that_computes_or_checks():
    assert loaded("v8ops.run.warm") == []
    assert loaded("v8ops.run.plan") == ["pydantic"]


def test_the_parent_of_workers_computes_nothing_and_its_workers_could():
    assert loaded("v8ops.run.worker_parent") == []
    assert "pyarrow" in loaded("v8ops.run.worker_parent", "pyarrow")


def test_what_the_parent_imports_first_looks_at_no_limit_on_threads():
    assert loaded(*zygote.FIRST) == ["pydantic"]
    assert "numpy" in loaded(*zygote.FIRST, "matplotlib.figure")


@pytest.fixture
def zygote_main(monkeypatch):
    """What runs main with a line on stdin, what that imported at which limit, what it served."""
    seen, served = {}, []

    def run(line: bytes) -> int:
        life, end = os.pipe()
        os.write(end, line)
        os.close(end)
        monkeypatch.setattr(zygote, "STDIN", life)
        try:
            return zygote.main(["socket"])
        finally:
            os.close(life)

    def serve(path: str, clients: int) -> SimpleNamespace:
        served.append((path, clients))
        return SimpleNamespace(serve=lambda: None)

    def note(name: str) -> None:
        seen[name] = os.environ["OMP_NUM_THREADS"]

    nothing = SimpleNamespace(write=lambda _: None, flush=lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "before")
    monkeypatch.setattr(zygote, "importlib", SimpleNamespace(import_module=note))
    monkeypatch.setattr(zygote, "gc", SimpleNamespace(disable=bool, freeze=bool))
    monkeypatch.setattr(zygote, "sys", SimpleNamespace(modules={}, stdout=nothing))
    monkeypatch.setattr(zygote.signal, "signal", lambda *_: None)
    monkeypatch.setattr(zygote, "Server", serve)
    return run, seen, served


def test_limits_are_there_before_what_reads_them_is_imported(zygote_main):
    run, seen, served = zygote_main
    assert run(b'{"clients": 3, "env": {"OMP_NUM_THREADS": "7"}}\n') == 0
    assert {seen[name] for name in zygote.FIRST} == {"before"}
    assert {seen[name] for name in zygote.AT_ONCE} == {"7"}
    assert served == [("socket", 3)]


def test_a_parent_that_is_told_nothing_ends_without_the_rest(zygote_main):
    run, seen, served = zygote_main
    assert run(b"") == 0
    assert set(seen) == set(zygote.FIRST)
    assert served == []


def test_with_papermill_there_is_no_parent(tmp_path):
    with warm.WarmParent("papermill") as parent:
        assert parent.begin(tmp_path, clients=1, threads=1) == {}
        assert not hasattr(parent, "process")


def test_a_parent_serves_where_its_clients_are_told_and_leaves_its_log(tmp_path):
    with warm.WarmParent("fork") as parent:
        env = parent.begin(tmp_path, clients=1, threads=1)
        assert env == {SOCKET_VARIABLE: str(parent.folder / "zygote")}
    assert parent.process.returncode == 0
    assert gone(parent)
    assert (tmp_path / ".zygote.log").read_text() == "ready\n"


def test_a_run_that_is_not_begun_leaves_nothing():
    with warm.WarmParent("fork") as parent:
        pass
    assert parent.process.returncode == 0
    assert gone(parent)


def test_bad_input_ends_a_parent_at_once(tmp_path):
    with pytest.raises(RunError, match="no bars"), warm.WarmParent("fork") as parent:
        parent.begin(tmp_path / "run", clients=1, threads=1)
        raise RunError("no bars")
    assert parent.process.returncode < 0  # it was killed, and not waited for
    assert gone(parent)
    assert not (tmp_path / "run").exists()


def test_a_parent_that_has_ended_already_is_told_of(tmp_path):
    with pytest.raises(RunError, match="--engine papermill"), warm.WarmParent("fork") as parent:
        parent.process.kill()
        parent.process.wait()
        parent.begin(tmp_path, clients=1, threads=1)
    assert gone(parent)


@pytest.mark.parametrize(
    ("asked", "platform", "expected"),
    [
        ("auto", "linux", "fork"),
        ("fork", "linux", "fork"),
        ("papermill", "linux", "papermill"),
        ("auto", "darwin", "papermill"),
    ],
)
def test_kernels_are_forked_where_that_is_safe(monkeypatch, asked, platform, expected):
    monkeypatch.setattr(warm.sys, "platform", platform)
    monkeypatch.setattr(warm.Path, "exists", lambda _: False)
    assert warm.decide_engine(asked) == expected


def test_kernels_are_not_forked_beside_cuda_or_where_they_cannot_be(monkeypatch):
    monkeypatch.setattr(warm.Path, "exists", lambda _: True)
    assert warm.decide_engine("auto") == "papermill"
    assert warm.decide_engine("fork") == "fork"
    monkeypatch.setattr(warm.sys, "platform", "win32")
    with pytest.raises(RunError, match="Linux"):
        warm.decide_engine("fork")
