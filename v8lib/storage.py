"""Files written whole or not at all: JSON, safetensors and npy through a temporary name."""

import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from v8lib.errors import StoreError

if TYPE_CHECKING:  # the runner writes JSON and does without numpy
    from numpy.typing import NDArray


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write `content` to `path` atomically and return the path.

    The bytes go to a temporary file in the same folder, are synced, and then take the
    name: a reader sees the old file or the new one, never a part.
    """
    return _written(path, lambda file: file.write(content))


def _written(path: Path | str, write: Callable[[BinaryIO], Any]) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def json_bytes(content: Any) -> bytes:
    """Return `content` as strict JSON (no NaN, no infinity), the one way this suite writes it."""
    return (json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def write_json(path: Path | str, content: Any) -> Path:
    """Write `content` as strict JSON, atomically."""
    return write_bytes(path, json_bytes(content))


def read_json(path: Path | str) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    StoreError
        If the file is missing or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is not JSON: {error}") from None


def arrays_bytes(arrays: "Mapping[str, NDArray]") -> bytes:
    """Return named arrays in safetensors form; the same arrays give the same bytes."""
    import numpy as np
    from safetensors.numpy import save

    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def write_arrays(path: Path | str, arrays: "Mapping[str, NDArray]") -> Path:
    """Write named arrays as one safetensors file, atomically."""
    return write_bytes(path, arrays_bytes(arrays))


def read_arrays(path: Path | str) -> "dict[str, NDArray]":
    """Return the named arrays of a safetensors file.

    Raises
    ------
    StoreError
        If the file is missing or is not a whole safetensors file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist") from None
    return arrays_from(content, str(path))


def arrays_from(content: bytes, name: str) -> "dict[str, NDArray]":
    """Return the named arrays of the bytes of a safetensors file; `name` is for the message.

    Raises
    ------
    StoreError
        If they are not a whole safetensors file, or hold a type that numpy has not.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{name} is not a whole safetensors file: {error}") from None


def write_array(path: Path | str, array: "NDArray") -> Path:
    """Write one array as an npy file, atomically and without a second copy in memory."""
    import numpy as np

    return _written(path, lambda file: np.save(file, array, allow_pickle=False))


def map_array(path: Path | str) -> "NDArray":
    """Return the array of an npy file, read-only and read from the file as it is used.

    Raises
    ------
    StoreError
        If the file is missing or is not a whole npy file.
    """
    import numpy as np

    path = Path(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist") from None
    except (ValueError, EOFError) as error:
        raise StoreError(f"{path} is not a whole npy file: {error}") from None


def release(array: "NDArray") -> None:
    """Let the system take back the memory behind an array of `map_array`, or a part of one.

    The array stays what it is and is read from its file again when it is used. Nothing happens
    to other arrays, and on systems that cannot do it.
    """
    owner = array
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    if owner is not None and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
