"""Reading bar files: every dialect, every kind of container, and every refusal by its line."""

import bz2
import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import dirty_bars
from v8lib import bar_arrow, bar_container, bar_text
from v8lib.bar_files import read_bars
from v8lib.bar_schema import check_schema
from v8lib.bars import COLUMNS, Finding, load_bars
from v8lib.errors import BarsError
from v8lib.storage import sha256_bytes

HEADER = "timestamp,open,high,low,close,volume"
ROW = "2024-01-01T0{}:00:00Z,10,12,9,11,5"


@pytest.fixture
def put(tmp_path):
    """Write bytes or text and return the path."""

    def write(content, name="BTC.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def csv_text(rows=None, header=HEADER):
    return "\n".join([header, *(rows or [ROW.format(k) for k in range(5)])]) + "\n"


def parquet(frame):
    sink = io.BytesIO()
    frame.to_parquet(sink)
    return sink.getvalue()


def names(findings):
    return [finding.name for finding in findings]


# --- dialects -------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", dirty_bars.DIALECTS)
def test_every_dialect_is_read_back_as_the_bars_it_was_made_from(tmp_path, dialect):
    bars = dirty_bars.clean_bars()
    loaded = load_bars(dirty_bars.write(bars, tmp_path / "BTC.any", dialect))
    pd.testing.assert_frame_equal(loaded.bars, bars, check_freq=False, check_exact=True)
    assert ("order" in names(loaded.findings)) == (dialect in dirty_bars.NEWEST_FIRST)
    check_schema(loaded.bars)


@settings(max_examples=60)
@given(
    dialect=st.sampled_from(sorted(dirty_bars.DIALECTS)),
    n_bars=st.integers(12, 60),
    interval_s=st.sampled_from([60, 900, 3_600]),
    seed=st.integers(0, 10**6),
    price=st.sampled_from([0.8, 30.0, 64_000.0]),
)
def test_any_bars_survive_any_dialect(tmp_path_factory, dialect, n_bars, interval_s, seed, price):
    start = pd.Timestamp("2023-01-31") + pd.Timedelta(hours=seed % 9_000)
    if dialect == "half_day_clock":  # it has no minutes
        interval_s, start = 3_600, start.floor("h")
    bars = dirty_bars.clean_bars(
        n_bars, interval_s=interval_s, seed=seed, price=price, start=str(start)
    )
    path = dirty_bars.write(bars, tmp_path_factory.mktemp("any") / "BTC", dialect)
    try:
        read = load_bars(path).bars
    except BarsError as error:
        # Hours of one day or two may be of two months, and are refused as such.
        assert "the dates may be" in str(error) or "orders of the prices" in str(error)
        return
    pd.testing.assert_frame_equal(read, bars, check_freq=False, check_exact=True)


def test_raw_bars_hold_every_row_in_the_order_of_the_file(tmp_path):
    bars = dirty_bars.clean_bars()
    path = dirty_bars.write(bars, tmp_path / "BTC", "damaged_epoch")
    raw = read_bars(path)
    assert raw.table["row"].tolist() == list(range(1, 31))
    assert raw.table["timestamp"].tolist() == bars.index[::-1].tolist()
    assert list(raw.table.columns) == ["timestamp", *COLUMNS, "row"]
    assert str(raw.table["timestamp"].dt.tz) == "UTC"
    assert raw.dialect == {
        "format": "CSV",
        "header": "one row",
        "time": "columns 'date' and 'time': day-month-year, no zone, taken as UTC",
        "order": "newest first",
        "volume": "column 'Volume SOL'",
        "not used": "unix, symbol, Volume USDT",
    }
    assert (raw.path, raw.sha256) == (str(path), sha256_bytes(path.read_bytes()))


def test_cells_that_are_no_numbers_and_no_times_stay_as_rows(put):
    rows = [ROW.format(0), "n/a,ten,12,9,11,5", ROW.format(2), "2024-01-01T03:00:00Z,10,inf,,-1,x"]
    table = read_bars(put(csv_text(rows))).table
    assert table["timestamp"].isna().tolist() == [False, True, False, False]
    np.testing.assert_array_equal(
        table.loc[1, list(COLUMNS)].to_numpy(float), [np.nan, 12, 9, 11, 5]
    )
    np.testing.assert_array_equal(
        table.loc[3, list(COLUMNS)].to_numpy(float), [10, np.nan, np.nan, -1, np.nan]
    )


@pytest.mark.parametrize("spoil", dirty_bars.DEFECTS)
@pytest.mark.parametrize("dialect", ["iso", "klines_without_header", "decimal_comma", "parquet"])
def test_every_defect_is_read_and_then_refused_in_every_dialect(tmp_path, spoil, dialect):
    bars = dirty_bars.DEFECTS[spoil](dirty_bars.clean_bars())
    path = dirty_bars.write(bars, tmp_path / "BTC", dialect)
    assert len(read_bars(path).table) == len(bars)
    with pytest.raises(BarsError, match=r"row \d+.* with: python -m v8ops check-bars .* --fix OUT"):
        load_bars(path)


def test_a_partial_last_bar_and_gaps_are_findings(tmp_path):
    bars = dirty_bars.clean_bars()
    gappy = dirty_bars.partial_last_bar(dirty_bars.with_gap(bars))
    loaded = load_bars(dirty_bars.write(gappy, tmp_path / "BTC", "mixed_offsets"))
    assert names(loaded.findings) == ["mixed_utc_offsets", "partial_last_bar", "gaps"]
    assert len(loaded.bars) == 25


# --- text -----------------------------------------------------------------------------------


def test_rows_with_too_few_cells_have_empty_ones_and_are_reported(put):
    text = csv_text(
        [ROW.format(0), "2024-01-01T01:00:00Z,10", "", ROW.format(2), ROW.format(3), "2"]
    )
    raw = read_bars(put(text))
    assert raw.findings == (Finding("short_rows", "2 rows with too few cells, first row 2"),)
    assert raw.table["open"].tolist()[:4] == [10.0, 10.0, 10.0, 10.0]
    assert raw.table["volume"].isna().tolist() == [False, True, False, False, True]


def test_lines_before_the_header_are_skipped_and_reported(put):
    raw = read_bars(put("# from somewhere\nhttps://example.com\n" + csv_text()))
    assert raw.findings == (
        Finding("header", "2 lines before the header: # from somewhere / https://example.com"),
    )
    assert len(raw.table) == 5


def test_unused_columns_with_holes_are_reported(put):
    rows = [ROW.format(k) + ("," if k % 2 else ",x") for k in range(5)]
    raw = read_bars(put(csv_text(rows, HEADER + ",Adj Close")))
    assert raw.findings == (Finding("holes_in_unused_columns", "Adj Close (2 rows): not needed"),)
    assert raw.dialect["not used"] == "Adj Close"


def test_a_comment_before_rows_without_a_header_is_no_header(put):
    content = b"# candles\n" + dirty_bars.six_without_header(dirty_bars.clean_bars())
    assert len(load_bars(put(content)).bars) == 30


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (HEADER + "\n", "no rows"),
        ("\n \n\n", "no rows"),
        (
            csv_text(["2024-01-01T01:00:00Z,10,12,9,11,5,7"]),
            "row 1 has 7 cells, the first line has 6",
        ),
        (
            csv_text([ROW.format(0), '2024-01-01T01:00:00Z,"10', '11",12,9,11,5']),
            "a quote does not close within its line",
        ),
        ("\n".join([ROW.format(0), HEADER, ROW.format(1)]), "line 1 holds a row, and the header"),
        (",".join(map(str, range(1_001))) + "\n1\n", "1,001 columns: no bar file"),
        (csv_text(["2024," * 300_000]), r"line 2 has 1,500,000 bytes: no bar file"),
    ],
)
def test_text_that_cannot_be_read_is_refused(put, content, line):
    with pytest.raises(BarsError, match=line):
        read_bars(put(content))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            csv_text().encode() + b"\xe9",
            r"the byte at 207 \(0xe9\) is no UTF-8: save the file as UTF-8",
        ),
        (b"\xff\xfet\x00i", r"the byte at 4 \(0x69\) is no UTF-16: save"),
        (csv_text().replace("9", "\0", 1).encode(), "a zero byte at letter"),
    ],
)
def test_bytes_that_are_no_text_are_refused_by_their_place(put, content, line):
    with pytest.raises(BarsError, match=rf"BTC\.csv: cannot be read as csv: {line}"):
        read_bars(put(content))


def test_an_open_quote_is_found_across_the_blocks_of_a_long_file(put, monkeypatch):
    monkeypatch.setattr(bar_text, "MAX_LINE", 60)
    rows = [ROW.format(k % 10) for k in range(40)]
    assert len(read_bars(put(csv_text(rows))).table) == 40
    for row in (5, 20, 39):
        broken = [*rows[:row], '2024-01-01T00:00:00Z,10,12,9,11,"5', *rows[row:]]
        with pytest.raises(BarsError, match="a quote does not close within its line"):
            read_bars(put(csv_text(broken)))


def test_a_header_with_a_quoted_giant_is_refused(put):
    with pytest.raises(BarsError, match="row 1 has 2 cells, the first line has 1"):
        read_bars(put(f'"{"x" * 200_000}",open\n1,2\n'))


def test_a_file_of_short_rows_is_refused_and_not_padded(put, monkeypatch):
    monkeypatch.setattr(bar_text, "MAX_SHORT_ROWS", 3)
    rows = [ROW.format(0), *["2024-01-01T01:00:00Z,10"] * 4]
    with pytest.raises(BarsError, match="row 2 has 2 cells, the first line has 6"):
        read_bars(put(csv_text(rows)))


# --- headers that are not there -----------------------------------------------------------------

EPOCHS = [1_704_067_200 + 3_600 * k for k in range(6)]


def bare(*columns):
    return "\n".join(",".join(map(str, row)) for row in zip(EPOCHS, *columns, strict=True)) + "\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (bare([9] * 6, [12] * 6, [9] * 6, [12] * 6, [5] * 6), "several orders of the prices"),
        (bare([9] * 6, [8] * 6, [12] * 6, [10] * 6, [5] * 6), "no order of the prices"),
        (bare([100] * 6, [101] * 6, [7] * 6, [100] * 6, [99] * 6), "no order of the prices"),
        (bare(range(11, 17), [20] * 6, [5] * 6, range(10, 16), [5] * 6), "no order of the prices"),
        (bare(*[[10] * 6] * 4), "no header, and 5 columns"),
        (bare(*[[10] * 6] * 7), "no header, and 8 columns"),
        (bare([10] * 6, [12] * 6, [9] * 6, [11] * 6, [5] * 6, [0.5] * 6), "7 columns of no known"),
        (bare([10] * 6, [12] * 6, [9] * 6, [11] * 6, [11] * 6, [5] * 6), "7 columns of no known"),
        (bare(*[[10] * 6] * 11), "12 columns that are no exchange klines"),
        (bare(*[[10] * 6] * 5, EPOCHS[:1] * 6, *[[1] * 6] * 5), "12 columns that are no exchange"),
    ],
)
def test_columns_without_names_are_refused_where_there_is_doubt(put, content, line):
    ending = "write a header with the names timestamp, open, high, low, close, volume$"
    with pytest.raises(BarsError, match=rf"no header, and .*{line.split('and ')[-1]}.*: {ending}"):
        read_bars(put(content))


def test_text_times_without_a_header_are_understood_too(put):
    bars = dirty_bars.clean_bars()
    content = dirty_bars.iso(bars).split(b"\n", 1)[1]
    pd.testing.assert_frame_equal(load_bars(put(content)).bars, bars, check_freq=False)


# --- column names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "used"),
    [
        ("Open Time,Open_Price,HIGH-PRICE,price low,c,Vol.", "Vol."),
        ("timestamp,open,high,low,close,Volume_(BTC)", "Volume_(BTC)"),
        ("time,open,high,low,close,volumefrom", "volumefrom"),
        ("<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "<VOL>"),
        ("Date,Open,High,Low,Close/Last,Volume", "Volume"),
    ],
)
def test_names_are_known_in_every_usual_spelling(put, header, used):
    raw = read_bars(put(csv_text(header=header)))
    assert raw.table[list(COLUMNS)].iloc[0].tolist() == [10.0, 12.0, 9.0, 11.0, 5.0]
    assert raw.dialect["volume"] == f"column '{used}'"


@pytest.mark.parametrize(
    ("extra", "cells", "used"),
    [
        ("Volume USDT,Volume SOL", "1,2", "Volume SOL"),
        ("Volume_(Currency),Volume_(BTC)", "1,2", "Volume_(BTC)"),
        ("symbol,Volume BTC,Volume ETH", "ETH/BTC,1,2", "Volume ETH"),
        ("symbol,Volume USDT,Volume TRY", "USDTTRY,2,1", "Volume USDT"),
        ("Volume USDT,Volume,quote_volume", "1,2,3", "Volume"),
    ],
)
def test_the_volume_is_the_one_in_the_base_currency(put, extra, cells, used):
    rows = [f"{row.rsplit(',', 1)[0]},{cells}" for row in csv_text().split()[1:]]
    raw = read_bars(put(csv_text(rows, f"timestamp,open,high,low,close,{extra}")))
    assert raw.dialect["volume"] == f"column '{used}'"
    assert raw.table["volume"].tolist() == [2.0] * 5


@pytest.mark.parametrize(
    ("header", "row", "line"),
    [
        (
            "timestamp,o,open,high,low,close,volume",
            "{},1,1,2,1,1,5",
            "'open': 'o' and 'open': keep one",
        ),
        (
            "t,open,high,low,close,Volume ETH,Volume BTC",
            "{},1,2,1,1,5,6",
            "'volume': 'Volume ETH' and",
        ),
        (
            "t,open,high,low,close,Volume USDT",
            "{},1,2,1,1,5",
            r"no column 'volume' \(found: t, open",
        ),
        ("t,open,high,low,close,Volume MA", "{},1,2,1,1,5", r"no column 'volume'"),
        ("t,T,open,high,low,close,volume", "{},1,1,2,1,1,5", "'time': 't' and 'T': keep one"),
        ("a,b,c", "1,2,3", r"no column 'open' \(found: a, b, c\)"),
    ],
)
def test_columns_that_are_missing_or_could_be_several_are_refused(put, header, row, line):
    rows = [row.format(epoch) for epoch in EPOCHS]
    with pytest.raises(BarsError, match=line):
        read_bars(put(csv_text(rows, header)))


def test_several_markets_in_one_file_are_refused(put):
    rows = [ROW.format(k) + f",{'BTC-USD' if k < 3 else 'ETH/USD'}" for k in range(5)]
    with pytest.raises(BarsError, match=r"'Symbol' names 2 markets \(BTC-USD, ETH/USD\): one file"):
        read_bars(put(csv_text(rows, HEADER + ",Symbol")))


def test_one_market_in_two_spellings_is_one_market(put):
    rows = [ROW.format(k) + f",{'BTC-USD' if k < 3 else 'BTCUSD'}" for k in range(5)]
    assert len(read_bars(put(csv_text(rows, HEADER + ",Symbol"))).table) == 5


def test_many_names_are_listed_up_to_a_point(put):
    header = ",".join(f"x{k}" for k in range(30))
    with pytest.raises(BarsError, match=r"found: x0, .*x19, \.\.\.\)"):
        read_bars(put(header + "\n" + ",".join("1" * 30) + "\n"))


# --- numbers --------------------------------------------------------------------------------------


def semicolons(*closes):
    rows = [f"2024-01-01 0{k}:00;10;20000;0;{close};5" for k, close in enumerate(closes)]
    return csv_text(rows, HEADER.replace(",", ";"))


def test_a_decimal_comma_is_understood_where_it_cannot_be_a_thousand(put):
    read = read_bars(put(semicolons("10,5", "1,234", "-0,25", ",5", "7"))).table["close"]
    assert read.tolist() == [10.5, 1.234, -0.25, 0.5, 7.0]


def test_numbers_are_read_to_the_last_digit(put):
    texts = ["0.1", "1e-5", "123456789.123456789", "+3.", ".5", " 2 ", "2.2250738585072014e-308"]
    rows = [f"{EPOCHS[0] + 60 * k},{text},9,9,9,9" for k, text in enumerate(texts)]
    read = read_bars(put(csv_text(rows))).table["open"]
    assert read.tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            semicolons("1,234", "2,345"),
            "'close': '1,234' may be a decimal comma or a thousands sep",
        ),
        (
            semicolons("1.234,5", "7"),
            "'close', row 1: '1.234,5' has thousands separators: write the",
        ),
        (semicolons("7", "1 234.5"), "'close', row 2: '1 234.5' has thousands separators"),
        (semicolons("7", "1'234"), "has thousands separators"),
        (semicolons("7", "1.234.567"), "has thousands separators"),
        (
            csv_text([ROW.format(0).replace("10", '"43,548.77"')]),
            "'open', row 1: '43,548.77' has thou",
        ),
    ],
)
def test_thousands_separators_are_refused_by_cell(put, content, line):
    with pytest.raises(BarsError, match=line):
        read_bars(put(content))


# --- containers -----------------------------------------------------------------------------------


def zip_of(**members):
    return dirty_bars.zipped(None, members=members)


def locked_zip():
    """A zip that says it has a password, as zipfile cannot write one itself."""
    locked = bytearray(zip_of(a=csv_text().encode()))
    for at in (6, locked.index(b"PK\1\2") + 8):
        locked[at] |= 1
    return bytes(locked)


def odd_zip():
    """A zip packed by a method that does not exist."""
    odd = bytearray(zip_of(a=csv_text().encode()))
    for at in (8, odd.index(b"PK\1\2") + 10):
        odd[at] = 77
    return bytes(odd)


GOOD = csv_text().encode()
REFUSED = {
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "not bars: a Git LFS pointer, fetch the real file$",
    ),
    "nothing": (b"", "the file is empty"),
    "page": (b"\n<!DOCTYPE html><html>404</html>", "not bars: an HTML page"),
    "other page": (b"\xef\xbb\xbf<HTML lang='en'>", "not bars: an HTML page"),
    "xml": (b"<?xml version='1.0'?><a/>", "not bars: XML; CSV, Parquet and Feather are read"),
    "store answer": (
        b"<?xml version='1.0'?><Error><Message>No\nsuch key</Message></Error>",
        "not bars: XML, it says: No such key$",
    ),
    "json": (b"[[1704067200, 1, 2]]", "not bars: JSON; CSV"),
    "broken json": (b'{"a": ', "not bars: JSON; CSV"),
    "deep json": (b"[" * 60_000, "not bars: JSON; CSV"),
    "long json": (b"[" + b"1," * 60_000, "not bars: JSON; CSV"),
    "exchange answer": (
        b'{"code":-1121,"msg":"Invalid symbol.\\nTry another"}',
        "not bars: JSON, it says: Invalid symbol. Try another$",
    ),
    "other answer": (b'{"error":["EQuery:Unknown asset pair"]}', "says: EQuery:Unknown asset pair"),
    "nested answer": (b'{"error":{"detail":"Rate limit"}}', "says: Rate limit"),
    "pickle": (pickle.dumps([1]), "not bars: a pickle, which is never loaded as it may run code"),
    "hdf": (b"\x89HDF\r\n", "not bars: an HDF5 file"),
    "bzip2": (bz2.compress(GOOD), "not bars: a bzip2 archive: unpack it"),
    "old workbook": (b"\xd0\xcf\x11\xe0" + b"0" * 99, "save the sheet as CSV"),
    "workbook": (
        zip_of(**{"[Content_Types].xml": b"", "xl/a.xml": b""}),
        r"workbook.* \(xlsx, ods\)",
    ),
    "noise": (bytes(range(1, 32)) * 9, "not bars: binary data of a kind not known here"),
    "cut gzip": (gzip.compress(GOOD)[:-9], "cannot be read as gzip: the file is cut off"),
    "bad gzip": (b"\x1f\x8b\x08" + b"\xff" * 99, "cannot be read as gzip: "),
    "sum of gzip": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "cannot be read as gzip: CRC"),
    "empty gzip": (gzip.compress(b""), "the gzip holds an empty file"),
    "two gzips": (gzip.compress(gzip.compress(GOOD)), "an archive inside a gzip: unpack it"),
    "page in gzip": (gzip.compress(b"<html>"), "not bars: an HTML page"),
    "cut zip": (zip_of(a=GOOD)[:-30], "cannot be read as zip: .*cut off or damaged"),
    "odd zip": (odd_zip(), "cannot be read as zip: That compression method is not supported"),
    "password": (locked_zip(), "a zip with a password: unpack it"),
    "two files": (
        zip_of(a=GOOD, b=GOOD),
        r"a zip of 2 data files \(a, b\): unpack it, one file hold",
    ),
    "no file": (zip_of(**{"a.CHECKSUM": b"0", "__MACOSX/a": b"0"}), "a zip without a data file"),
    "empty zip": (zip_of(a=b""), "the zip holds an empty file"),
    "cut parquet": (
        parquet(dirty_bars.clean_bars())[:-9],
        "cannot be read as parquet: the file is c",
    ),
    "cut feather": (
        dirty_bars.feather(dirty_bars.clean_bars())[:-9],
        "cannot be read as feather: ",
    ),
    "locked parquet": (b"PARE" + b"\0" * 99 + b"PARE", "an encrypted Parquet file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_bars_is_refused_by_what_it_is(put, name):
    content, line = REFUSED[name]
    with pytest.raises(BarsError, match=rf"BTC\.csv: .*{line}") as refused:
        load_bars(put(content))
    assert len(str(refused.value).splitlines()) == 1


def test_the_suffix_does_not_decide(put):
    bars = dirty_bars.clean_bars()
    for dialect, name in (("parquet", "a.csv"), ("iso", "a.parquet"), ("gzipped", "a.feather")):
        read = load_bars(put(dirty_bars.DIALECTS[dialect](bars), name)).bars
        pd.testing.assert_frame_equal(read, bars, check_freq=False)


def test_a_file_that_holds_too_much_is_refused(put, monkeypatch):
    packed = gzip.compress(GOOD * 9), zip_of(a=GOOD * 9)
    monkeypatch.setattr(bar_container, "MAX_BYTES", max(map(len, packed)))
    for content in packed:
        with pytest.raises(BarsError, match="unpacked, it holds more than 2 GB: no bar file"):
            read_bars(put(content))
    with pytest.raises(BarsError, match=r"BTC\.csv: it holds more than 2 GB: no bar file"):
        read_bars(put(GOOD * 9))


def test_a_folder_a_missing_file_and_one_that_cannot_be_opened(tmp_path, put, monkeypatch):
    with pytest.raises(BarsError, match=f"{tmp_path}: a folder: name a file in it"):
        read_bars(tmp_path)
    with pytest.raises(BarsError, match=r"ETH\.csv: no such file"):
        read_bars(tmp_path / "ETH.csv")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    path = put(GOOD)
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(BarsError, match=r"BTC\.csv: cannot be read: Permission denied"):
        read_bars(path)


def test_feather_of_the_first_version_is_read(put):
    bars = dirty_bars.clean_bars()
    frame = bars.reset_index()
    sink = io.BytesIO()
    with pytest.warns(DeprecationWarning, match="Feather V1"):
        pa.feather.write_feather(frame, sink, version=1)
    pd.testing.assert_frame_equal(load_bars(put(sink.getvalue())).bars, bars, check_freq=False)


# --- columns of Parquet ---------------------------------------------------------------------------


def test_columns_of_every_usual_type_are_understood(put):
    bars = dirty_bars.clean_bars()
    rounded = bars.round(1)
    frame = rounded.reset_index()
    frame["timestamp"] = frame["timestamp"].astype(str).astype("category")
    table = pa.Table.from_pandas(frame.astype({"open": "float32"}).astype({"open": float}).round(1))
    table = table.set_column(2, "high", table["high"].cast(pa.decimal128(12, 1)))
    table = table.set_column(
        3, "low", pa.chunked_array([table["low"].cast(pa.string()).combine_chunks()])
    )
    table = table.set_column(4, "close", table["close"].cast(pa.large_string()))
    table = table.append_column("list", pa.array([[1]] * 30)).append_column("none", pa.nulls(30))
    table = table.append_column("count", pa.array([None, *range(29)], pa.int16()))
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink)
    raw = read_bars(put(sink.getvalue()))
    np.testing.assert_array_equal(raw.table[list(COLUMNS)], rounded)
    assert raw.table["timestamp"].tolist() == bars.index.tolist()
    assert raw.findings == (
        Finding("holes_in_unused_columns", "none (30 rows), count (1 row): not needed"),
    )


def test_dates_and_clock_times_of_parquet_are_put_together(put):
    bars = dirty_bars.clean_bars()
    frame = bars.reset_index(drop=True)
    frame.insert(0, "Date", bars.index.date)
    frame.insert(1, "Time", bars.index.time)
    raw = read_bars(put(parquet(frame)))
    assert raw.table["timestamp"].tolist() == bars.index.tolist()
    assert raw.dialect["time"].startswith("columns 'Date' and 'Time'")


def test_columns_of_two_levels_are_known_by_their_first_name(put):
    bars = dirty_bars.clean_bars()
    frame = bars.rename_axis("Datetime")
    frame.columns = pd.MultiIndex.from_product([[c.title() for c in COLUMNS], ["SOL-USD"]])
    np.testing.assert_array_equal(load_bars(put(parquet(frame))).bars, bars)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda f: f.assign(open=[[1.0]] * 30),
            r"column 'open' \('open'\) holds list<.*>, no numbers",
        ),
        (lambda f: f.assign(high=f["timestamp"]), "column 'high' .* holds timestamp.*, no numbers"),
        (lambda f: f.assign(timestamp=[[1]] * 30), "column 'timestamp' holds list.*, no times"),
        (lambda f: f.drop(columns="timestamp"), "no time column"),
        (lambda f: f.iloc[:0], "no rows"),
        (lambda f: f[[]].iloc[:0], "no rows"),
    ],
)
def test_columns_of_the_wrong_type_are_refused_by_name(put, change, line):
    frame = change(dirty_bars.clean_bars().reset_index())
    with pytest.raises(BarsError, match=rf"BTC\.csv: .*{line}"):
        read_bars(put(parquet(frame)))


def test_an_absurd_number_of_cells_is_refused_before_it_is_read(put, monkeypatch):
    content = parquet(dirty_bars.clean_bars())
    monkeypatch.setattr(bar_arrow, "MAX_ROWS", 29)
    with pytest.raises(BarsError, match="6 columns of 30 rows: no bar file"):
        read_bars(put(content))


def test_damage_that_keeps_the_file_openable_is_refused(put):
    content = bytearray(dirty_bars.feather(dirty_bars.clean_bars()))
    middle = len(content) // 2
    content[middle : middle + 300] = b"\xff" * 300
    with pytest.raises(BarsError, match="cannot be read as feather: "):
        read_bars(put(bytes(content)))


def test_the_json_of_a_test_is_json():
    """Guards the table above: a typing error in it would test another branch."""
    assert json.loads(REFUSED["exchange answer"][0])["code"] == -1121
    with zipfile.ZipFile(io.BytesIO(REFUSED["two files"][0])) as archive:
        assert archive.namelist() == ["a", "b"]
