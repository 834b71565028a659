"""Entries of a rollout's history, with the time of now."""

from datetime import UTC, datetime

from v8ops.production.rollout_state import Event


def event(who: str, action: str, version: str, why: str, *, at: str | None = None) -> Event:
    """Return an entry of the history, of now by default."""
    return Event(at or datetime.now(UTC).isoformat(timespec="seconds"), who, action, version, why)
