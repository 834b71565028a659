"""models/rollout.json: read whole, changed by one process at a time, replaced atomically.

Each change leaves the state before it beside the file, as `rollout.json.<revision>`: a person
can restore it, and nothing does so by itself.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from v8lib.errors import StoreError
from v8lib.storage import read_json, write_json
from v8ops.production.errors import ProductionError
from v8ops.production.rollout_content import content_of, rollout_of
from v8ops.production.rollout_state import Rollout

NAME = "rollout.json"
KEPT = 10  # states before the present one


def read_rollout(models_dir: Path | str) -> Rollout:
    """Return what the file says; nothing is rolled out where there is none.

    Raises
    ------
    ProductionError
        If the file cannot be read, is damaged, or breaks a rule.
    """
    path = Path(models_dir) / NAME
    if not path.exists() and not path.is_symlink():
        return Rollout()
    return _read(path)


def change_rollout(
    models_dir: Path | str,
    change: Callable[[Rollout], Rollout],
    *,
    expected_revision: int | None = None,
) -> Rollout:
    """Change the state and return the new one; what raises leaves it as it was.

    Parameters
    ----------
    models_dir : path
        The models folder; it must exist.
    change : callable
        Takes the present rollouts and returns others. The same object means no change.
    expected_revision : int, optional
        Of the state that the caller has looked at.

    Raises
    ------
    ProductionError
        If somebody else has changed the state since, or it cannot be read or written.
    """
    models_dir = Path(models_dir)
    with _only_changer(models_dir):
        before = read_rollout(models_dir)
        if expected_revision is not None and before.revision != expected_revision:
            raise ProductionError(
                f"somebody else changed {NAME}: revision {before.revision}, expected "
                f"{expected_revision}; look at status and do it again"
            )
        changed = change(before)
        if changed is before:
            return before
        after = replace(changed, revision=before.revision + 1)
        _replace(models_dir, before, after)
    return after


def restore_rollout(models_dir: Path | str, change: Callable[[Rollout], Rollout]) -> Rollout:
    """Put the newest kept state that can be read in the place of a damaged file.

    The revision goes on from the largest that was ever seen here.

    Raises
    ------
    ProductionError
        If the file is not damaged, or no kept state can be read.
    """
    models_dir = Path(models_dir)
    with _only_changer(models_dir):
        if not _is_damaged(models_dir):
            raise ProductionError(f"{models_dir / NAME} is not damaged: nothing to restore")
        kept = kept_revisions(models_dir)
        for revision in reversed(kept):
            try:
                found = _read(models_dir / f"{NAME}.{revision}")
            except ProductionError:
                continue
            # One above what was lost: the file that cannot be read had at least kept + 1.
            after = replace(change(found), revision=kept[-1] + 2)
            _save(models_dir / NAME, after)
            return after
    raise ProductionError(f"{models_dir / NAME}: no kept state beside it can be read")


def _is_damaged(models_dir: Path) -> bool:
    try:
        read_rollout(models_dir)
    except ProductionError:
        return True
    return False


def kept_revisions(models_dir: Path | str) -> list[int]:
    """Return the revisions that are kept beside the file, oldest first."""
    suffixes = (path.name.removeprefix(f"{NAME}.") for path in Path(models_dir).glob(f"{NAME}.*"))
    return sorted(int(suffix) for suffix in suffixes if suffix.isdigit())


def _read(path: Path) -> Rollout:
    try:
        return rollout_of(read_json(path))
    except ProductionError as error:
        raise ProductionError(f"{path} is damaged: {error}; see restore") from None
    except (StoreError, OSError) as error:
        raise ProductionError(f"{path} cannot be read: {error}; see restore") from None


def _replace(models_dir: Path, before: Rollout, after: Rollout) -> None:
    """Keep the state before, then write the one after; a kill leaves one of them."""
    rollout_of(content_of(after))  # a move that breaks a rule must not reach the file
    if before.revision:
        _save(models_dir / f"{NAME}.{before.revision}", before)
    _save(models_dir / NAME, after)
    for revision in kept_revisions(models_dir)[:-KEPT]:
        (models_dir / f"{NAME}.{revision}").unlink(missing_ok=True)


def _save(path: Path, rollout: Rollout) -> None:
    try:
        write_json(path, content_of(rollout))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name too outlives the power
        finally:
            os.close(folder)
    except OSError as error:
        raise ProductionError(f"{path} cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _only_changer(models_dir: Path) -> Iterator[None]:
    """Wait for the others and keep them out; the lock goes with the process that holds it."""
    if not models_dir.is_dir():
        raise ProductionError(f"{models_dir} is no folder: models are written there by a run")
    try:
        handle = os.open(models_dir / f".{NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ProductionError(f"{models_dir} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
