"""The parent of forked kernels: imports what every notebook needs once, then forks on request.

Started by `warm.WarmParent` as ``python -m v8ops.run.zygote SOCKET``. Most of a short notebook's
time is imports; a fork has them already and is a process of its own all the same.
One thread, no torch operation and no CUDA call before the fork: both would make it unsafe.

It is started before the run is planned, and imports what reads no limit on threads until one
JSON line on stdin tells {"clients", "env"}. Half of the imports are for later notebooks than
the first. They are done when so many clients have their first kernel, or one asks for its
next: that one waits for what it needs, or it would import that itself.

A client sends one JSON line {"argv", "cwd", "env"} and gets {"pid"}. When a client goes away,
its kernels are killed; when stdin closes, everything is.
"""

import gc
import importlib
import json
import os
import random
import selectors
import signal
import socket
import sys
from types import SimpleNamespace

import v8lib  # noqa: F401 - first: it keeps a slow import out of everything below
from v8ops.run.kernel_imports import AT_ONCE, FIRST, STAGES

REQUEST_BYTES = 1 << 20
STDIN = 0
BEHIND = 10  # niceness of the first kernels: all later ones wait for what is imported meanwhile


def fork_kernel(request: dict, inherited: list[int], *, first: bool) -> int:
    """Fork a kernel for a request and return its pid; the child never returns."""
    pid = os.fork()
    if pid:
        return pid
    try:
        become_kernel(request, inherited, first=first)
    finally:
        os._exit(1)


def become_kernel(request: dict, inherited: list[int], *, first: bool) -> None:
    """Turn this forked child into a kernel that looks freshly started.

    One of the first lets its parent's imports go before it. For that it stays in its parent's
    session, too: Linux may share the cores among sessions before it looks at who is nice.
    """
    for descriptor in inherited:
        os.close(descriptor)
    if first:
        os.setpgid(0, 0)
        os.nice(BEHIND)
    else:
        os.setsid()
    gc.enable()
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    random.seed()
    import numpy as np

    np.random.seed()  # noqa: NPY002 - the global generator must differ between forks

    # argv is [python, -m, ipykernel_launcher, options...]; the options are what counts. The
    # kernel watches its real parent and ends with it.
    watched = f"--IPKernelApp.parent_handle={os.getppid()}"
    launch_kernel([*request["argv"][3:], watched])


def launch_kernel(options: list[str]) -> None:
    """Do what `IPKernelApp.launch_instance` does, but for the list of all modules' files.

    It is for a debugger, which `main` leaves out. Whoever looks at a module counts a reference
    to it, and a fork copies the page it lies on: 5,000 pages for the 3,500 modules of a late
    kernel.
    """
    from ipykernel import ipkernel
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    ipkernel.sys = SimpleNamespace(modules={})  # this module looks at nothing else meanwhile
    try:
        app.initialize(options)
    finally:
        ipkernel.sys = sys
    app.start()


class Server:
    """The loop that accepts clients and forks for them."""

    def __init__(self, path: str, at_first: int) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(STDIN, selectors.EVENT_READ)
        self.kernels: dict[socket.socket, list[int]] = {}
        self.buffers: dict[socket.socket, bytes] = {}
        self.at_first = at_first
        self.stages = [list(stage) for stage in STAGES]  # what is still to be imported
        self.waiting: list[tuple[socket.socket, dict]] = []

    def serve(self) -> None:
        """Answer until stdin closes, then kill what is left."""
        while True:
            for key, _ in self.selector.select(0 if self.has_time() else None):
                if key.fileobj is self.listener:
                    client, _ = self.listener.accept()
                    self.selector.register(client, selectors.EVENT_READ)
                    self.kernels[client], self.buffers[client] = [], b""
                elif key.fileobj == STDIN:
                    if not os.read(STDIN, REQUEST_BYTES):
                        for client in list(self.kernels):
                            self.forget(client)
                        return
                else:
                    self.hear(key.fileobj)
            if self.has_time():
                self.import_one()

    def has_time(self) -> bool:
        """Return whether something is left to import, and nobody waits for a first kernel."""
        started = sum(map(bool, self.kernels.values()))
        return bool(self.stages) and (started >= self.at_first or bool(self.waiting))

    def import_one(self) -> None:
        """Import one module more; after the last of a stage, who waited for it gets a kernel."""
        stage = self.stages[0]
        importlib.import_module(stage.pop(0))
        if not stage:
            del self.stages[0]
            gc.freeze()
            waiting, self.waiting = self.waiting, []
            for client, request in waiting:
                self.answer_or_wait(client, request)

    def hear(self, client: socket.socket) -> None:
        """Answer a complete request, now or later; forget a client that has gone."""
        received = client.recv(REQUEST_BYTES)
        if not received:
            self.forget(client)
            return
        self.buffers[client] += received
        if not self.buffers[client].endswith(b"\n"):
            return
        request, self.buffers[client] = json.loads(self.buffers[client]), b""
        self.answer_or_wait(client, request)

    def answer_or_wait(self, client: socket.socket, request: dict) -> None:
        """Answer if all is imported that this kernel of a client needs; its first needs nothing."""
        needed, done = len(self.kernels[client]), len(STAGES) - len(self.stages)
        if self.stages and needed > done:
            self.waiting.append((client, request))
        else:
            self.answer(client, request)

    def answer(self, client: socket.socket, request: dict) -> None:
        """Fork a kernel for a client and tell it the process id."""
        inherited = [self.listener.fileno(), *(c.fileno() for c in self.kernels)]
        inherited += [kernel for kernels in self.kernels.values() for kernel in kernels]
        pid = fork_kernel(request, inherited, first=len(self.stages) == len(STAGES))
        self.kernels[client].append(os.pidfd_open(pid))
        client.sendall(json.dumps({"pid": pid}).encode() + b"\n")

    def forget(self, client: socket.socket) -> None:
        """Kill a client's kernels and close its connection."""
        self.waiting = [(c, request) for c, request in self.waiting if c is not client]
        for kernel in self.kernels.pop(client):  # handles: a number may be another's by now
            try:
                signal.pidfd_send_signal(kernel, signal.SIGKILL)
            except ProcessLookupError:
                pass  # the kernel ended by itself, as it should
            finally:
                os.close(kernel)
        del self.buffers[client]
        self.selector.unregister(client)
        client.close()


def main(arguments: list[str]) -> int:
    """Import what is needed at once, then serve and import the rest; 0 if there is no run."""
    # No one can attach a debugger to these kernels, and loading one takes as long as the rest of
    # a kernel's start. ipykernel goes without where it is not installed.
    sys.modules.setdefault("debugpy", None)
    # What imports make stays. A collector that walks through it again and again makes them a
    # third longer, and in a fork would copy all of its pages: `become_kernel` lets it work.
    gc.disable()
    for name in FIRST:
        importlib.import_module(name)
    line = os.read(STDIN, REQUEST_BYTES)  # shorter than a pipe takes at once, so it comes whole
    if not line:  # nothing was begun
        return 0
    told = json.loads(line)
    os.environ.update(told["env"])
    for name in AT_ONCE:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended kernels leave no zombies
    server = Server(arguments[0], told["clients"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve()
    return 0


if __name__ == "__main__":
    # Nothing is left to do, and taking the modules apart takes a tenth of a second.
    os._exit(main(sys.argv[1:]))
