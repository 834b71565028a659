"""Day first or month first: decided by the whole column, or not at all."""

import re
from datetime import date

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_moment import DAY_US, NAT
from v8lib.errors import BarsError
from v8lib.raw_bars import Finding

ORDERS = ("day-month-year", "month-day-year", "year-month-day")
YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})|(\d{4})(\d{2})(\d{2})")
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})")
FIRST_YEAR = 2009  # Bitcoin's first block: 06-12-21 is no day of the year 2006


def possible_days(text: str) -> tuple[int, int, int]:
    """Return the days since 1970 that a date can be in each of `ORDERS`, NAT where it cannot."""
    whole = YEAR_FIRST.fullmatch(text)
    if whole:
        year, month, day = (int(part) for part in whole.groups() if part and part.isdigit())
        return (_day(year, month, day),) * 3
    parts = YEAR_LAST.fullmatch(text)
    if not parts:
        return (NAT, NAT, NAT)
    a, b, c = int(parts[1]), int(parts[3]), int(parts[4])
    year = c if len(parts[4]) == 4 else 2_000 + c
    by_year = _day(2_000 + a, b, c) if c < 100 and 2_000 + a >= FIRST_YEAR else NAT
    return (_day(year, b, a), _day(year, a, b), by_year)


def _day(year: int, month: int, day: int) -> int:
    try:
        return date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return NAT


def decide_order(
    name: str, days: NDArray[np.int64], within: NDArray[np.int64]
) -> tuple[NDArray[np.int64], str, tuple[Finding, ...]]:
    """Return the times in the order of day and month that makes the most regular bars.

    An order costs one for every date that it makes impossible, and one for every step that
    is not the most frequent one (or not a month, for bars of a month). The one order that
    costs least is taken.

    Parameters
    ----------
    name : str
        The column, for messages.
    days : array of shape (n_rows, 3)
        From `possible_days`.
    within : array of shape (n_rows,)
        Microseconds to add to the day; NAT where the row has no time.

    Returns
    -------
    tuple
        Microseconds since 1970 of shape (n_rows,), the order in words, and a finding if no
        number above 12 decided.

    Raises
    ------
    BarsError
        If two orders cost the same.
    """
    times = [_added(days[:, k], within) for k in range(len(ORDERS))]
    if (days == days[:, :1]).all():
        return times[-1], ORDERS[-1], ()
    costs = [_cost(us) for us in times]
    best = int(np.argmin(costs))
    equal = [ORDERS[k] for k, cost in enumerate(costs) if cost == costs[best]]
    if len(equal) > 1:
        raise BarsError(f"{name}: the dates may be {' or '.join(equal)}: write them as 2024-01-31")
    rivals = [k for k in range(len(ORDERS)) if k != best and (days[:, k] != NAT).all()]
    findings = (
        (Finding("date_order", f"{name}: {ORDERS[best]}, as this makes the bars regular"),)
        if rivals
        else ()
    )
    return times[best], ORDERS[best], findings


def _added(days: NDArray[np.int64], within: NDArray[np.int64]) -> NDArray[np.int64]:
    missing = (days == NAT) | (within == NAT)
    us = np.where(missing, 0, days) * DAY_US + np.where(missing, 0, within)
    us[missing] = NAT
    return us


def _cost(us: NDArray[np.int64]) -> int:
    good = us[us != NAT]
    steps = np.abs(np.diff(good))
    _, frequent = np.unique(steps[steps > 0], return_counts=True)
    regular = int(frequent.max()) if len(frequent) else 0
    months = good.astype("datetime64[us]").astype("datetime64[M]")
    into_month = good - months.astype("datetime64[us]").astype(np.int64)
    monthly = (np.abs(np.diff(months.astype(np.int64))) == 1) & (np.diff(into_month) == 0)
    return len(us) - len(good) + len(steps) - max(regular, int(monthly.sum()))
