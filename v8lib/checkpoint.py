"""The state of an unfinished training, written after every epoch and read back bit for bit."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import TrainingError
from v8lib.provenance import library_sha256
from v8lib.storage import read_arrays, read_json, write_arrays, write_json
from v8lib.training_settings import TrainingSettings


@dataclass(frozen=True)
class Checkpoint:
    """Everything training needs to go on: arrays by name, and the history so far."""

    arrays: dict[str, NDArray]
    history: list[dict[str, Any]]


def fingerprint_of(arrays: Iterable[NDArray], settings: TrainingSettings) -> str:
    """Return a hash of everything a training follows from: data, settings, code and torch."""
    code = f"{library_sha256()} {version('torch')}"  # half a training of each would be neither
    digest = hashlib.sha256(repr((code, sorted(asdict(settings).items()))).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def write_checkpoint(
    folder: Path | str, fingerprint: str, arrays: dict[str, NDArray], history: list[dict[str, Any]]
) -> None:
    """Write the state after an epoch.

    The arrays go into a file of their own name per epoch and the JSON that points at it is
    replaced last: killed at any moment, the pair that is named is whole.
    """
    folder = Path(folder)
    name = f"epoch_{len(history):04d}.safetensors"
    write_arrays(folder / name, arrays)
    write_json(
        folder / "checkpoint.json",
        {"fingerprint": fingerprint, "arrays": name, "history": history},
    )
    for old in folder.glob("epoch_*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)


def read_checkpoint(folder: Path | str, fingerprint: str) -> Checkpoint | None:
    """Return the unfinished training in `folder`, or None if there is none.

    Raises
    ------
    TrainingError
        If it belongs to other data or other parameters: going on would mix two models.
    """
    folder = Path(folder)
    if not (folder / "checkpoint.json").is_file():
        return None
    state = read_json(folder / "checkpoint.json")
    if state["fingerprint"] != fingerprint:
        raise TrainingError(
            f"{folder} holds an unfinished training with other data, parameters or code: "
            "remove the folder to start anew"
        )
    return Checkpoint(read_arrays(folder / state["arrays"]), state["history"])


def remove_checkpoint(folder: Path | str) -> None:
    """Remove the state of a training that is finished and stored elsewhere."""
    folder = Path(folder)
    for path in [folder / "checkpoint.json", *folder.glob("epoch_*.safetensors")]:
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def remove_checkpoints(folder: Path | str) -> None:
    """Remove the states of several trainings, each in a folder below `folder`."""
    folder = Path(folder)
    for net in folder.glob("fold_*_net_*"):
        remove_checkpoint(net)
    remove_checkpoint(folder)
