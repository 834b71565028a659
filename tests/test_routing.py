import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v8ops.production import routing
from v8ops.production.rollout_state import SHARES, STAGES, SymbolState

BARS = np.arange(20_000) * 900 + 1_700_000_000


def state(stage, salt="a"):
    return SymbolState(stable="v5-1", candidate="v8-1", stage=stage, salt=salt)


def emitted(stage, salt="a", symbol="BTC"):
    return np.array([routing.to_candidate(state(stage, salt), symbol, int(b)) for b in BARS])


@pytest.mark.parametrize("stage", STAGES)
def test_the_share_is_within_a_point(stage):
    assert abs(emitted(stage).mean() - SHARES[stage]) < 0.01


def test_raising_the_share_keeps_every_bar_of_the_candidate():
    parts = [emitted(stage) for stage in STAGES]
    for lower, higher in itertools.pairwise(parts):
        assert (higher | ~lower).all()
    assert not parts[0].any() and parts[-1].all()


def test_salts_and_symbols_divide_independently():
    half = emitted("50")
    for other in (emitted("50", salt="b"), emitted("50", symbol="ETH")):
        assert abs(np.corrcoef(half, other)[0, 1]) < 0.03


def test_a_bar_has_its_place_wherever_it_is_asked():
    digest = hashlib.sha256(b"salt|BTC|1700000000").digest()
    expected = int.from_bytes(digest[:8], "big") / 2**64
    assert routing.unit("salt", "BTC", 1_700_000_000) == pytest.approx(expected, abs=1e-15)


@given(st.text(max_size=8), st.integers(0, 2**40))
def test_every_place_is_below_one(salt, epoch_s):
    assert 0.0 <= routing.unit(salt, "BTC", epoch_s) < 1.0


@given(st.text(min_size=1, max_size=8), st.sampled_from(["BTC", "ETH"]), st.integers(0, 2**40))
def test_a_bar_of_the_candidate_stays_its_bar_at_every_larger_share(salt, symbol, epoch_s):
    taken = [routing.to_candidate(state(stage, salt), symbol, epoch_s) for stage in STAGES]
    assert taken == sorted(taken) and not taken[0] and taken[-1]


@settings(max_examples=10)
@given(st.text(min_size=1, max_size=8), st.sampled_from(["10", "50"]))
def test_the_share_is_within_a_point_whatever_the_salt(salt, stage):
    # 60,000 bars: a point is five standard errors at one half.
    bars = np.arange(60_000) * 900 + 1_700_000_000
    places = np.array([routing.unit(salt, "BTC", int(bar)) for bar in bars])
    assert abs((places < SHARES[stage]).mean() - SHARES[stage]) < 0.01


def test_without_a_candidate_nothing_is_routed_to_one():
    assert not routing.to_candidate(SymbolState(stable="v5-1"), "BTC", 1_700_000_000)
