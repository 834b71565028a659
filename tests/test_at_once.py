from dataclasses import replace

import numpy as np
import pytest

from v8lib.inversion import softmax
from v8lib.runtime import Prediction
from v8ops.production import at_once


def said(n=5):
    logits = np.random.default_rng(3).normal(size=(n, 3))
    logits -= logits.mean(axis=1, keepdims=True)
    probs = softmax(logits)
    return Prediction(logits, probs, probs.argmax(axis=1), np.zeros(n, bool))


def changed(field, row, value):
    array = getattr(said(), field).copy()
    array[row] = value
    return replace(said(), **{field: array})


def test_a_sound_answer_has_no_fault():
    assert at_once.first_fault(said(), seconds_per_row=1e-3) is None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("logits", np.nan, "NaN or infinity"),
        ("probs", np.inf, "NaN or infinity"),
        ("logits", (15.0, -7.5, -7.5), "logit of 15.0, 15 is the limit"),
        ("logits", (9.0, 9.0, -18.0), "logit of 18.0, 15 is the limit"),
        ("probs", (0.5, 0.5, 0.5), "sum to 1.5000"),
        ("probs", (1.2, -0.1, -0.1), "sum to 1.0000"),
        ("decisions", 3, "decision 3 is no class"),
        ("decisions", -1, "decision -1 is no class"),
    ],
)
def test_each_fault_is_found_at_its_row_and_named(field, value, words):
    row, why = at_once.first_fault(changed(field, 2, value), seconds_per_row=1e-3)
    assert row == 2 and words in why


def test_the_first_of_several_rows_counts():
    broken = changed("logits", slice(3, 5), np.nan)
    assert at_once.first_fault(broken, seconds_per_row=1e-3)[0] == 3


def test_a_logit_just_below_the_limit_is_none():
    assert at_once.first_fault(changed("logits", 1, 14.999), seconds_per_row=1e-3) is None


def test_a_model_that_takes_too_long_is_at_fault_from_the_first_row():
    assert at_once.first_fault(said(), seconds_per_row=1.5) == (
        0,
        "1.5 s for a row, 1 s is the limit",
    )


def test_the_limit_is_the_gates():
    from v8lib import gates

    assert at_once.MAX_LOGIT == gates.MAX_LOGIT
