"""A file of bars against a second source of the same market: whether clocks and prices agree."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.audit_finding import AuditFinding
from v8lib.bar_interval import interval_word
from v8lib.bars import bar_seconds, epoch_seconds
from v8lib.errors import BarsError
from v8lib.oddities import MAX_RETURN
from v8lib.resample import resample_bars

Array = NDArray[np.float64]

REACH_S = 48 * 3_600  # clocks are compared up to two days apart
PART_S, MIN_PART_BARS = 30 * 86_400, 256  # a part of the file, for clocks that change
MIN_COMMON = 50  # returns that both sources must have before they are compared
MIN_CORRELATION = 0.5  # below it at every shift the two are not one market
MIN_GAIN = 0.1  # by which a shift must beat no shift
APART, MAX_APART = 0.01, 0.05  # a close differs by more than; share of closes that may


@dataclass(frozen=True)
class Against:
    """What a second source says of a file.

    Attributes
    ----------
    interval_s : int
        Length of the bars compared: the longer of the two.
    shift_s : int
        By how many seconds the file's times lie behind (after) the other's; 0 is right.
    correlation, correlation_unshifted : float
        Of returns at that shift, and with the times as they are.
    price_ratio : float
        Median close of the file over the close of the other, at that shift.
    share_apart : float
        Share of bars whose close differs by more than 1 %, at that shift.
    n_common : int
        Bars both have at that shift.
    parts : DataFrame
        start, shift_s and correlation of each part of about 30 days (or 256 bars).
    """

    interval_s: int
    shift_s: int
    correlation: float
    correlation_unshifted: float
    price_ratio: float
    share_apart: float
    n_common: int
    parts: pd.DataFrame


def compare_sources(bars: pd.DataFrame, other: pd.DataFrame) -> Against:
    """Return how the bars of two sources of one market lie to each other.

    The shift is the one, within 48 hours either way, at which the returns correlate most.
    Returns are cut at 8 medians, so that a few jumps do not decide. Where the intervals
    differ, the finer bars are made into the coarser ones first.

    Raises
    ------
    BarsError
        If neither interval is a multiple of the other, or the two have too few bars in common.
    """
    bars, other, interval_s = _one_interval(bars, other)
    reach = max(1, REACH_S // interval_s)
    starts, sums = _sums_by_part(bars, other, interval_s, reach)
    together = _correlations(sums.sum(axis=0))
    if not np.isfinite(together).any():
        raise BarsError(
            f"fewer than {MIN_COMMON} bars in common with the second source, even 48 hours apart"
        )
    best = int(np.nanargmax(together))
    shift_s = (best - reach) * interval_s
    each = _correlations(sums)
    known = np.isfinite(each).any(axis=1)
    shifts = np.nanargmax(each[known], axis=1)
    parts = pd.DataFrame(
        {
            "start": starts[known],
            "shift_s": (shifts - reach) * interval_s,
            "correlation": np.nanmax(each[known], axis=1),
        }
    )
    ratios = _price_ratios(bars, other, shift_s)
    return Against(
        interval_s,
        shift_s,
        float(together[best]),
        float(together[reach]),
        float(np.median(ratios)) if len(ratios) else np.nan,
        float((np.abs(ratios - 1.0) > APART).mean()) if len(ratios) else np.nan,
        len(ratios),
        parts,
    )


def _one_interval(
    bars: pd.DataFrame, other: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    own_s, other_s = bar_seconds(bars), bar_seconds(other)
    interval_s = max(own_s, other_s)
    if own_s < interval_s:
        bars = resample_bars(bars, interval_s)
    if other_s < interval_s:
        other = resample_bars(other, interval_s)
    return bars, other, interval_s


def _sums_by_part(
    bars: pd.DataFrame, other: pd.DataFrame, interval_s: int, reach: int
) -> tuple[pd.DatetimeIndex, Array]:
    """Return where each part starts, and the six sums of a correlation at each of its shifts.

    Sums, and not correlations, because those of the parts add up to those of the whole.

    Returns
    -------
    starts : DatetimeIndex of n_parts times
        UTC.
    sums : array of shape (n_parts, 6, 2 * reach + 1)
        n, x, y, xx, yy, xy; the shift of the last axis runs from -reach to reach bars.
    """
    from scipy.signal import correlate

    x, x_start = _returns_on_grid(bars, interval_s)
    y, y_start = _returns_on_grid(other, interval_s)
    size = max(MIN_PART_BARS, PART_S // interval_s)
    starts, sums = [], []
    for begin in range(0, len(x), size):
        part = x[begin : begin + size]
        around = _slice_or_nan(y, begin - reach + x_start - y_start, len(part) + 2 * reach)
        seen, known = np.isfinite(part), np.isfinite(around)
        if not seen.any() or not known.any():
            continue
        a, b = np.where(seen, part, 0.0), np.where(known, around, 0.0)
        pairs = ((known, seen), (known, a), (b, seen), (known, a * a), (b * b, seen), (b, a))
        made = [
            correlate(np.asarray(w, np.float64), np.asarray(v, np.float64), "valid", "fft")
            for w, v in pairs
        ]
        starts.append((x_start + begin) * interval_s)
        sums.append(np.array(made)[:, ::-1])
    empty = np.zeros((0, 6, 2 * reach + 1))
    return pd.to_datetime(starts, unit="s", utc=True), np.array(sums) if sums else empty


def _returns_on_grid(bars: pd.DataFrame, interval_s: int) -> tuple[Array, int]:
    """Return log returns, cut, in usual moves, NaN where a bar is missing; and the first place."""
    places = epoch_seconds(bars) // interval_s
    closes = np.full(int(places[-1] - places[0]) + 1, np.nan)
    closes[places - places[0]] = np.log(bars["close"].to_numpy(np.float64))
    returns = np.diff(closes, prepend=np.nan)
    moving = np.abs(returns[np.isfinite(returns) & (returns != 0.0)])
    usual = float(np.median(moving)) if len(moving) else 1.0
    return np.clip(returns / usual, -MAX_RETURN, MAX_RETURN), int(places[0])


def _slice_or_nan(values: Array, start: int, length: int) -> Array:
    """Return values[start : start + length], NaN where that reaches outside."""
    out = np.full(length, np.nan)
    low, high = max(start, 0), min(start + length, len(values))
    if low < high:
        out[low - start : high - start] = values[low:high]
    return out


def _correlations(sums: Array) -> Array:
    """Return the correlation of each shift; NaN where too little is in common."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -2, 0)
    n = np.round(n)
    enough = n >= MIN_COMMON
    count = np.where(enough, n, 1.0)
    spread = (xx - x * x / count) * (yy - y * y / count)
    # The sums come from Fourier transforms: a spread of nothing is not quite zero.
    usable = enough & (spread > 1e-9 * count**2)
    return np.where(usable, (xy - x * y / count) / np.sqrt(np.where(usable, spread, 1.0)), np.nan)


def _price_ratios(bars: pd.DataFrame, other: pd.DataFrame, shift_s: int) -> Array:
    """Return close over close of the bars both have."""
    at = epoch_seconds(bars) - shift_s
    _, mine, its = np.intersect1d(at, epoch_seconds(other), return_indices=True)
    return bars["close"].to_numpy(np.float64)[mine] / other["close"].to_numpy(np.float64)[its]


def against_findings(found: Against) -> Iterator[AuditFinding]:
    """Yield what a second source gives reason to look at."""
    shifts = _lasting_shifts(found.parts)
    if found.correlation < MIN_CORRELATION and len(shifts) < 2:
        yield AuditFinding(
            "unrelated",
            "warning",
            f"returns correlate with the second source by {found.correlation:.2f} at best, at any "
            "shift of up to 48 hours: another market, or not its prices",
        )
        return
    if len(shifts) > 1:
        yield AuditFinding(
            "shift_changes",
            "warning",
            f"its times are {' and '.join(map(shift_words, shifts))} against the second source, "
            "in turns: a local clock with summer time",
        )
    elif found.shift_s and not found.correlation_unshifted > found.correlation - MIN_GAIN:
        yield AuditFinding("shift", "warning", _shift_detail(found))
    if found.share_apart > MAX_APART:
        yield AuditFinding(
            "prices_apart",
            "warning",
            f"{found.share_apart:.1%} of closes differ from the second source by more than "
            f"{APART:.0%}; median ratio {found.price_ratio:.4g}: another market or currency?",
        )


def _lasting_shifts(parts: pd.DataFrame) -> list[int]:
    """Return the shifts, in seconds, that two parts and a tenth of the parts at least have.

    One odd part may be a day on which a source was wrong.
    """
    sure = parts.loc[parts["correlation"] >= MIN_CORRELATION, "shift_s"]
    counts = sure.value_counts()
    return sorted(int(shift) for shift in counts.index[counts >= max(2.0, len(sure) / 10)])


def _shift_detail(found: Against) -> str:
    reason = "a time-zone mistake" if found.shift_s % 900 == 0 else "a clock that is off"
    if found.shift_s == found.interval_s:
        reason = f"times of closing for times of opening, or {reason}"
    return (
        f"its times are {shift_words(found.shift_s)} against the second source (correlation "
        f"{found.correlation:.2f}, {found.correlation_unshifted:.2f} as they are): {reason}"
    )


def shift_words(shift_s: int) -> str:
    """Return a shift in words: "5h late", "1h early", "right"."""
    if shift_s == 0:
        return "right"
    return f"{interval_word(abs(shift_s))} {'late' if shift_s > 0 else 'early'}"
