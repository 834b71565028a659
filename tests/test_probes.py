from dataclasses import replace

import numpy as np
import pytest

from v8lib import probes
from v8lib.errors import SplitError
from v8lib.series import REFERENCE_BARS

CUTS = [3_500, 4_700]


def leaky(table, name, function):
    """Return the table with one feature computed by another function."""
    return [replace(f, function=function) if f.name == name else f for f in table]


def moved(bars, table, cuts=CUTS):
    return probes.features_moved(bars, table, cuts, np.random.default_rng(0))


def test_no_feature_of_the_table_moves(market_bars, table):
    assert moved(market_bars, table) == []


def test_the_canary_is_caught_and_nothing_else(market_bars, table):
    assert moved(market_bars, probes.with_canary(table)) == [probes.CANARY]
    found = probes.probe_lookahead(market_bars, table, n_cuts=2, rng=np.random.default_rng(1))
    assert found == ([], True)


@pytest.mark.parametrize(
    "function",
    [
        lambda s: np.append(s.close[1:], s.close[-1]) - s.close,
        lambda s: np.append(s.volume[1:], 0.0),
        lambda s: s.close - s.close.mean(),
        lambda s: (s.close - s.close[-1]) / s.unit,
        lambda s: np.append((s.close - s.open)[1:], 0.0) / s.unit,
        lambda s: s.volume / s.volume.max(),
    ],
    ids=["next return", "next volume", "mean of all", "last price", "next body", "largest volume"],
)
def test_a_feature_that_looks_ahead_is_named(market_bars, table, function):
    assert moved(market_bars, leaky(table, "body", function)) == ["body"]


@pytest.mark.parametrize("name", ["season_1", "season_mean", "volume_96", "macd_histogram"])
def test_a_leak_in_a_feature_with_a_long_memory_is_named_too(market_bars, table, name):
    """Were such a column still missing inside the probe's window, it could leak unseen."""
    honest = {f.name: f for f in table}[name].function
    ahead = leaky(table, name, lambda s: np.append(honest(s)[1:], 0.0))
    assert moved(market_bars, ahead) == [name]


def test_cuts_are_drawn_where_features_have_values(market_bars, table, monkeypatch):
    seen = []
    monkeypatch.setattr(
        probes, "features_moved", lambda bars, table, cuts, rng: seen.extend(cuts) or []
    )
    assert probes.probe_lookahead(market_bars, table, n_cuts=40, rng=np.random.default_rng(2)) == (
        [],
        False,
    )
    assert len(seen) == 40
    assert min(seen) >= max(f.window_bars for f in table)
    assert max(seen) < len(market_bars)


def test_another_future_leaves_the_past_alone_and_changes_every_column_after_it(market_bars):
    window = market_bars.iloc[:900]
    before = window.copy()
    changed = probes.other_future(window, 700, np.random.default_rng(4))
    assert window.equals(before), "the bars themselves are not touched"
    assert changed.iloc[:700].equals(window.iloc[:700])
    assert (changed.iloc[700:] != window.iloc[700:]).all(axis=None)
    assert (changed.index == window.index).all()
    assert (changed > 0.0).all(axis=None)


def test_another_future_has_other_candles_and_not_only_another_path(market_bars):
    """One path for all four prices would leave what a feature makes of one bar as it was."""
    window = market_bars.iloc[:900]
    changed = probes.other_future(window, 700, np.random.default_rng(4))
    bodies = [np.log(b["close"] / b["open"]).iloc[700:].to_numpy() for b in (window, changed)]
    assert np.abs(bodies[1] - bodies[0]).min() > 1e-9


def test_the_last_bar_has_no_future_and_comes_back_as_it_is(market_bars):
    window = market_bars.iloc[:50]
    assert probes.other_future(window, 50, np.random.default_rng(0)).equals(window)


def test_golden_bars_come_from_the_last_run_that_is_long_enough(market_bars):
    bars = market_bars.drop(market_bars.index[[2_000, 5_000]])
    assert probes.last_unbroken(bars, 900).index[-1] == market_bars.index[-1]
    taken = probes.last_unbroken(bars, REFERENCE_BARS)
    assert len(taken) == REFERENCE_BARS
    assert taken.index[-1] == market_bars.index[4_999]
    with pytest.raises(SplitError, match="no 3001 bars in a row"):
        probes.last_unbroken(bars, 3_001)
