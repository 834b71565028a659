"""An audit of bars in words, for the console and for notebooks alike."""

from typing import Any

import pandas as pd

from v8lib.audit_finding import counted
from v8lib.bar_against import APART, Against, shift_words
from v8lib.bar_audit import Audit
from v8lib.bar_interval import interval_word


def verdict_words(audit: Audit) -> str:
    """Return the verdict, and whether a run takes the file as it is."""
    if audit.verdict == "not bars":
        return f"not bars: {audit.reason}"
    if audit.loads:
        return f"{audit.verdict}: a run takes the file as it is"
    return (
        f"{audit.verdict}, but not as it is: a run refuses the defects; "
        "check-bars --fix OUT writes the bars without them"
    )


def fact_words(audit: Audit) -> dict[str, str]:
    """Return how the file was read, and what it holds; empty if it could not be read."""
    facts = audit.facts
    if not facts:
        return {}
    step = interval_word(facts["interval_s"]) if facts["interval_s"] else "none"
    words = dict(facts["dialect"])
    words["rows"] = f"{facts['n_rows']:,} in the file; {counted(facts['n_bars'], 'bar')}"
    words["interval"] = f"{step} ({facts['interval_share']:.2%} of steps)"
    if facts["n_bars"]:
        words["period"] = f"{facts['start']} to {facts['end']}"
    return words | {"sha256": facts["sha256"]}


def against_words(found: Against | None) -> dict[str, str]:
    """Return what a second source says; that there is none, where there is none."""
    if found is None:
        return {"second source": "none"}
    return {
        "bars in common": f"{found.n_common:,} of {interval_word(found.interval_s)}",
        "correlation of returns": f"{found.correlation:.3f}",
        "clock": shift_words(found.shift_s),
        "median price ratio": f"{found.price_ratio:.4f}",
        f"closes that differ by more than {APART:.0%}": f"{found.share_apart:.2%}",
    }


def text_table(table: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """Return the first rows as text: numbers in six digits, "none" where there is no time."""
    return table.head(n_rows).astype(object).map(_text)


def _text(value: Any) -> str:
    if value is pd.NaT:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
