"""The bulk archive: files with checksums on a loopback server, whole or not used at all."""

import argparse
import hashlib
import io
import json
import signal
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.feed_server import DAY_S, Fault, FeedServer, history, kline
from v8lib.bar_interval import SECONDS
from v8lib.bars import epoch_seconds
from v8lib.errors import ParameterError
from v8ops.feeds import fetch
from v8ops.feeds.archive import INTERVALS, Archive, files_of, read_klines
from v8ops.feeds.downloads import Downloads
from v8ops.feeds.patience import FeedError, Patience
from v8ops.feeds.settings import PROJECT

HOUR_S = 3_600
NOV_2024 = 1_730_419_200  # 2024-11-01 00:00 UTC
N_DAYS = 92  # November, December, January
NAMES = "open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore\n"


@pytest.fixture
def rows():
    return history(N_DAYS * 24, start_s=NOV_2024, interval_s=HOUR_S)


def zipped(rows, name, *, unit=1_000, header=False, interval_s=HOUR_S):
    lines = [",".join(str(cell) for cell in kline(row, interval_s, unit)) for row in rows]
    return zip_of({name.replace(".zip", ".csv"): (NAMES if header else "") + "\n".join(lines)})


def zip_of(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in members.items():
            bundle.writestr(name, text)
    return buffer.getvalue()


def publish(server, path, content):
    name = path.rpartition("/")[2]
    server.files[path] = content
    listed = f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    server.files[path + ".CHECKSUM"] = listed.encode()


def archive_of(rows, server, *, market="BTCUSDT", months=True, days=True):
    """Publish monthly and daily files of all the rows, in the units that the archive uses."""
    start, stop = int(rows[0, 0]), int(rows[-1, 0]) + HOUR_S
    files = files_of(market, "1h", start, stop) if months else []
    if days:
        for day in range(start, stop, DAY_S):
            files += files_of(market, "1h", day, day + DAY_S)
    for file in files:
        inside = rows[(rows[:, 0] >= file.start) & (rows[:, 0] < file.stop)]
        unit = 1_000_000 if file.start >= 1_735_689_600 else 1_000
        header = datetime.fromtimestamp(file.start, UTC).day % 3 == 0
        publish(server, file.path, zipped(inside, file.name, unit=unit, header=header))


@pytest.fixture
def server(rows):
    with FeedServer() as made:
        made.date = "Sun, 02 Feb 2025 01:00:00 GMT"
        archive_of(rows, made)
        yield made


def monthly(day, *, market="BTCUSDT"):
    return f"data/spot/monthly/klines/{market}/1h/{market}-1h-{day}.zip"


def daily(day, *, market="BTCUSDT"):
    return f"data/spot/daily/klines/{market}/1h/{market}-1h-{day}.zip"


def words(server, folder, *more):
    return [
        *("--exchange", "binance-archive", "--api-url", server.url, "--data", str(folder)),
        *("--interval", "1h", "--since", "2024-11-01", "--symbols", "BTC", *map(str, more)),
    ]


def run(server, folder, *more, sleep=None):
    parser = argparse.ArgumentParser()
    fetch.add_arguments(parser)
    waits = []
    status = fetch.main(
        parser.parse_args(words(server, folder, *more)), sleep=sleep or waits.append
    )
    return status, waits


def rows_of(folder):
    bars = pd.read_parquet(folder / "BTC.parquet").set_index("timestamp")
    return np.column_stack([epoch_seconds(bars), bars.to_numpy()])


def asked(server):
    """The data files asked for so far, without their folders."""
    paths = [path.rpartition("/")[2] for path, _ in server.log]
    return [name for name in paths if name.endswith(".zip")]


# --- which files ------------------------------------------------------------------------------


def test_whole_months_come_as_months_and_the_rest_as_days(server, rows, tmp_path):
    assert run(server, tmp_path, "--since", "2024-11-30", "--until", "2025-01-02T12:00")[0] == 0
    assert sorted(asked(server)) == [
        "BTCUSDT-1h-2024-11-30.zip",
        "BTCUSDT-1h-2024-12.zip",
        "BTCUSDT-1h-2025-01-01.zip",
        "BTCUSDT-1h-2025-01-02.zip",
    ]
    assert np.array_equal(rows_of(tmp_path), rows[29 * 24 : 62 * 24 + 12])


def test_files_follow_one_another_without_a_hole():
    files = files_of("BTCUSDT", "1m", NOV_2024 + 3 * DAY_S + 60, NOV_2024 + 500 * DAY_S + 7)
    assert files[0].start <= NOV_2024 + 3 * DAY_S + 60 < files[0].stop
    assert [f.stop for f in files[:-1]] == [f.start for f in files[1:]]
    assert files[-1].start <= NOV_2024 + 500 * DAY_S + 6 < files[-1].stop
    months = [file.name for file in files if file.is_month]
    assert months[0] == "BTCUSDT-1m-2024-12.zip"
    assert len(months) == 15
    assert "BTCUSDT-1m-2025-02.zip" in months


def test_milliseconds_microseconds_and_rows_of_names_are_understood(server, rows, tmp_path):
    assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path), rows)
    told = pq.read_schema(tmp_path / "BTC.parquet").metadata
    assert told[b"v8.exchange"] == b"binance-archive"
    assert told[b"v8.market"] == b"BTCUSDT"


def test_a_month_that_is_not_published_is_taken_from_its_days(server, rows, tmp_path):
    del server.files[monthly("2025-01")]
    assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path), rows)
    assert "BTCUSDT-1h-2025-01-31.zip" in asked(server)


def test_a_day_that_is_missing_is_a_gap_and_is_not_asked_for_again(server, rows, tmp_path, capsys):
    del server.files[monthly("2024-12")], server.files[daily("2024-12-24")]
    assert run(server, tmp_path)[0] == 0
    kept = np.delete(rows, np.arange(53 * 24, 54 * 24), axis=0)
    assert np.array_equal(rows_of(tmp_path), kept)
    assert capsys.readouterr().out.splitlines()[-1].split()[-4:-2] == ["1", "24"]
    seen = len(asked(server))
    assert run(server, tmp_path, "--until", "2025-02-01")[0] == 0
    assert asked(server)[seen:] == []


def test_days_that_are_not_published_yet_are_asked_for_next_time(server, rows, tmp_path):
    held = {path: server.files.pop(path) for path in [monthly("2025-01"), daily("2025-01-31")]}
    del server.files[daily("2025-01-30")]
    assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path), rows[: -2 * 24])
    server.files |= held
    assert run(server, tmp_path)[0] == 0
    # The 30th never came: now that a later day is there it is a gap.
    assert np.array_equal(rows_of(tmp_path), np.delete(rows, np.arange(90 * 24, 91 * 24), axis=0))


def test_a_missing_day_right_before_the_file_is_a_gap(server, rows, tmp_path):
    assert run(server, tmp_path, "--since", "2024-12-01", "--until", "2025-01-01")[0] == 0
    del server.files[monthly("2024-11")], server.files[daily("2024-11-30")]
    assert run(server, tmp_path, "--until", "2025-01-01")[0] == 0
    kept = np.delete(rows[: 61 * 24], np.arange(29 * 24, 30 * 24), axis=0)
    assert np.array_equal(rows_of(tmp_path), kept)


def test_the_time_before_a_listing_is_a_gap_that_is_remembered(server, rows, tmp_path, capsys):
    assert run(server, tmp_path, "--since", "2024-10-15")[0] == 0
    assert "BTC: begins at 2024-11-01 00:00: binance-archive has no bars" in capsys.readouterr().out
    assert np.array_equal(rows_of(tmp_path), rows)
    seen = len(asked(server))
    assert run(server, tmp_path, "--since", "2024-10-15", "--until", "2025-02-01")[0] == 0
    assert len(asked(server)) == seen


def test_the_day_that_is_not_over_by_the_clock_of_the_archive_is_not_there(server, rows, tmp_path):
    server.date = "Fri, 31 Jan 2025 23:59:00 GMT"
    assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path), rows[:-1])


def test_extending_downloads_only_what_is_missing(server, rows, tmp_path):
    assert run(server, tmp_path, "--since", "2024-12-01", "--until", "2025-01-01")[0] == 0
    assert asked(server) == ["BTCUSDT-1h-2024-12.zip"]
    assert run(server, tmp_path, "--until", "2025-01-03")[0] == 0
    assert sorted(asked(server)[1:]) == [
        "BTCUSDT-1h-2024-11.zip",
        "BTCUSDT-1h-2025-01-01.zip",
        "BTCUSDT-1h-2025-01-02.zip",
    ]
    assert np.array_equal(rows_of(tmp_path), rows[: 63 * 24])


def test_a_market_without_files_is_one_line(server, tmp_path, capsys):
    assert run(server, tmp_path, "--symbols", "ABC", "--since", "2025-01-31")[0] == 1
    error = capsys.readouterr().err
    assert error.startswith("ABC: binance-archive ABCUSDT 1h: no bars from 2025-01-31 00:00 to ")
    assert error.count("\n") == 1


def test_a_market_that_is_no_name_is_refused(server, tmp_path, capsys):
    assert run(server, tmp_path, "--market", "../{symbol}")[0] == 1
    assert "market ../BTC: capital letters and digits" in capsys.readouterr().err
    assert asked(server) == []


def test_the_archive_has_every_interval_that_has_a_word():
    assert set(SECONDS) <= set(INTERVALS)
    with pytest.raises(ParameterError, match="binance-archive has no 10m bars: it has 1m"):
        Archive(Downloads("http://127.0.0.1:1", Patience())).check_interval(600)


# --- whole or not at all ----------------------------------------------------------------------


def test_a_wrong_checksum_is_tried_twice_and_then_refused_with_both_sums(
    server, rows, tmp_path, capsys
):
    path = monthly("2024-12")
    server.files[path + ".CHECKSUM"] = b"0" * 64 + b"  BTCUSDT-1h-2024-12.zip\n"
    assert run(server, tmp_path)[0] == 1
    error = capsys.readouterr().err
    actual = hashlib.sha256(server.files[path]).hexdigest()
    assert error.startswith("BTC: BTCUSDT-1h-2024-12.zip: twice not what its checksum file says")
    assert actual in error
    assert "0" * 64 in error
    assert error.count("\n") == 1
    assert asked(server).count("BTCUSDT-1h-2024-12.zip") == 2
    assert not (tmp_path / "BTC.parquet").exists()
    for part in tmp_path.glob(".fetch/*/*.parquet"):
        months = set(pd.read_parquet(part)["timestamp"].dt.month)
        assert months.isdisjoint({12})
    publish(server, path, server.files[path])
    assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path), rows)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_at=500),
        Fault(cut_at=500, lie=True),
        Fault(body=b"PK half"),
        Fault(status=500, body=b"busy"),
        Fault(status=429, body=b"busy", headers={"Retry-After": "3"}),
    ],
    ids=["cut", "cut off", "other", "500", "429"],
)
def test_a_download_that_went_wrong_once_is_repeated(fault, server, rows, tmp_path):
    server.file_faults[monthly("2024-12")] = [fault]
    status, waits = run(server, tmp_path)
    assert status == 0
    assert np.array_equal(rows_of(tmp_path), rows)
    again = fault.lie or fault.status != 200
    assert waits == ([3.0] if fault.headers else [1.0] if again else [])


def test_a_checksum_file_that_went_wrong_once_is_repeated(server, rows, tmp_path):
    server.file_faults[monthly("2024-12") + ".CHECKSUM"] = [Fault(body=b"<html>")]
    assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path), rows)


def test_a_file_without_a_checksum_is_not_used(server, tmp_path, capsys):
    del server.files[monthly("2024-12") + ".CHECKSUM"]
    assert run(server, tmp_path)[0] == 1
    assert "BTCUSDT-1h-2024-12.zip: the archive has no checksum" in capsys.readouterr().err


def test_a_file_that_fails_does_not_lose_those_that_were_on_their_way(server, rows, tmp_path):
    november, december = Fault(hold=threading.Event()), Fault(status=403, hold=threading.Event())
    server.file_faults = {monthly("2024-11"): [november], monthly("2024-12"): [december]}
    statuses = []
    worker = threading.Thread(target=lambda: statuses.append(run(server, tmp_path)[0]))
    worker.start()
    assert november.reached.wait(20)
    december.hold.set()
    november.hold.set()
    worker.join()
    assert statuses == [1]
    there = [pd.read_parquet(part) for part in tmp_path.glob(".fetch/*/*.parquet")]
    assert {month for part in there for month in part["timestamp"].dt.month} >= {11}
    seen = len(asked(server))
    assert run(server, tmp_path)[0] == 0
    assert "BTCUSDT-1h-2024-11.zip" not in asked(server)[seen:]
    assert np.array_equal(rows_of(tmp_path), rows)


def test_an_archive_out_of_reach_is_one_line(tmp_path, capsys):
    with FeedServer() as server:
        pass
    status, waits = run(server, tmp_path)
    assert (status, waits) == (1, [1.0, 2.0, 4.0, 8.0, 16.0])
    error = capsys.readouterr().err
    assert "no answer after 6 tries" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_is_not_asked_for_again(status, server, tmp_path, capsys):
    server.file_faults[monthly("2024-12")] = [Fault(status=status, body=b"no")]
    assert run(server, tmp_path) == (1, [])
    assert f"BTCUSDT-1h-2024-12.zip: no answer: status {status}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 half of a zip file", "not a whole zip file"),
        (b"", "not a whole zip file"),
        (zip_of({}), "0 CSV files in it instead of one"),
        (zip_of({"a.csv": "1", "b.csv": "2"}), "2 CSV files in it instead of one"),
        (zip_of({"a.csv": ""}), "no klines in it"),
        (zip_of({"a.csv": "1,2,3\n"}), "no klines in it"),
        (zip_of({"a.csv": "1730419200000,1,2,x,1,0\n"}), "no klines in it"),
    ],
)
def test_a_file_that_holds_no_klines_is_refused_by_name(content, message):
    with pytest.raises(FeedError, match=rf"F\.zip: {message}") as caught:
        read_klines(content, "F.zip")
    assert "\n" not in str(caught.value)


def test_a_damaged_member_is_refused_by_name(rows):
    content = bytearray(zipped(rows[:100], "F.zip"))
    content[200:260] = bytes(60)
    with pytest.raises(FeedError, match=r"F\.zip: not a whole zip file"):
        read_klines(bytes(content), "F.zip")


def test_bars_outside_of_the_time_in_the_name_are_refused(server, rows, tmp_path, capsys):
    publish(server, monthly("2024-12"), zipped(rows[:48], "x.zip"))
    assert run(server, tmp_path)[0] == 1
    assert "2024-12.zip: bars outside of the time in its name" in capsys.readouterr().err


def test_a_bar_that_is_none_is_refused_and_can_be_dropped(server, rows, tmp_path, capsys):
    spoiled = rows.copy()
    spoiled[100, 2] = 1.0
    publish(server, monthly("2024-11"), zipped(spoiled[: 30 * 24], "x.zip"))
    assert run(server, tmp_path)[0] == 1
    assert "BTC: BTCUSDT: not a bar: 2024-11-05 04:00 (" in capsys.readouterr().err
    assert run(server, tmp_path, "--drop-bad")[0] == 0
    assert np.array_equal(rows_of(tmp_path), np.delete(rows, 100, axis=0))


def test_no_password_is_sent(server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert run(server, tmp_path)[0] == 0
    assert "authorization" not in json.dumps(server.headers).lower()


def test_requests_that_is_missing_is_told_with_the_extra_that_has_it(server, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ParameterError, match=r"'requests': pip install .*\[feeds\]"):
        run(server, tmp_path)


# --- interruptions ----------------------------------------------------------------------------


def test_a_fetch_that_is_killed_keeps_its_files(server, rows, tmp_path):
    assert run(server, tmp_path / "clean")[0] == 0
    hold = Fault(hold=threading.Event())
    server.file_faults[monthly("2025-01")] = [hold]
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "v8ops", "fetch", *words(server, folder)]
    process = subprocess.Popen(command, cwd=PROJECT)
    try:
        assert hold.reached.wait(60)
        parts = folder / ".fetch" / "binance-archive-BTC-1h"
        while len(list(parts.glob("*.parquet"))) < 2:
            assert process.poll() is None
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    hold.hold.set()
    seen = len(asked(server))
    assert run(server, folder)[0] == 0
    downloaded = asked(server)[seen:]
    assert "BTCUSDT-1h-2024-11.zip" not in downloaded
    assert "BTCUSDT-1h-2025-01.zip" in downloaded
    clean = (tmp_path / "clean" / "BTC.parquet").read_bytes()
    assert (folder / "BTC.parquet").read_bytes() == clean


def test_an_interrupt_ends_the_fetch_and_keeps_its_files(server, rows, tmp_path, capsys):
    server.file_faults[monthly("2024-12")] = [Fault(status=500, body=b"")]

    def interrupt(seconds):
        raise KeyboardInterrupt

    assert run(server, tmp_path, sleep=interrupt)[0] == 130
    assert "the same call goes on with it" in capsys.readouterr().err
    assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path), rows)


def test_a_year_of_minutes_is_read_in_seconds():
    month = history(44_640, interval_s=60)
    content = zipped(month, "F.zip", interval_s=60)
    assert np.array_equal(read_klines(content, "F.zip"), month)
