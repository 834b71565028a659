"""The parent of forked kernels, from the runner's side: started first, told later what for."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from v8lib.errors import RunError, V8Error
from v8ops.run.limits import GIVE_BACK, clean_env, thread_limits
from v8ops.run.steps import PROJECT, SOCKET_VARIABLE


def decide_engine(asked: str) -> str:
    """Return "fork" or "papermill".

    Forking is safe on Linux without CUDA: elsewhere a fork after the system's own libraries
    have started threads may hang, and a CUDA context does not survive one.

    Raises
    ------
    RunError
        If fork is asked for where it cannot work.
    """
    can_fork = sys.platform == "linux" and hasattr(os, "pidfd_open")
    if asked == "fork" and not can_fork:
        raise RunError("--engine fork works on Linux only: use papermill")
    has_cuda = Path("/dev/nvidiactl").exists()
    return (
        "fork"
        if asked == "fork" or (asked == "auto" and can_fork and not has_cuda)
        else "papermill"
    )


class WarmParent:
    """The parent of forked kernels, where the engine is fork; with papermill there is none.

    As a context it starts at once and imports what reads no limit, while the run is planned.
    `begin` lets it go on; whoever needs it first waits for it. It ends with the context, its
    kernels with it. What it said goes to the run's folder in the end, if there is one: bad
    input must leave nothing.

    Parameters
    ----------
    engine : {"papermill", "fork"}
        From `decide_engine`.
    """

    def __init__(self, engine: str) -> None:
        self.forks = engine == "fork"
        self.run_dir: Path | None = None

    def __enter__(self) -> "WarmParent":
        if self.forks:
            self.temporary = tempfile.TemporaryDirectory(prefix="v8-")
            self.folder = Path(self.temporary.name)  # sockets want a short path
            with (self.folder / "log").open("wb") as out:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "v8ops.run.zygote", str(self.folder / "zygote")],
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=out,
                    cwd=PROJECT,
                    env=clean_env(**GIVE_BACK),
                    start_new_session=True,
                )
        return self

    def begin(self, run_dir: Path, *, clients: int, threads: int) -> dict[str, str]:
        """Say what the parent will be there for.

        Parameters
        ----------
        run_dir : path
            Where its log goes.
        clients : int
            How many will ask for their first kernel at the same time.
        threads : int
            Of the numeric libraries of its kernels.

        Returns
        -------
        dict
            What a worker's environment needs to find it: nothing for papermill.

        Raises
        ------
        RunError
            If it has ended already.
        """
        if not self.forks:
            return {}
        self.run_dir = run_dir
        told = {"clients": clients, "env": thread_limits(threads)}
        try:
            self.process.stdin.write(json.dumps(told).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise RunError("the parent of the kernels has ended: use --engine papermill") from None
        return {SOCKET_VARIABLE: str(self.folder / "zygote")}

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.forks:
            return
        with self.temporary:
            if kind is not None and issubclass(kind, V8Error):
                self.process.kill()  # nothing runs: do not wait until it has imported everything
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass  # it has gone already, and what it was told last with it
            self.process.wait()
            if self.run_dir is not None and self.run_dir.is_dir():
                shutil.copyfile(self.folder / "log", self.run_dir / ".zygote.log")
