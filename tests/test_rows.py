from dataclasses import replace

import numpy as np
import pytest

from v8lib import bars as bars_module
from v8lib import features, labels, rows


@pytest.fixture(scope="module")
def made(market_bars, market_features, market_labels):
    posterior = np.full((len(market_bars), 3), 1 / 3)
    return rows.make_rows(market_bars, market_features, market_labels, posterior)


def test_rows_are_the_bars_with_every_feature_and_a_label(
    made, market_bars, market_features, market_labels
):
    expected = [
        t
        for t in range(len(market_bars))
        if np.isfinite(market_features[t]).all() and market_labels.labels[t] in (0, 1, 2)
    ]
    assert made.position.tolist() == expected
    assert 0 < len(expected) < len(market_bars) - 4, "the last four bars have no label yet"


def test_every_array_of_a_row_is_of_the_same_bar(made, market_bars, market_features, market_labels):
    at = made.position
    np.testing.assert_array_equal(made.features, market_features[at])
    np.testing.assert_array_equal(made.epoch_s, bars_module.epoch_seconds(market_bars)[at])
    for name in ("labels", "threshold", "forward_return", "forward_volatility"):
        np.testing.assert_array_equal(getattr(made, name), getattr(market_labels, name)[at])
    assert made.posterior.shape == (len(at), 3)


def test_nothing_of_a_row_is_missing(made):
    for name, array in vars(made).items():
        assert np.isfinite(array).all(), name
    assert set(np.unique(made.labels)) == {0, 1, 2}


@pytest.mark.parametrize("column", [0, -1])
def test_a_bar_that_lacks_one_feature_is_no_row(market_features, market_labels, made, column):
    broken = market_features.copy()
    broken[made.position[7], column] = np.nan
    allowed = rows.usable(broken, market_labels)
    assert not allowed[made.position[7]]
    assert allowed.sum() == len(made.labels) - 1


def test_a_bar_without_a_label_is_no_row(market_features, market_labels, made):
    changed = market_labels.labels.copy()
    changed[made.position[7]] = labels.MISSING
    allowed = rows.usable(market_features, replace(market_labels, labels=changed))
    assert not allowed[made.position[7]]
    assert allowed.sum() == len(made.labels) - 1


def test_rows_are_picked_by_their_position_among_the_bars_and_in_the_order_asked_for(made):
    positions = made.position[[40, 3, 17]]
    picked = made.at(positions)
    assert picked.position.tolist() == positions.tolist()
    for name, array in vars(made).items():
        np.testing.assert_array_equal(getattr(picked, name), array[[40, 3, 17]])
        assert getattr(picked, name).dtype == array.dtype
    assert made.at(np.empty(0, dtype=np.int64)).features.shape == (0, made.features.shape[1])


@pytest.mark.parametrize("wrong", [0, 10**6, -1])
def test_a_position_that_is_no_row_is_refused(made, wrong):
    with pytest.raises(ValueError, match="not among the usable rows"):
        made.at(np.array([made.position[3], wrong]))


def test_rows_of_a_real_market_have_no_posterior(market_bars, market_features, market_labels):
    unknown = np.empty((len(market_bars), 0))
    found = rows.make_rows(market_bars, market_features, market_labels, unknown)
    assert found.posterior.shape == (len(found.labels), 0)


def counted(market_bars, table, names, made):
    return rows.missing_values(market_bars, made, names, features.warmup_bars(table))


def test_a_warm_up_is_not_missing_but_any_value_after_it_is(
    market_bars, market_features, table, names
):
    assert counted(market_bars, table, names, market_features) == {}
    warmup, broken = features.warmup_bars(table), market_features.copy()
    broken[warmup - 1, 2] = np.nan
    broken[[2_000, 3_000], 5] = [np.inf, np.nan]
    found = counted(market_bars, table, names, broken)
    assert found == {names[2]: 1, names[5]: 2}


def test_each_run_of_bars_has_a_warm_up_of_its_own(market_bars, table, names):
    gap = market_bars.drop(market_bars.index[3_000])
    made = features.make_features(gap, table)
    assert np.isnan(made[3_000]).all()
    assert counted(gap, table, names, made) == {}


def test_rows_that_follow_each_other_are_a_view(market_bars, market_features, market_labels):
    made = rows.make_rows(
        market_bars, market_features, market_labels, np.empty((len(market_bars), 0))
    )
    assert np.shares_memory(made.features, market_features), "no gap: all usable rows in a row"
    part = made.at(made.position[10:90])
    assert np.shares_memory(part.features, made.features)
    picked = made.at(made.position[10:90:2])
    assert not np.shares_memory(picked.features, made.features)
    np.testing.assert_array_equal(picked.features, part.features[::2])
