from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from v8lib import last_bar
from v8lib.series import ema_decay, ema_reach
from v8lib.windows import Ladder, decayed_sum

finite = st.floats(-1e6, 1e6, allow_nan=False, width=64)
values = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 70)), elements=finite)


@given(a=values, asked=st.sets(st.tuples(st.sampled_from("ab"), st.integers(1, 90)), min_size=1))
def test_trees_give_the_bits_of_the_ladder_at_the_last_bar(a, asked):
    """Series of several symbols, longer and shorter than their windows."""
    history = SimpleNamespace(close=a, a=a, b=a[..., ::-1])
    trees = last_bar.Trees(sorted(asked))
    assert set(trees.asked) == asked
    for (name, n_bars), total in zip(trees.asked, trees.totals(history).T, strict=True):
        whole = Ladder(getattr(history, name)).window(n_bars)
        assert total.tobytes() == np.ascontiguousarray(whole[..., -1]).tobytes()


def test_bars_before_the_start_leave_the_sign_of_zero_as_it_is():
    history = SimpleNamespace(close=np.zeros(3), a=np.full(3, -0.0))
    (total,) = last_bar.Trees([("a", 6)]).totals(history)
    assert np.signbit(total).all()
    assert np.signbit(Ladder(history.a).window(6)[-1])


@pytest.mark.parametrize("n_symbols", [1, 3])
@pytest.mark.parametrize("n_bars", [1, 31, 32, 200, 2_000])
@pytest.mark.parametrize("spans", [(), (3,), (3, 6, 12, 24, 26, 48, 96), (96, 3)])
def test_averages_have_the_bits_of_the_decayed_sum_at_the_last_bar(n_symbols, n_bars, spans):
    returns = np.random.default_rng(n_bars).normal(size=(n_symbols, n_bars))
    averages = last_bar.Averages(spans)
    assert set(averages.spans) == set(spans)
    for span, gap in zip(averages.spans, averages.gaps(returns).T, strict=True):
        whole = decayed_sum(returns, ema_decay(span), ema_reach(span))
        expected = ema_decay(span) * whole[..., -1]
        assert gap.tobytes() == expected.tobytes()


def test_a_plan_holds_what_the_table_asks_for(table):
    plan = last_bar.Plan(table, 2_889)
    asked = {window for trees in plan.trees for window in trees.asked}
    assert {("surprises", 2_880), ("squared", 672), ("gains", 7), ("closes", 200)} <= asked
    assert ("gains", 8) not in asked
    assert set(plan.averages.spans) == {3, 6, 12, 24, 26, 48, 96}
