"""One signal per bar, its line of text, and the reading of a window in words."""

import numpy as np
import pytest

from v8lib.label import Label
from v8ops.production.emission import Answer, emit, line
from v8ops.production.judging import judged_bars
from v8ops.production.monitors import EVERY_BARS, Reading
from v8ops.production.notes import KEPT, Notes, utc_words

YES = Answer("candidate", "v8", 2, (0.1, 0.2, 0.7), True, "")
NO = Answer("candidate", "v8", 0, None, False, "logit of 23.1")
STABLE = Answer("stable", "v5", 0, (0.6, 0.3, 0.1), False, "")


def test_the_first_that_has_an_answer_gives_the_signal():
    row = emit("BTC", 900, [YES, STABLE], reasons=[], late=False)
    assert (row.version, row.role, row.decision) == ("v8", "candidate", 2)
    assert (row.confidence, row.probs, row.actionable) == (0.7, (0.1, 0.2, 0.7), True)
    assert row.reason == ""


def test_who_comes_after_one_without_an_answer_says_why():
    row = emit("BTC", 900, [NO, STABLE], reasons=["first"], late=False)
    assert (row.version, row.role, row.actionable) == ("v5", "stable", False)
    assert row.reason == "first; candidate v8: logit of 23.1"


def test_nobody_s_answer_is_hold():
    row = emit("BTC", 900, [NO], reasons=[], late=True)
    assert (row.version, row.role, row.decision) == (None, "none", int(Label.HOLD))
    assert (row.confidence, row.probs, row.actionable) == (None, None, False)
    assert row.reason == "candidate v8: logit of 23.1; late"


def test_what_is_late_is_said_and_not_to_be_acted_on():
    row = emit("BTC", 900, [YES], reasons=[], late=True)
    assert (row.decision, row.actionable, row.reason) == (2, False, "late")


def test_a_signal_is_one_line():
    rows = [
        emit("BTC", 900, [YES], reasons=[], late=False),
        emit("BTC", 900, [NO], reasons=[], late=False),
    ]
    assert [line(row) for row in rows] == [
        "1970-01-01T00:15:00Z  BTC  UP  70.0 %  candidate v8  actionable",
        "1970-01-01T00:15:00Z  BTC  HOLD  not actionable  (candidate v8: logit of 23.1)",
    ]


@pytest.mark.parametrize("interval_s", [60, 900, 86_400])
def test_windows_are_looked_at_every_so_many_bars_whatever_the_block(interval_s):
    epochs = 1_704_067_200 + interval_s * np.arange(3 * EVERY_BARS)
    places = judged_bars(epochs, interval_s)
    assert len(places) == 3
    assert np.diff(places).tolist() == [EVERY_BARS] * 2
    assert (epochs[places] // interval_s % EVERY_BARS == 0).all()


def test_a_reading_in_words():
    reading = Reading("sure_share", 0.1234, "5 %", "10 %", "alarm", 200, "share above 0.99")
    assert reading.words == "sure_share 0.123, share above 0.99; alarm: 10 %; 200 rows"
    none = Reading("drift", None, "a", "b", "unknown", 3, "")
    assert none.words == "drift no value; alarm: b; 3 rows"


def test_notes_say_once_and_say_when_it_is_over():
    lines = []
    notes = Notes(lambda: 0.0, lines.append)
    notes.over("data", "fine", symbol="BTC")
    for words in ("broken", "broken", "worse"):
        notes.once("data", words, symbol="BTC")
    notes.once("data", "broken", symbol="ETH")
    notes.over("data", "fine", symbol="BTC")
    notes.over("data", "fine", symbol="BTC")
    notes.once("data", "broken", symbol="BTC")
    assert [entry.split("Z ", 1)[1] for entry in lines] == [
        "BTC: broken",
        "BTC: worse",
        "ETH: broken",
        "BTC: fine",
        "BTC: broken",
    ]
    assert [event.message for event in notes.waiting] == [
        "broken",
        "worse",
        "broken",
        "fine",
        "broken",
    ]
    notes.settle(2)
    assert [event.symbol for event in notes.waiting] == ["ETH", "BTC", "BTC"]


def test_events_that_wait_for_the_log_do_not_fill_the_memory():
    notes = Notes(lambda: 0.0, lambda words: None)
    for k in range(KEPT + 5):
        notes.say("data", str(k))
    assert len(notes.waiting) == KEPT
    assert notes.waiting[0].message == "5"
    notes.settle(10**6)
    assert not notes.waiting


def test_times_are_utc():
    assert utc_words(1_704_067_200.9) == "2024-01-01T00:00:00Z"
