import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib.storage import json_bytes
from v8ops.production import transitions
from v8ops.production.errors import ProductionError
from v8ops.production.rollout_content import content_of, parsed, rollout_of
from v8ops.production.rollout_state import SHARES, STAGES, Event, Rollout, SymbolState
from v8ops.production.routing import to_candidate

VERSIONS = ("v5-a", "v8-b", "v8-c")
ACTIONS = ("promote", "install", "advance", "roll_back", "release")


def told(action="promote", version="v8-b"):
    return Event("2026-01-01T00:00:00+00:00", "ann", action, version, "")


def move(state, action, version):
    if action == "promote":
        return transitions.promote(state, version, salt="s", since_bar=None, event=told())
    if action == "advance":
        return transitions.advance(state, since_bar=5, event=told())
    if action == "roll_back":
        return transitions.roll_back(state, version, why="because", event=told())
    return getattr(transitions, action)(state, version, event=told())


def run(*moves):
    state = SymbolState()
    for action, version in moves:
        state = move(state, action, version)
    return state


def rolled_out(version="v8-b", stages=4):
    return run(("install", "v5-a"), ("promote", version), *[("advance", version)] * stages)


def test_the_way_from_shadow_to_stable():
    seen = [run(("install", "v5-a"), ("promote", "v8-b"))]
    for _ in range(4):
        seen.append(move(seen[-1], "advance", "v8-b"))
    assert [state.stage for state in seen] == [*STAGES, None]
    assert {state.stable for state in seen[:-1]} == {"v5-a"}
    assert seen[-1].roles == {"stable": "v8-b", "previous": "v5-a"}
    assert [len(state.history) for state in seen] == [2, 3, 4, 5, 6]


def test_a_candidate_that_is_rolled_back_leaves_the_stable_alone():
    state = move(rolled_out(stages=2), "roll_back", "v8-b")
    assert state.roles == {"stable": "v5-a"}
    assert (state.stage, state.salt, state.trial_since_bar) == (None, None, None)
    assert state.blocked == {"v8-b": "because"}


def test_a_stable_that_is_rolled_back_gives_way_to_the_previous():
    state = move(rolled_out(), "roll_back", "v8-b")
    assert state.roles == {"stable": "v5-a"} and "v8-b" in state.blocked
    assert move(state, "roll_back", "v5-a").roles == {}


def test_a_previous_that_is_rolled_back_is_gone():
    assert move(rolled_out(), "roll_back", "v5-a").roles == {"stable": "v8-b"}


def test_a_blocked_version_stays_out_until_it_is_released():
    state = move(rolled_out(stages=0), "roll_back", "v8-b")
    with pytest.raises(ProductionError, match="release it first"):
        move(state, "promote", "v8-b")
    again = move(move(state, "release", "v8-b"), "promote", "v8-b")
    assert again.stage == "shadow" and not again.blocked


@pytest.mark.parametrize(
    ("state", "action", "version", "words"),
    [
        (run(("install", "v5-a")), "install", "v8-b", "v5-a is stable"),
        (run(("install", "v5-a")), "promote", "v5-a", "is stable already"),
        (rolled_out(stages=1), "promote", "v8-c", "is the candidate, at stage 10"),
        (run(("install", "v5-a")), "advance", "v8-b", "no candidate"),
        (run(("install", "v5-a")), "roll_back", "v8-b", "not in use"),
        (run(("install", "v5-a")), "release", "v5-a", "not blocked"),
    ],
)
def test_what_is_not_allowed_is_said(state, action, version, words):
    with pytest.raises(ProductionError, match=words):
        move(state, action, version)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(VERSIONS)), max_size=25))
def test_any_moves_leave_a_state_that_keeps_the_rules(moves):
    state = SymbolState()
    for action, version in moves:
        before = state
        try:
            state = move(state, action, version)
        except ProductionError:
            assert state is before
            continue
        used = list(state.roles.values())
        assert len(set(used)) == len(used), "a version has one role: there are never two stables"
        assert not set(used) & set(state.blocked)
        assert (
            state.history[:-1] == before.history and len(state.history) == len(before.history) + 1
        )
        routed = [to_candidate(state, "BTC", 900 * k) for k in range(20)]
        assert not any(routed) or state.candidate not in {None, *state.blocked}
        assert all(routed) or state.stage != "100"
        assert state.share == SHARES.get(state.stage, 0.0)
        rollout = Rollout(3, {"BTC": state})
        assert rollout_of(parsed(json_bytes(content_of(rollout)))) == rollout
