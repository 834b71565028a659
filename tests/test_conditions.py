import math

import numpy as np
import pandas as pd
import pytest

from v8lib import intervals, metrics
from v8lib.conditions import regime_table, regimes, weekly_table

HOUR, DAY = 3_600, 86_400
MONDAY = 1_704_067_200  # 2024-01-01 00:00 UTC
DRAWS = {"horizon_bars": 4, "reps": 200}
CLIMATE = [0.25, 0.5, 0.25]


def said(up, n):
    """Return n rows that give UP this probability and share the rest."""
    return np.tile([(1 - up) / 2, (1 - up) / 2, up], (n, 1))


def forecast(n, seed=1):
    """Return a perfect forecast, climatology, and what happened."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([2.0, 2.0, 2.0], size=n)
    labels = (probs.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=2)
    return probs, np.full((n, 3), 1 / 3), labels


def by_regime(probs, reference, labels, groups, seed=0):
    return regime_table(probs, reference, labels, groups, rng=np.random.default_rng(seed), **DRAWS)


def test_a_week_begins_on_monday_at_midnight_utc():
    probs, reference, labels = forecast(4)
    epoch_s = MONDAY + np.array([-1, 0, 7 * DAY - 1, 7 * DAY])
    table = weekly_table(probs, reference, labels, epoch_s)
    assert table["n"].tolist() == [1, 2, 1]
    days = [pd.Timestamp(day, tz="UTC") for day in ("2023-12-25", "2024-01-01", "2024-01-08")]
    assert table.index.tolist() == days
    assert {day.day_name() for day in table.index} == {"Monday"}


def test_the_figures_of_a_week_are_as_by_hand():
    """UP happens at 1/2 and then not at 1/2: ln 4 and ln 2 before, ln 2 and ln 4 after."""
    probs = np.array([[0.25, 0.25, 0.5], [0.25, 0.25, 0.5], [0.125, 0.125, 0.75]])
    reference = np.tile(CLIMATE, (3, 1))
    epoch_s = MONDAY + np.array([0, DAY, 8 * DAY])
    table = weekly_table(probs, reference, np.array([2, 1, 2]), epoch_s)
    assert table["skill"].tolist() == pytest.approx([0.0, math.log(3) / math.log(4)])
    assert table["accuracy"].tolist() == [0.5, 1.0]
    assert table["mean confidence"].tolist() == [0.5, 0.75]


def test_rolling_skill_is_a_ratio_of_sums_and_not_a_mean_of_skills():
    """Five weeks of 1, 1, 1, 9 and 1 rows; UP always happens, the fourth week expects it less."""
    sizes, ups = [1, 1, 1, 9, 1], [0.5, 0.5, 0.5, 0.125, 0.5]
    probs = np.concatenate([said(up, n) for up, n in zip(ups, sizes, strict=True)])
    epoch_s = np.repeat(MONDAY + 7 * DAY * np.arange(5), sizes)
    table = weekly_table(probs, np.tile(CLIMATE, (13, 1)), np.full(13, 2), epoch_s)
    assert table["skill"].tolist() == pytest.approx([0.5, 0.5, 0.5, -0.5, 0.5])
    # (3 * 0.5 - 9 * 0.5) / 12 of the reference's loss; the mean of skills would be 0.25.
    assert table["rolling skill"].tolist()[3:] == pytest.approx([-0.25, -0.25])
    assert table["rolling skill"].isna().tolist() == [True, True, True, False, False]


def test_a_week_without_rows_is_shown_as_such_and_counts_as_a_week():
    probs = np.concatenate([said(0.5, 2), said(0.125, 1)])
    epoch_s = MONDAY + np.array([0, 1, 35 * DAY])
    table = weekly_table(probs, np.tile(CLIMATE, (3, 1)), np.full(3, 2), epoch_s)
    assert table["n"].tolist() == [2, 0, 0, 0, 0, 1]
    assert table["skill"].isna().tolist() == [False, True, True, True, True, False]
    # The fourth week looks back on the first, the fifth on nothing, the sixth on itself.
    assert table["rolling skill"].tolist()[3:] == pytest.approx([0.5, math.nan, -0.5], nan_ok=True)


def test_a_single_week_is_the_whole_and_has_no_rolling_skill():
    probs, reference, labels = forecast(60)
    table = weekly_table(probs, reference, labels, MONDAY + HOUR * np.arange(60))
    skill = 1.0 - metrics.log_loss(probs, labels) / metrics.log_loss(reference, labels)
    assert len(table) == 1
    assert table["skill"].iloc[0] == pytest.approx(skill)
    assert table["rolling skill"].isna().all()


def test_the_figures_of_a_regime_are_those_of_its_rows():
    probs, reference, labels = forecast(600)
    group = np.random.default_rng(2).integers(0, 3, 600)
    table = by_regime(probs, reference, labels, {"third": group})
    assert table.index.tolist() == [("third", 0), ("third", 1), ("third", 2)]
    for k in range(3):
        mine, row = group == k, table.loc[("third", k)]
        loss, before = (metrics.log_loss(p[mine], labels[mine]) for p in (probs, reference))
        assert row["n"] == mine.sum()
        assert row["skill"] == pytest.approx(1.0 - loss / before)
        assert row["accuracy"] == metrics.accuracy(probs[mine].argmax(axis=1), labels[mine])
        assert row["mean confidence"] == pytest.approx(probs[mine].max(axis=1).mean())
        assert row["low"] < row["skill"] < row["high"]


def test_a_regime_of_all_rows_has_the_interval_of_the_whole_series():
    probs, reference, labels = forecast(500)
    row = by_regime(probs, reference, labels, {"all": np.full(500, "x")}).loc[("all", "x")]
    losses = metrics.row_log_loss(probs, labels), metrics.row_log_loss(reference, labels)
    whole = intervals.skill_interval(*losses, rng=np.random.default_rng(0), **DRAWS)
    assert row[["skill", "low", "high"]].tolist() == pytest.approx([whole.value, *whole.ci])


def test_skill_in_one_regime_only_is_found_there_and_not_elsewhere():
    probs, reference, labels = forecast(2_000)
    lucky = np.random.default_rng(3).random(2_000) < 0.3
    labels = np.where(lucky, labels, np.random.default_rng(4).permutation(labels))
    table = by_regime(probs, reference, labels, {"luck": np.where(lucky, "good", "bad")})
    assert table.loc[("luck", "good"), "low"] > 0.0
    assert table.loc[("luck", "bad"), "high"] < 0.0


def test_the_interval_of_a_scattered_group_covers_its_skill_as_often_as_it_says():
    """60 series of losses that overlap like labels of horizon four, groups that last.

    The reference always loses 1, the model 1 on average: a skill of 0 in each group, nominal
    95 %, standard error of the count 2 % for 120 groups.
    """
    rng, covered = np.random.default_rng(5), 0
    for _ in range(60):
        noise = np.convolve(rng.normal(size=903), np.ones(4) / 4, mode="valid")
        happened = np.exp(-np.maximum(1.0 + 0.3 * noise, 0.05))
        probs = np.column_stack([happened, (1 - happened) / 2, (1 - happened) / 2])
        reference = np.tile([math.exp(-1.0), 0.3, 1.0 - math.exp(-1.0) - 0.3], (900, 1))
        group = np.repeat(rng.integers(0, 2, 90), 10)
        table = regime_table(
            probs, reference, np.zeros(900, int), {"g": group}, horizon_bars=4, reps=120, rng=rng
        )
        covered += int(((table["low"] < 0.0) & (0.0 < table["high"])).sum())
    assert 0.86 <= covered / 120 < 1.0


def test_a_group_that_some_draws_miss_has_no_interval():
    probs, reference, labels = forecast(300)
    group = np.where(np.arange(300) == 150, "rare", "common")
    table = by_regime(probs, reference, labels, {"g": group})
    assert table.loc[("g", "rare"), ["low", "high"]].isna().all()
    assert math.isfinite(table.loc[("g", "rare"), "skill"])
    assert table.loc[("g", "common"), ["low", "high"]].notna().all()


def test_terciles_split_the_rows_in_three_and_stand_in_order():
    probs, reference, labels = forecast(300)
    found = regimes(MONDAY + HOUR * np.arange(300), np.arange(300.0), -np.arange(300.0))
    assert found["volatility"].tolist() == ["low"] * 100 + ["middle"] * 100 + ["high"] * 100
    assert found["trend"][[0, 150, 299]].tolist() == ["up", "flat", "down"]
    table = by_regime(probs, reference, labels, found)
    assert table.loc["volatility"].index.tolist() == ["low", "middle", "high"]
    assert table.loc["trend"].index.tolist() == ["down", "flat", "up"]
    hours = ["00-04", "04-08", "08-12", "12-16", "16-20", "20-24"]
    assert table.loc["hour"].index.tolist() == hours
    assert table.groupby("regime")["n"].sum().tolist() == [300, 300, 300]


def test_hours_are_utc_and_begin_where_their_name_says():
    epoch_s = MONDAY + np.array([0, 4 * HOUR - 1, 4 * HOUR, 24 * HOUR - 1, 24 * HOUR])
    found = regimes(epoch_s, np.arange(5.0), np.arange(5.0))["hour"]
    assert found.tolist() == ["00-04", "00-04", "04-08", "20-24", "00-04"]


@pytest.mark.parametrize("bad", [np.full(6, 0.2), np.full(6, np.nan)])
def test_rows_of_a_column_without_terciles_are_unknown(bad):
    good, epoch_s = np.arange(6.0), MONDAY + np.arange(6)
    assert set(regimes(epoch_s, bad, good)["volatility"]) == {"unknown"}
    assert set(regimes(epoch_s, good, bad)["trend"]) == {"unknown"}


def test_a_row_without_a_value_is_unknown_and_the_others_keep_their_terciles():
    probs, reference, labels = forecast(301)
    values = np.insert(np.arange(300.0), 150, np.nan)
    found = regimes(MONDAY + HOUR * np.arange(301), values, np.arange(301.0))
    names = ["low"] * 100 + ["middle"] * 50 + ["unknown"] + ["middle"] * 50 + ["high"] * 100
    assert found["volatility"].tolist() == names
    table = by_regime(probs, reference, labels, found).loc["volatility"]
    assert table["n"].to_dict() == {"low": 100, "unknown": 1, "middle": 100, "high": 100}
