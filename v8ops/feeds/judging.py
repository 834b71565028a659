"""Which of the bars that came are none: the same rules as those of a bar file."""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from v8lib.bars import COLUMNS, PRICES


def bad_bars(rows: NDArray[np.float64], interval_s: int) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which rows are no bars, and a line on each of them.

    A missing volume is a missing number, as a missing price is: it is not taken for 0.

    Parameters
    ----------
    rows : array of shape (n_bars, 6)
        Open time in seconds, open, high, low, close, volume, in order of time. A row stands
        there twice only if the two differ.
    interval_s : int
        Length of a bar.

    Returns
    -------
    bad : array of bool, shape (n_bars,)
    lines : list of str
        Time, values and what is wrong, one line per bad row.
    """
    times, values = rows[:, 0], rows[:, 1:]
    prices, volume = values[:, : len(PRICES)], values[:, -1]
    opened, high, low, close = prices.T
    twice = np.zeros(len(rows), dtype=bool)
    twice[1:] = times[1:] == times[:-1]
    twice[:-1] |= twice[1:]
    rules = {
        "a value is missing": ~np.isfinite(values).all(axis=1),
        "a price is not positive": (prices <= 0.0).any(axis=1),
        "negative volume": volume < 0.0,
        "high below low": high < low,
        "high below open or close": high < np.maximum(opened, close),
        "low above open or close": low > np.minimum(opened, close),
        "off the grid of the interval": times % interval_s != 0.0,
        "two different bars of one time": twice,
    }
    bad = np.logical_or.reduce(list(rules.values()))
    lines = []
    for row in np.flatnonzero(bad):
        reason = next(name for name, broken in rules.items() if broken[row])
        cells = ", ".join(f"{c} {v:.12g}" for c, v in zip(COLUMNS, values[row], strict=True))
        lines.append(f"{time_words(times[row])} ({cells}): {reason}")
    return bad, lines


def time_words(time_s: float) -> str:
    """Return a time in seconds as people write it, in UTC; seconds only if there are any."""
    moment = datetime.fromtimestamp(float(time_s), UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
