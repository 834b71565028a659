"""One changer of a models folder at a time, across processes."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from v8ops.production.errors import ProductionError

NAME = ".rollout.json.lock"
WAIT_S = 5.0  # a change takes milliseconds: who holds the lock for longer hangs or was stopped
LOOK_EVERY_S = 0.005


@contextlib.contextmanager
def only_changer(models_dir: Path) -> Iterator[None]:
    """Wait for the others and keep them out; the lock goes with the process that holds it.

    Raises
    ------
    ProductionError
        If there is no such folder, it cannot be written, or somebody holds the lock for longer
        than `WAIT_S`: what serves must not hang with a process that does.
    """
    if not models_dir.is_dir():
        raise ProductionError(f"{models_dir} is no folder: models are written there by a run")
    path = models_dir / NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise ProductionError(f"{path} cannot be opened: {error.strerror}") from None
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    end = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise ProductionError(
                    f"{path} has been held for {WAIT_S:g} s by another process: see which "
                    "promote, advance, rollback or serve hangs, end it and do this again"
                ) from None
            time.sleep(LOOK_EVERY_S)
        except OSError as error:
            raise ProductionError(f"{path} cannot be locked: {error.strerror}") from None
        else:
            return
