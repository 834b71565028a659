"""Bars without their defects: what stays, what goes, and that a run takes what is left."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v8lib.bar_audit import audit_bars
from v8lib.bar_damage import damaged_bars, raw_from
from v8lib.bar_files import read_bars
from v8lib.bar_fix import fix_bars
from v8lib.bar_schema import check_schema
from v8lib.bars import COLUMNS, load_bars
from v8lib.errors import BarsError
from v8lib.raw_bars import RawBars

STEP = pd.Timedelta(minutes=15)


def sound(n=40, seed=0):
    rng = np.random.default_rng(seed)
    prices = np.sort(np.round(rng.uniform(90.0, 110.0, (n, 4)), 3), axis=1)
    index = pd.Timestamp("2024-03-01", tz="UTC") + np.arange(n) * STEP
    columns = {"open": prices[:, 1], "high": prices[:, 3], "low": prices[:, 0]}
    columns |= {"close": prices[:, 2], "volume": np.round(rng.uniform(0.0, 9.0, n), 3)}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(index, name="timestamp"))


def of_table(table):
    """Return raw bars of a table, its rows numbered in their order."""
    table = table.drop(columns="row", errors="ignore").reset_index(drop=True)
    return RawBars("BTC.csv", "", table.assign(row=np.arange(1, len(table) + 1)), {}, ())


def changed(raw):
    lines = fix_bars(raw)[1][["row", "action", "reason"]]
    return list(lines.itertuples(index=False, name=None))


def test_sound_bars_come_back_as_they_are_and_nothing_was_done():
    bars, changes = fix_bars(raw_from(sound()))
    pd.testing.assert_frame_equal(bars, sound(), check_freq=False)
    assert list(changes.columns) == ["row", "timestamp", "action", "reason"]
    assert changes.empty


def test_every_row_that_goes_is_listed_with_all_that_is_wrong_with_it():
    table = raw_from(sound()).table
    table.loc[4, ["close", "volume"]] = (np.nan, -1.0)
    table.loc[6, "timestamp"] = pd.NaT
    table.loc[8, "timestamp"] += pd.Timedelta(seconds=7)
    raw = of_table(pd.concat([table.loc[:20], table.loc[[20]], table.loc[21:]]))
    assert changed(raw) == [
        (5, "dropped", "close is no number; volume is negative"),
        (7, "dropped", "no time"),
        (9, "dropped", "off grid"),
        (22, "dropped", "duplicate, identical"),
    ]
    changes = fix_bars(raw)[1]
    assert changes["timestamp"].tolist()[0] == sound().index[4]
    assert changes["timestamp"].isna().tolist() == [False, True, False, False]


def test_all_copies_that_contradict_each_other_go_and_the_first_of_those_that_agree_stays():
    table = raw_from(sound()).table
    other = table.loc[[10]].assign(close=lambda row: row["close"] - 0.001)
    raw = of_table(
        pd.concat([table.loc[:10], other, table.loc[11:30], table.loc[[30]], table.loc[31:]])
    )
    bars, changes = fix_bars(raw)
    assert bars.index.equals(sound().index.delete(10).as_unit(bars.index.unit))
    assert changes["row"].tolist() == [11, 12, 33]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (range(39, -1, -1), "newest first"),
        ([*range(10), 11, 10, *range(12, 40)], "1 row out of order"),
        (
            [*range(39, 20, -1), 19, 18, *range(20, 21), *range(17, -1, -1)],
            "newest first; 1 row out",
        ),
    ],
)
def test_sorting_is_one_line_for_the_file(order, reason):
    raw = of_table(raw_from(sound()).table.iloc[list(order)])
    bars, changes = fix_bars(raw)
    pd.testing.assert_frame_equal(bars, sound(), check_freq=False)
    (line,) = changes.to_dict("records")
    assert (line["row"], line["action"]) == (0, "sorted")
    assert line["timestamp"] is pd.NaT
    assert line["reason"].startswith(reason)


def test_prints_that_look_wrong_but_are_possible_stay():
    raw = damaged_bars(sound(300))
    audit = audit_bars(raw)
    bars, _ = fix_bars(raw, audit)
    assert bars is audit.bars
    assert set(audit.outliers["timestamp"]) <= set(bars.index)


def test_what_is_not_bars_is_not_fixed():
    with pytest.raises(BarsError, match=r"BTC\.csv: not bars: 2 rows, and an interval takes 3"):
        fix_bars(of_table(raw_from(sound(2)).table))


@st.composite
def spoilt_tables(draw):
    """Return the table of sound bars after up to six random kinds of damage."""
    table = raw_from(sound(draw(st.integers(12, 40)), draw(st.integers(0, 5)))).table
    for kind in draw(st.lists(st.sampled_from(sorted(DAMAGE)), max_size=6)):
        at = draw(st.integers(0, len(table) - 1))
        table = DAMAGE[kind](table.reset_index(drop=True), at)
    return table


def with_cell(column, value):
    def change(table, at):
        table.loc[at, column] = value
        return table

    return change


def moved(table, at, seconds):
    table.loc[at, "timestamp"] += pd.Timedelta(seconds=seconds)
    return table


def copied(table, at, **values):
    return pd.concat([table.loc[:at], table.loc[[at]].assign(**values), table.loc[at:].iloc[1:]])


DAMAGE = {
    "copy": copied,
    "copy that contradicts": lambda table, at: copied(table, at, volume=77.0),
    "row gone": lambda table, at: table.drop(index=at) if len(table) > 8 else table,
    "row at the end": lambda table, at: pd.concat([table.drop(index=at), table.loc[[at]]]),
    "newest first": lambda table, at: table.iloc[::-1],
    "no number": with_cell("close", np.nan),
    "no volume": with_cell("volume", np.nan),
    "zero": with_cell("low", 0.0),
    "negative": with_cell("volume", -1.0),
    "too high": with_cell("close", 500.0),
    "too low": with_cell("high", 1.0),
    "no time": with_cell("timestamp", pd.NaT),
    "off grid": lambda table, at: moved(table, at, 100),
    "other bar's time": lambda table, at: moved(table, at, 900),
    "long ago": lambda table, at: moved(table, at, -(10**9)),
}


def accepted(path):
    try:
        return load_bars(path).bars
    except BarsError:
        return None


@given(table=spoilt_tables())
@settings(max_examples=100)
def test_a_run_takes_a_file_exactly_if_the_audit_says_so_and_always_after_the_fix(
    tmp_path_factory, table
):
    folder = tmp_path_factory.mktemp("fix")
    table.drop(columns="row").to_csv(folder / "BTC.csv", index=False)
    try:
        raw = read_bars(folder / "BTC.csv")
    except BarsError:
        assert accepted(folder / "BTC.csv") is None
        return
    audit = audit_bars(raw)
    if audit.verdict == "not bars":
        return
    taken = accepted(folder / "BTC.csv")
    assert audit.loads == (taken is not None)
    bars, changes = fix_bars(raw, audit)
    if taken is not None:
        # Loading keeps rows off the grid and reports them; the fix leaves them out. After such
        # a row the last bar looks like a partial one to loading.
        shared = bars.index.intersection(taken.index)
        assert len(shared) >= len(bars) - 1
        pd.testing.assert_frame_equal(bars.loc[shared], taken.loc[shared], check_freq=False)
    check_schema(bars)
    dropped = changes[changes["action"] == "dropped"]
    assert len(bars) + len(dropped) == len(raw.table)
    assert dropped["row"].is_unique
    # What stays is what stood in the file, value by value.
    kept = raw.table[~raw.table["row"].isin(dropped["row"])].sort_values("timestamp")
    assert (kept[list(COLUMNS)].to_numpy() == bars.to_numpy()).all()
    assert kept["timestamp"].tolist() == bars.index.tolist()
    bars.reset_index().to_parquet(folder / "OUT.parquet", index=False)
    loaded = load_bars(folder / "OUT.parquet")
    assert set(loaded.bars.index) <= set(bars.index)
    assert len(loaded.bars) >= len(bars) - 1
    assert audit_bars(read_bars(folder / "OUT.parquet")).loads


def test_damage_of_every_kind_reaches_the_property_above():
    """A kind of damage that no longer damages anything would test nothing."""
    for name, spoil in DAMAGE.items():
        table = spoil(raw_from(sound()).table, 17)
        audit = audit_bars(of_table(table))
        assert len(audit.defects) or len(audit.gaps) or audit.findings, name
