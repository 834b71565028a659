"""Figures in words, the same way in every table."""

from collections.abc import Sequence
from statistics import median


def with_range(values: Sequence[float], form: str = ".3g", unit: str = "") -> str:
    """Return the median and, of several values, their range: ``1.2 (1.1 to 1.4)``."""
    middle = f"{median(values):{form}}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):{form}} to {max(values):{form}})"


def one_row(values: Sequence[float]) -> str:
    """Return rows a second with their range."""
    return with_range(values, ",.0f")


def ratio_words(values: Sequence[float], base: Sequence[float]) -> str:
    """Return how many times `base` the values are, round by round."""
    return with_range([a / b for a, b in zip(values, base, strict=True)], ".2f")


def seconds_or_never(values: Sequence[float | None]) -> str:
    """Return seconds with their range, or in how many rounds there are none."""
    there = [value for value in values if value is not None]
    if not there:
        return "never"
    missing = len(values) - len(there)
    return with_range(there, ".2f") + (f", never in {missing}" if missing else "")


def megabytes(n_bytes: float) -> str:
    """Return bytes in units of a million."""
    return f"{n_bytes / 1e6:,.0f} MB"


def milliseconds(seconds: float) -> str:
    """Return seconds in milliseconds."""
    return f"{1e3 * seconds:.3g} ms"
