"""From what the versions say of a bar to the one signal that is emitted."""

from collections.abc import Sequence
from dataclasses import dataclass

from v8lib.label import CLASS_NAMES, Label
from v8ops.production.log_rows import SignalRow
from v8ops.production.notes import utc_words

LATE = "late"


@dataclass(frozen=True)
class Answer:
    """What a version in its role says of one bar.

    Attributes
    ----------
    role, version : str
    decision : int
    probs : tuple of three floats, or None
        None where it has no answer.
    actionable : bool
    why_not : str
        Why it has none.
    """

    role: str
    version: str
    decision: int
    probs: tuple[float, float, float] | None
    actionable: bool
    why_not: str


def emit(
    symbol: str,
    epoch_s: int,
    answers: Sequence[Answer],
    *,
    reasons: Sequence[str],
    late: bool,
) -> SignalRow:
    """Return the signal of a bar: of the first version that has an answer, or HOLD.

    Parameters
    ----------
    symbol : str
    epoch_s : int
        Opening time of the bar.
    answers : sequence of Answer
        In order of preference, as routed.
    reasons : sequence of str
        What is to be said of the bar beforehand.
    late : bool
        Whether it is too old to act on.
    """
    said, chosen = list(reasons), None
    for answer in answers:
        if answer.probs is not None:
            chosen = answer
            break
        said.append(f"{answer.role} {answer.version}: {answer.why_not}")
    if late:
        said.append(LATE)
    reason = "; ".join(said)
    if chosen is None:
        return SignalRow(symbol, epoch_s, None, "none", int(Label.HOLD), None, None, False, reason)
    return SignalRow(
        symbol,
        epoch_s,
        chosen.version,
        chosen.role,
        chosen.decision,
        max(chosen.probs),
        chosen.probs,
        chosen.actionable and not late,
        reason,
    )


def line(row: SignalRow) -> str:
    """Return a signal as one line of text."""
    words = [utc_words(row.epoch_s), row.symbol, CLASS_NAMES[row.decision]]
    if row.version is not None:
        words += [f"{100.0 * row.confidence:.1f} %", f"{row.role} {row.version}"]
    words.append("actionable" if row.actionable else "not actionable")
    return "  ".join(words) + (f"  ({row.reason})" if row.reason else "")
