"""The moves of a rollout, as pure functions from state to state.

Each says no with a `ProductionError` where it is not allowed, and adds one event to the
history where it is. There is never more than one stable, and a blocked version has no role.
"""

from dataclasses import replace

from v8ops.production.errors import ProductionError
from v8ops.production.rollout_state import STAGES, Event, SymbolState


def promote(
    state: SymbolState, version: str, *, salt: str, since_bar: int | None, event: Event
) -> SymbolState:
    """Return the state with a version as candidate in shadow.

    Raises
    ------
    ProductionError
        If the version is blocked or has a role already, or there is a candidate.
    """
    _check_new(state, version)
    if state.candidate is not None:
        raise ProductionError(
            f"{state.candidate} is the candidate, at stage {state.stage}: advance it or roll it "
            "back first"
        )
    return _told(
        replace(state, candidate=version, stage="shadow", salt=salt, trial_since_bar=since_bar),
        event,
    )


def install(state: SymbolState, version: str, *, event: Event) -> SymbolState:
    """Return the state with a version as the first stable.

    Raises
    ------
    ProductionError
        If there is a stable: it is replaced by a rollout only.
    """
    _check_new(state, version)
    if state.stable is not None:
        raise ProductionError(
            f"{state.stable} is stable: another model gets there through the stages, without "
            "--stable"
        )
    return _told(replace(state, stable=version), event)


def advance(state: SymbolState, *, since_bar: int | None, event: Event) -> SymbolState:
    """Return the state one stage further; after the last the candidate is stable.

    The old stable then is the previous one.

    Raises
    ------
    ProductionError
        If there is no candidate.
    """
    if state.candidate is None:
        raise ProductionError("there is no candidate to advance: promote one first")
    if state.stage != STAGES[-1]:
        stage = STAGES[STAGES.index(state.stage) + 1]
        return _told(replace(state, stage=stage, trial_since_bar=since_bar), event)
    return _told(
        replace(
            state,
            stable=state.candidate,
            # A first model has nothing before it, and an old previous is still better than none.
            previous=state.stable or state.previous,
            **NO_CANDIDATE,
        ),
        event,
    )


def roll_back(state: SymbolState, version: str, *, why: str, event: Event) -> SymbolState:
    """Return the state without a version, which is blocked; the previous one follows a stable.

    Raises
    ------
    ProductionError
        If the version has no role.
    """
    if version not in state.roles.values():
        raise ProductionError(f"{version} is not in use: there is nothing to roll back")
    changed = replace(state, blocked={**state.blocked, version: why})
    if version == state.candidate:
        changed = replace(changed, **NO_CANDIDATE)
    elif version == state.stable:
        changed = replace(changed, stable=state.previous, previous=None)
    else:
        changed = replace(changed, previous=None)
    return _told(changed, event)


def release(state: SymbolState, version: str, *, event: Event) -> SymbolState:
    """Return the state with a version no longer blocked; it gets no role by that.

    Raises
    ------
    ProductionError
        If it is not blocked.
    """
    if version not in state.blocked:
        raise ProductionError(f"{version} is not blocked: there is nothing to release")
    left = {name: why for name, why in state.blocked.items() if name != version}
    return _told(replace(state, blocked=left), event)


NO_CANDIDATE = {"candidate": None, "stage": None, "salt": None, "trial_since_bar": None}


def _check_new(state: SymbolState, version: str) -> None:
    if version in state.blocked:
        raise ProductionError(
            f"{version} was rolled back ({state.blocked[version]}): release it first"
        )
    for role, name in state.roles.items():
        if name == version:
            raise ProductionError(f"{version} is {role} already")


def _told(state: SymbolState, event: Event) -> SymbolState:
    return replace(state, history=(*state.history, event))
