"""The folder of a bundle: written manifest last, read strictly, no byte taken on trust."""

import contextlib
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v8lib.errors import BundleError
from v8lib.storage import json_bytes, sha256_bytes, write_bytes

SCHEMA_VERSION = 3
MANIFEST, GOLDEN, REFERENCE = "manifest.json", "golden.json", "reference.json"
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,31}")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")  # what a version begins with
NO_FOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe is refused, not waited for


@dataclass(frozen=True)
class Contents:
    """What a folder holds: the manifest, and the bytes of every file it names, hashes checked."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


def read_folder(folder: Path) -> Contents:
    """Return the contents of a bundle's folder; each file is read once, and that is what counts.

    Raises
    ------
    BundleError
        If the folder or a file is a link or no plain file, a file is missing, altered or not
        the manifest's, the schema is not this code's, or the folder's name not its content's.
    """
    for part in (folder, folder.parent):
        if part.is_symlink():
            raise BundleError(f"{folder}: {part.name} is a symbolic link; copy the folder itself")
    if not folder.is_dir():
        raise BundleError(f"{folder} is no bundle: there is no such folder")
    manifest = _manifest(folder)
    check_schema_version(manifest, str(folder))
    if version_of(manifest) != folder.name:
        raise BundleError(f"{folder}: {MANIFEST} has been altered: it is not version {folder.name}")
    if manifest.get("symbol") != folder.parent.name:
        raise BundleError(f"{folder}: this is a bundle of {manifest.get('symbol')}")
    hashes = manifest.get("files")
    if not isinstance(hashes, dict) or any("/" in name or name == MANIFEST for name in hashes):
        raise BundleError(f"{folder}: {MANIFEST} does not say which files there are")
    return Contents(manifest, _files(folder, hashes))


def check_schema_version(manifest: Mapping[str, Any], where: str) -> None:
    """Refuse a manifest of another schema than this code's, and say what to do.

    Raises
    ------
    BundleError
        If its schema version is another.
    """
    found = manifest.get("schema_version")
    if type(found) is int and found == SCHEMA_VERSION:
        return
    newer = type(found) is int and found > SCHEMA_VERSION
    what = "update the code" if newer else "run the model again (python run_all.py)"
    raise BundleError(f"{where}: schema version {found}, this code reads {SCHEMA_VERSION}: {what}")


def version_of(manifest: Mapping[str, Any]) -> str:
    """Return the version that belongs to a manifest, and through its hashes to every file."""
    canonical = json.dumps(manifest, sort_keys=True, allow_nan=False).encode()
    return f"{manifest.get('name')}-{sha256_bytes(canonical)[:12]}"


def folder_of(models_dir: Path | str, manifest: Mapping[str, Any]) -> Path:
    """Return where a bundle goes: `models_dir/symbol/version`, and nowhere else.

    Raises
    ------
    BundleError
        If the symbol or the name could be a path or anything but a plain name.
    """
    symbol, name = manifest["symbol"], manifest["name"]
    if not isinstance(symbol, str) or not SYMBOL.fullmatch(symbol):
        raise BundleError(f"symbol {symbol!r}: capital letters, digits, - and _, at most 32")
    if not isinstance(name, str) or not NAME.fullmatch(name) or ".." in name:
        raise BundleError(f"version {name!r}: small letters, digits, ., - and _, at most 32")
    return Path(models_dir) / symbol / version_of(manifest)


def write_folder(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write the files of a bundle, the manifest last: a folder without it is no bundle.

    What an interrupted writer left is removed first. A folder that already has a manifest is
    left as it is; two writers at once take turns.

    Raises
    ------
    BundleError
        If the folder or one it stands in is a link.
    """
    for part in (folder, folder.parent):
        if part.is_symlink():
            raise BundleError(f"{folder}: {part.name} is a symbolic link")
    folder.mkdir(parents=True, exist_ok=True)
    with _only_writer(folder):
        _remove_leftovers(folder)
        if (folder / MANIFEST).is_file():
            return
        for name, content in files.items():
            write_bytes(folder / name, content)
        write_bytes(folder / MANIFEST, json_bytes(manifest))
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)  # the names too, not only the bytes
        finally:
            os.close(handle)


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a writer that was killed; nobody else writes now."""
    for path in folder.iterdir():
        name = path.name.removeprefix(".").rpartition(".")[0]
        if path.name.startswith(".") and name.endswith((".json", ".onnx", ".safetensors")):
            path.unlink()


@contextlib.contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases whatever happens to this process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder, down to the byte as this code writes it."""
    content = _plain_file(folder, MANIFEST)
    manifest = json_object(content, f"{folder} is no bundle: {MANIFEST}")
    if json_bytes(manifest) != content:
        raise BundleError(f"{folder}: {MANIFEST} has been altered: it is not as it was written")
    return manifest


def json_object(content: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object in some bytes; it holds nothing that strict JSON cannot.

    Raises
    ------
    BundleError
        If they are not JSON, hold NaN or infinity, or are another value than an object.
    """
    try:
        found = json.loads(content.decode("utf-8"))
        # Written again, only without line breaks: with them it takes twice as long.
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BundleError(f"{where} holds no names")
    return found


def _files(folder: Path, hashes: Mapping[str, Any]) -> dict[str, bytes]:
    known = {MANIFEST, *hashes}
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if foreign:
        raise BundleError(f"{folder}: {foreign[0]} does not belong to this bundle; take it out")
    files = {}
    for name, expected in hashes.items():
        files[name] = _plain_file(folder, name)
        if sha256_bytes(files[name]) != expected:
            raise BundleError(f"{folder}: {name} has been altered: its hash is not the manifest's")
    return files


def _plain_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        handle = os.open(path, NO_FOLLOW)
    except FileNotFoundError:
        raise BundleError(f"{folder} is no bundle: {name} is missing") from None
    except (OSError, ValueError) as error:
        link = path.is_symlink()
        why = "is a symbolic link; copy the file itself" if link else f"cannot be read: {error}"
        raise BundleError(f"{folder}: {name} {why}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BundleError(f"{folder}: {name} is no plain file")
    with os.fdopen(handle, "rb") as file:
        return file.read()
