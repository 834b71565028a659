"""What an audit finds: each defect by row, each oddity by name, and nothing in sound bars."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v8lib import audit_words, bar_against, bar_clock, bar_look, bar_shape
from v8lib.bar_audit import audit_bars, refused_audit
from v8lib.bar_damage import damaged_bars, raw_from
from v8lib.bars import COLUMNS, Finding
from v8lib.errors import BarsError
from v8lib.oddities import bar_oddities
from v8lib.raw_bars import RawBars

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real bars are not here")
START = pd.Timestamp("2024-01-01", tz="UTC")


def walk(n=600, *, interval_s=900, step=1e-3, seed=1, clustered=True, start=START):
    """Return bars of a random walk whose volatility clusters, open at the last close."""
    rng = np.random.default_rng(seed)
    sigma = np.full(n, step)
    if clustered:
        sigma = step * np.exp(0.5 * np.sin(np.arange(n) / 25.0))
    close = np.log(100.0) + np.cumsum(sigma * rng.standard_normal(n))
    open_ = np.concatenate([close[:1], close[:-1]])
    wicks = np.abs(rng.standard_normal((2, n))) * sigma / 2.0
    columns = {"open": open_, "high": np.maximum(open_, close) + wicks[0]}
    columns |= {"low": np.minimum(open_, close) - wicks[1], "close": close}
    frame = pd.DataFrame({name: np.exp(values) for name, values in columns.items()})
    frame["volume"] = rng.lognormal(3.0, 0.5, n)
    times = start + pd.to_timedelta(np.arange(n) * interval_s, unit="s")
    return frame.set_axis(pd.DatetimeIndex(times, name="timestamp"))


def raw_with(change, bars=None):
    """Return raw bars after `change(table)`."""
    raw = raw_from(walk() if bars is None else bars)
    change(raw.table)
    return raw


def rows_of(raw, order):
    """Return raw bars with the rows of the table in another order, numbered anew."""
    table = raw.table.iloc[order].reset_index(drop=True)
    table["row"] = np.arange(1, len(table) + 1)
    return RawBars(raw.path, raw.sha256, table, raw.dialect, raw.findings)


def listed(audit):
    return [(row, what) for row, what in audit.defects[["row", "what"]].itertuples(index=False)]


def found(audit, *severities):
    return [f.name for f in audit.findings if not severities or f.severity in severities]


def detail(audit, name):
    (finding,) = [f for f in audit.findings if f.name == name]
    return finding.detail


def test_sound_bars_are_usable_and_nothing_is_found():
    bars = walk()
    audit = audit_bars(raw_from(bars, "BTC.csv"))
    assert (audit.path, audit.verdict, audit.reason, audit.loads) == (
        "BTC.csv",
        "usable",
        "",
        True,
    )
    assert audit.findings == ()
    assert (len(audit.defects), len(audit.gaps), len(audit.outliers)) == (0, 0, 0)
    pd.testing.assert_frame_equal(audit.bars, bars, check_freq=False)
    assert audit.facts["n_rows"] == audit.facts["n_bars"] == 600
    assert (audit.facts["interval_s"], audit.facts["interval_share"]) == (900, 1.0)
    assert (audit.facts["start"], audit.facts["end"]) == (bars.index[0], bars.index[-1])
    assert audit.facts["dialect"] == {"format": "rows in memory"}
    assert len(audit.facts["sha256"]) == 64


def cell(row, **values):
    """Return a change that sets cells of a row (the first is 1)."""

    def change(table):
        for name, value in values.items():
            table.loc[row - 1, name] = value

    return change


OWN = {
    "no time": (cell(7, timestamp=pd.NaT), [(7, "no time")]),
    "year": (
        cell(7, timestamp=pd.Timestamp("1970-01-01 00:15", tz="UTC")),
        [(7, "year out of range"), (7, "out of order")],
    ),
    "nan open": (cell(8, open=np.nan), [(8, "open is no number")]),
    "inf high": (cell(8, high=np.inf), [(8, "high is no number")]),
    "nan low": (cell(8, low=np.nan), [(8, "low is no number")]),
    "-inf close": (
        cell(8, close=-np.inf),
        [(8, "close is no number"), (8, "low above open or close")],
    ),
    "nan volume": (cell(8, volume=np.nan), [(8, "volume is no number")]),
    "zero low": (cell(9, low=0.0), [(9, "low is zero")]),
    "negative low": (cell(9, low=-1.0), [(9, "low is negative")]),
    "negative volume": (cell(9, volume=-0.5), [(9, "volume is negative")]),
    "high below low": (
        cell(10, open=10.0, high=9.0, low=9.5, close=9.6),
        [(10, "high below low"), (10, "high below open or close")],
    ),
    "high below close": (
        cell(10, open=9.0, high=9.5, low=8.0, close=9.6),
        [(10, "high below open or close")],
    ),
    "low above open": (
        cell(10, open=9.0, high=9.7, low=9.5, close=9.6),
        [(10, "low above open or close")],
    ),
}


@pytest.mark.parametrize(("change", "expected"), OWN.values(), ids=OWN)
def test_a_row_that_is_no_bar_is_listed_with_what_is_wrong(change, expected):
    audit = audit_bars(raw_with(change))
    # A row far in the past moves the next one out of order in neither direction.
    assert [line for line in listed(audit) if line[1] != "out of order" or line in expected] == (
        expected
    )
    assert (audit.verdict, audit.loads) == ("usable with findings", False)
    assert len(audit.bars) == 599
    assert expected[0][1] in found(audit, "defect")
    assert detail(audit, expected[0][1]) == f"1 row, the first is row {expected[0][0]}"


def test_a_row_without_a_time_hides_nothing_of_the_order():
    audit = audit_bars(raw_with(cell(7, timestamp=pd.NaT)))
    assert "out of order" not in found(audit)
    # The bar that has no time is a gap where it was.
    assert audit.gaps["n_missing"].tolist() == [1]


def test_of_identical_copies_the_first_stays():
    raw = rows_of(raw_from(walk()), [*range(10), 9, 9, *range(10, 600)])
    audit = audit_bars(raw)
    assert listed(audit) == [(11, "duplicate, identical"), (12, "duplicate, identical")]
    assert len(audit.bars) == 600
    assert not audit.loads


def test_of_copies_that_contradict_each_other_none_stays():
    raw = rows_of(raw_from(walk()), [*range(10), 9, 9, *range(10, 600)])
    raw.table.loc[11, "volume"] += 1.0
    audit = audit_bars(raw)
    assert listed(audit) == [(row, "duplicate, conflicting") for row in (10, 11, 12)]
    assert len(audit.bars) == 599
    assert audit.gaps["n_missing"].tolist() == [1]


def test_of_a_broken_row_and_a_sound_one_with_its_time_the_sound_one_stays():
    raw = rows_of(raw_from(walk()), [*range(10), 9, *range(10, 600)])
    raw.table.loc[9, "close"] = np.nan
    audit = audit_bars(raw)
    assert listed(audit) == [(10, "close is no number")]
    assert len(audit.bars) == 600


def test_rows_out_of_order_are_listed_and_kept():
    bars = walk()
    audit = audit_bars(rows_of(raw_from(bars), [*range(50), 51, 50, *range(52, 600)]))
    assert listed(audit) == [(52, "out of order")]
    assert not audit.loads
    pd.testing.assert_frame_equal(audit.bars, bars, check_freq=False)


def test_newest_first_is_an_order_and_a_note():
    bars = walk()
    audit = audit_bars(rows_of(raw_from(bars), range(599, -1, -1)))
    assert (audit.verdict, audit.loads, listed(audit)) == ("usable", True, [])
    assert found(audit) == ["order"]
    pd.testing.assert_frame_equal(audit.bars, bars, check_freq=False)


def test_newest_first_with_one_row_out_of_place_lists_that_row():
    order = [*range(599, 300, -1), 298, 299, 300, *range(297, -1, -1)]
    audit = audit_bars(rows_of(raw_from(walk()), order))
    assert listed(audit) == [(300, "out of order"), (301, "out of order")]


def test_a_row_off_the_grid_is_listed_and_left_out():
    change = cell(20, timestamp=START + pd.Timedelta(minutes=15 * 19 + 4))
    audit = audit_bars(raw_with(change))
    assert listed(audit) == [(20, "off grid")]
    assert audit.loads  # loading reports such a row and takes the file
    assert len(audit.bars) == 599


def test_a_last_bar_off_the_grid_is_a_partial_one_and_a_note():
    change = cell(600, timestamp=START + pd.Timedelta(minutes=15 * 598 + 7))
    audit = audit_bars(raw_with(change))
    assert listed(audit) == [(600, "partial last bar")]
    assert (audit.verdict, audit.loads) == ("usable", True)
    assert len(audit.bars) == 599


def test_gaps_are_listed_with_what_is_missing():
    bars = walk()
    audit = audit_bars(raw_from(bars.drop(bars.index[[100, 300, 301, 302]])))
    assert audit.gaps["start"].tolist() == [bars.index[100], bars.index[300]]
    assert audit.gaps["end"].tolist() == [bars.index[100], bars.index[302]]
    assert audit.gaps["n_missing"].tolist() == [1, 3]
    assert audit.gaps["duration"].tolist() == [pd.Timedelta("15min"), pd.Timedelta("45min")]
    assert detail(audit, "gaps").startswith("2 gaps, 4 bars (0.67% of the period), longest 0 days")
    assert audit.verdict == "usable"


@given(steps=st.lists(st.sampled_from([1, 1, 1, 2, 5, 40]), min_size=1, max_size=60))
def test_gaps_and_bars_fill_the_period(steps):
    epoch_s = 60 * np.cumsum([28_000_000, *steps])
    gaps = bar_clock.gap_table(epoch_s, 60)
    assert gaps["n_missing"].sum() + len(epoch_s) == sum(steps) + 1
    assert len(gaps) == sum(step > 1 for step in steps)


def test_many_missing_bars_are_a_warning():
    bars = walk()
    audit = audit_bars(raw_from(bars.drop(bars.index[200:260])))
    assert found(audit, "warning") == ["gaps"]
    assert audit.verdict == "usable with findings"


def test_an_interval_can_be_said_where_most_steps_are_longer():
    bars = walk(1_200, interval_s=60)
    sparse = bars.iloc[[k for k in range(1_200) if k % 2 == 0 or k < 200]]
    assert audit_bars(raw_from(sparse)).facts["interval_s"] == 120
    audit = audit_bars(raw_from(sparse), interval_s=60)
    assert audit.facts["interval_s"] == 60
    assert detail(audit, "interval") == "most steps are 2m, not 1m"
    assert audit.gaps["n_missing"].sum() == 1_199 - len(sparse)
    # A length the steps are no multiple of is not believed.
    assert audit_bars(raw_from(bars), interval_s=900).facts["interval_s"] == 60


def at_random(table):
    seconds = np.random.default_rng(1).integers(1, 99, len(table)).cumsum()
    return table.assign(timestamp=START + pd.to_timedelta(seconds, "s"))


NOT_BARS = {
    "two rows": (lambda table: table.iloc[:2], "2 rows, and an interval takes 3"),
    "mostly no numbers": (
        lambda table: table.assign(close=table["close"].where(table.index % 3 == 0)),
        "only 200 of 600 rows are a bar",
    ),
    "mostly no times": (
        lambda table: table.assign(timestamp=table["timestamp"].where(table.index > 400)),
        "only 199 of 600 rows are a bar",
    ),
    "ticks": (at_random, "no regular interval: the most frequent step makes 2% of all"),
    "one time for all": (
        lambda table: table.assign(timestamp=START),
        "0 bars are left without the defects",
    ),
}


@pytest.mark.parametrize(("change", "reason"), NOT_BARS.values(), ids=NOT_BARS)
def test_what_is_not_a_file_of_bars_is_said_and_why(change, reason):
    raw = raw_from(walk())
    audit = audit_bars(RawBars(raw.path, raw.sha256, change(raw.table), raw.dialect, ()))
    assert (audit.verdict, audit.loads) == ("not bars", False)
    assert audit.reason.startswith(reason)
    assert audit.facts["sha256"]


def test_no_rows_at_all_are_not_bars():
    audit = audit_bars(raw_from(walk().iloc[:0]))
    assert (audit.verdict, audit.facts["n_bars"], audit.facts["start"]) == ("not bars", 0, None)


def test_a_file_that_reading_refused_is_not_bars_for_its_reason():
    audit = refused_audit("a/BTC.csv", BarsError("a/BTC.csv: the file is empty"))
    assert (audit.verdict, audit.reason, audit.loads) == ("not bars", "the file is empty", False)


def test_what_reading_noticed_is_among_the_notes():
    raw = raw_from(walk())
    noticed = (Finding("mixed_utc_offsets", "+01:00 and +00:00"),)
    audit = audit_bars(RawBars(raw.path, raw.sha256, raw.table, raw.dialect, noticed))
    assert (found(audit, "note"), audit.verdict) == (["mixed_utc_offsets"], "usable")
    assert detail(audit, "mixed_utc_offsets") == "+01:00 and +00:00"


def test_tables_are_text_for_people():
    audit = audit_bars(damaged_bars(walk(1_000)))
    shown = audit_words.text_table(audit.defects, 8)
    assert (len(shown), shown["timestamp"].tolist()[-2]) == (8, "none")
    assert shown.loc[0].tolist() == ["51", "2024-01-01 12:30:00+00:00", "close is no number"]
    moves = audit_words.text_table(audit.outliers, 1)["moves"].iloc[0]
    assert moves == f"{audit.outliers['moves'].iloc[0]:.6g}"


def test_an_audit_changes_nothing_of_what_was_read():
    raw = damaged_bars(walk())
    before = raw.table.copy(deep=True)
    audit_bars(raw)
    pd.testing.assert_frame_equal(raw.table, before)


def test_every_defect_that_was_put_in_is_found_at_its_row():
    audit = audit_bars(damaged_bars(walk(1_000)))
    counts = audit.defects["what"].value_counts().to_dict()
    assert counts == {
        "close is no number": 1,
        "open is zero": 1,
        "low above open or close": 1,
        "volume is negative": 1,
        "high below low": 1,
        "high below open or close": 1,
        "no time": 1,
        "off grid": 1,
        "duplicate, identical": 1,
        "duplicate, conflicting": 2,
        "out of order": 2,
        "partial last bar": 1,
    }
    assert sorted(audit.outliers["what"]) == ["close", "low"]
    assert audit.gaps["n_missing"].max() == 12
    assert "prices do not move for 30 bars" in detail(audit, "standing_still")
    severities = [finding.severity for finding in audit.findings]
    assert severities == sorted(severities, key=("defect", "warning", "note").index)
    with pytest.raises(ValueError, match="need 200"):
        damaged_bars(walk(100))


# Clocks


def test_a_grid_that_is_off_is_a_warning():
    bars = walk(start=START + pd.Timedelta(seconds=30))
    audit = audit_bars(raw_from(bars))
    assert (found(audit), audit.loads) == (["grid"], True)
    assert detail(audit, "grid").startswith("bars open 30s after the full 15m")


def test_closing_hours_are_told_from_outages():
    bars = walk(96 * 20)
    hours = bars.index.hour + bars.index.minute / 60.0
    daily = audit_bars(raw_from(bars[(hours >= 14.5) & (hours < 21.0)]))
    assert "a gap of about 0 days 17:30:00 at the same time on" in detail(daily, "sessions")
    outages = bars.drop(bars.index[[*range(150, 170), *range(700, 760), *range(1_500, 1_600)]])
    assert "sessions" not in found(audit_bars(raw_from(outages)))


def test_weekends_without_bars_are_closing_hours():
    bars = walk(24 * 7 * 10, interval_s=3_600)
    audit = audit_bars(raw_from(bars[bars.index.day_of_week < 5]))
    assert "a gap of about 2 days 00:00:00" in detail(audit, "sessions")
    assert "% of weeks" in detail(audit, "sessions")


def test_two_intervals_in_one_file_are_told():
    fine, coarse = walk(600), walk(100, interval_s=3_600, start=START + pd.Timedelta(days=7))
    audit = audit_bars(raw_from(pd.concat([fine, coarse])))
    assert audit.facts["interval_s"] == 900
    assert "the first of 1h from 2024-01-08" in detail(audit, "interval_changes")
    mostly = pd.concat([walk(900, interval_s=3_600), walk(200, start=START + pd.Timedelta("38D"))])
    audit = audit_bars(raw_from(mostly))
    assert audit.facts["interval_s"] == 3_600
    assert "of 15m from 2024-02-08" in detail(audit, "interval_changes")
    assert (audit.defects["what"] == "off grid").sum() == 149


# Bad prints


def spiked(position=300, factor=1.3, column="close", bars=None):
    bars = walk() if bars is None else bars
    at = bars.index[position]
    bars.loc[at, column] *= factor
    bars.loc[at, "high"] = bars.loc[at, ["open", "high", "close"]].max()
    bars.loc[at, "low"] = bars.loc[at, ["open", "low", "close"]].min()
    return bars


@pytest.mark.parametrize("column", ["close", "high", "low"])
def test_a_print_that_comes_back_is_an_outlier(column):
    factor = 0.7 if column == "low" else 1.3
    bars = spiked(column=column, factor=factor)
    (outlier,) = bar_shape.outlier_table(bars, 900).to_dict("records")
    assert (outlier["timestamp"], outlier["what"]) == (bars.index[300], column)
    assert outlier["value"] == bars[column].iloc[300]
    assert (outlier["before"], outlier["after"]) == tuple(bars[column].iloc[[299, 301]])
    assert outlier["moves"] > 100.0
    audit = audit_bars(raw_from(bars))
    assert found(audit) == ["outliers"]
    assert (audit.verdict, audit.loads, len(audit.bars)) == ("usable with findings", True, 600)


@pytest.mark.parametrize("factor", [0.5, 1.5, 0.01])
def test_a_crash_or_a_rise_that_stays_is_no_outlier(factor):
    bars = walk()
    prices = ["open", "high", "low", "close"]
    bars.loc[bars.index[300] :, prices] *= factor
    bars.loc[bars.index[300], ["open", "high", "low"]] = (
        bars["close"].iloc[299],
        bars["close"].iloc[[299, 300]].max(),
        bars["close"].iloc[[299, 300]].min(),
    )
    assert bar_shape.outlier_table(bars, 900).empty
    assert "outliers" not in found(audit_bars(raw_from(bars)))


def test_in_a_wild_hour_bars_may_be_wilder():
    calm, wild = walk(640, clustered=False), walk(128, step=0.02, seed=2, clustered=False)
    bars = calm.copy()
    moved = wild[["open", "high", "low", "close"]].to_numpy() / 100.0 * calm["close"].iloc[255]
    bars.iloc[256:384, :4] = moved
    bars.iloc[384:, :4] *= moved[-1, 3] / calm["close"].iloc[383]
    assert bar_shape.outlier_table(bars, 900).empty
    assert len(bar_shape.outlier_table(spiked(100, 1.1, bars=calm), 900)) == 1


def test_a_bar_beside_a_gap_is_not_judged():
    bars = spiked()
    assert bar_shape.outlier_table(bars.drop(bars.index[299]), 900).empty
    assert bar_shape.outlier_table(bars.drop(bars.index[301]), 900).empty
    assert bar_shape.outlier_table(bars.iloc[:2], 900).empty


def test_the_usual_move_is_the_median_of_those_that_are_not_zero():
    returns = np.array([0.0, 1.0, -2.0, 4.0, 0.0, 3.0])
    assert bar_shape.usual_moves(returns).tolist() == [2.5] * 6
    assert bar_shape.usual_moves(np.zeros(3)).tolist() == [0.0] * 3
    blocks = np.repeat([1.0, 1.0, 9.0, 1.0, 1.0], bar_shape.BLOCK_BARS)
    usual = bar_shape.usual_moves(blocks)[:: bar_shape.BLOCK_BARS]
    assert usual.tolist() == [1.0, 9.0, 9.0, 9.0, 1.0]


@given(values=st.lists(st.floats(-5.0, 5.0).map(lambda x: round(x, 2)), min_size=1, max_size=64))
def test_the_median_of_a_block_is_that_of_numpy(values):
    sizes = np.abs(values)
    expected = np.median(sizes[sizes > 0.0]) if (sizes > 0.0).any() else 0.0
    assert bar_shape.usual_moves(np.array(values))[0] == pytest.approx(expected)


@pytest.mark.parametrize(("n", "severity"), [(5, None), (12, "note"), (70, "warning")])
def test_bars_that_stand_still_are_found(n, severity):
    bars = walk(2_000)
    bars.iloc[500 : 500 + n, :4] = bars["close"].iloc[499]
    bars.iloc[500 + n, 0] = bars["close"].iloc[499]
    bars.iloc[500 + n, 1] = bars.iloc[500 + n, :4].max()
    bars.iloc[500 + n, 2] = bars.iloc[500 + n, :4].min()
    audit = audit_bars(raw_from(bars))
    still = [finding for finding in audit.findings if finding.name == "standing_still"]
    assert [finding.severity for finding in still] == ([severity] if severity else [])
    if severity:
        assert f"for {n} bars from {bars.index[500]}" in still[0].detail


def test_zero_volume_is_a_note_and_much_of_it_a_warning():
    bars = walk()
    bars.iloc[:4, 4] = 0.0
    audit = audit_bars(raw_from(bars))
    assert (found(audit), audit.verdict) == (["zero_volume"], "usable")
    assert detail(audit, "zero_volume") == "volume is 0 in 0.67% of bars"
    bars.iloc[:30, 4] = 0.0
    assert found(audit_bars(raw_from(bars)), "warning") == ["zero_volume"]


# Bars that were made up


def noisy(bars):
    rng = np.random.default_rng(3)
    return bars.mul(np.exp(1e-3 * rng.standard_normal((len(bars), 1))))


def copied(bars):
    bars = bars.copy()
    bars.iloc[1_000:1_100, :4] = bars.iloc[100:200, :4].to_numpy() * 1.05
    return bars


def independent_opens(bars):
    share = np.random.default_rng(4).uniform(size=len(bars))
    return bars.assign(open=bars["low"] + share * (bars["high"] - bars["low"]))


def no_wicks(bars):
    """Open beside the close, range of the body only: it leaves out most of the move."""
    bars = bars.assign(open=bars["close"] * np.exp(1e-4))
    return bars.assign(high=bars[["open", "close"]].max(axis=1), low=bars["close"])


def wide_ranges(bars):
    return bars.assign(high=bars["high"] * 1.003, low=bars["low"] / 1.003)


def ranges_of_other_bars(bars):
    rng = np.random.default_rng(5)
    top, bottom = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    return bars.assign(
        high=top * np.exp(np.abs(rng.normal(0.0, 4e-3, len(bars)))),
        low=bottom * np.exp(-np.abs(rng.normal(0.0, 4e-3, len(bars)))),
    )


MADE_UP = {
    "noise over prices": (noisy, {"synthetic"}),
    "a copied stretch": (copied, {"synthetic"}),
    "opens drawn by themselves": (independent_opens, {"opens_apart"}),
    "ranges too small": (no_wicks, {"range_size", "opens_apart"}),
    "ranges too large": (wide_ranges, {"range_size"}),
    "ranges of other bars": (ranges_of_other_bars, {"range_size", "range_unrelated"}),
}


@pytest.mark.parametrize(("make_up", "signs"), MADE_UP.values(), ids=MADE_UP)
def test_bars_that_were_made_up_look_so(make_up, signs):
    bars = walk(2_000)
    assert found(audit_bars(raw_from(bars))) == []
    audit = audit_bars(raw_from(make_up(bars)))
    assert signs <= set(found(audit, "warning")), found(audit)
    assert audit.loads


def test_the_measures_of_a_candle_are_those_of_the_definition():
    bars = walk(3_000, clustered=False)
    bars = bars.drop(bars.index[[700, 701, 1_500]])
    log = np.log(bars[["open", "high", "low", "close"]])
    follows = np.diff(bars.index.asi8) == 900 * 10 ** {"s": 0, "us": 6, "ns": 9}[bars.index.unit]
    returns, ranges = log["close"].diff()[1:][follows], (log["high"] - log["low"])[1:][follows]
    measured = bar_look.candle_measures(bars, 900)
    jump = (log["open"] - log["close"].shift())[1:][follows].abs().mean()
    assert measured["open_jump"] == pytest.approx(jump / ranges.mean(), abs=1e-12)
    parkinson = np.sqrt((ranges**2).mean() / (4.0 * np.log(2.0)))
    assert measured["range_ratio"] == pytest.approx(
        parkinson / np.sqrt((returns**2).mean()), rel=1e-3
    )
    body = (log["close"] - log["open"]).abs()
    spearman = (log["high"] - log["low"]).rank().corr(body.rank())
    assert measured["range_with_move"] == pytest.approx(spearman)


def test_the_table_of_looks_holds_every_measure_beside_its_limit():
    bars = copied(walk(2_000))
    table = bar_look.look_table(bars, 900)
    measured = bar_look.candle_measures(bars, 900)
    assert table["value"].tolist()[2:] == list(measured.values())
    assert table.loc["paths of eight returns that occur again"].tolist() == [
        bar_oddities(bars).repeated,
        "at most 1%",
    ]


def test_moves_that_do_not_cluster_are_a_note():
    audit = audit_bars(raw_from(walk(4_000, clustered=False)))
    assert (found(audit), audit.verdict) == (["no_clustering"], "usable")


def test_few_bars_and_bars_that_never_move_are_not_judged():
    assert found(audit_bars(raw_from(walk(8)))) == []
    assert found(audit_bars(raw_from(independent_opens(walk(150))))) == []
    assert bar_look.look_table(walk(150), 900).empty
    assert bar_look.look_table(walk(0), 900).empty
    still = walk()
    still.iloc[:, :4] = 5.0
    assert set(found(audit_bars(raw_from(still)))) == {"standing_still"}


# A second source


def moved(bars, seconds):
    return bars.set_axis(bars.index + pd.Timedelta(seconds=seconds))


@pytest.mark.parametrize("hours", [-48, -5, -1, 0, 1, 9, 48])
def test_a_time_zone_mistake_is_found_with_its_size(hours):
    bars = walk(3_000)
    holed = bars.drop(bars.index[[5, *range(700, 900)]])
    against = audit_bars(raw_from(moved(holed, 3_600 * hours)), against=raw_from(bars)).against
    assert against.shift_s == 3_600 * hours
    assert against.correlation == pytest.approx(1.0)
    assert (against.price_ratio, against.share_apart) == (1.0, 0.0)
    assert against.n_common == len(holed)


def test_a_shift_is_a_warning_that_says_how_much_and_no_shift_is_none():
    bars = walk(1_000)
    audit = audit_bars(raw_from(moved(bars, 5 * 3_600)), against=raw_from(bars))
    assert (found(audit, "warning"), audit.loads) == (["shift"], True)
    assert detail(audit, "shift").startswith("its times are 5h late against the second source")
    assert "a time-zone mistake" in detail(audit, "shift")
    audit = audit_bars(raw_from(moved(bars, 900)), against=raw_from(bars))
    assert "times of closing for times of opening" in detail(audit, "shift")
    assert audit_bars(raw_from(bars), against=raw_from(bars)).findings == ()


def test_a_local_clock_with_summer_time_is_found():
    bars = walk(96 * 300, interval_s=900, start=pd.Timestamp("2024-01-01", tz="UTC"))
    local = bars.index.tz_convert("Europe/Berlin").tz_localize(None).tz_localize("UTC")
    clocked = bars.set_axis(local.rename("timestamp"))
    clocked = clocked[~clocked.index.duplicated()].sort_index()
    audit = audit_bars(raw_from(clocked), against=raw_from(bars))
    assert "1h late and 2h late against the second source" in detail(audit, "shift_changes")
    assert "shift" not in found(audit)
    assert len(audit.against.parts) == 10


def test_another_market_is_unrelated():
    audit = audit_bars(raw_from(walk(2_000)), against=raw_from(walk(2_000, seed=9)))
    assert found(audit, "warning") == ["unrelated"]


def test_another_currency_is_seen_in_the_prices():
    bars = walk(1_000)
    dear = bars.mul({"open": 1.1, "high": 1.1, "low": 1.1, "close": 1.1, "volume": 1.0})
    audit = audit_bars(raw_from(dear), against=raw_from(bars))
    assert found(audit, "warning") == ["prices_apart"]
    assert audit.against.price_ratio == pytest.approx(1.1)
    assert audit.against.share_apart == 1.0
    assert "median ratio 1.1:" in detail(audit, "prices_apart")


def test_sources_of_two_intervals_are_compared_at_the_longer():
    bars = walk(4_000)
    hourly = raw_from(moved(bars, 7_200).iloc[: 4 * 900]).table
    coarse = hourly.iloc[3::4].assign(timestamp=hourly["timestamp"].iloc[::4].array)
    other = RawBars("OTHER.csv", "", coarse, {}, ())
    against = audit_bars(raw_from(bars), against=other).against
    assert (against.interval_s, against.shift_s) == (3_600, -7_200)
    assert against.correlation > 0.95


@given(
    shift=st.integers(-3, 3),
    seed=st.integers(0, 99),
    gone=st.sets(st.integers(1, 398), max_size=120),
)
@settings(max_examples=20)
def test_correlations_by_transform_are_those_of_numpy(shift, seed, gone):
    mine = walk(400, interval_s=86_400, seed=seed)
    other = moved(spiked(200, 1.2, bars=walk(400, interval_s=86_400, seed=seed)), 86_400 * shift)
    mine = mine.drop(mine.index[sorted(gone)])
    sums = bar_against._sums_by_part(mine, other, 86_400, 2)[1].sum(axis=0)
    correlations = bar_against._correlations(sums)
    for k, lag in enumerate(range(-2, 3)):
        x, at = bar_against._returns_on_grid(mine, 86_400)
        y, its = bar_against._returns_on_grid(other, 86_400)
        pairs = pd.concat(
            [pd.Series(x, np.arange(len(x)) + at), pd.Series(y, np.arange(len(y)) + its + lag)],
            axis=1,
        ).dropna()
        assert len(pairs) >= 50
        assert correlations[k] == pytest.approx(np.corrcoef(pairs.to_numpy().T)[0, 1], abs=1e-9)


def test_a_second_source_that_cannot_be_compared_is_refused_by_name():
    bars = raw_from(walk(), "BTC.csv")
    late = raw_from(moved(walk(), 10**8), "OTHER.csv")
    with pytest.raises(BarsError, match=r"BTC\.csv against OTHER\.csv: fewer than 50 bars in com"):
        audit_bars(bars, against=late)
    with pytest.raises(BarsError, match=r"OTHER\.csv: not bars: 2 rows"):
        audit_bars(bars, against=raw_from(walk(2), "OTHER.csv"))
    with pytest.raises(BarsError, match=r"BTC\.csv against OTHER\.csv: .*not a multiple"):
        audit_bars(bars, against=raw_from(walk(interval_s=1_400), "OTHER.csv"))


# Speed, and real bars


def test_a_year_of_minutes_is_judged_in_two_seconds():
    raw = raw_from(walk(525_600, interval_s=60, step=1e-4))
    seconds = []
    for _ in range(3):  # the first one imports, and a busy machine slows any
        begin = time.process_time()
        audit = audit_bars(raw)
        seconds.append(time.process_time() - begin)
        if seconds[-1] < 2.0:
            break
    assert min(seconds) < 2.0
    assert audit.verdict == "usable"


@needs_shared
@pytest.mark.parametrize("name", ["coinbase_15m", "coinbase_1h", "binance_perp_1m"])
def test_real_bars_have_no_warning(name):
    for path in sorted((SHARED / name).glob("*.parquet")):
        bars = pd.read_parquet(path).set_index("timestamp")[list(COLUMNS)]
        audit = audit_bars(raw_from(bars.iloc[:30_000]))
        assert (audit.verdict, found(audit, "warning", "defect")) == ("usable", []), path.name


@needs_shared
def test_fifteen_minutes_and_hours_of_one_exchange_agree():
    fine, hours = (
        raw_from(pd.read_parquet(SHARED / name / "BTC-USD.parquet").set_index("timestamp"))
        for name in ("coinbase_15m", "coinbase_1h")
    )
    against = audit_bars(fine, against=hours).against
    assert (against.interval_s, against.shift_s, against.share_apart) == (3_600, 0, 0.0)
    assert against.correlation > 0.9999
