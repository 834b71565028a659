"""When and where the model is good: by calendar week, volatility, trend and hour of the day.

Probabilities have shape (n_rows, 3); all arrays are of the same rows, in order of time, from a
split the model was not fitted on.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.intervals import block_length, ratio_intervals
from v8lib.metrics import equal_mass_bins, row_log_loss

Array = NDArray[np.float64]
Ints = NDArray[np.integer]
HOUR_S, WEEK_S = 3_600, 604_800
FIRST_MONDAY_S = 4 * 24 * HOUR_S  # 1970-01-05; the epoch began on a Thursday
ROLLING_WEEKS = 4
VOLATILITY = ("low", "middle", "high")
TREND = ("down", "flat", "up")


def weekly_table(
    probs: Array, reference: Array, labels: Ints, epoch_s: NDArray[np.int64]
) -> pd.DataFrame:
    """Return one row per calendar week, indexed by its Monday 00:00 UTC.

    Columns: n, skill, accuracy and mean confidence of the week, and rolling skill over the week
    and the three before it. Skills are ratios of summed losses. A week without rows has n = 0
    and NaN elsewhere; rolling skill begins with the fourth week.

    Parameters
    ----------
    probs, reference : arrays of shape (n_rows, 3)
        Probabilities of the model and of the reference of the skill.
    labels : integer array of shape (n_rows,)
        What happened.
    epoch_s : int64 array of shape (n_rows,)
        Time of each row in seconds since 1970, UTC.
    """
    monday = (epoch_s - FIRST_MONDAY_S) // WEEK_S * WEEK_S + FIRST_MONDAY_S
    weeks = np.arange(monday[0], monday[-1] + 1, WEEK_S)
    sums = _row_values(probs, reference, labels).groupby(monday).sum()
    sums = sums.reindex(weeks, fill_value=0)
    over_weeks = sums[["gain", "loss"]].rolling(ROLLING_WEEKS).sum()
    table = _per_row(sums)
    table["rolling skill"] = over_weeks["gain"] / over_weeks["loss"]
    return table.set_index(pd.to_datetime(weeks, unit="s", utc=True).rename("week"))


def _row_values(probs: Array, reference: Array, labels: Ints) -> pd.DataFrame:
    """Return what sums over rows are made of: n, gain, loss, right, confidence."""
    loss = row_log_loss(reference, labels)
    return pd.DataFrame(
        {
            "n": 1,
            "gain": loss - row_log_loss(probs, labels),
            "loss": loss,
            "right": probs.argmax(axis=1) == labels,
            "confidence": probs.max(axis=1),
        }
    )


def _per_row(sums: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": sums["n"],
            "skill": sums["gain"] / sums["loss"],
            "accuracy": sums["right"] / sums["n"],
            "mean confidence": sums["confidence"] / sums["n"],
        }
    )


def regime_table(
    probs: Array,
    reference: Array,
    labels: Ints,
    groups: Mapping[str, NDArray],
    *,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return rows (regime, group): n, skill, low, high, accuracy, mean confidence.

    Rows of one group are not neighbours in time, so whole stretches of the series are drawn
    and each group's skill is taken from its rows among them. `low` and `high` are NaN where a
    draw held none of a group's rows: it is in too few places to say.

    Parameters
    ----------
    probs, reference, labels
        As in `weekly_table`.
    groups : mapping of regime to array of shape (n_rows,)
        The group of each row, as text or integers: from `regimes`, or any other division that
        was known before the labels.
    horizon_bars, reps, rng, runs
        As in `intervals.skill_interval`.
    """
    rows = _row_values(probs, reference, labels)
    members = {
        (regime, group): of_row == group
        for regime, of_row in groups.items()
        for group in _in_order(of_row)
    }
    masks = np.column_stack(list(members.values()))
    intervals = ratio_intervals(
        masks * rows[["gain"]].to_numpy(),
        masks * rows[["loss"]].to_numpy(),
        length=block_length(rows["gain"].to_numpy(), horizon_bars),
        reps=reps,
        rng=rng,
        runs=runs,
    )
    index = pd.MultiIndex.from_tuples(members, names=["regime", "group"])
    table = _per_row(pd.DataFrame(masks.T @ rows.to_numpy(float), index, rows.columns))
    table["n"] = table["n"].astype(int)
    table.insert(2, "low", [interval.low for interval in intervals])
    table.insert(3, "high", [interval.high for interval in intervals])
    return table


def _in_order(of_row: NDArray) -> list:
    """Return the groups that occur: terciles from the lowest up, others sorted."""
    rank = {name: place for place, name in enumerate((*VOLATILITY, *TREND, "unknown"))}
    return sorted(np.unique(of_row).tolist(), key=lambda group: (rank.get(group, 0), group))


def regimes(epoch_s: NDArray[np.int64], volatility: Array, trend: Array) -> dict[str, NDArray]:
    """Return the group of each row, shape (n_rows,), for "volatility", "trend" and "hour".

    Terciles are those of the rows given: they describe these rows and are no rule to act on,
    because a bar's tercile depends on later bars.

    Parameters
    ----------
    epoch_s : int64 array of shape (n_rows,)
        Time of each row in seconds since 1970, UTC; "hour" is 00-04, 04-08 ... 20-24.
    volatility : array of shape (n_rows,)
        A trailing volatility known at the row, any unit: low, middle, high.
    trend : array of shape (n_rows,)
        A trailing return known at the row, any unit: down, flat, up.

    A row whose column is not finite is "unknown", as are all of one that is constant.
    """
    four_hours = epoch_s // HOUR_S % 24 // 4
    names = np.array([f"{4 * k:02d}-{4 * k + 4:02d}" for k in range(6)])
    return {
        "volatility": _terciles(volatility, VOLATILITY),
        "trend": _terciles(trend, TREND),
        "hour": names[four_hours],
    }


def _terciles(values: Array, names: tuple[str, ...]) -> NDArray[np.str_]:
    known = np.isfinite(values)
    groups = np.full(len(values), "unknown", dtype="<U8")
    if known.any() and np.ptp(values[known]) > 0.0:
        groups[known] = np.array(names)[equal_mass_bins(values[known], 3)]
    return groups
