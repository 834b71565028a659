"""Times of every spelling, and those that nobody can tell."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import dirty_bars
from v8lib.bar_files import read_bars
from v8lib.bars import Finding, load_bars
from v8lib.errors import BarsError

REST = "10,12,9,11,5"
START = pd.Timestamp("2024-01-29", tz="UTC")


@pytest.fixture
def read(tmp_path):
    """Read a CSV with these time columns; rows are cells, or texts with commas in them."""

    def build(rows, header="timestamp"):
        path = tmp_path / "BTC.csv"
        lines = [f"{header},open,high,low,close,volume", *(f"{row},{REST}" for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_bars(path)

    return build


def times(raw):
    return [str(time) for time in raw.table["timestamp"]]


def hours(n=24, start=START):
    return [start + pd.Timedelta(hours=k) for k in range(n)]


def refused(read, rows, line, header="timestamp"):
    with pytest.raises(BarsError, match=rf"BTC\.csv: {line}"):
        read(rows, header)


# --- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-29T13:05:07Z", "2024-01-29 13:05:07+00:00"),
        ("2024-01-29 13:05:07.123456789 UTC", "2024-01-29 13:05:07.123456+00:00"),
        ("2024-01-29t13:05+02:00", "2024-01-29 11:05:00+00:00"),
        ("2024-01-29 13:05:07-0530", "2024-01-29 18:35:07+00:00"),
        ("2024-01-29 13:05:07 GMT+1", "2024-01-29 12:05:07+00:00"),
        ("2024/1/9", "2024-01-09 00:00:00+00:00"),
        ("2024.01.29 13:05", "2024-01-29 13:05:00+00:00"),
        ("20240129T130507Z", "2024-01-29 13:05:07+00:00"),
        ("20240129 130507", "2024-01-29 13:05:07+00:00"),
        ("20240129", "2024-01-29 00:00:00+00:00"),
        ("29.01.2024 13:05:07.5", "2024-01-29 13:05:07.500000+00:00"),
        ("29/1/2024 1:05 PM", "2024-01-29 13:05:00+00:00"),
        ("01-29-2024 12:05 am", "2024-01-29 00:05:00+00:00"),
        ("2024-01-29 12-PM", "2024-01-29 12:00:00+00:00"),
    ],
)
def test_a_text_is_read_as_the_time_it_says(read, text, expected):
    raw = read([text, text])
    assert times(raw) == [expected, expected]


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30", "2024-13-01", "2024-01-29 24:00", "2024-01-29 23:60", "2024-01-29 13-PM",
        "2024-01-29 00:00 +15:00", "2024-01-29 00:00:00x", "2024-01", "29/01-2024", "now", "", "2",
        "1706486400 ms", "2024-01-29T", "0000-01-01", "\u0662\u0660\u0662\u0664-01-29",
    ],
)  # fmt: skip
def test_a_text_that_is_no_time_stays_a_row_without_one(read, text):
    raw = read([*hours(3), text])
    assert raw.table["timestamp"].isna().tolist() == [False, False, False, True]


@given(
    us=st.integers(1_230_768_000, 4_102_444_799),
    offset=st.integers(-14 * 60, 14 * 60),
    mark=st.sampled_from(["T", " "]),
)
def test_any_offset_leads_back_to_utc(tmp_path_factory, us, offset, mark):
    moment = pd.Timestamp(us, unit="s", tz="UTC")
    zone = pd.Timedelta(minutes=offset)
    local = (moment.tz_localize(None) + zone).isoformat(sep=mark)
    sign, minutes = ("-" if offset < 0 else "+"), abs(offset)
    path = tmp_path_factory.mktemp("offset") / "BTC.csv"
    text = f"{local}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    path.write_text(f"time,open,high,low,close,volume\n{text},{REST}\n")
    assert read_bars(path).table["timestamp"].tolist() == [moment]


def test_a_time_without_a_zone_is_taken_as_utc_and_reported(read):
    raw = read(["2024-01-29 00:00", "2024-01-29 01:00"], "Date")
    assert raw.findings == (Finding("naive_times", "column 'Date': no zone, taken as UTC"),)


def test_a_name_that_says_utc_is_a_zone(read):
    raw = read(["2024-01-29 00:00", "2024-01-29 01:00"], "Time (UTC)")
    assert raw.findings == ()
    assert raw.dialect["time"].endswith("UTC by the column's name")


def test_several_offsets_are_reported_with_their_rows(read):
    raw = read(["2024-01-29 01:00+01:00", "2024-01-29 02:00+01:00", "2024-01-29 02:00Z"])
    detail = "column 'timestamp': UTC (1 row), +01:00 (2 rows)"
    assert raw.findings == (Finding("mixed_utc_offsets", detail),)
    assert times(raw)[2] == "2024-01-29 02:00:00+00:00"


def test_a_few_rows_without_a_zone_among_utc_are_reported(read):
    raw = read(["2024-01-29 00:00Z", "2024-01-29 01:00", "2024-01-29 02:00Z", "junk"])
    detail = "column 'timestamp': 1 row without a zone taken as UTC, first row 2"
    assert raw.findings == (Finding("naive_times", detail),)


def test_rows_without_a_zone_among_offsets_are_refused(read):
    rows = ["2024-01-29 01:00+01:00", "2024-01-29 02:00", "2024-01-29 03:00+01:00"]
    refused(read, rows, "column 'timestamp', row 2: no offset from UTC, where other rows have one")


@pytest.mark.parametrize("zone", ["EST", "CET", "Europe/Berlin", "BST"])
def test_a_zone_that_is_a_word_is_refused_by_row(read, zone):
    rows = ["2024-01-29 00:00 UTC", f"2024-01-29 01:00 {zone}"]
    line = f"column 'timestamp', row 2: the time zone '{zone}' is not understood: write UTC or an"
    refused(read, rows, line)


# --- day or month first -------------------------------------------------------------------------


def test_a_number_above_12_decides(read):
    for pattern, order in (("%d-%m-%y", "day-month-year"), ("%m-%d-%y", "month-day-year")):
        raw = read([time.strftime(f"{pattern} %H:%M") for time in hours(40, START)])
        assert raw.table["timestamp"].tolist() == hours(40, START)
        assert raw.dialect["time"] == f"column 'timestamp': {order}, no zone, taken as UTC"


@pytest.mark.parametrize(
    ("pattern", "order"),
    [("%d/%m/%Y", "day-month-year"), ("%m/%d/%Y", "month-day-year")],
)
def test_else_the_regular_grid_decides_and_it_is_reported(read, pattern, order):
    start = pd.Timestamp("2024-03-05", tz="UTC")
    raw = read([time.strftime(f"{pattern} %H:%M") for time in hours(50, start)])
    assert raw.table["timestamp"].tolist() == hours(50, start)
    detail = f"column 'timestamp': {order}, as this makes the bars regular"
    assert Finding("date_order", detail) in raw.findings


def test_a_date_in_two_digits_may_begin_with_the_year(read):
    start = pd.Timestamp("2024-05-20", tz="UTC")
    raw = read([time.strftime("%y-%m-%d %H:%M") for time in hours(60, start)])
    assert raw.table["timestamp"].tolist() == hours(60, start)


def test_a_gap_and_a_slip_do_not_hide_the_order(read):
    start = pd.Timestamp("2024-03-05", tz="UTC")
    moments = hours(90, start)
    rows = [time.strftime("%d/%m/%Y %H:%M") for time in [*moments[:30], *moments[40:]]]
    rows[7] = "05/13/2024 07:00"
    raw = read(rows)
    assert raw.table["timestamp"].iloc[-1] == moments[-1]
    assert pd.isna(raw.table["timestamp"].iloc[7])


@pytest.mark.parametrize(
    "rows",
    [
        ["05/06/2024 00:00", "05/06/2024 01:00", "05/06/2024 02:00"],
        [f"01/{month:02d}/2024" for month in range(1, 13)],
        ["05/06/2024"],
    ],
)
def test_an_order_that_nothing_decides_is_refused(read, rows):
    line = "column 'timestamp': the dates may be day-month-year or month-day-year: write them as"
    refused(read, rows, line)


def test_dates_that_nothing_decides_do_no_harm_beside_an_epoch(read):
    rows = [f"{1_717_545_600 + 3_600 * k},05/06/2024 {k:02d}:00" for k in range(5)]
    raw = read(rows, "unix,date")
    assert [finding.name for finding in raw.findings] == ["times_ignored"]
    assert "column 'date': the dates may be" in raw.findings[0].detail
    assert raw.findings[0].detail.endswith("; column 'unix' used")


# --- columns of their own -------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["date,time", "Day First,Date,Clock", "<DATE>,<TIME>"])
def test_a_date_and_a_clock_column_belong_together(read, header):
    rows = [time.strftime("%d.%m.%Y,%H:%M:%S") for time in hours(40)]
    if header.startswith("Day"):
        rows = [f"x,{row}" for row in rows]
    raw = read(rows, header)
    assert raw.table["timestamp"].tolist() == hours(40)
    assert raw.dialect["time"].startswith("columns '")


def test_a_clock_without_a_date_is_refused(read):
    rows = [time.strftime("%H:%M:%S") for time in hours(5)]
    refused(read, rows, "column 'time' holds clock times, and no column has the date", "time")


def test_a_clock_that_is_none_leaves_the_row_without_a_time(read):
    raw = read(["2024-01-29,00:00", "2024-01-29,25:00", "2024-01-29,02:00"], "date,time")
    assert raw.table["timestamp"].isna().tolist() == [False, True, False]


def test_days_alone_are_midnights(read):
    raw = read(["2024-01-29", "2024-01-30"], "date")
    assert times(raw) == ["2024-01-29 00:00:00+00:00", "2024-01-30 00:00:00+00:00"]


def test_the_open_time_goes_before_other_names(read):
    rows = [f"{time:%Y-%m-%dT%H}:59:00Z,{time:%Y-%m-%dT%H}:00:00Z" for time in hours(4)]
    raw = read(rows, "timestamp,timeOpen")
    assert raw.table["timestamp"].tolist() == hours(4)
    detail = (
        "column 'timestamp' differs from column 'timeOpen', which is used, in 4 rows, first row 1: "
        "2024-01-29T00:59:00 and 2024-01-29T00:00:00"
    )
    assert raw.findings == (Finding("times_disagree", detail),)


def test_an_epoch_goes_before_a_date_without_a_zone_and_both_must_agree(read):
    rows = [f"{time.value // 10**9},{time:%Y-%m-%d %H:%M}" for time in hours(4)]
    assert read(rows, "unix,date").findings == ()
    rows = [f"{time:%Y-%m-%d %H:%M},{time.value // 10**9 - 3_600}" for time in hours(4)]
    raw = read(rows, "date,unix")
    assert raw.table["timestamp"].tolist()[1:] == hours(3)
    assert "differs from column 'unix', which is used, in 4 rows" in raw.findings[0].detail


def test_days_beside_an_epoch_must_agree_by_day_only(read):
    rows = [f"{time.value // 10**9},{time:%Y-%m-%d}" for time in hours(4)]
    assert read(rows, "unix,date").findings == ()


def test_close_times_are_refused_by_name_and_by_content(read):
    rows = [time.strftime("%Y-%m-%d %H:59:59") for time in hours(4)]
    line = "column 'Close time' holds close times: bars are indexed by their open time"
    refused(read, rows, line, "Close time")
    rows = [str(time.value // 10**6 + 3_599_999) for time in hours(4)]
    line = r"column 'timestamp' holds close times \(2024-01-29T00:59:59.999000\): bars are indexed"
    refused(read, rows, line)


# --- epochs ---------------------------------------------------------------------------------------


@given(
    st.integers(20_512_800, 68_374_079).map(lambda m: 60 * m + 7),
    st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_an_epoch_of_any_year_and_unit_is_exact(tmp_path_factory, second, unit):
    moment = pd.Timestamp(second, unit="s", tz="UTC")
    number = second * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    path = tmp_path_factory.mktemp("epoch") / "BTC.csv"
    path.write_text(f"ts,open,high,low,close,volume\n{number},{REST}\n{number}.0,{REST}\n")
    first, as_float = read_bars(path).table["timestamp"]
    assert first == moment
    assert abs(as_float - moment) < pd.Timedelta(microseconds=1)


@pytest.mark.parametrize("cell", ["", "nan", "abc", "5", "-1706486400", "1e30", "9" * 30])
def test_a_cell_that_is_no_epoch_leaves_the_row_without_a_time(read, cell):
    raw = read([1_706_486_400, 1_706_490_000, cell])
    assert raw.table["timestamp"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("year", [1_990, 2_500])
def test_an_epoch_of_an_impossible_year_is_read_and_then_refused(tmp_path, year):
    bars = dirty_bars.clean_bars()
    seconds = [*dirty_bars.epochs(bars, "s")]
    seconds[4] = pd.Timestamp(f"{year}-01-01").value // 10**9 if year < 2262 else 16_725_225_600
    path = tmp_path / "BTC.csv"
    path.write_bytes(dirty_bars.csv(dirty_bars.table(bars, seconds)))
    line = "row 5: no time" if year < 2_000 else "row 5: wrong clock: 2500-01-01"
    with pytest.raises(BarsError, match=rf"BTC\.csv: column 'timestamp', {line}"):
        load_bars(path)


def test_a_rounded_epoch_is_never_used(read):
    rows = [f"{time.value // 10**6:.5E},{time:%Y-%m-%dT%H:%M}Z" for time in hours(30)]
    raw = read(rows, "unix,date")
    assert raw.table["timestamp"].tolist() == hours(30)
    (finding,) = raw.findings
    assert finding.name == "epoch_ignored"
    assert finding.detail == (
        "column 'unix': rounded as 1.70649E+12, 19 of 30 rows share a value; column 'date' used"
    )


@pytest.mark.parametrize(
    "cells",
    [
        [f"{time.value // 10**6:.5E}" for time in hours(30)],
        # Days, each rounded to a value of its own; and numbers that were written out again.
        [f"{(START + pd.Timedelta(days=k)).value // 10**6:.5E}" for k in range(9)],
        [str(round(time.value // 10**6, -7)) for time in hours(30)],
        # Seven digits are exact for hours, and not for minutes.
        [f"{(START + pd.Timedelta(minutes=k)).value // 10**6:.7E}" for k in range(30)],
    ],
)
def test_a_rounded_epoch_alone_is_refused(read, cells):
    line = r"column 'timestamp': rounded as 1.*: the times are lost, and there is no other column"
    refused(read, cells, line)


def test_powers_of_ten_that_are_exact_are_used(read):
    cells = [repr(float(time.value)) for time in hours(30)]
    assert "e+18" in cells[0]
    assert read(cells).table["timestamp"].tolist() == hours(30)


def test_a_number_and_a_text_that_are_no_times_are_refused_by_column(read):
    refused(read, [44_531.5, 44_532.5], "column 'timestamp': '44531.5' is no epoch time")
    refused(read, ["2024-01-29", "a", "b"], "column 'timestamp', row 2: no time: 'a'")
    refused(read, ["x"], r"no time column \(one of timestamp, .*; found: when, open", "when")


def test_numbers_of_a_table_are_read_like_those_of_a_text(tmp_path):
    bars = dirty_bars.clean_bars(9, interval_s=86_400)
    days = [int(day) for day in bars.index.strftime("%Y%m%d")]
    seconds = bars.index.as_unit("s").asi8
    for values, expected in (
        (np.array(days), bars.index),
        (np.array(days, dtype=np.float64), bars.index),
        (seconds.astype(np.uint64), bars.index),
        (seconds / 1.0, bars.index),
        (np.where(np.arange(9) == 2, np.nan, seconds), bars.index.where(np.arange(9) != 2)),
    ):
        frame = dirty_bars.table(bars, values, name="date")
        frame.to_parquet(tmp_path / "BTC.parquet")
        read = read_bars(tmp_path / "BTC.parquet").table["timestamp"]
        assert pd.DatetimeIndex(read).equals(pd.DatetimeIndex(expected).as_unit("us"))
