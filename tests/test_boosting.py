import builtins
import sys
from functools import partial

import numpy as np
import pytest

from v8lib import boosting, metrics
from v8lib.errors import TrainingError

LEARNERS = {
    "histogram": partial(boosting.histogram_trees, trees=150, rate=0.05),
    "lightgbm": boosting.lightgbm_trees,
}


def rows(n, seed, signal=1.5):
    """Return four columns of which the first decides the class, as far as anything does."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4)).astype(np.float32)
    scores = np.column_stack([-signal * features[:, 0], np.zeros(n), signal * features[:, 0]])
    return features, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


TRAIN, VALID, FRESH = rows(2_000, 1), rows(800, 2), rows(1_500, 3)


@pytest.fixture(scope="module", params=LEARNERS)
def learner(request):
    return LEARNERS[request.param]


@pytest.fixture(scope="module")
def fitted(learner):
    return learner(TRAIN, VALID, seed=0)


def loss(log_probs, data):
    return metrics.log_loss(np.exp(log_probs(data[0])), data[1])


def test_trees_give_log_probabilities_for_every_row(fitted):
    probs = np.exp(fitted(FRESH[0]))
    assert probs.shape == (1_500, 3)
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-9)
    assert np.isfinite(fitted(FRESH[0])).all()


def test_trees_learn_what_there_is_to_learn(fitted):
    nothing = metrics.log_loss(np.tile(np.bincount(TRAIN[1]) / 2_000, (1_500, 1)), FRESH[1])
    assert loss(fitted, FRESH) < nothing - 0.15


def test_valid_stops_trees_before_they_learn_noise(learner):
    """Without a signal the best number of trees is next to none."""
    noise = [rows(n, seed, signal=0.0) for n, seed in ((2_000, 1), (800, 2), (1_500, 3))]
    made = learner(noise[0], noise[1], seed=0)
    # ln 3 = 1.0986 is knowing nothing; all the trees would reach 1.14 or more.
    assert loss(made, noise[2]) < 1.105


def test_valid_chooses_the_number_of_trees_and_not_train(learner):
    """Labels that say the opposite on valid leave a model that says next to nothing."""
    against = (VALID[0], 2 - VALID[1])
    made = learner(TRAIN, against, seed=0)
    assert np.ptp(np.exp(made(FRESH[0])), axis=0).max() < 0.1


def test_there_are_no_more_trees_than_allowed():
    """One tree is a small step from the class frequencies; two are a step further."""
    losses = [
        loss(boosting.histogram_trees(TRAIN, VALID, trees=n, rate=0.05, seed=0), FRESH)
        for n in (1, 2, 40)
    ]
    nothing = metrics.log_loss(np.tile(np.bincount(TRAIN[1]) / 2_000, (1_500, 1)), FRESH[1])
    assert nothing > losses[0] > losses[1] > losses[2] + 0.1


def test_a_tree_of_twice_the_rate_goes_twice_as_far():
    """On a log scale, from the class frequencies; the first tree itself is the same."""
    one, two = (
        boosting.histogram_trees(TRAIN, VALID, trees=1, rate=rate, seed=0)(FRESH[0])
        for rate in (0.1, 0.2)
    )
    nothing = np.log(np.bincount(TRAIN[1]) / len(TRAIN[1]))
    steps = [made - nothing for made in (one, two)]
    centred = [step - step.mean(axis=1, keepdims=True) for step in steps]
    assert centred[1] == pytest.approx(2.0 * centred[0], abs=1e-9)


def test_the_same_seed_gives_the_same_bits(learner, fitted):
    again = learner(TRAIN, VALID, seed=0)
    assert again(FRESH[0]).tobytes() == fitted(FRESH[0]).tobytes()


def test_a_row_alone_gives_what_it_gives_among_others(fitted):
    np.testing.assert_allclose(fitted(FRESH[0][3:4]), fitted(FRESH[0])[3:4], atol=1e-12)


def one_line_that_names_the_way_out(caught):
    message = str(caught.value)
    assert "\n" not in message
    assert "with_lightgbm=false" in message
    assert "libgomp1" in message
    assert caught.value.__suppress_context__, "shown without the traceback of the import"


def test_without_lightgbm_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(TrainingError, match="LightGBM cannot be loaded") as caught:
        boosting.lightgbm_trees(TRAIN, VALID, seed=0)
    one_line_that_names_the_way_out(caught)


def test_without_the_system_s_library_the_way_out_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(TrainingError, match=r"libgomp\.so\.1: cannot open") as caught:
        boosting.lightgbm_trees(TRAIN, VALID, seed=0)
    one_line_that_names_the_way_out(caught)


def test_histogram_trees_need_no_lightgbm(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    fitted = boosting.histogram_trees(TRAIN, VALID, trees=150, rate=0.05, seed=0)
    assert fitted(FRESH[0]).shape == (1_500, 3)
