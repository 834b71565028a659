"""Realised labels of a few bars are those of `make_labels` over all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import labels
from v8lib.bar_arrays import BarArrays, bar_arrays
from v8lib.bars import bars_from
from v8lib.series import REFERENCE_MIN_BARS
from v8ops.production import outcomes
from v8ops.production.errors import ProductionError
from v8ops.production.log_rows import NEVER
from v8ops.production.scored import UNKNOWN

INTERVAL_S = 900
DEFINITION = {
    "scheme": "trailing_tercile",
    "horizon_bars": 4,
    "window_bars": 2_880,
    "threshold_bps": 10.0,
    "sigmas": 0.43,
}


def walk(n_bars, seed, *, tick=0.0):
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 2e-3, n_bars)))
    if tick:  # a coarse price has many equal moves, and moves of exactly nothing
        close = np.maximum(np.round(close / tick), 1.0) * tick
    epoch_s = 1_704_067_200 + INTERVAL_S * np.arange(n_bars)
    return BarArrays(close, close, close, close, np.ones(n_bars), epoch_s)


def frame(bars):
    return bars_from(dict(zip((*BarArrays._fields,), bars, strict=True)))


def expected(bars, definition):
    """`make_labels`, with what is open told from what will never be known."""
    made = labels.make_labels(frame(bars), **vars(definition)).labels
    h = definition.horizon_bars
    broken = np.flatnonzero(np.diff(bars.epoch_s) != INTERVAL_S)
    last_run = broken[-1] + 1 if len(broken) else 0
    is_open = np.arange(len(made)) >= max(last_run, len(made) - h)
    return np.where(made != labels.MISSING, made, np.where(is_open, UNKNOWN, NEVER))


def test_the_constants_are_those_of_the_labels():
    assert outcomes.SIGMA_SPAN == labels.SIGMA_SPAN
    assert REFERENCE_MIN_BARS == labels.min_window(10**9)


@pytest.mark.parametrize("scheme", outcomes.SCHEMES)
@given(data=st.data())
def test_labels_equal_make_labels_on_bars_with_gaps(scheme, data):
    n_bars = data.draw(st.integers(40, 3_400))
    bars = walk(n_bars, data.draw(st.integers(0, 50)), tick=data.draw(st.sampled_from([0.0, 0.2])))
    gaps = data.draw(st.sets(st.integers(1, n_bars - 2), max_size=3))
    bars = BarArrays(*(np.delete(array, sorted(gaps)) for array in bars))
    definition = outcomes.Definition(
        scheme,
        data.draw(st.integers(1, 12)),
        data.draw(st.sampled_from([100, 721, 2_880])),
        data.draw(st.sampled_from([1.0, 10.0, 40.0])),
        data.draw(st.sampled_from([0.2, 0.43])),
    )
    wanted = expected(bars, definition)
    places = np.arange(len(bars.close))
    got = outcomes.realised(bars, places, definition, INTERVAL_S)
    np.testing.assert_array_equal(got, wanted)
    some = np.sort(data.draw(st.permutations(places[-60:].tolist()))[:20])
    np.testing.assert_array_equal(
        outcomes.realised(bars, some, definition, INTERVAL_S), wanted[some]
    )


@pytest.mark.parametrize("scheme", outcomes.SCHEMES)
def test_the_reach_is_all_that_a_label_looks_back_at(scheme):
    bars = walk(7_000, 3)
    definition = outcomes.Definition(**DEFINITION | {"scheme": scheme})
    wanted = expected(bars, definition)
    for place in (6_000, 6_950, 6_995):
        first = place + 1 - definition.reach_bars
        tail = bars.at(slice(first, None))
        got = outcomes.realised(tail, np.array([place - first]), definition, INTERVAL_S)
        assert got[0] == wanted[place] >= 0


@pytest.mark.parametrize("scheme", ["trailing_tercile", "vol_scaled"])
def test_a_bar_short_of_the_reach_is_another_threshold(scheme):
    """Else the reach would be larger than it must be, or the test above would see nothing."""
    bars = walk(7_000, 3)
    definition = outcomes.Definition(**DEFINITION | {"scheme": scheme})
    path, reach = np.log(bars.close), definition.reach_bars
    whole = outcomes._threshold(path, np.array([6_000]), definition)
    short = path[6_000 + 2 - reach :]
    assert outcomes._threshold(short, np.array([reach - 2]), definition) != whole
    enough = path[6_000 + 1 - reach :]
    assert outcomes._threshold(enough, np.array([reach - 1]), definition) == whole


def test_a_horizon_that_has_not_passed_is_open_and_one_over_a_gap_is_never_known():
    bars = walk(1_000, 5)
    bars = BarArrays(*(np.delete(array, 900) for array in bars))
    definition = outcomes.Definition(**DEFINITION | {"scheme": "fixed"})
    places = np.array([890, 895, 896, 899, 900, 994, 995, 998])
    got = outcomes.realised(bars, places, definition, INTERVAL_S)
    assert (got[[0, 1, 4, 5]] >= 0).all()
    assert got[[2, 3]].tolist() == [NEVER, NEVER]
    assert got[[6, 7]].tolist() == [UNKNOWN, UNKNOWN]


def test_no_place_has_no_label(market_bars):
    definition = outcomes.Definition(**DEFINITION)
    got = outcomes.realised(bar_arrays(market_bars), np.empty(0, np.int64), definition, 60)
    assert got.shape == (0,)


def test_a_definition_is_read_from_a_manifest():
    assert outcomes.definition_from({"labels": DEFINITION | {"more": 1}}) == outcomes.Definition(
        **DEFINITION
    )


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"labels": None},
        {"labels": {"scheme": "fixed"}},
        {"labels": DEFINITION | {"scheme": "magic"}},
        {"labels": DEFINITION | {"horizon_bars": 0}},
    ],
)
def test_a_manifest_without_one_is_refused(manifest):
    with pytest.raises(ProductionError, match="label definition"):
        outcomes.definition_from(manifest)
