"""The processes of workers: forked from a parent that has done their imports, and listened to.

The parent is the standard library's fork server. It starts when asked for the first worker, or
earlier by `warm_parent_of_workers`, and ends with this process.
"""

import multiprocessing
import os
import queue
import threading
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path

from v8ops.run.limits import clean_env
from v8ops.run.steps import PROJECT

STOP_S = 10.0
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["v8ops.run.worker_parent"])


def warm_parent_of_workers() -> None:
    """Start the parent of workers, which imports while this process goes on."""
    forkserver.ensure_running()


class Worker:
    """One child process and the thread that listens to it.

    Parameters
    ----------
    name : str
        Symbol, or what the worker is for.
    job_file : path
        What `worker.main` is given.
    log : path
        File for what the worker says outside its events.
    env : mapping
        What its environment has beyond `limits.clean_env`.
    """

    def __init__(self, name: str, job_file: Path, log: Path, env: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        life, self.life = CONTEXT.Pipe(duplex=False)
        self.events, events = CONTEXT.Pipe(duplex=False)
        whole = clean_env(IPYTHONDIR=str(log.parent / ".ipython"), **env)
        self.process = CONTEXT.Process(
            target=become_worker, args=(str(job_file), str(log), whole, life, events)
        )
        self.process.start()
        life.close()  # the child's own copies keep these ends open, and nothing else may
        events.close()

    def listen(self, events: queue.Queue) -> None:
        """Put the worker's events into a queue, from a thread of its own."""
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def _listen(self, events: queue.Queue) -> None:
        with open(os.dup(self.events.fileno()), encoding="utf-8") as lines:  # noqa: PTH123
            for line in lines:
                events.put((self.name, line))
        events.put((self.name, None))

    def wait(self) -> int:
        """Wait for the worker's end and return its exit status."""
        self.process.join()
        return self.process.exitcode

    def stop(self) -> None:
        """End the worker and its kernels: they end when its life line is let go of."""
        self.life.close()
        self.process.join(timeout=STOP_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def become_worker(job_file: str, log: str, env: Mapping[str, str], life, events) -> None:
    """Turn a forked child into the worker of a job: a session, a log and pipes of its own."""
    from v8ops.run.worker import main

    os.setsid()  # an interrupt from the keyboard is for the runner alone
    os.chdir(PROJECT)
    os.environ.clear()
    os.environ.update(env)
    with Path(log).open("wb") as errors:
        os.dup2(errors.fileno(), 2)
    os.dup2(life.fileno(), 0)
    os.dup2(events.fileno(), 1)
    life.close()
    events.close()
    raise SystemExit(main([job_file]))
