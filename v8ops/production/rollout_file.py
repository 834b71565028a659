"""models/rollout.json: read whole, changed by one process at a time, replaced atomically.

Every state is kept beside the file too, as `rollout.json.<revision>`, the newest ten: a person
can restore one, and nothing does so by itself.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from v8lib.storage import write_json
from v8ops.production.errors import ProductionError
from v8ops.production.rollout_content import content_of, parsed, rollout_of
from v8ops.production.rollout_lock import only_changer
from v8ops.production.rollout_state import Rollout

NAME = "rollout.json"
KEPT = 10  # states, the present one among them


def read_rollout(models_dir: Path | str) -> Rollout:
    """Return what the file says; nothing is rolled out where there never was one.

    Raises
    ------
    ProductionError
        If the file cannot be read, is damaged, breaks a rule, or is gone from beside the states
        that are kept: an empty state would forget which versions are blocked.
    """
    path = Path(models_dir) / NAME
    if os.path.lexists(path):
        return _read(path)
    if kept_revisions(models_dir):
        raise ProductionError(f"{path} is gone, and states before it are there; see restore")
    return Rollout()


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
    with only_changer(models_dir):
        before = read_rollout(models_dir)
        if expected_revision is not None and before.revision != expected_revision:
            raise ProductionError(
                f"somebody else changed {NAME}: revision {before.revision}, expected "
                f"{expected_revision}; look at status and do it again"
            )
        if before.revision and before.revision not in kept_revisions(models_dir):
            _save(_kept(models_dir, before.revision), before)  # a kill, or a full disk, left it out
        changed = change(before)
        if changed is before:
            return before
        after = replace(changed, revision=before.revision + 1)
        rollout_of(content_of(after))  # a move that breaks a rule must not reach the file
        _commit(models_dir, after)
    return after


def restore_rollout(models_dir: Path | str, change: Callable[[Rollout], Rollout]) -> Rollout:
    """Put the newest kept state that can be read in the place of a damaged or lost file.

    The revision goes on from the largest that was ever seen here.

    Raises
    ------
    ProductionError
        If the file is not damaged, or no kept state can be read.
    """
    models_dir = Path(models_dir)
    with only_changer(models_dir):
        if _is_readable(models_dir):
            raise ProductionError(f"{models_dir / NAME} is not damaged: nothing to restore")
        kept = kept_revisions(models_dir)
        for revision in reversed(kept):
            try:
                found = _read(_kept(models_dir, revision))
            except ProductionError:
                continue
            # What was lost may be one ahead of what is kept, and no revision is used twice.
            after = replace(change(found), revision=kept[-1] + 2)
            _commit(models_dir, after)
            return after
    raise ProductionError(f"{models_dir / NAME}: no kept state beside it can be read")


def kept_revisions(models_dir: Path | str) -> list[int]:
    """Return the revisions that are kept beside the file, oldest first."""
    suffixes = (path.name.removeprefix(f"{NAME}.") for path in Path(models_dir).glob(f"{NAME}.*"))
    return sorted(int(s) for s in suffixes if s.isascii() and s.isdecimal() and len(s) < 19)


def _kept(models_dir: Path, revision: int) -> Path:
    return models_dir / f"{NAME}.{revision}"


def _is_readable(models_dir: Path) -> bool:
    try:
        read_rollout(models_dir)
    except ProductionError:
        return False
    return True


def _read(path: Path) -> Rollout:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProductionError(f"{path} cannot be read: {error.strerror}; see restore") from None
    try:
        return rollout_of(parsed(content))
    except ProductionError as error:
        raise ProductionError(f"{path} is damaged: {error}; see restore") from None


def _commit(models_dir: Path, after: Rollout) -> None:
    """Write the file, then the state that is kept of it; a kill leaves the old file or this.

    In this order no state is ever kept that was not in use. If the second cannot be written the
    change is made all the same, and the next call makes up for it.
    """
    _save(models_dir / NAME, after)
    with contextlib.suppress(ProductionError):
        _save(_kept(models_dir, after.revision), after)
    for revision in kept_revisions(models_dir)[:-KEPT]:
        with contextlib.suppress(OSError):  # one too many does no harm
            _kept(models_dir, revision).unlink()


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
