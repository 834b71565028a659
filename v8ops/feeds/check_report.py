"""An audit of bars in words for a person, and as plain data for a program."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from v8lib.audit_finding import counted
from v8lib.audit_words import against_words, fact_words, verdict_words
from v8lib.bar_audit import Audit

SHOWN_GAPS = 10
STYLES = {"defect": "red", "warning": "yellow", "note": ""}
Line = tuple[str, str, str]  # what it is about, words, style


def report_lines(audit: Audit) -> Iterator[Line]:
    """Yield the report of one file, line by line."""
    yield "file", audit.path, "bold"
    for name, words in fact_words(audit).items():
        yield name, words, ""
    for gap in audit.gaps.head(SHOWN_GAPS).itertuples():
        words = f"{gap.start} to {gap.end}: {counted(gap.n_missing, 'bar')}, {gap.duration}"
        yield "gap", words, ""
    if len(audit.gaps) > SHOWN_GAPS:
        yield "gap", f"and {len(audit.gaps) - SHOWN_GAPS:,} more", ""
    for found in audit.findings:
        yield found.severity, f"{found.name}: {found.detail}", STYLES[found.severity]
    if audit.against:
        said = "; ".join(f"{name} {words}" for name, words in against_words(audit.against).items())
        yield "against", said, ""
    yield "verdict", verdict_words(audit), "bold"


def audit_data(audit: Audit) -> dict[str, Any]:
    """Return an audit as strict JSON allows it: every table whole, times in ISO 8601."""
    against = None
    if audit.against:
        against = {k: v for k, v in vars(audit.against).items() if k != "parts"}
        against |= {"parts": _rows(audit.against.parts)}
    return _plain(
        {
            "path": audit.path,
            "verdict": audit.verdict,
            "reason": audit.reason,
            "loads": audit.loads,
            "facts": dict(audit.facts),
            "findings": [vars(finding) for finding in audit.findings],
            "gaps": _rows(audit.gaps),
            "defects": _rows(audit.defects),
            "outliers": _rows(audit.outliers),
            "against": against,
        }
    )


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.to_dict("records")


def _plain(value: Any) -> Any:
    """Return a value made of what JSON knows; what is no number or no time becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if isinstance(value, pd.Timedelta | pd.Timestamp):
        return value.isoformat()
    return value
