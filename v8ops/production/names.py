"""Names that come from outside: symbols and versions, and the one folder they may lead to."""

import re
from pathlib import Path

from v8ops.production.errors import ProductionError

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,31}")
VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_symbol(text: str) -> str:
    """Return a symbol as it is.

    Raises
    ------
    ProductionError
        If it is not 1 to 32 capital letters, digits, `_` and `-`.
    """
    if not SYMBOL.fullmatch(text):
        raise ProductionError(f"{text!r} is no symbol: capital letters and digits, such as BTC")
    return text


def check_version(text: str) -> str:
    """Return a version as it is.

    Raises
    ------
    ProductionError
        If it is not 1 to 64 small letters, digits, `.`, `_` and `-`, or holds `..`.
    """
    if not VERSION.fullmatch(text) or ".." in text:
        raise ProductionError(f"{text!r} is no version: the name of a folder under models/SYMBOL/")
    return text


def bundle_folder(models_dir: Path | str, symbol: str, version: str) -> Path:
    """Return the folder of a bundle, whether it exists or not; it is inside `models_dir`.

    Raises
    ------
    ProductionError
        If a name is none, or a link leads out of the place where the folder should be.
    """
    models_dir = Path(models_dir)
    folder = models_dir / check_symbol(symbol) / check_version(version)
    if folder.resolve() != models_dir.resolve() / symbol / version:
        raise ProductionError(f"{folder}: a link leads somewhere else; bundles are real folders")
    return folder
