"""Words for bar lengths: "15m" is 900 seconds, here and at the exchanges."""

from v8lib.errors import BarsError

# No week: weeks of the epoch begin on Thursday, those of the exchanges on Monday.
SECONDS = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
}
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def parse_interval(text: str) -> int:
    """Return the seconds of an interval's word.

    Raises
    ------
    BarsError
        If it is none of the words of `SECONDS`; the message lists them.
    """
    word = text.strip().lower()
    if word not in SECONDS:
        raise BarsError(f"interval {text!r}: one of {', '.join(SECONDS)}")
    return SECONDS[word]


def interval_word(seconds: int) -> str:
    """Return the word for a number of seconds, in the largest unit that divides it.

    For every interval of `SECONDS` it is the word of that table; others get theirs in the
    same manner ("10m", "45s", "2d"), so that a report can name whatever a file holds.

    Raises
    ------
    BarsError
        If it is not a whole, positive number of seconds.
    """
    if seconds != int(seconds) or seconds <= 0:
        raise BarsError(f"an interval of {seconds} seconds: a whole number above 0 is needed")
    letter, length = next(unit for unit in UNITS if seconds % unit[1] == 0)
    return f"{int(seconds) // length}{letter}"
