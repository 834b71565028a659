"""How reports look: the one stylesheet of notebooks and pages."""

from importlib.resources import files


def stylesheet() -> str:
    """Return the CSS of the fragments, for notebooks and pages alike."""
    return files("v8lib").joinpath("report.css").read_text(encoding="utf-8")
