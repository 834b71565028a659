import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from v8lib import intervals, metrics
from v8lib.errors import ParameterError
from v8lib.skill_sources import skill_sources, skill_split_table, split_row_loss

DRAWS = {"horizon_bars": 4, "reps": 200}
PROBS = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]])
LABELS = np.array([0, 1, 2])
logits = hnp.arrays(np.float64, (12, 3), elements=st.floats(-60.0, 60.0))
labels = hnp.arrays(np.int64, 12, elements=st.integers(0, 2))


def softmax(values):
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def market(n, *, volatility, direction, seed=1):
    """Return what a perfect model says, and what happened.

    P(HOLD) and P(UP | move) each swing by so much around 1/3 and 1/2.
    """
    rng = np.random.default_rng(seed)
    hold = 1 / 3 + volatility * rng.choice([-1.0, 1.0], n)
    up = 1 / 2 + direction * rng.choice([-1.0, 1.0], n)
    probs = np.column_stack([(1 - hold) * (1 - up), hold, (1 - hold) * up])
    happened = (probs.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=2)
    return probs, happened


def sources(probs, reference, happened, seed=0):
    return skill_sources(probs, reference, happened, rng=np.random.default_rng(seed), **DRAWS)


def test_the_loss_of_three_rows_is_split_as_by_hand():
    volatility, direction = split_row_loss(PROBS, LABELS)
    assert volatility.tolist() == pytest.approx([-math.log(x) for x in (0.7, 0.8, 0.75)])
    assert direction.tolist() == pytest.approx([-math.log(5 / 7), 0.0, -math.log(2 / 3)])
    assert direction[1] == 0.0


@given(values=logits, happened=labels)
def test_the_parts_are_losses_and_add_up_to_the_log_loss(values, happened):
    """Down to probabilities of e-120, far below the floor of the log loss."""
    probs = softmax(values)
    volatility, direction = split_row_loss(probs, happened)
    assert (volatility >= 0.0).all()
    assert (direction >= 0.0).all()
    assert np.allclose(volatility + direction, metrics.row_log_loss(probs, happened), atol=1e-12)


def test_parts_stay_finite_where_what_happened_was_called_impossible():
    volatility, direction = split_row_loss(np.eye(3)[[1, 0, 2]], np.array([0, 1, 0]))
    floor = -math.log(1e-15)
    assert volatility.tolist() == pytest.approx([floor, floor, 0.0])
    assert direction.tolist() == pytest.approx([0.0, 0.0, floor])


def test_direction_is_exact_where_a_move_was_all_but_excluded():
    """A move at 1.5e-12, two thirds of it DOWN: 1 - P(HOLD) would keep four digits of it."""
    _, direction = split_row_loss(np.array([[1e-12, 1.0 - 1.5e-12, 0.5e-12]]), np.array([0]))
    assert direction[0] == pytest.approx(-math.log(2 / 3), rel=1e-9)


def test_both_sources_of_constant_gains_are_as_by_hand():
    """UP always happens; over (1/4, 1/2, 1/4) the model gains ln 1.6 and ln 1.5 of ln 4."""
    probs = np.tile([0.2, 0.2, 0.6], (200, 1))
    reference = np.tile([0.25, 0.5, 0.25], (200, 1))
    found = sources(probs, reference, np.full(200, 2))
    for source, gain in (("volatility", 1.6), ("direction", 1.5)):
        interval, expected = found[source], math.log(gain) / math.log(4)
        assert (interval.value, *interval.ci) == pytest.approx((expected, expected, expected))


@pytest.mark.parametrize(
    ("volatility", "direction", "has", "lacks"),
    [(0.25, 0.0, "volatility", "direction"), (0.0, 0.3, "direction", "volatility")],
)
def test_skill_is_found_where_it_is_and_nowhere_else(volatility, direction, has, lacks):
    probs, happened = market(2_000, volatility=volatility, direction=direction)
    climate = np.tile([1 / 3, 1 / 3, 1 / 3], (2_000, 1))
    found = sources(probs, climate, happened)
    assert found[has].low > 0.02
    assert (found[lacks].value, *found[lacks].ci) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_direction_that_is_said_the_wrong_way_round_costs_skill():
    probs, happened = market(2_000, volatility=0.25, direction=0.3)
    climate = np.tile([1 / 3, 1 / 3, 1 / 3], (2_000, 1))
    found = sources(probs[:, ::-1], climate, happened)
    assert found["volatility"].low > 0.0 > found["direction"].high


def test_both_sources_add_up_to_the_skill():
    probs, happened = market(800, volatility=0.2, direction=0.2)
    reference, _ = market(800, volatility=0.1, direction=0.0, seed=2)
    found = sources(probs, reference, happened)
    skill = 1.0 - metrics.log_loss(probs, happened) / metrics.log_loss(reference, happened)
    assert found["volatility"].value + found["direction"].value == pytest.approx(skill)
    assert skill > 0.02


def test_a_model_compared_with_itself_gains_nothing():
    probs, happened = market(300, volatility=0.2, direction=0.2)
    for interval in sources(probs, probs, happened).values():
        assert (interval.value, *interval.ci) == (0.0, 0.0, 0.0)


def test_a_reference_that_is_never_wrong_is_refused():
    with pytest.raises(ParameterError, match="the reference loses nothing"):
        sources(np.tile(PROBS, (50, 1)), np.eye(3)[np.tile(LABELS, 50)], np.tile(LABELS, 50))


def test_the_table_has_three_rows_per_reference_and_its_total_is_the_skill():
    probs, happened = market(800, volatility=0.2, direction=0.2)
    references = {
        "climatology": np.tile([1 / 3, 1 / 3, 1 / 3], (800, 1)),
        "volatility_only": market(800, volatility=0.1, direction=0.0, seed=2)[0],
    }
    table = skill_split_table(probs, references, happened, rng=np.random.default_rng(0), **DRAWS)
    assert table.index.tolist() == [
        (name, part) for name in references for part in ("volatility", "direction", "total")
    ]
    for name, reference in references.items():
        losses = metrics.row_log_loss(probs, happened), metrics.row_log_loss(reference, happened)
        skill = intervals.skill_interval(*losses, rng=np.random.default_rng(0), **DRAWS)
        total = table.loc[(name, "total")]
        assert total["value"] == pytest.approx(skill.value)
        assert total[["low", "high"]].tolist() == pytest.approx(skill.ci, abs=0.02)
        parts = table.loc[name].drop("total")["value"].sum()
        assert parts == pytest.approx(total["value"])
    assert table.loc["climatology", "low"].gt(0.0).all()
