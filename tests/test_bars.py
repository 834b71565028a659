import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from v8lib import bars
from v8lib.errors import BarsError

HEADER = "timestamp,open,high,low,close,volume"
GOOD = [
    "2024-01-01T00:00:00Z,10,12,9,11,5",
    "2024-01-01T00:01:00Z,11,13,10,12,6",
    "2024-01-01T00:02:00Z,12,14,11,13,0",
    "2024-01-01T00:03:00Z,13,15,12,14,8",
]


def write(folder, rows=GOOD, header=HEADER, name="BTC.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def with_row(number, text):
    """Return the good rows with the row of that number (the first is 1) replaced."""
    return [*GOOD[: number - 1], text, *GOOD[number:]]


@st.composite
def any_bars(draw):
    """Valid bars: any prices, any volume, any gaps."""
    n = draw(st.integers(3, 25))
    prices = draw(
        hnp.arrays(np.float64, (n, 4), elements=st.floats(1e-6, 1e7, allow_subnormal=False))
    )
    prices.sort(axis=1)
    volume = draw(hnp.arrays(np.float64, n, elements=st.floats(0.0, 1e9, allow_subnormal=False)))
    minutes = np.cumsum(draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)))
    start = pd.Timestamp("2020-02-28", tz="UTC")
    return pd.DataFrame(
        {
            "open": prices[:, 1],
            "high": prices[:, 3],
            "low": prices[:, 0],
            "close": prices[:, 2],
            "volume": volume,
        },
        index=pd.DatetimeIndex(start + pd.to_timedelta(minutes * 60, unit="s"), name="timestamp"),
    )


def without_a_partial_last_bar(frame):
    steps = np.diff(bars.epoch_seconds(frame))
    return frame.iloc[:-1] if steps[-1] % bars.bar_seconds(frame) else frame


def test_three_rows_are_read_as_they_stand(tmp_path):
    loaded = bars.load_bars(write(tmp_path))
    assert loaded.bars["close"].tolist() == [11.0, 12.0, 13.0, 14.0]
    assert loaded.bars["volume"].tolist() == [5.0, 6.0, 0.0, 8.0]
    assert list(loaded.bars.columns) == list(bars.COLUMNS)
    assert (loaded.bars.dtypes == np.float64).all()
    assert loaded.bars.index[1] == pd.Timestamp("2024-01-01 00:01", tz="UTC")
    assert str(loaded.bars.index.tz) == "UTC"
    assert [finding.name for finding in loaded.findings] == ["zero_volume"]
    assert len(loaded.sha256) == 64


@settings(max_examples=15)
@given(frame=any_bars())
def test_bars_survive_the_round_trip_through_both_formats(tmp_path_factory, frame):
    folder = tmp_path_factory.mktemp("round")
    frame.to_parquet(folder / "BTC.parquet")
    frame.to_csv(folder / "BTC.csv")
    expected = without_a_partial_last_bar(frame)
    for name in ("BTC.parquet", "BTC.csv"):
        read = bars.load_bars(folder / name).bars
        pd.testing.assert_frame_equal(
            read, expected, check_index_type=False, check_freq=False, check_exact=True
        )


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_epoch_numbers_of_every_usual_unit_are_understood(tmp_path, unit, factor):
    start = 1_704_067_200  # 2024-01-01
    rows = [f"{(start + 60 * k) * factor},10,12,9,11,5" for k in range(4)]
    index = bars.load_bars(write(tmp_path, rows)).bars.index
    assert index[0] == pd.Timestamp("2024-01-01", tz="UTC"), unit
    assert index[3] == pd.Timestamp("2024-01-01 00:03", tz="UTC")


@pytest.mark.parametrize(
    "name", ["timestamp", "Time", "DateTime", "date", "Open time", " open_time "]
)
def test_time_columns_of_every_usual_name_are_found(tmp_path, name):
    header = f"{name},Open,HIGH,low,Close,Volume"
    assert len(bars.load_bars(write(tmp_path, header=header)).bars) == 4


def test_times_with_an_offset_become_utc_and_times_without_one_are_utc(tmp_path):
    rows = [f"2024-01-01T02:0{k}:00+02:00,10,12,9,11,5" for k in range(3)]
    assert bars.load_bars(write(tmp_path, rows)).bars.index[0] == pd.Timestamp(
        "2024-01-01", tz="UTC"
    )
    rows = [f"2024-01-01 00:0{k}:00,10,12,9,11,5" for k in range(3)]
    assert bars.load_bars(write(tmp_path, rows)).bars.index[0] == pd.Timestamp(
        "2024-01-01", tz="UTC"
    )


@pytest.mark.parametrize(
    ("row", "text", "column"),
    [
        (2, "2024-01-01T00:01:00Z,11,13,10,nan,6", "close"),
        (3, "2024-01-01T00:02:00Z,12,inf,11,13,0", "high"),
        (1, "2024-01-01T00:00:00Z,ten,12,9,11,5", "open"),
        (4, "2024-01-01T00:03:00Z,13,15,0,14,8", "low"),
        (2, "2024-01-01T00:01:00Z,-11,13,10,12,6", "open"),
        (3, "2024-01-01T00:02:00Z,12,14,11,13,-1", "volume"),
        (4, "2024-01-01T00:03:00Z,13,15,12,14,", "volume"),
    ],
)
def test_a_bad_number_is_refused_by_file_column_and_row(tmp_path, row, text, column):
    with pytest.raises(BarsError, match=rf"BTC\.csv: column '{column}', row {row}: "):
        bars.load_bars(write(tmp_path, with_row(row, text)))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("2024-01-01T00:02:00Z,12,14,15,13,0", "high below low"),
        ("2024-01-01T00:02:00Z,12,12.5,11,13,0", "high below open or close"),
        ("2024-01-01T00:02:00Z,12,14,12.5,13,0", "low above open or close"),
    ],
)
def test_an_impossible_bar_is_refused_by_file_and_row(tmp_path, text, what):
    with pytest.raises(BarsError, match=rf"BTC\.csv: row 3 .*{what} \(1 such rows\)"):
        bars.load_bars(write(tmp_path, with_row(3, text)))


def test_rows_out_of_order_are_refused_by_row(tmp_path):
    with pytest.raises(BarsError, match=r"BTC\.csv: row 3: .*00:01:00.* comes after .*00:02:00"):
        bars.load_bars(write(tmp_path, [GOOD[0], GOOD[2], GOOD[1], GOOD[3]]))


def test_a_duplicated_time_is_refused_by_row(tmp_path):
    with pytest.raises(BarsError, match=r"BTC\.csv: row 3: .*00:01:00.* stands twice \(1 dup"):
        bars.load_bars(write(tmp_path, [GOOD[0], GOOD[1], GOOD[1], GOOD[3]]))


@pytest.mark.parametrize("column", bars.COLUMNS)
def test_a_missing_column_is_refused_by_name(tmp_path, column):
    header = HEADER.replace(column, "other")
    with pytest.raises(BarsError, match=rf"BTC\.csv: no column '{column}' \(found: timestamp"):
        bars.load_bars(write(tmp_path, header=header))


def test_a_missing_time_column_is_refused_with_the_names_that_would_do(tmp_path):
    header = HEADER.replace("timestamp", "moment")
    with pytest.raises(BarsError, match=r"BTC\.csv: no time column \(one of timestamp, .*moment"):
        bars.load_bars(write(tmp_path, header=header))


def test_a_column_that_stands_twice_is_refused_by_name(tmp_path):
    rows = [f"{row},7" for row in GOOD]
    with pytest.raises(BarsError, match=r"BTC\.csv: .*'volume'"):
        bars.load_bars(write(tmp_path, rows, header=f"{HEADER},Volume"))


@pytest.mark.parametrize(
    ("row", "text"),
    [(2, "yesterday,11,13,10,12,6"), (1, ",10,12,9,11,5"), (4, "n/a,13,15,12,14,8")],
)
def test_a_time_that_is_none_is_refused_by_column_and_row(tmp_path, row, text):
    with pytest.raises(BarsError, match=rf"BTC\.csv: column 'timestamp', row {row}: no time"):
        bars.load_bars(write(tmp_path, with_row(row, text)))


@pytest.mark.parametrize("row", [1, 3])
def test_a_missing_epoch_number_is_refused_by_column_and_row(tmp_path, row):
    rows = [f"{1_704_067_200 + 60 * k},10,12,9,11,5" for k in range(4)]
    rows[row - 1] = ",10,12,9,11,5"
    with pytest.raises(BarsError, match=r"BTC\.csv: column 'timestamp'"):
        bars.load_bars(write(tmp_path, rows))


def test_epoch_numbers_that_change_their_unit_are_understood_and_reported(tmp_path):
    """An exchange that moves from milliseconds to microseconds within one file."""
    start = 1_704_067_200_000
    rows = [f"{start + 60_000 * k},10,12,9,11,5" for k in range(3)]
    rows.append(f"{(start + 180_000) * 1_000},10,12,9,11,5")
    loaded = bars.load_bars(write(tmp_path, rows))
    assert loaded.bars.index[3] == pd.Timestamp("2024-01-01 00:03", tz="UTC")
    (finding,) = loaded.findings
    assert finding == bars.Finding("epoch_units", "milliseconds (3 rows), microseconds (1 row)")


def test_a_number_that_is_no_epoch_time_is_refused(tmp_path):
    rows = [f"{123_456 + k},10,12,9,11,5" for k in range(4)]
    with pytest.raises(BarsError, match=r"BTC\.csv: column 'timestamp': '123456' is no epoch time"):
        bars.load_bars(write(tmp_path, rows))


@pytest.mark.parametrize("year", ["1970", "2008", "2101"])
def test_a_wrong_clock_is_refused_by_row(tmp_path, year):
    rows = [row.replace("2024", year) for row in GOOD]
    with pytest.raises(
        BarsError, match=rf"BTC\.csv: column 'timestamp', row 1: wrong clock: {year}"
    ):
        bars.load_bars(write(tmp_path, rows))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("BTC.csv", b"", "the file is empty"),
        ("BTC.csv", f"{HEADER}\n".encode(), "no rows"),
        ("BTC.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("BTC.csv", b"\xff\xfe\x00\x01\x80 no text", "cannot be read as csv: .* no UTF-16"),
        ("BTC.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as csv"),
        ("BTC.parquet", b"PAR1 but not really", "cannot be read as parquet"),
        ("BTC.csv", b"<html><body>404 Not Found</body></html>", "not bars: an HTML page"),
    ],
)
def test_a_file_that_is_no_bars_is_refused_by_name(tmp_path, name, content, why):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BarsError, match=rf"{name}: .*({why})"):
        bars.load_bars(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(BarsError, match=r"BTC\.csv: no such file"):
        bars.load_bars(tmp_path / "BTC.csv")


def test_a_parquet_defect_is_refused_like_one_of_a_csv(tmp_path, market_bars):
    broken = market_bars.iloc[:50].copy()
    broken.iloc[6, broken.columns.get_loc("close")] = np.nan
    broken.to_parquet(tmp_path / "BTC.parquet")
    with pytest.raises(BarsError, match=r"BTC\.parquet: column 'close', row 7: "):
        bars.load_bars(tmp_path / "BTC.parquet")


def test_gaps_stay_gaps_and_are_reported(tmp_path):
    rows = [f"2024-01-01T00:{m:02d}:00Z,10,12,9,11,5" for m in (0, 1, 2, 5, 6, 10)]
    loaded = bars.load_bars(write(tmp_path, rows))
    assert len(loaded.bars) == 6
    (finding,) = loaded.findings
    assert finding.name == "gaps"
    assert finding.detail.startswith("2 gaps, 5 bars, longest 0 days 00:03:00")


def test_a_partial_last_bar_is_left_out_and_reported(tmp_path):
    rows = [*GOOD, "2024-01-01T00:03:30Z,13,15,12,14,8"]
    loaded = bars.load_bars(write(tmp_path, rows))
    assert len(loaded.bars) == 4
    assert "partial_last_bar" in [finding.name for finding in loaded.findings]


def test_a_last_bar_off_the_grid_after_a_gap_is_left_out_and_reported(tmp_path):
    rows = [*GOOD, "2024-01-01T00:09:02Z,13,15,12,14,0"]
    loaded = bars.load_bars(write(tmp_path, rows))
    assert len(loaded.bars) == 4
    assert bars.Finding("partial_last_bar", "left out: 2024-01-01 00:09:02+00:00") in (
        loaded.findings
    )


def test_two_bars_say_nothing_of_a_partial_one(tmp_path):
    assert len(bars.load_bars(write(tmp_path, GOOD[:2])).bars) == 2


def test_rows_that_stand_newest_first_are_turned_round_and_reported(tmp_path):
    loaded = bars.load_bars(write(tmp_path, GOOD[::-1]))
    assert loaded.bars["close"].tolist() == [11.0, 12.0, 13.0, 14.0]
    assert bars.Finding("order", "newest first: turned round") in loaded.findings


def test_a_row_out_of_order_among_the_newest_first_is_refused_by_its_row_in_the_file(tmp_path):
    rows = [GOOD[3], GOOD[1], GOOD[2], GOOD[0]]
    with pytest.raises(BarsError, match=r"row 2: .*00:01:00.* comes after .*00:02:00"):
        bars.load_bars(write(tmp_path, rows))


@pytest.mark.parametrize(
    "rows",
    [
        [GOOD[0], GOOD[2], GOOD[1], GOOD[3]],
        [GOOD[0], GOOD[1], GOOD[1], GOOD[3]],
        with_row(3, "2024-01-01T00:02:00Z,12,14,15,13,0"),
        with_row(3, "2024-01-01T00:02:00Z,ten,14,11,13,0"),
        with_row(3, "2024-01-01T00:02:00Z,0,14,11,13,0"),
        with_row(3, "n/a,12,14,11,13,0"),
    ],
)
def test_what_only_a_person_can_judge_names_the_command_that_helps(tmp_path, rows):
    folder = tmp_path / "my data"
    folder.mkdir()
    with pytest.raises(BarsError) as refused:
        bars.load_bars(write(folder, rows))
    (line,) = str(refused.value).splitlines()
    assert line.endswith(f" with: python -m v8ops check-bars '{folder}/BTC.csv' --fix OUT")


def test_nothing_that_breaks_the_schema_is_accepted_whatever_was_read(tmp_path, monkeypatch):
    """The last check does not trust the ones before it."""
    for name in ("_refuse_bad_numbers", "_refuse_disorder", "_refuse_impossible"):
        monkeypatch.setattr(bars, name, lambda *_: None)
    for rows, rule in (
        (with_row(3, "2024-01-01T00:02:00Z,12,14,15,13,0"), "high below low"),
        (with_row(3, "2024-01-01T00:02:00Z,12,14,11,nan,0"), "'close' is not a positive number"),
        (with_row(3, "2024-01-01T00:00:30Z,12,14,11,13,0"), "the time does not increase"),
    ):
        with pytest.raises(BarsError, match=rf"BTC\.csv: not bars: 2024.*: {rule}"):
            bars.load_bars(write(tmp_path, rows))


def test_bars_off_the_grid_are_reported(tmp_path):
    times = ["00:00:00", "00:01:00", "00:02:00", "00:03:30", "00:04:30", "00:05:30", "00:06:30"]
    rows = [f"2024-01-01T{time}Z,10,12,9,11,5" for time in times]
    names = [finding.name for finding in bars.load_bars(write(tmp_path, rows)).findings]
    assert "off_grid" in names


def test_clean_bars_have_no_findings(tmp_path, market_bars):
    market_bars.iloc[:500].to_parquet(tmp_path / "BTC.parquet")
    assert bars.load_bars(tmp_path / "BTC.parquet").findings == ()


def test_the_interval_is_the_most_frequent_step(bars_from):
    assert bars.bar_seconds(bars_from([1.0] * 5, at=[0, 1, 2, 9, 10])) == 60


def test_one_bar_has_no_interval(bars_from):
    with pytest.raises(BarsError, match="at least two"):
        bars.bar_seconds(bars_from([1.0]))


def test_epoch_seconds_are_whole_seconds_whatever_the_index_resolution(bars_from):
    frame = bars_from([1.0, 1.0])
    for unit in ("s", "ms", "us", "ns"):
        frame.index = frame.index.as_unit(unit)
        assert bars.epoch_seconds(frame).tolist() == [1_704_067_200, 1_704_067_260]


def test_bars_are_described_for_reports(bars_from):
    assert bars.describe_bars(bars_from([1.0, 2.0, 3.0])) == {
        "n_bars": 3,
        "start": "2024-01-01T00:00:00+00:00",
        "end": "2024-01-01T00:02:00+00:00",
        "interval_s": 60,
    }
