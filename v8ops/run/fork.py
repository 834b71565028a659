"""Kernels forked from a warm parent: the client side of `zygote`, as a papermill engine."""

import asyncio
import json
import os
import select
import signal
import socket
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

from v8ops.run.steps import SOCKET_VARIABLE

CONNECT_TRIES, CONNECT_WAIT_S = 600, 0.1  # the zygote may still be importing

_connection: socket.socket | None = None


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


class ForkKernelManager(AsyncKernelManager):
    """A kernel manager whose kernels are forks."""

    async def _async_pre_start_kernel(self, **kw: Any) -> tuple[list[str], dict[str, Any]]:
        if self.provisioner is None:
            self.kernel_id = self.kernel_id or "fork"
            self.provisioner = ForkProvisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
        return await super()._async_pre_start_kernel(**kw)
