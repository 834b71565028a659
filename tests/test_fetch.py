"""Fetching from exchanges: the real ccxt client against a server on loopback."""

import argparse
import json
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import ccxt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.feed_server import DAY_S, START_S, Fault, FeedServer, coarser, history
from v8lib.bars import COLUMNS, epoch_seconds, load_bars
from v8lib.errors import ParameterError, V8Error
from v8ops.feeds import fetch
from v8ops.feeds.exchange import Exchange, open_client
from v8ops.feeds.paging import pages
from v8ops.feeds.patience import FeedError, Patience
from v8ops.feeds.progress import LiveWatch, PlainWatch
from v8ops.feeds.settings import FEEDS, PROJECT, read_settings

EXCHANGES = ("coinbase", "binance")
PAGE = {"coinbase": 300, "binance": 1_000, "kraken": 720}
BAR_S = 900


@pytest.fixture(autouse=True)
def no_rate_limit(monkeypatch):
    """The limits are those of real exchanges; `test_the_rate_limit_is_kept` looks at them."""
    monkeypatch.setattr(ccxt.Exchange, "throttle", lambda self, cost=None: None)


def parsed(*words):
    parser = argparse.ArgumentParser()
    fetch.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def run(server, folder, *words, exchange="coinbase", symbols=("BTC",), sleep=None):
    """Run fetch against a server; returns the status and the waits between tries."""
    waits = []
    options = parsed(
        *("--exchange", exchange, "--api-url", server.url, "--data", folder),
        *("--interval", "15m", "--since", "2024-01-01", "--symbols", *symbols, *words),
    )
    return fetch.main(options, sleep=sleep or waits.append), waits


def rows_of(path):
    bars = pd.read_parquet(path).set_index("timestamp")
    return np.column_stack([epoch_seconds(bars), bars.to_numpy()])


def undisturbed(markets, folder, *words, exchange="coinbase", now_s=None):
    with FeedServer(markets, now_s=now_s) as server:
        assert run(server, folder, *words, exchange=exchange)[0] == 0
    return (folder / "BTC.parquet").read_bytes()


def starts(server, exchange="coinbase"):
    """Return the seconds at which the requests for candles begin."""
    key, unit = ("start", 1) if exchange == "coinbase" else ("startTime", 1_000)
    return [int(query[key]) // unit for _, query in server.candle_requests()]


# --- whole histories ------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_history_of_several_pages_ends_as_one_file_that_a_run_can_load(
    exchange, tmp_path, capsys
):
    rows = history(2_500)
    with FeedServer({"BTC": rows}) as server:
        status, waits = run(server, tmp_path, exchange=exchange)
    assert (status, waits) == (0, [])
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows)
    assert len(load_bars(tmp_path / "BTC.parquet").bars) == 2_500
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line[0] == "BTC"
    assert line[-5:] == ["2,500", "0", "0", "2,500", "0"]


def test_the_file_says_where_its_bars_come_from(tmp_path):
    with FeedServer({"BTC": history(10)}) as server:
        assert run(server, tmp_path)[0] == 0
    table = pq.read_table(tmp_path / "BTC.parquet")
    told = {key.decode(): word.decode() for key, word in table.schema.metadata.items()}
    assert told["v8.exchange"] == "coinbase"
    assert told["v8.market"] == "BTC/USD"
    assert told["v8.interval"] == "15m"
    assert f"ccxt {ccxt.__version__}" in told["v8.version"]
    assert table.schema.names == ["timestamp", *COLUMNS]
    assert str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"
    column = pq.ParquetFile(tmp_path / "BTC.parquet").metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert list((tmp_path / ".fetch").glob("*/*")) == []


def test_an_exchange_that_keeps_only_its_newest_bars_gives_those(tmp_path, capsys):
    rows = history(2_000)
    with FeedServer({"BTC": rows}) as server:
        assert run(server, tmp_path, exchange="kraken")[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[-720:])
    assert "BTC: begins at 2024-01-14 08:00: kraken has no bars" in capsys.readouterr().out


def test_no_key_is_read_or_sent(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("COINBASE_API_KEY", "COINBASE_SECRET", "API_KEY"):
        monkeypatch.setenv(name, "secret")
    with FeedServer({"BTC": history(10)}) as server:
        assert run(server, tmp_path)[0] == 0
    sent = json.dumps([server.headers, server.log]).lower()
    assert len(server.log) > 5
    assert not any(word in sent for word in ("secret", "authorization", "access-key"))


def test_the_rate_limit_is_kept():
    client = open_client("coinbase")
    assert client.enableRateLimit
    assert client.rateLimit > 0
    assert Exchange(client, Patience()).client is client


# --- faults ---------------------------------------------------------------------------------

FAULTS = {
    "rate limit": Fault(status=429, body=b'{"error": "rate_limited"}'),
    "rate limit in words": Fault(status=429, body=b"Too many requests"),
    "server error": Fault(status=500, body=b"<html>oops</html>"),
    "server error in JSON": Fault(status=503, body=b'{"error": "internal"}'),
    "half of the body": Fault(cut_at=200, lie=True),
    "half of the body, called whole": Fault(cut_at=200),
    "nothing at all": Fault(cut_at=0),
    "a page of HTML": Fault(body=b"<html>maintenance</html>"),
    "only the first rows": Fault(rows=lambda rows: rows[:20]),
    "only the last rows": Fault(rows=lambda rows: rows[-20:]),
    "only the middle": Fault(rows=lambda rows: rows[50:60]),
    "no rows": Fault(rows=lambda rows: rows[:0]),
    "rows twice": Fault(rows=lambda rows: np.concatenate([rows, rows])),
}
TRUNCATED = {
    "only the first rows",
    "only the last rows",
    "only the middle",
    "no rows",
    "rows twice",
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_no_fault_in_the_middle_loses_a_bar(name, exchange, tmp_path):
    markets = {"BTC": history(2_500)}
    clean = undisturbed(markets, tmp_path / "clean", exchange=exchange)
    with FeedServer(markets) as server:
        server.faults = {1: FAULTS[name]}
        status, waits = run(server, tmp_path / "faulty", exchange=exchange)
    assert status == 0
    assert (tmp_path / "faulty" / "BTC.parquet").read_bytes() == clean
    assert waits == ([] if name in TRUNCATED else [1.0])


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("keep", [lambda rows: rows[:37], lambda rows: rows[-37:]])
def test_answers_that_are_always_short_lose_no_bar(exchange, keep, tmp_path):
    at = np.setdiff1d(np.arange(1_100), [5, 300, 301, 302, 700])
    rows = history(len(at), at=at)
    with FeedServer({"BTC": rows}) as server:
        server.always = keep
        assert run(server, tmp_path, exchange=exchange)[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows)


def test_waits_grow_and_what_the_exchange_orders_is_obeyed(tmp_path, capsys):
    busy = Fault(status=429, body=b"{}")
    patient = Fault(status=429, body=b"{}", headers={"Retry-After": "17"})
    with FeedServer({"BTC": history(10)}) as server:
        server.faults = {0: busy, 1: busy, 2: patient, 3: busy}
        assert run(server, tmp_path)[1] == [1.0, 2.0, 17.0, 8.0]
    assert "next try (4 of 6) in 17 s: " in capsys.readouterr().out


def test_a_fetch_gives_up_keeps_what_it_has_and_goes_on_there(tmp_path, capsys):
    markets = {"BTC": history(6_000)}
    clean = undisturbed(markets, tmp_path / "clean")
    with FeedServer(markets) as server:
        server.faults = dict.fromkeys(range(13, 100), FAULTS["server error"])
        status, waits = run(server, tmp_path / "faulty")
        assert status == 1
        assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]
        error = capsys.readouterr().err
        assert error.startswith("BTC: no answer from coinbase after 6 tries (status 500): ")
        assert error.count("\n") == 1
        assert not (tmp_path / "faulty" / "BTC.parquet").exists()
        server.faults, seen = {}, len(server.candle_requests())
        assert run(server, tmp_path / "faulty")[0] == 0
    # Thirteen pages were there; the next one begins five bars early to notice changes.
    assert starts(server)[seen] == START_S + (13 * 300 - 5) * BAR_S
    assert (tmp_path / "faulty" / "BTC.parquet").read_bytes() == clean


@pytest.mark.parametrize("status", [400, 403, 404, 451])
def test_what_will_not_pass_is_not_asked_for_again(status, tmp_path, capsys):
    with FeedServer({"BTC": history(10)}) as server:
        server.faults = {0: Fault(status=status, body=b'{"message": "not here"}')}
        assert run(server, tmp_path) == (1, [])
    assert f"BTC: coinbase refuses the request (status {status})" in capsys.readouterr().err


def test_an_exchange_that_wants_to_be_left_alone_is(tmp_path):
    with FeedServer({"BTC": history(10)}) as server:
        server.faults = {0: Fault(status=429, body=b"{}", headers={"Retry-After": "3600"})}
        assert run(server, tmp_path) == (1, [])


def test_an_exchange_out_of_reach_is_one_line(tmp_path, capsys):
    with FeedServer({}) as server:
        pass
    assert run(server, tmp_path, symbols=("BTC", "ETH"))[0] == 1
    error = capsys.readouterr().err
    assert error.startswith("no answer from coinbase after 6 tries: ")
    assert error.count("\n") == 1


def test_rows_that_are_no_bars_at_all_are_refused(tmp_path, capsys):
    odd = Fault(body=b'{"candles": [{"start": "1704067200", "open": "x", "low": "1"}]}')
    with FeedServer({"BTC": history(10)}) as server:
        server.faults = {0: odd, 1: odd, 2: odd}
        assert run(server, tmp_path)[0] == 1
    assert "BTC: BTC/USD: not a bar: 2024-01-01 00:00 (" in capsys.readouterr().err


# --- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_empty_month_does_not_end_the_history(exchange, tmp_path):
    at = np.concatenate([np.arange(500), np.arange(500 + 31 * 96, 1_000 + 31 * 96)])
    rows = history(len(at), at=at)
    with FeedServer({"BTC": rows}) as server:
        assert run(server, tmp_path, exchange=exchange)[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows)


@pytest.mark.parametrize(("exchange", "most"), [("coinbase", 20), ("binance", 5)])
def test_years_before_a_listing_cost_few_requests(exchange, most, tmp_path, capsys):
    rows = history(400)
    words = ("--since", "2019-06-01")
    with FeedServer({"BTC": rows}) as server:
        assert run(server, tmp_path, *words, exchange=exchange)[0] == 0
        asked = len(server.candle_requests())
        assert asked <= most
        assert run(server, tmp_path, *words, exchange=exchange)[0] == 0
        assert len(server.candle_requests()) == asked
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows)
    assert "begins at 2024-01-01 00:00" in capsys.readouterr().out


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("late_s", [0, 1, 899])
def test_the_open_bar_is_never_written(exchange, late_s, tmp_path):
    rows = history(101)
    with FeedServer({"BTC": rows}, now_s=rows[-1, 0] + late_s) as server:
        assert run(server, tmp_path, exchange=exchange)[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[:-1])


def test_bars_of_the_future_are_not_written(tmp_path):
    rows = history(101)
    with FeedServer({"BTC": rows}) as server:
        server.page = lambda *a, **k: rows
        server.now_s = rows[50, 0]
        assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[:50])


@pytest.mark.parametrize(
    ("off_s", "words"), [(7_200, "behind that of coinbase"), (-7_200, "ahead of that of coinbase")]
)
def test_a_wrong_local_clock_is_told_and_not_used(off_s, words, tmp_path, monkeypatch, capsys):
    rows = history(101)
    now_s = rows[-1, 0] + 1.0
    monkeypatch.setattr("v8ops.feeds.fetch_symbol.time.time", lambda: now_s - off_s)
    with FeedServer({"BTC": rows, "ETH": rows}, now_s=now_s) as server:
        assert run(server, tmp_path, symbols=("BTC", "ETH"))[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[:-1])
    said = capsys.readouterr().out
    assert said.count("warning: the local clock is 7200 s") == 1
    assert words in said


def test_a_right_local_clock_is_not_mentioned(tmp_path, monkeypatch, capsys):
    rows = history(20)
    monkeypatch.setattr("v8ops.feeds.fetch_symbol.time.time", lambda: rows[-1, 0] + 100.0)
    with FeedServer({"BTC": rows}) as server:
        assert run(server, tmp_path)[0] == 0
    assert "warning" not in capsys.readouterr().out


def test_without_a_clock_of_its_own_the_date_of_the_answer_counts(tmp_path, monkeypatch):
    rows = history(101)
    monkeypatch.setattr(ccxt.coinbase, "fetch_time", None)
    real = ccxt.coinbase.describe

    def without_clock(self):
        told = real(self)
        told["has"]["fetchTime"] = False
        return told

    monkeypatch.setattr(ccxt.coinbase, "describe", without_clock)
    with FeedServer({"BTC": rows}) as server:
        server.date = "Mon, 01 Jan 2024 12:10:00 GMT"
        assert run(server, tmp_path)[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[:48])


@pytest.mark.parametrize("fault", [Fault(status=404, body=b"{}"), Fault(body=b'{"data": {}}')])
def test_a_clock_that_fails_is_replaced_by_the_date_of_the_answer(fault, tmp_path):
    rows = history(101)
    with FeedServer({"BTC": rows}) as server:
        server.date = "Mon, 01 Jan 2024 12:10:00 GMT"
        server.file_faults["v2/time"] = [fault] * 2
        assert run(server, tmp_path) == (0, [])
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[:48])


@pytest.mark.parametrize("name", ["half of the body, called whole", "rate limit in words"])
def test_a_list_of_markets_that_went_wrong_once_is_asked_for_again(name, tmp_path):
    with FeedServer({"BTC": history(50)}) as server:
        server.file_faults["api/v3/brokerage/market/products"] = [FAULTS[name]]
        assert run(server, tmp_path) == (0, [1.0])
    assert len(rows_of(tmp_path / "BTC.parquet")) == 50


def test_until_and_since_bound_the_bars_to_the_second(tmp_path):
    rows = history(400)
    words = ("--since", "2024-01-01T01:01", "--until", "2024-01-02T00:00+01:00")
    with FeedServer({"BTC": rows}) as server:
        assert run(server, tmp_path, *words)[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[5:92])


# --- extending ------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_extending_asks_for_nothing_that_is_there(exchange, tmp_path, capsys):
    rows = history(3_000)
    with FeedServer({"BTC": rows}, now_s=rows[2_000, 0]) as server:
        assert run(server, tmp_path, "--since", "2024-01-10", exchange=exchange)[0] == 0
        server.now_s = rows[2_500, 0]
        seen = len(server.candle_requests())
        assert run(server, tmp_path, "--since", "2024-01-10", exchange=exchange)[0] == 0
        assert min(starts(server, exchange)[seen:]) == rows[2_000 - 5, 0]
        line = capsys.readouterr().out.splitlines()[-1].split()
        assert line[-2:] == ["500", "0"]

        seen = len(server.candle_requests())
        assert run(server, tmp_path, "--since", "2024-01-10", exchange=exchange)[0] == 0
        assert len(server.candle_requests()) == seen

        assert run(server, tmp_path, "--since", "2024-01-05", exchange=exchange)[0] == 0
        earlier = starts(server, exchange)[seen:]
        assert max(earlier) < START_S + 9 * DAY_S
        assert min(earlier) == START_S + 4 * DAY_S
    got = tmp_path / "BTC.parquet"
    assert np.array_equal(rows_of(got), rows[4 * 96 : 2_500])
    words = ("--since", "2024-01-05")
    now_s = rows[2_500, 0]
    clean = undisturbed({"BTC": rows}, tmp_path / "b", *words, exchange=exchange, now_s=now_s)
    assert got.read_bytes() == clean


def test_a_later_period_is_joined_to_the_file_without_a_hole(tmp_path):
    rows = history(3_000)
    with FeedServer({"BTC": rows}) as server:
        assert run(server, tmp_path, "--until", "2024-01-03")[0] == 0
        words = ("--since", "2024-01-20", "--until", "2024-01-21")
        assert run(server, tmp_path, *words)[0] == 0
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), rows[: 20 * 96])


def test_a_bar_that_the_exchange_changed_is_taken_over_and_counted(tmp_path, capsys):
    rows = history(200)
    with FeedServer({"BTC": rows.copy()}, now_s=rows[150, 0]) as server:
        assert run(server, tmp_path)[0] == 0
        server.markets["BTC"][[146, 148], 5] += 1.0
        server.markets["BTC"][100, 5] += 1.0  # too long ago to be noticed
        server.now_s = rows[-1, 0] + BAR_S
        assert run(server, tmp_path)[0] == 0
    got = rows_of(tmp_path / "BTC.parquet")
    assert np.flatnonzero((got != rows).any(axis=1)).tolist() == [146, 148]
    assert np.array_equal(got[146:], server.markets["BTC"][146:])
    assert capsys.readouterr().out.splitlines()[-1].split()[-2:] == ["50", "2"]


def test_a_file_that_is_not_the_same_bars_is_left_alone(tmp_path, capsys):
    with FeedServer({"BTC": history(200)}) as server:
        assert run(server, tmp_path)[0] == 0
        before = (tmp_path / "BTC.parquet").read_bytes()
        for words in (("--interval", "1h"), ("--exchange", "binance")):
            assert run(server, tmp_path, *words)[0] == 1
            error = capsys.readouterr().err
            assert "BTC.parquet holds coinbase BTC/USD 15m, not " in error
            assert "--data" in error
    assert (tmp_path / "BTC.parquet").read_bytes() == before


def test_a_file_of_someone_else_is_left_alone(tmp_path, capsys, market_bars):
    market_bars.reset_index().to_parquet(tmp_path / "BTC.parquet")
    before = (tmp_path / "BTC.parquet").read_bytes()
    with FeedServer({"BTC": history(200)}) as server:
        assert run(server, tmp_path)[0] == 1
        assert "fetch did not write this file" in capsys.readouterr().err
        assert (tmp_path / "BTC.parquet").read_bytes() == before
        (tmp_path / "BTC.parquet").write_bytes(before[:500])
        assert run(server, tmp_path)[0] == 1
    assert "BTC.parquet: cannot be read as Parquet" in capsys.readouterr().err


def test_two_fetches_do_not_write_one_file(tmp_path, capsys):
    hold = threading.Event()
    with FeedServer({"BTC": history(200)}) as server:
        server.faults = {0: Fault(hold=hold)}
        first = threading.Thread(target=run, args=(server, tmp_path))
        first.start()
        assert server.faults[0].reached.wait(20)
        assert run(server, tmp_path)[0] == 1
        assert "BTC.parquet: another fetch is writing it" in capsys.readouterr().err
        hold.set()
        first.join()
    assert len(rows_of(tmp_path / "BTC.parquet")) == 200


# --- bars that are none -----------------------------------------------------------------------


def broken(row, column, value):
    def change(rows):
        rows = rows.copy()
        rows[row, column] = value
        return rows

    return change


BROKEN = {
    "high below low": broken(7, 2, 1.0),
    "high below open or close": lambda rows: np.where(np.arange(6) == 2, rows[:, [3]], rows),
    "low above open or close": lambda rows: np.where(np.arange(6) == 3, rows[:, [2]], rows),
    "a price is not positive": broken(7, 3, -1.0),
    "negative volume": broken(7, 5, -1.0),
    "a value is missing": broken(7, 5, np.nan),
    "off the grid of the interval": broken(7, 0, START_S + 7 * BAR_S + 1),
    "two different bars of one time": lambda rows: np.concatenate(
        [rows, broken(0, 5, 123.0)(rows[7:8])]
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bar_that_is_none_stops_the_symbol_with_one_line(name, tmp_path, capsys):
    with FeedServer({"BTC": history(400), "ETH": history(400)}) as server:
        server.faults = {0: Fault(rows=BROKEN[name])}
        assert run(server, tmp_path, symbols=("BTC", "ETH"))[0] == 1
    error = capsys.readouterr().err
    assert error.startswith("BTC: BTC/USD: not a bar: 2024-01-0")
    assert name in error
    assert error.count("\n") == 1
    assert not (tmp_path / "BTC.parquet").exists()
    assert len(rows_of(tmp_path / "ETH.parquet")) == 400


def test_drop_bad_leaves_such_bars_out_and_lists_them(tmp_path, capsys):
    rows = history(400)

    def spoil(page):
        page = page.copy()
        page[100:125, 2] = 1.0
        return page

    with FeedServer({"BTC": rows}) as server:
        server.faults = {0: Fault(rows=spoil)}
        assert run(server, tmp_path, "--drop-bad")[0] == 0
    kept = np.delete(rows, np.arange(100, 125), axis=0)
    assert np.array_equal(rows_of(tmp_path / "BTC.parquet"), kept)
    said = capsys.readouterr().out.splitlines()
    listed = [line for line in said if line.startswith("BTC: left out: 2024-01-02 ")]
    assert len(listed) == 20
    assert "high 1," in listed[0]
    assert "BTC: left out: 5 more such bars" in said
    assert said[-1].split()[-4:-2] == ["1", "25"]


# --- the command line -------------------------------------------------------------------------


def test_one_symbol_that_fails_does_not_lose_the_others(tmp_path, capsys):
    with FeedServer({"BTC": history(50), "SOL": history(50)}) as server:
        status, _ = run(server, tmp_path, symbols=("BTC", "NEW", "SOL"))
    assert status == 1
    said = capsys.readouterr()
    assert said.err == (
        "NEW: coinbase has no market NEW/USD (none of NEW, the nearest is SOL/USD); "
        "--market names another\n"
    )
    assert [line.split()[0] for line in said.out.splitlines()[-2:]] == ["BTC", "SOL"]


def test_an_unknown_market_is_told_with_those_that_exist(tmp_path, capsys):
    with FeedServer({"BTC": history(50)}) as server:
        assert run(server, tmp_path, "--market", "{symbol}/EUR")[0] == 1
    assert "no market BTC/EUR (of BTC it has BTC/USD)" in capsys.readouterr().err


def test_a_period_without_a_bar_is_told_and_leaves_nothing(tmp_path, capsys):
    with FeedServer({"BTC": history(50)}) as server:
        words = ("--since", "2022-01-01", "--until", "2022-01-03")
        assert run(server, tmp_path, *words)[0] == 1
    expected = "BTC: coinbase BTC/USD 15m: no bars from 2022-01-01 00:00 to 2022-01-03 00:00\n"
    assert capsys.readouterr().err == expected
    assert list(tmp_path.glob("**/*.parquet")) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / ".fetch").write_text("in the way")
    with FeedServer({"BTC": history(50)}) as server:
        assert run(server, tmp_path)[0] == 1
    assert ".fetch: File exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--exchange", "coinbse"), "unknown exchange 'coinbse': did you mean coinbase"),
        (("--exchange", "binance-archiv"), "binance-archive"),
        (("--exchange", "qqq000"), "unknown exchange 'qqq000': see docs.ccxt.com"),
        (("--interval", "7m"), "interval '7m': one of 1m"),
        (("--interval", "4h"), "coinbase has no 4h bars: it has 1m, 5m, 15m"),
        (("--since", "yesterday"), "--since yesterday: expected a date or time"),
        (("--since", "1950-01-01"), "--since 1950-01-01: before 1970"),
        (("--since", "2099-01-01"), "no closed bar from 2099-01-01 00:00 on"),
        (("--until", "2023-01-01"), "--until 2023-01-01 00:00 is not after --since"),
        (("--symbols", "BTC", "BTC"), "--symbols: BTC is named twice"),
        (("--symbols", "btc"), "fetch: symbols.0 = 'btc'"),
        (("--symbols", "BTC", "ETH", "--market", "BTC/USD"), "several symbols need {symbol}"),
        (("--data", __file__), "not a folder"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_fetched(words, message, tmp_path):
    with FeedServer({"BTC": history(50)}) as server:
        with pytest.raises(ParameterError if "7m" not in words else V8Error) as caught:
            run(server, tmp_path, *words)
        assert server.candle_requests() == []
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_missing_is_told_with_the_extra_that_has_it(tmp_path, monkeypatch):
    with FeedServer({"BTC": history(50)}) as server:
        for package in ("ccxt", "tenacity"):
            with monkeypatch.context() as patch:
                patch.setitem(sys.modules, package, None)
                with pytest.raises(ParameterError, match=rf"'{package}': pip install .*\[feeds\]"):
                    run(server, tmp_path)


def test_an_exchange_without_bars_is_refused():
    source = Exchange(open_client("coinbase"), Patience())
    source.client.has["fetchOHLCV"] = False
    with pytest.raises(ParameterError, match="coinbase gives no bars"):
        source.check_interval(60)


def test_proxies_of_the_environment_are_used(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert open_client("kraken").proxies["https"] == "http://proxy.invalid:3128"
    assert open_client("kraken", api_url="http://127.0.0.1:1").proxies is None


# --- interruptions ----------------------------------------------------------------------------


def test_an_interrupt_is_one_line_and_the_next_call_goes_on(tmp_path, capsys):
    markets = {"BTC": history(6_000)}
    clean = undisturbed(markets, tmp_path / "clean")
    capsys.readouterr()

    def interrupt(seconds):
        raise KeyboardInterrupt

    with FeedServer(markets) as server:
        server.faults = {7: FAULTS["server error"]}
        assert run(server, tmp_path / "cut", sleep=interrupt)[0] == 130
        assert capsys.readouterr().err.count("\n") == 1
        seen = len(server.candle_requests())
        assert run(server, tmp_path / "cut")[0] == 0
    assert starts(server)[seen] == START_S + (7 * 300 - 5) * BAR_S
    assert (tmp_path / "cut" / "BTC.parquet").read_bytes() == clean


@pytest.mark.parametrize("killed_at", [14, 25])
def test_a_fetch_that_is_killed_is_completed_by_the_next_call(killed_at, tmp_path):
    rows = history(8_000, at=np.setdiff1d(np.arange(8_005), [70, 71, 4_200, 6_000, 6_001]))
    clean = undisturbed({"BTC": rows}, tmp_path / "clean")
    code = (
        "import argparse, ccxt\n"
        "from v8ops.feeds import fetch\n"
        "ccxt.Exchange.throttle = lambda self, cost=None: None\n"
        "parser = argparse.ArgumentParser()\n"
        "fetch.add_arguments(parser)\n"
        "fetch.main(parser.parse_args())\n"
    )
    folder = tmp_path / "killed"
    with FeedServer({"BTC": rows}) as server:
        server.faults = {killed_at: Fault(hold=threading.Event())}
        words = ("--api-url", server.url, "--data", str(folder), "--symbols", "BTC")
        process = subprocess.Popen([sys.executable, "-c", code, *words], cwd=PROJECT)
        try:
            assert server.faults[killed_at].reached.wait(60)
        finally:
            process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (folder / "BTC.parquet").exists()
        server.faults[killed_at].hold.set()
        seen = len(server.candle_requests())
        assert run(server, folder)[0] == 0
        # At most the pages since the last part was written are asked for again.
        assert starts(server)[seen] >= START_S + (killed_at // 10 * 10 * 300 - 5) * BAR_S
    assert (folder / "BTC.parquet").read_bytes() == clean
    assert list((folder / ".fetch").glob("*/*")) == []


# --- paging -----------------------------------------------------------------------------------


class Market:
    """Answers like a moody exchange: cut at either end, sometimes with what comes next."""

    def __init__(self, rows, draw, limit, day_begins_s=0):
        self.rows, self.draw, self.limit, self.asked = rows, draw, limit, 0
        self.day_begins_s = day_begins_s

    def ask(self, start, n_bars, rows=None, interval_s=60):
        self.asked += 1
        rows = self.rows if rows is None else rows
        mood = self.draw.randrange(4)
        rows = rows[rows[:, 0] >= start]
        if mood != 3:
            rows = rows[rows[:, 0] < start + n_bars * interval_s]
        keep = self.limit if mood != 2 else self.draw.randint(1, self.limit)
        return rows[-keep:] if mood == 1 else rows[:keep]

    def ask_days(self, start, n_bars):
        shift = np.array([self.day_begins_s, 0, 0, 0, 0, 0])
        days = coarser(self.rows - shift, DAY_S) + shift
        return self.ask(start, n_bars, days, DAY_S)


@given(
    at=st.sets(st.integers(0, 6_000), max_size=60),
    runs=st.lists(st.tuples(st.integers(0, 6_000), st.integers(1, 80)), max_size=6),
    start=st.integers(0, 500),
    length=st.integers(1, 6_000),
    page=st.integers(2, 300),
    limit=st.integers(1, 40),
    draw=st.randoms(use_true_random=False),
    day_begins_h=st.sampled_from([None, 0, 8, 16]),
)
def test_pages_hold_the_history_whatever_the_answers(
    at, runs, start, length, page, limit, draw, day_begins_h
):
    there = sorted(at.union(*(range(a, a + n) for a, n in runs)))
    rows = history(len(there), interval_s=60, at=there)
    market = Market(rows, draw, limit, (day_begins_h or 0) * 3_600)
    first, last = START_S + start * 60, START_S + (start + length) * 60
    days = None if day_begins_h is None else market.ask_days
    found = list(pages(market.ask, first, last, 60, page, days))
    inside = rows[(rows[:, 0] >= first) & (rows[:, 0] < last)]
    assert np.array_equal(np.concatenate([piece.rows for piece in found]), inside)
    # The pieces follow one another from the first to the last second.
    edges = [piece.start for piece in found] + [last]
    assert edges == [first, *(piece.stop for piece in found)]
    assert market.asked <= 8 * (len(found) + len(inside) + 1)


@pytest.mark.parametrize("begins_h", [0, 8, 16])
def test_no_bar_is_lost_between_days_that_begin_at_another_hour(begins_h):
    # The bar at 15:00 lies in a day that began at 16:00 UTC of the day before.
    rows = history(3, interval_s=60, at=[0, 900, 6_000])
    market = Market(rows, SimpleNamespace(randrange=lambda n: 0), 300, begins_h * 3_600)
    found = list(pages(market.ask, START_S, START_S + 9 * DAY_S, 60, 300, market.ask_days))
    assert np.array_equal(np.concatenate([piece.rows for piece in found]), rows)
    assert len(found) < 20


def test_an_answer_off_the_grid_does_not_turn_in_circles():
    rows = history(50, interval_s=60)
    rows[:, 0] += 7.0
    market = Market(rows, SimpleNamespace(randrange=lambda n: 0), 10)
    found = list(pages(market.ask, START_S, START_S + 3_000, 60, 30))
    assert np.array_equal(np.concatenate([piece.rows for piece in found]), rows)


# --- settings and progress ----------------------------------------------------------------------


def test_the_settings_of_the_project_name_real_exchanges_and_markets():
    settings = read_settings()
    assert settings.exchange in ccxt.exchanges
    assert set(settings.market_names) - {"binance-archive"} <= set(ccxt.exchanges)
    assert settings.market_of("coinbase", "BTC") == "BTC/USD"
    assert settings.market_of("binance-archive", "SOL") == "SOLUSDT"
    assert settings.market_of("bitstamp", "ETH") == "ETH/USD"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tries": 0}, "feeds.yaml: tries = 0: input should be greater"),
        ({"tries": "6"}, "feeds.yaml: tries = '6'"),
        ({"exchnge": "x"}, "feeds.yaml: unknown key 'exchnge'"),
        ({"since": None}, "feeds.yaml: since = None"),
        ({"symbols": []}, "feeds.yaml: symbols = []"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(change, message, tmp_path):
    path = tmp_path / "feeds.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(FEEDS.read_text()) | change))
    with pytest.raises(ParameterError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(message)


def test_a_settings_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="no such parameter file"):
        read_settings(tmp_path / "none.yaml")
    path = tmp_path / "feeds.yaml"
    for text, message in (("- a\n", "expected a mapping"), ("a: [", "not YAML")):
        path.write_text(text)
        with pytest.raises(ParameterError, match=message):
            read_settings(path)
    path.write_text(yaml.safe_dump({"exchange": "coinbase"}))
    with pytest.raises(ParameterError, match="'symbols' is missing"):
        read_settings(path)


def test_plain_progress_is_a_line_every_few_seconds_with_an_estimate(capsys):
    now = [0.0]
    watch = PlainWatch(clock=lambda: now[0])
    with watch:
        watch.begin("BTC", 1_000)
        for second in range(1, 12):
            now[0] = float(second)
            watch.advance(20, START_S + 20 * second)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0] == "BTC: 10 %, at 2024-01-01 00:01:40, about 45 s left"
    now[0] = 200.0
    watch.advance(1, START_S)
    assert "about 12 min left" in capsys.readouterr().out
    now[0] = 9_000.0
    watch.advance(1, START_S)
    assert " h left" in capsys.readouterr().out


def test_live_progress_moves_and_notes_stay(capsys):
    with LiveWatch() as watch:
        watch.begin("BTC", 100)
        watch.advance(60, START_S)
        watch.note("a [bold] line")
        task = watch.progress.tasks[0]
        assert (task.completed, task.total, task.fields["at"]) == (60, 100, "2024-01-01 00:00")
    assert "a [bold] line" in capsys.readouterr().out


def test_errors_of_the_feeds_are_errors_of_the_suite():
    assert issubclass(FeedError, V8Error)
