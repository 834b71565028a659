"""What stands in the signal log, as plain values: signals, events, scores and outcomes."""

from dataclasses import dataclass, field

from v8ops.production.scored import ScoreRows

NEVER = -2  # label of a row whose horizon spans a gap, or that had no threshold: final


@dataclass(frozen=True)
class SignalRow:
    """What was emitted at a bar: one row per symbol and bar, whatever happened.

    Attributes
    ----------
    symbol : str
    epoch_s : int
        Opening time of the bar, in seconds since 1970-01-01 UTC.
    version : str or None
        Whose signal it is; None where no model had one.
    role : {"candidate", "stable", "previous", "none"}
        What the version was at that bar.
    decision : int
        A `Label` value; HOLD where there is no model's.
    confidence : float or None
        The largest probability.
    probs : tuple of three floats, or None
        Of DOWN, HOLD and UP.
    actionable : bool
        Whether the confidence reaches the model's bar and the signal is in time.
    reason : str
        Why it is not what was to be expected: a fallback, no features, late. Empty otherwise.
    """

    symbol: str
    epoch_s: int
    version: str | None
    role: str
    decision: int
    confidence: float | None
    probs: tuple[float, float, float] | None
    actionable: bool
    reason: str


@dataclass(frozen=True)
class EventRow:
    """Something that happened while serving.

    Attributes
    ----------
    at : str
        When, ISO 8601 in UTC.
    symbol, version : str or None
        Whom it concerns.
    epoch_s : int or None
        At which bar.
    kind : str
        One word, such as "rollback", "alarm", "data" or "clock".
    message : str
        One line.
    """

    at: str
    symbol: str | None
    epoch_s: int | None
    kind: str
    version: str | None
    message: str


@dataclass(frozen=True)
class Failure:
    """A bar at which a version was asked and had no answer that counts."""

    version: str
    epoch_s: int
    words: str


@dataclass(frozen=True)
class Outcome:
    """The realised label of a version's row: a `Label` value, or `NEVER`."""

    version: str
    epoch_s: int
    label: int


@dataclass
class LogBlock:
    """All that one block of bars of a symbol adds to the log, written in one transaction."""

    symbol: str
    scores: list[tuple[str, ScoreRows]] = field(default_factory=list)  # version, rows
    failures: list[Failure] = field(default_factory=list)
    signals: list[SignalRow] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
