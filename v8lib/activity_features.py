"""Columns about how much the price moves: volatility, its distribution, volume, time."""

from collections.abc import Iterable

import numpy as np

from v8lib.feature import Feature, plain
from v8lib.series import REFERENCE_BARS, log_ratio, share
from v8lib.windows import Array

DAY_S, WEEK_S = 86_400, 604_800
LOG_2 = np.log(2.0)
SEASON_BARS = 4  # the season columns look at this many bars after the same time of day


def _volatility() -> Iterable[Feature]:
    for w in (4, 8, 16, 32, 64, 96, 192, 672):
        yield Feature(
            f"volatility_{w}", "volatility", w + 1, lambda s, w=w: log_ratio(s.rms(w), s.unit)
        )
    for w in (1, 4, 16, 48, 96):  # Parkinson (1980): range squared over 4 ln 2
        yield Feature(
            f"range_{w}",
            "volatility",
            w,
            lambda s, w=w: log_ratio(
                np.sqrt(s.total("ranges_squared", w) / (w * 4.0 * LOG_2)), s.unit
            ),
        )
    # How much of the movement was trend: above 0 where returns follow each other.
    yield Feature(
        "volatility_reference",
        "volatility",
        2,
        lambda s: log_ratio(s.reference_mean("absolute"), s.unit),
    )


def _distribution() -> Iterable[Feature]:
    yield plain(
        "skewness_96",
        "distribution",
        97,
        lambda s: share(s.total("cubed", 96) / 96, _cube(s.rms(96)), empty=0.0),
        odd=True,
    )
    yield plain(
        "autocorrelation_96",
        "distribution",
        98,
        lambda s: share(s.total("neighbours", 96), s.total("squared", 96), empty=0.0),
    )
    yield plain(
        "tails_96",
        "distribution",
        97,
        lambda s: share(s.total("absolute", 96) / 96, s.rms(96), empty=1.0),
    )


def _cube(values: Array) -> Array:
    return values * values * values


def _volume() -> Iterable[Feature]:
    yield plain("volume_1", "volume", 96, lambda s: log_ratio(s.volume, s.total("volume", 96) / 96))
    yield plain(
        "volume_4",
        "volume",
        96,
        lambda s: log_ratio(s.total("volume", 4) / 4, s.total("volume", 96) / 96),
    )
    yield Feature(
        "volume_16",
        "volume",
        16,
        lambda s: log_ratio(s.total("volume", 16) / 16, s.reference_mean("volume")),
    )
    yield Feature(
        "volume_96",
        "volume",
        96,
        lambda s: log_ratio(s.total("volume", 96) / 96, s.reference_mean("volume")),
    )
    yield plain(
        "volume_signed_16",
        "volume",
        17,
        lambda s: share(s.total("signed_volumes", 16), s.total("volume", 16), empty=0.0),
        odd=True,
    )


def _time() -> Iterable[Feature]:
    for name, period in (("day", DAY_S), ("half_day", DAY_S // 2), ("week", WEEK_S)):
        for wave, function in (("sin", np.sin), ("cos", np.cos)):
            yield plain(
                f"{name}_{wave}",
                "time",
                1,
                lambda s, f=function, p=period: f(s.phase(p)),
            )


def _season(interval_s: int) -> Iterable[Feature]:
    day = max(DAY_S // interval_s, SEASON_BARS + 1)
    n_days = max(1, min(7, REFERENCE_BARS // day))
    for name, days in (("season_1", 1), ("season_mean", n_days)):
        yield Feature(
            name,
            "season",
            day + 1,
            lambda s, days=days: log_ratio(np.sqrt(s.same_time(day, days, SEASON_BARS)), s.unit),
        )


def activity_columns(interval_s: int) -> list[Feature]:
    """Return the columns of this module for bars of this length in seconds, in order."""
    groups = (_volatility(), _distribution(), _volume(), _time(), _season(interval_s))
    return [feature for group in groups for feature in group]
