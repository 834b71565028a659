"""The bar file of a symbol as serving follows it: extended, replaced, damaged, gone."""

import numpy as np
import pytest
import serving_case as sc

from v8lib.bar_arrays import BarArrays
from v8ops.production.bar_source import BarSource, bar_file, market_name
from v8ops.production.notes import Notes

BARS = sc.make_bars(50)


@pytest.fixture
def lines():
    return []


@pytest.fixture
def source(tmp_path, lines):
    return BarSource(tmp_path, "BTC", Notes(lambda: 0.0, lines.append))


def same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["BTC.parquet", "BTC.csv", "BTC-USD.parquet", "BTC-USD.csv"])
def test_the_bars_of_a_file_are_read_whole(tmp_path, source, name):
    sc.write_bars(tmp_path / name, BARS)
    same(source.read(), BARS)
    assert source.interval_s == sc.INTERVAL_S


def test_the_file_is_the_one_a_run_would_take(tmp_path):
    for name in ("BTC-USD.csv", "BTC.csv", "BTC-USD.parquet", "BTC.parquet"):
        (tmp_path / name).touch()
        assert bar_file(tmp_path, "BTC", "BTC-USD").name == name
    assert bar_file(tmp_path, "ETH", "ETH-USD") is None


def test_the_market_s_name_is_that_of_the_parameters(tmp_path):
    assert market_name("BTC") == "BTC-USD"
    assert market_name("DOGE") == "DOGE-USD"
    (tmp_path / "symbols").mkdir()
    (tmp_path / "symbols" / "DOGE.yaml").write_text("market_name: DOGE-EUR\n")
    assert market_name("DOGE", tmp_path) == "DOGE-EUR"


def test_a_file_that_did_not_change_is_not_read_again(tmp_path, source, monkeypatch):
    sc.write_bars(tmp_path / "BTC.parquet", BARS)
    first = source.read()
    monkeypatch.setattr("v8ops.production.bar_source.load_bars", None)
    assert source.read() is first


def test_a_file_that_is_extended_is_read_again_and_nothing_is_said(tmp_path, source, lines):
    path = tmp_path / "BTC.parquet"
    for n in (40, 41, 50):
        sc.write_bars(path, BARS.at(slice(0, n)))
        assert len(source.read().close) == n
    assert lines == []


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing more", b"time,open\n1,2\n"])
def test_a_corrupt_file_is_said_once_and_read_again(tmp_path, source, lines, content):
    path = tmp_path / "BTC.parquet"
    sc.write_bars(path, BARS.at(slice(0, 40)))
    source.read()
    path.write_bytes(content)
    assert [source.read() for _ in range(3)] == [None, None, None]
    assert len(lines) == 1
    assert "BTC.parquet" in lines[0]
    assert "read again" in lines[0]
    sc.write_bars(path, BARS)
    same(source.read(), BARS)
    assert lines[1:] == ["1970-01-01T00:00:00Z BTC: the bar file can be used again"]


def test_a_missing_file_is_said_once_and_looked_for_again(tmp_path, source, lines):
    assert source.read() is None
    assert source.read() is None
    (line,) = lines
    assert f"no bars in {tmp_path} (looked for BTC or BTC-USD)" in line
    sc.write_bars(tmp_path / "BTC-USD.csv", BARS)
    assert len(source.read().close) == 50


def test_a_file_that_shrinks_is_said_and_taken_as_it_is(tmp_path, source, lines):
    path = tmp_path / "BTC.parquet"
    sc.write_bars(path, BARS)
    source.read()
    sc.write_bars(path, BARS.at(slice(0, 30)))
    assert len(source.read().close) == 30
    (line,) = lines
    assert "20 bars are gone from the file, from 2024-01-01T07:30:00Z on" in line


def test_a_file_that_begins_later_is_no_news(tmp_path, source, lines):
    path = tmp_path / "BTC.parquet"
    sc.write_bars(path, BARS)
    source.read()
    sc.write_bars(path, BARS.at(slice(20, None)))
    assert len(source.read().close) == 30
    assert lines == []


def test_bars_that_come_late_are_said(tmp_path, source, lines):
    path = tmp_path / "BTC.parquet"
    sc.write_bars(path, sc.without(BARS, [20, 21]))
    source.read()
    sc.write_bars(path, BARS)
    assert len(source.read().close) == 50
    (line,) = lines
    assert "2 bars came late, the first 2024-01-01T05:00:00Z: no signals" in line


def test_old_bars_that_changed_are_said(tmp_path, source, lines):
    path = tmp_path / "BTC.parquet"
    sc.write_bars(path, BARS)
    source.read()
    volume = BARS.volume.copy()
    volume[[3, 7]] += 1.0
    sc.write_bars(path, BARS._replace(volume=volume))
    same(source.read(), BARS._replace(volume=volume))
    (line,) = lines
    assert "2 old bars changed, the first 2024-01-01T00:45:00Z: signals stay" in line


def test_bars_of_another_length_are_refused_while_serving(tmp_path, source, lines):
    path = tmp_path / "BTC.parquet"
    sc.write_bars(path, BARS)
    source.read()
    hourly = BarArrays(*BARS[:5], sc.START_S + 4 * (BARS.epoch_s - sc.START_S))
    sc.write_bars(path, hourly)
    assert source.read() is None
    assert "the bars are of 3600 s now and were of 900 s" in lines[0]
    sc.write_bars(path, BARS)
    assert len(source.read().close) == 50
