"""rollout.json: the rollouts as JSON, and back with every rule checked."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from v8ops.production.errors import ProductionError
from v8ops.production.names import check_symbol, check_version
from v8ops.production.rollout_state import STAGES, Event, Rollout, SymbolState

SCHEMA_VERSION = 1
STATE_KEYS = {field.name for field in fields(SymbolState)}
LARGEST = 2**53  # of a number that every reader of JSON takes for the same
EVENT_KEYS = {field.name for field in fields(Event)}


def content_of(rollout: Rollout) -> dict[str, Any]:
    """Return the rollouts as JSON values."""
    symbols = {name: _state_content(state) for name, state in sorted(rollout.symbols.items())}
    return {"schema_version": SCHEMA_VERSION, "revision": rollout.revision, "symbols": symbols}


def parsed(content: bytes) -> Any:
    """Return the JSON values behind some bytes.

    Raises
    ------
    ProductionError
        If they are no JSON, or a mapping has a key twice: which one counts would be a guess.
    """
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:  # also endless digits and brackets
        raise ProductionError(f"no JSON: {error}") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        raise ProductionError(f"{twice!r} is there twice")
    return content


def rollout_of(content: Any) -> Rollout:
    """Return the rollouts behind `content_of`.

    Raises
    ------
    ProductionError
        If anything is missing, of another type, unknown, or against the rules: two roles of one
        version, a blocked version in use, a stage without a candidate.
    """
    _keys(content, {"schema_version", "revision", "symbols"}, "the file")
    version = content["schema_version"]
    if type(version) is not int or version != SCHEMA_VERSION:
        raise ProductionError(f"schema version {version!r}, this code reads {SCHEMA_VERSION}")
    revision = content["revision"]
    if not _is_count(revision):
        raise ProductionError(f"revision {revision!r} is no count")
    if not isinstance(content["symbols"], dict):
        raise ProductionError("symbols is no mapping")
    states = {check_symbol(name): _state(name, c) for name, c in content["symbols"].items()}
    return Rollout(revision, states)


def _state_content(state: SymbolState) -> dict[str, Any]:
    return {
        **{name: getattr(state, name) for name in STATE_KEYS - {"blocked", "history"}},
        "blocked": dict(state.blocked),
        "history": [asdict(event) for event in state.history],
    }


def _state(symbol: str, content: Any) -> SymbolState:
    _keys(content, STATE_KEYS, symbol)
    for role in ("stable", "candidate", "previous"):
        if content[role] is not None:
            check_version(_text(content[role], f"{symbol}: {role}"))
    blocked, history = content["blocked"], content["history"]
    if not isinstance(blocked, dict) or not isinstance(history, list):
        raise ProductionError(f"{symbol}: blocked or history is of another type")
    for version, why in blocked.items():
        check_version(version)
        _text(why, f"{symbol}: blocked {version}")
    state = SymbolState(
        **{name: content[name] for name in STATE_KEYS - {"blocked", "history"}},
        blocked=blocked,
        history=tuple(_event(symbol, event) for event in history),
    )
    _check_rules(symbol, state)
    return state


def _check_rules(symbol: str, state: SymbolState) -> None:
    """Refuse a state that no move leads to."""
    used = list(state.roles.values())
    if len(set(used)) < len(used):
        raise ProductionError(f"{symbol}: one version has two roles")
    if blocked := sorted(set(used) & set(state.blocked)):
        raise ProductionError(f"{symbol}: {blocked[0]} is blocked and in use")
    since = state.trial_since_bar
    if state.candidate is None:
        if (state.stage, state.salt, since) != (None, None, None):
            raise ProductionError(f"{symbol}: a stage without a candidate")
        return
    if state.stage not in STAGES:
        raise ProductionError(f"{symbol}: stage {state.stage!r} is none of {', '.join(STAGES)}")
    if not _text(state.salt, f"{symbol}: salt"):
        raise ProductionError(f"{symbol}: the salt is empty")
    if since is not None and not _is_count(since):
        raise ProductionError(f"{symbol}: trial_since_bar {since!r} is no time")


def _event(symbol: str, content: Any) -> Event:
    _keys(content, EVENT_KEYS, f"{symbol}: an event")
    return Event(**{key: _text(content[key], f"{symbol}: {key}") for key in EVENT_KEYS})


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ProductionError(f"{what} is {value!r}, no text")
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character; from a command line in another encoding
        raise ProductionError(f"{what} is {value!r}, no whole text") from None
    return value


def _keys(content: Any, expected: set[str], what: str) -> Mapping[str, Any]:
    if not isinstance(content, dict) or set(content) != expected:
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ProductionError(f"{what} holds {found}, not {sorted(expected)}")
    return content
