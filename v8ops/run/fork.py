"""Kernels forked from a warm parent: the client side of `zygote`, as a papermill engine."""

import asyncio
import itertools
import json
import os
import select
import signal
import socket
import time
from queue import Empty
from typing import Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from jupyter_core.paths import jupyter_path
from traitlets import Type, default

from v8ops.run.steps import SOCKET_VARIABLE

CONNECT_TRIES, CONNECT_WAIT_S = 600, 0.1  # the zygote may still be importing
ANSWER_S, IDLE_S = 1.0, 0.2  # how long a kernel may take before it is asked again
RECONNECT_MS = 5  # between tries to reach a kernel that does not listen yet

_connection: socket.socket | None = None
_kernels = itertools.count(1)


async def request_fork(argv: list[str], cwd: str, env: dict[str, str]) -> int:
    """Return the pid of a kernel forked by the zygote.

    Raises
    ------
    RuntimeError
        If the zygote has gone or cannot be reached.
    """
    global _connection
    if _connection is None:
        _connection = await _connect(os.environ[SOCKET_VARIABLE])
    _connection.sendall(json.dumps({"argv": argv, "cwd": cwd, "env": env}).encode() + b"\n")
    answer = _connection.makefile().readline()
    if not answer:
        raise RuntimeError("the parent of the kernels has ended: use --engine papermill")
    return json.loads(answer)["pid"]


async def _connect(path: str) -> socket.socket:
    for _ in range(CONNECT_TRIES):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            await asyncio.sleep(CONNECT_WAIT_S)
        else:
            return connection
    raise RuntimeError("the parent of the kernels did not start: use --engine papermill")


class ForkedProcess:
    """A kernel that is not our child, with the methods of Popen that jupyter_client calls."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.handle = os.pidfd_open(pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return 0 once the process has ended (its real status went to the zygote)."""
        if self.returncode is None and select.select([self.handle], [], [], 0)[0]:
            os.close(self.handle)
            self.returncode = 0
        return self.returncode

    def wait(self) -> int:
        """Wait for the process to end."""
        if self.returncode is None:
            select.select([self.handle], [], [])
        return self.poll() or 0

    async def ended(self) -> None:
        """Return when the process has ended, at once and not at the next look."""
        if self.poll() is None:
            told, loop = asyncio.Event(), asyncio.get_running_loop()
            loop.add_reader(self.handle, told.set)
            try:
                await told.wait()
            finally:
                loop.remove_reader(self.handle)

    def send_signal(self, number: int) -> None:
        """Send a signal to the process if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)


class ForkProvisioner(LocalProvisioner):
    """Starts a kernel by asking the zygote for a fork."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork a kernel and return its connection information."""
        env = {name: str(value) for name, value in kwargs["env"].items()}
        cwd = str(kwargs.get("cwd") or os.getcwd())  # noqa: PTH109 - as jupyter_client does
        self.pid = await request_fork(cmd, cwd, env)
        self.process, self.pgid, self.cwd = ForkedProcess(self.pid), self.pid, cwd
        return self.connection_info


class ForkKernelClient(AsyncKernelClient):
    """A client that takes a kernel for ready when it says so.

    The ordinary one listens until a fifth of a second has passed in silence, which is longer
    than a forked kernel takes to start.
    """

    def _context_default(self) -> zmq.asyncio.Context:
        context = super()._context_default()
        context.reconnect_ivl = RECONNECT_MS  # of every socket made here; libzmq waits 100 ms
        return context

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel has answered a question and is idle again.

        Raises
        ------
        RuntimeError
            If the kernel ends before that, or takes longer than `timeout` seconds.
        """
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while time.monotonic() < until:
            asked = self.kernel_info()
            try:
                await self.get_shell_msg(timeout=ANSWER_S)
                await self._idle_after(asked)
            except Empty:  # it starts still, or spoke before its second channel was open
                if not await self.is_alive():
                    raise RuntimeError("the kernel ended before it was ready") from None
            else:
                return
        raise RuntimeError(f"the kernel was not ready within {timeout:g} s")

    async def _idle_after(self, asked: str) -> None:
        while True:
            told = await self.get_iopub_msg(timeout=IDLE_S)
            if told["parent_header"].get("msg_id") != asked:
                continue
            if told["content"].get("execution_state") == "idle":
                return


class ForkKernelManager(AsyncKernelManager):
    """A kernel manager whose kernels are forks, reached through files and not through ports.

    A port that is found free belongs to nobody until the kernel listens: another kernel may take
    it, and so may a client that tries to reach it (TCP connects a socket to itself).
    """

    client_factory = Type(ForkKernelClient, klass=AsyncKernelClient)

    @default("kernel_spec_manager")
    def _without_old_places(self) -> KernelSpecManager:
        # By default it imports all of IPython, to ask it for a folder of IPython 3.
        return KernelSpecManager(parent=self, kernel_dirs=jupyter_path("kernels"))

    @default("transport")
    def _through_files(self) -> str:
        return "ipc"

    @default("ip")
    def _beside_the_zygote(self) -> str:  # "-1" to "-5" are appended, one per channel
        return f"{os.environ[SOCKET_VARIABLE]}-{os.getpid()}-{next(_kernels)}"

    async def _async_wait(self, pollinterval: float = 0.0) -> None:
        """Return when the kernel has ended; there is no need to look every now and then."""
        if self.provisioner.process is not None:
            await self.provisioner.process.ended()

    async def _async_pre_start_kernel(self, **kw: Any) -> tuple[list[str], dict[str, Any]]:
        if self.provisioner is None:
            self.kernel_id = self.kernel_id or "fork"
            self.provisioner = ForkProvisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
        return await super()._async_pre_start_kernel(**kw)
