"""One thing an audit found in a bar file, and how grave it is."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "warning", "defect"]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "defect")  # mildest first


@dataclass(frozen=True)
class AuditFinding:
    """What was found, how grave it is, and a sentence on it.

    A note is good to know. A warning is a reason to look before the file is used. A defect
    is a row that cannot stand as it is.
    """

    name: str
    severity: Severity
    detail: str


def counted(n: int, word: str) -> str:
    """Return a number with its word: "1 row", "2,799 rows"."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"
