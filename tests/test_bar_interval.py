import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import bar_interval
from v8lib.errors import BarsError


def test_words_and_seconds_are_each_others_inverse():
    for word, seconds in bar_interval.SECONDS.items():
        assert bar_interval.parse_interval(word) == seconds
        assert bar_interval.parse_interval(f" {word.upper()} ") == seconds
        assert bar_interval.interval_word(seconds) == word


@pytest.mark.parametrize("text", ["", "15", "m", "15min", "0m", "7m", "1w", "1M5", "60"])
def test_other_words_are_refused_with_those_allowed(text):
    with pytest.raises(BarsError, match=r"interval '.*': one of 1m, 3m, 5m, 15m, .*12h, 1d"):
        bar_interval.parse_interval(text)


@given(seconds=st.integers(1, 10**7))
def test_every_length_has_a_word_that_says_it(seconds):
    word = bar_interval.interval_word(seconds)
    unit = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[word[-1]]
    assert int(word[:-1]) * unit == seconds


@pytest.mark.parametrize("seconds", [0, -60, 0.5])
def test_what_is_no_length_is_refused(seconds):
    with pytest.raises(BarsError, match="whole number above 0"):
        bar_interval.interval_word(seconds)
