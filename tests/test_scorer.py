"""One model on a block: answers where it has some, and its first fault, whatever it does."""

import numpy as np
import pytest
import serving_case as sc

from v8lib.drift import bins, fit_reference
from v8ops.production.scorer import score

EPOCHS = sc.START_S + sc.INTERVAL_S * np.arange(8)


def rows(n=8):
    return np.column_stack([np.arange(n), np.zeros(n)]).astype(np.float32)


def scored(logits=sc.balanced, features=None, timer=lambda: 0.0, **facts):
    made = sc.FakeBundle("v5", sc.FakeRuntime(logits), **facts)
    features = rows() if features is None else features
    return made, score(made, features, EPOCHS[: len(features)], timer=timer)


def test_a_healthy_model_answers_every_row_with_what_it_says():
    made, out = scored()
    said = made.runtime.predict(rows())
    assert out.answered.all()
    assert out.fault is None
    assert out.rows.probs.tobytes() == said.probs.tobytes()
    assert out.rows.decisions.tolist() == said.decisions.tolist()
    assert out.rows.actionable.tolist() == said.actionable.tolist()
    assert out.rows.max_abs_logit.tolist() == [1.2] * 8
    assert out.rows.labels.tolist() == [-1] * 8
    assert out.rows.bins is None


def test_rows_without_features_are_not_asked_for():
    features = rows()
    features[[0, 3], 1] = np.nan
    features[7, 0] = np.inf
    made, out = scored(features=features)
    assert out.answered.tolist() == [False, True, True, False, True, True, True, False]
    assert made.runtime.asked == [5]
    assert np.isnan(out.rows.probs[3]).all()
    part = out.part(2, 6)
    assert part.epoch_s.tolist() == EPOCHS[[2, 4, 5]].tolist()


def test_no_row_with_features_asks_nobody():
    made, out = scored(features=np.full((3, 2), np.nan, np.float32))
    assert not out.answered.any()
    assert out.fault is None
    assert made.runtime.asked == []


@pytest.mark.parametrize(
    ("say", "words"),
    [([np.nan, 0.0, 0.0], "NaN"), ([15.0, 0.0, 0.0], "logit of 15.0, 15 is the limit")],
)
def test_there_is_no_answer_from_the_first_fault_on(say, words):
    _, out = scored(sc.at_bar(5, say=say))
    assert out.answered.tolist() == [True] * 5 + [False] * 3
    assert out.fault[0] == 5
    assert words in out.fault[1]


def test_the_place_of_a_fault_counts_the_rows_without_features_too():
    features = rows()
    features[[0, 3], 1] = np.nan
    _, out = scored(sc.at_bar(5, say=[99.0, 0.0, 0.0]), features=features)
    assert out.fault[0] == 5
    assert out.answered.tolist() == [False, True, True, False, True, False, False, False]


@pytest.mark.parametrize(
    "error", [ValueError("two\nlines"), MemoryError(), KeyError("x"), ZeroDivisionError("0")]
)
def test_whatever_is_raised_is_a_fault_of_its_row(error):
    _, out = scored(sc.raising_at(5, error))
    assert out.fault[0] == 5
    assert out.fault[1].startswith(f"raised {type(error).__name__}: ")
    assert "\n" not in out.fault[1]
    assert out.answered.tolist() == [True] * 5 + [False] * 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_being_told_to_end_is_no_fault(error):
    with pytest.raises(error):
        scored(sc.raising_at(5, error()))


def test_what_raises_for_a_block_and_for_no_row_of_it_is_no_fault_of_a_row():
    """A model that cannot take several rows at once is slow and right."""

    def one_at_a_time(places):
        if len(places) > 1:
            raise ValueError("one row only")
        return sc.balanced(places)

    made, out = scored(one_at_a_time)
    assert out.fault is None
    assert out.answered.all()
    assert made.runtime.asked == [8] + [1] * 8


@pytest.mark.parametrize("shape", [(8, 2), (7, 3), (8,)])
def test_an_answer_of_another_shape_is_a_fault_of_the_first_row(shape):
    class Odd:
        def predict(self, features):
            said = sc.FakeRuntime().predict(rows())
            return type(said)(np.zeros(shape), said.probs, said.decisions, said.actionable)

    made = sc.FakeBundle("v5")
    made.runtime = Odd()
    out = score(made, rows(), EPOCHS, timer=lambda: 0.0)
    assert out.fault[0] == 0
    assert "answered in shapes" in out.fault[1]
    assert not out.answered.any()


def test_no_prediction_at_all_is_a_fault():
    made = sc.FakeBundle("v5")
    made.runtime = type("Nothing", (), {"predict": lambda self, features: None})()
    out = score(made, rows(), EPOCHS, timer=lambda: 0.0)
    assert out.fault[0] == 0
    assert "raised TypeError" in out.fault[1]


def test_the_latency_is_that_of_a_row():
    times = iter([0.0, 7.9])
    assert scored(timer=lambda: next(times))[1].fault is None
    times = iter([0.0, 8.1])
    assert "1 s is the limit" in scored(timer=lambda: next(times))[1].fault[1]


def test_numbers_that_overflow_are_a_fault_and_no_warning():
    def overflowing(places):
        return np.exp(1e4 * places)[:, None] * np.ones(3)

    _, out = scored(overflowing)
    assert out.fault[0] == 1


def test_bins_are_those_of_the_reference():
    rng = np.random.default_rng(1)
    train = rng.normal(size=(2_000, 2)).astype(np.float32)
    reference = fit_reference(train, ("place", "move"))
    features = rows()
    features[2, 1] = np.nan
    _, out = scored(features=features, reference=reference)
    assert out.rows.bins.dtype == np.uint8
    there = out.answered
    np.testing.assert_array_equal(out.rows.bins[there], bins(reference, features[there]))
    assert out.part(0, 8).bins.shape == (7, 2)
