"""Forked kernels: warm, a process of their own, and neither waited for nor asked in vain."""

import ast
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from queue import Empty

import pytest

from v8ops.run import fork, zygote
from v8ops.run.limits import clean_env, numeric_limits
from v8ops.run.steps import PROJECT, SOCKET_VARIABLE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("0[1-5]_*.ipynb"))
HEAVY = ("arch", "matplotlib", "pandas", "scipy", "seaborn", "sklearn", "torch", "v8lib")
NICENESS = ("import os", "os.nice(0)")
LISTED_FOR_A_DEBUGGER = (
    "import sys; from ipykernel import ipkernel",
    "(len(get_ipython().kernel._kernel_modules), ipkernel.sys is sys)",
)
# What an import statement adds of the packages that take time.
NEW_MODULES = f"""
import sys
before = set(sys.modules)
exec(code)
new = sorted(n for n in set(sys.modules) - before if n.split(".")[0] in {HEAVY!r})
"""


def imports_of(notebook: Path) -> str:
    """Return the import statements of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    found = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert found
    return "\n".join(map(ast.unparse, found))


@pytest.fixture
def warm(tmp_path, monkeypatch):
    """A parent of kernels for one client, and its folder, which is empty but for its socket."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr(fork, "_connection", None)
    with tempfile.TemporaryDirectory(prefix="v8-") as folder:  # sockets want a short path
        path = f"{folder}/zygote"
        monkeypatch.setenv(SOCKET_VARIABLE, path)
        command = [sys.executable, "-m", "v8ops.run.zygote", path]
        env = clean_env(**numeric_limits(1))
        process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=PROJECT, env=env)
        process.stdin.write(b'{"clients": 1, "env": {}}\n')
        process.stdin.flush()
        yield process, Path(folder)
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@contextlib.asynccontextmanager
async def kernel(folder):
    """Yield the manager and the client of a kernel that is ready."""
    manager = fork.ForkKernelManager(kernel_name="python3")
    await manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        assert isinstance(client, fork.ForkKernelClient)
        assert client.shell_channel.socket.reconnect_ivl == fork.RECONNECT_MS
        await client.wait_for_ready(timeout=60)
        yield manager, client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel()


async def value_of(client, code: str, expression: str):
    """Return the value of an expression in a kernel that has run some code."""
    reply = await client.execute(
        code, reply=True, timeout=60, store_history=False, user_expressions={"it": expression}
    )
    assert reply["content"]["status"] == "ok", reply["content"]
    return ast.literal_eval(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])


def test_kernels_have_all_that_notebooks_import_and_end_when_told(warm, tmp_path):
    first, second, *others = NOTEBOOKS
    process, folder = warm

    async def both():
        async with kernel(tmp_path) as (manager, client):
            new = {first.stem: await value_of(client, _trial(first), "new")}
            later = await value_of(client, "import sys", "'torch' in sys.modules")
            pids, nice = [manager.provisioner.pid], [await value_of(client, *NICENESS)]
        async with kernel(tmp_path) as (_, client):
            new |= {second.stem: await value_of(client, _trial(second), "new")}
        async with kernel(tmp_path) as (manager, client):
            for notebook in others:
                new[notebook.stem] = await value_of(client, _trial(notebook), "new")
            collects = await value_of(client, "import gc", "gc.isenabled()")
            nice.append(await value_of(client, *NICENESS))
            assert len(list(folder.glob("zygote-*"))) == 5  # no port that others could take
            pids.append(manager.provisioner.pid)
            parent = await value_of(client, "import os", "os.getppid()")
            assert await value_of(client, *LISTED_FOR_A_DEBUGGER) == (0, True)
        return new, later, collects, nice, pids, parent

    new, later, collects, nice, pids, parent = asyncio.run(both())
    assert new == {notebook.stem: [] for notebook in NOTEBOOKS}
    assert not later  # the first kernel did not wait for what only later ones need
    assert collects
    assert nice == [min(os.nice(0) + zygote.BEHIND, 19), os.nice(0)]
    assert parent == process.pid
    assert len(set(pids)) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert [path.name for path in folder.iterdir()] == ["zygote"]


def _trial(notebook: Path) -> str:
    return f"code = {imports_of(notebook)!r}\n{NEW_MODULES}"


def test_a_kernel_is_found_without_importing_ipython(repo):
    code = (
        "import sys; sys.modules['pyarrow'] = None; from v8ops.run import fork; "
        "manager = fork.ForkKernelManager(kernel_name='python3'); "
        "print(manager.kernel_spec.language, 'IPython' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, text=True, capture_output=True, check=True
    )
    assert done.stdout.split() == ["python", "False"]


class Scripted(fork.ForkKernelClient):
    """A client whose kernel says what is written here, and nothing after that."""

    def __init__(self, shell, iopub, *, alive=True):
        super().__init__()
        self.shell, self.iopub, self.alive, self.asked = list(shell), list(iopub), alive, 0

    def kernel_info(self):
        self.asked += 1
        return f"question {self.asked}"

    async def get_shell_msg(self, timeout):
        return self._next(self.shell)

    async def get_iopub_msg(self, timeout):
        return self._next(self.iopub)

    async def is_alive(self):
        return self.alive

    @staticmethod
    def _next(messages):
        if not messages or messages[0] is None:
            del messages[:1]
            raise Empty
        return messages.pop(0)


def state(word, question):
    return {
        "parent_header": {"msg_id": f"question {question}"},
        "content": {"execution_state": word},
    }


def test_a_kernel_is_ready_when_it_is_idle_after_our_question():
    told = [{"parent_header": {}, "content": {}}, state("busy", 1), state("idle", 1), "not read"]
    client = Scripted([{}], told)
    asyncio.run(client.wait_for_ready(timeout=60))
    assert client.iopub == ["not read"]
    assert client.asked == 1


def test_a_kernel_that_was_idle_for_somebody_else_is_not_ready_for_us():
    client = Scripted([{}, {}], [state("idle", 0), None, state("idle", 2)])
    asyncio.run(client.wait_for_ready())
    assert client.asked == 2


def test_a_kernel_that_starts_still_is_asked_again():
    client = Scripted([None, None, {}], [state("idle", 3)])
    asyncio.run(client.wait_for_ready(timeout=60))
    assert client.asked == 3


def test_a_kernel_that_has_ended_is_not_waited_for():
    with pytest.raises(RuntimeError, match="ended before it was ready"):
        asyncio.run(Scripted([], [], alive=False).wait_for_ready(timeout=60))


def test_a_kernel_that_is_never_ready_is_given_up():
    with pytest.raises(RuntimeError, match="not ready within 0 s"):
        asyncio.run(Scripted([], []).wait_for_ready(timeout=0))


def test_the_end_of_a_process_is_noticed_and_leaves_nobody_listening():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    forked = fork.ForkedProcess(process.pid)

    async def watch():
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(forked.ended(), timeout=0.01)
        assert not loop.remove_reader(forked.handle)
        process.stdin.close()
        await asyncio.wait_for(forked.ended(), timeout=60)
        return loop.remove_reader(forked.handle)

    assert not asyncio.run(watch())
    assert forked.poll() == 0
    asyncio.run(forked.ended())  # once more: at once
    process.wait()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(forked.handle)
