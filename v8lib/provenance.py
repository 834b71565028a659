"""Which code and which libraries made a result, read from files alone."""

import hashlib
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("arch", "numpy", "pandas", "scikit-learn", "scipy", "torch")
LIBRARY = Path(__file__).resolve().parent


def package_versions() -> dict[str, str]:
    """Return the versions of the libraries that numbers depend on."""
    return {name: version(name) for name in PACKAGES}


def library_sha256() -> str:
    """Return one hash over the source of v8lib: equal hashes, equal method."""
    digest = hashlib.sha256()
    for path in sorted(LIBRARY.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def git_commit() -> str | None:
    """Return the commit that is checked out, or None outside a checkout."""
    git = LIBRARY.parent / ".git"
    head = git / "HEAD"
    if not head.is_file():
        return None
    content = head.read_text().strip()
    if not content.startswith("ref: "):
        return content
    name = content.removeprefix("ref: ")
    if (git / name).is_file():
        return (git / name).read_text().strip()
    packed = git / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)
