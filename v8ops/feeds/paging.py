"""Pages through the history of a market, so that no short answer loses a bar."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
LONGEST_SKIMMED_S = 3_600  # longer bars fill a page of months: days would not be faster

Ask = Callable[[int, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Piece:
    """What is known of the time from `start` to `stop`.

    Attributes
    ----------
    start, stop : int
        Seconds since 1970-01-01 UTC; the first belongs to the piece, the last does not.
    rows : array of shape (n_bars, 6)
        Open time in seconds, open, high, low, close, volume, as they came, in order of time.
    """

    start: int
    stop: int
    rows: NDArray[np.float64]


def no_rows() -> NDArray[np.float64]:
    """Return rows of no bars."""
    return np.empty((0, 6))


def pages(
    ask: Ask,
    start: int,
    stop: int,
    interval_s: int,
    page_bars: int,
    ask_days: Ask | None = None,
) -> Generator[Piece, None, None]:
    """Yield the bars from `start` to `stop`, a page at a time and in order of time.

    A page is a stretch of time, not a number of bars, so that a stretch without bars does not
    end the history. After an empty one the next page begins where the exchange has bars again,
    if it says so: some answer with the bars that come next, of others the days are asked.

    Parameters
    ----------
    ask : callable
        Takes a start in seconds and a number of bars, returns rows of shape (n, 6). It may
        return fewer bars than there are, and bars outside of what was asked for.
    start, stop : int
        Multiples of `interval_s`.
    interval_s : int
        Length of a bar.
    page_bars : int
        How many bars one answer can hold.
    ask_days : callable, optional
        As `ask`, for bars of a day.
    """
    cursor, known_until = start, start
    while cursor < stop:
        end = min(cursor + page_bars * interval_s, stop)
        rows, next_s = whole_page(ask, cursor, end, interval_s)
        if not len(rows) and end < stop:
            skim = ask_days is not None and interval_s <= LONGEST_SKIMMED_S
            if next_s is None and skim and end >= known_until:
                next_s, known_until = _next_day(ask_days, end, stop, page_bars)
            if next_s is not None:
                end = min(max(end, _floor(next_s, interval_s)), stop)
        yield Piece(cursor, end, rows)
        cursor = end


def whole_page(
    ask: Ask, start: int, end: int, interval_s: int
) -> tuple[NDArray[np.float64], int | None]:
    """Return all bars from `start` to `end`, and the time of the next one if the answer has it.

    An answer that was cut short lacks bars at one of its ends. So each end that is missing is
    asked for by itself, and so on until an answer adds nothing: no bar at an end, and no empty
    page, is believed to be missing on the word of one answer.
    """
    found: list[NDArray[np.float64]] = []
    next_s: int | None = None
    open_ranges, tries_left = [(start, end)], 2
    while open_ranges:
        first, last = open_ranges.pop()
        rows = ask(first, (last - first) // interval_s)
        later = rows[rows[:, 0] >= end, 0]
        if len(later) and next_s is None:
            next_s = int(later.min())
        rows = rows[(rows[:, 0] >= first) & (rows[:, 0] < last)]
        if len(rows):
            found.append(rows)
            open_ranges += _missing_ends(rows, first, last, interval_s)
        elif (first, last) == (start, end) and tries_left > 1:
            tries_left -= 1
            open_ranges.append((first, last))
    return (np.unique(np.concatenate(found), axis=0) if found else no_rows()), next_s


def _missing_ends(
    rows: NDArray[np.float64], first: int, last: int, interval_s: int
) -> list[tuple[int, int]]:
    begins = _floor(float(rows[:, 0].min()), interval_s)
    ends = _floor(float(rows[:, 0].max()), interval_s) + interval_s
    return [(a, b) for a, b in ((first, begins), (ends, last)) if a < b]


def _next_day(ask_days: Ask, after: int, stop: int, page_bars: int) -> tuple[int, int]:
    """Return when the next bar may open, found with bars of a day, and until when that is known.

    Where days do not begin at midnight UTC, the day of `after` may have begun the day before.
    """
    day = _floor(after, DAY_S) - DAY_S
    while day < stop:
        end = day + page_bars * DAY_S
        rows, _ = whole_page(ask_days, day, min(end, _floor(stop, DAY_S) + DAY_S), DAY_S)
        opened = rows[rows[:, 0] + DAY_S > after, 0]
        if len(opened):
            return max(after, int(opened[0])), int(opened[0]) + DAY_S
        day = end
    return stop, stop


def _floor(time_s: float, interval_s: int) -> int:
    return int(time_s // interval_s) * interval_s
