"""Which model serves a symbol: the state of its rollout, as values that never change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

STAGES = ("shadow", "10", "50", "100")
SHARES = {"shadow": 0.0, "10": 0.1, "50": 0.5, "100": 1.0}


@dataclass(frozen=True)
class Event:
    """One change of a rollout: who did what to which version, when, and why.

    Attributes
    ----------
    at : str
        ISO 8601, UTC.
    who : str
        A person's name, or "serve" where it rolled back by itself.
    action : str
        promote, advance, rollback, release or restore.
    version : str
    why : str
        What was said, empty where nothing had to be.
    """

    at: str
    who: str
    action: str
    version: str
    why: str


@dataclass(frozen=True)
class SymbolState:
    """The rollout of one symbol. A version has one role at most.

    Attributes
    ----------
    stable : str or None
        Emits every bar that is not the candidate's.
    candidate : str or None
        Scores every bar and emits its share.
    previous : str or None
        The stable before; stands in where stable fails.
    stage : str or None
        One of `STAGES` while there is a candidate.
    salt : str or None
        Divides the bars of this rollout; a new one with every candidate.
    trial_since_bar : int or None
        The last bar in the log when the stage began, seconds since 1970-01-01 UTC: bars after
        it count for the stage. None: every bar does.
    blocked : mapping of version to str
        Rolled back, and why: it stays out until a person releases it.
    history : tuple of Event
        Oldest first; it only grows.
    """

    stable: str | None = None
    candidate: str | None = None
    previous: str | None = None
    stage: str | None = None
    salt: str | None = None
    trial_since_bar: int | None = None
    blocked: Mapping[str, str] = field(default_factory=dict)
    history: tuple[Event, ...] = ()

    @property
    def share(self) -> float:
        """Share of the bars that the candidate emits."""
        return 0.0 if self.stage is None else SHARES[self.stage]

    @property
    def roles(self) -> dict[str, str]:
        """The versions in use, by role."""
        found = {r: getattr(self, r) for r in ("candidate", "stable", "previous")}
        return {role: version for role, version in found.items() if version is not None}


@dataclass(frozen=True)
class Rollout:
    """The rollouts of all symbols.

    Attributes
    ----------
    revision : int
        Counts the changes; 0 before the first.
    symbols : mapping of symbol to SymbolState
    """

    revision: int = 0
    symbols: Mapping[str, SymbolState] = field(default_factory=dict)

    def of(self, symbol: str) -> SymbolState:
        """Return the state of a symbol, an empty one where there is none."""
        return self.symbols.get(symbol, SymbolState())

    def having(self, symbol: str, state: SymbolState) -> "Rollout":
        """Return the rollouts with one symbol's state replaced; the revision is the file's."""
        return Rollout(self.revision, {**self.symbols, symbol: state})
