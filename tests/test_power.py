import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib.errors import ParameterError
from v8lib.intervals import Interval
from v8lib.power import detectable_skill, power_sentence, skill_words

shares = st.floats(-1.0, 1.0)


def test_the_detectable_skill_is_as_by_hand():
    """A half width of 1.96 errors; 1.960 + 0.842 errors are needed for four in five."""
    interval = Interval(0.05, 0.05 - 0.0196, 0.05 + 0.0196)
    assert detectable_skill(interval) == pytest.approx(0.01 * 2.8016, rel=1e-4)
    assert detectable_skill(interval, power=0.5) == pytest.approx(0.0196)


def test_that_skill_is_shown_in_four_of_five_test_sets():
    """20,000 normal estimates around it; standard error of the share 0.3 %."""
    error = 0.01
    interval = Interval(0.3, 0.3 - 1.959964 * error, 0.3 + 1.959964 * error)
    estimates = np.random.default_rng(1).normal(detectable_skill(interval), error, 20_000)
    assert (estimates - 1.959964 * error > 0.0).mean() == pytest.approx(0.8, abs=0.01)


def test_twice_the_width_needs_twice_the_skill_wherever_it_lies():
    narrow, wide = Interval(0.0, -0.01, 0.01), Interval(0.5, 0.48, 0.52)
    assert detectable_skill(wide) == pytest.approx(2.0 * detectable_skill(narrow))
    assert detectable_skill(narrow, power=0.9) > detectable_skill(narrow)


@pytest.mark.parametrize("power", [0.0, 1.0, -0.1, float("nan")])
def test_a_power_that_is_no_probability_is_refused(power):
    with pytest.raises(ParameterError, match="power must be above 0 and below 1"):
        detectable_skill(Interval(0.0, -0.1, 0.1), power=power)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.001, 0.1, "skill"),
        (0.0, 0.1, "no skill"),
        (-0.1, 0.1, "no skill"),
        (-0.2, -0.1, "no skill"),
        (float("nan"), float("nan"), "no skill"),
    ],
)
def test_it_is_skill_only_if_the_whole_interval_is_above_zero(low, high, words):
    assert skill_words(Interval(0.05, low, high)) == words


def test_the_sentence_on_a_model_with_skill():
    """A width of 0.0058 is an error of 0.00148 and a detectable skill of 0.004145."""
    assert power_sentence(Interval(0.0411, 0.0382, 0.0440)) == (
        "This test set could show a skill of 0.42 % or more (at least four times in five); the "
        "model shows 4.11 %, and its 95 % interval from 3.82 % to 4.40 % is wholly above zero: "
        "skill is shown."
    )


def test_the_sentence_on_a_model_that_shows_none_does_not_deny_it():
    sentence = power_sentence(Interval(0.001, -0.002, 0.004))
    assert "from -0.20 % to 0.40 % does not exclude zero" in sentence
    assert sentence.endswith("no skill was shown, which does not prove there is none.")


def test_the_sentence_on_a_model_that_is_worse():
    sentence = power_sentence(Interval(-0.03, -0.04, -0.02))
    assert sentence.endswith("is wholly below zero: it does worse than the reference.")


def test_the_sentence_on_a_test_set_that_is_far_too_small():
    sentence = power_sentence(Interval(-0.5, -1.9, 0.3))
    assert sentence.startswith("This test set is too small to show any skill reliably; the model")


def test_the_sentence_on_an_interval_that_is_none():
    assert "nothing can be said" in power_sentence(Interval(0.1, float("nan"), float("nan")))
    assert "no spread" in power_sentence(Interval(0.1, 0.1, 0.1))


def test_a_bound_that_rounds_to_zero_is_written_out():
    sentence = power_sentence(Interval(0.001, 0.00001, 0.002))
    assert "from 0.001 % to 0.20 % is wholly above zero" in sentence
    assert "from 0.00 % to 0.20 % does not" in power_sentence(Interval(0.001, 0.0, 0.002))


@given(bounds=st.tuples(shares, shares, shares).map(sorted))
def test_the_sentence_is_true_of_every_interval(bounds):
    low, value, high = bounds
    interval = Interval(value, low, high)
    sentence = power_sentence(interval)
    assert sentence.endswith(".")
    assert "nan" not in sentence
    assert ("skill is shown" in sentence) == (low > 0.0)
    assert ("worse" in sentence) == (high < 0.0)
    promised = re.search(r"skill of (\S+) % or more", sentence)
    if promised:
        assert float(promised[1]) / 100.0 >= detectable_skill(interval) - 1e-12
