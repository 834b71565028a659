"""Bar files as they are found in the wild, made from clean bars: dialects and defects.

`DIALECTS` maps a name to `write(bars, path)`: the bytes that dialect has for these bars. All
of them must be read back as the same bars, up to how many digits a dialect writes.
`DEFECTS` maps a name to `spoil(bars)`: the bars with something wrong that a run must refuse.
"""

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

COLUMNS = ["open", "high", "low", "close", "volume"]
KLINES = (
    "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
    "Taker buy base asset volume,Taker buy quote asset volume,Ignore"
)


def clean_bars(n_bars=30, *, interval_s=3_600, start="2024-01-29", seed=1, price=100.0):
    """Return sound bars without gaps: a walk with ranges around it, six digits at most."""
    rng = np.random.default_rng(seed)
    path = price * np.exp(np.cumsum(rng.normal(0.0, 0.003, n_bars + 1)))
    open_, close = np.round(path[:-1], 4), np.round(path[1:], 4)
    reach = np.round(path[:-1] * rng.uniform(0.0005, 0.004, (2, n_bars)), 4)
    index = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(np.arange(n_bars) * interval_s, "s")
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.round(np.maximum(open_, close) + reach[0], 4),
            "low": np.round(np.minimum(open_, close) - reach[1], 4),
            "close": close,
            "volume": np.round(rng.lognormal(3.0, 1.0, n_bars), 3),
        },
        index=pd.DatetimeIndex(index, name="timestamp").as_unit("us"),
    )


def epochs(bars, unit):
    """Return the open times as integers of a unit: s, ms, us or ns."""
    return bars.index.as_unit(unit).asi8


def texts(bars, pattern, zone=None):
    index = bars.index.tz_convert(zone) if zone else bars.index
    return index.strftime(pattern)


def table(bars, time, *, name="timestamp", names=COLUMNS, **extra):
    """Return a frame whose first column is `time`, then the bars, then `extra`."""
    frame = bars.reset_index(drop=True)
    frame.columns = list(names)
    frame.insert(0, name, list(time))
    return frame.assign(**extra)


def csv(frame, **options):
    """Return a frame as the bytes of a CSV without its index."""
    return frame.to_csv(index=False, **options).encode()


def iso(bars):
    return csv(table(bars, texts(bars, "%Y-%m-%dT%H:%M:%SZ")))


def naive(bars):
    return csv(table(bars, texts(bars, "%Y-%m-%d %H:%M:%S"), name="Date"))


def offset(bars):
    return csv(table(bars, [str(t) for t in bars.index.tz_convert("Asia/Kolkata")]))


def epoch_s(bars):
    return csv(table(bars, epochs(bars, "s"), name="Unix", names=list("ohlcv")))


def epoch_ms(bars):
    return csv(table(bars, epochs(bars, "ms"), name="t", names=list("OHLCV")))


def epoch_us_as_float(bars):
    return csv(table(bars, epochs(bars, "us") / 1.0, name="open_time"))


def epoch_ns(bars):
    return csv(table(bars, epochs(bars, "ns"), name="ts", names=[*COLUMNS[:4], "Vol."]))


def unit_that_changes(bars):
    """An exchange that moves from milliseconds to microseconds in the middle of the file."""
    half = len(bars) // 2
    times = [*epochs(bars, "ms")[:half], *epochs(bars, "us")[half:]]
    return csv(table(bars, times, name="Open time"))


def kline_table(bars, time):
    step = bars.index[1] - bars.index[0]
    return table(
        bars,
        time,
        a=(bars.index + step).as_unit("ms").asi8 - 1,
        b=np.round((bars["volume"] * bars["close"]).to_numpy(), 5),
        c=np.arange(len(bars)),
        d=0.5,
        e=0.25,
        f=0,
    )


def klines(bars):
    frame = kline_table(bars, texts(bars, "%Y-%m-%d %H:%M:%S"))
    frame.columns = KLINES.split(",")
    frame.iloc[-2:, 6:] = np.nan
    return csv(frame)


def klines_without_header(bars):
    return csv(kline_table(bars, epochs(bars, "ms")), header=False)


def six_without_header(bars):
    return csv(table(bars, epochs(bars, "s")), header=False)


def low_high_open_close_without_header(bars):
    """The order of an exchange's candle answers: time, low, high, open, close, volume."""
    frame = table(bars, epochs(bars, "s"))
    return csv(frame[["timestamp", "low", "high", "open", "close", "volume"]], header=False)


def seven_without_header(bars):
    return csv(table(bars, epochs(bars, "s"), trades=np.arange(len(bars))), header=False)


def three_header_rows(bars):
    frame = table(bars, [str(t) for t in bars.index], name="Datetime")
    frame.insert(1, "Adj Close", frame["close"])
    names = ["Price", "Adj Close", "Open", "High", "Low", "Close", "Volume"]
    head = [",".join(names), "Ticker" + ",SOL-USD" * 6, "Datetime" + "," * 6]
    return ("\n".join(head) + "\n").encode() + csv(frame, header=False)


def address_before_the_header(bars):
    times = texts(bars, "%Y-%m-%d %H:%M:%S")
    frame = table(bars, times, name="date", names=["open", "high", "low", "close", "Volume BTC"])
    frame.insert(0, "unix", epochs(bars, "ms"))
    frame.insert(2, "symbol", "BTC/USDT")
    frame["Volume USDT"] = np.round((bars["volume"] * bars["close"]).to_numpy(), 2)
    return b"https://www.example.com/bars\n" + csv(frame.iloc[::-1])


def damaged_epoch(bars):
    """An epoch that a spreadsheet rounded, with DD-MM-YY dates and clock times beside it."""
    frame = table(bars, texts(bars, "%H:%M:%S"), name="time", names=[*COLUMNS[:4], "Volume SOL"])
    frame.insert(0, "date", list(texts(bars, "%d-%m-%y")))
    frame.insert(0, "unix", [f"{value:.5E}" for value in epochs(bars, "ms").astype(float)])
    frame.insert(3, "symbol", "SOL/USDT")
    frame["Volume USDT"] = np.round((bars["volume"] * bars["close"]).to_numpy(), 2)
    return csv(frame.iloc[::-1])


def day_first(bars):
    return csv(table(bars, texts(bars, "%d/%m/%Y %H:%M"), name="Date"))


def month_first(bars):
    return csv(table(bars, texts(bars, "%m-%d-%y %H:%M"), name="Date"))


def compact_dates(bars):
    frame = table(bars, texts(bars, "%H%M%S"), name="Time")
    frame.insert(0, "Date", list(texts(bars, "%Y%m%d")))
    return csv(frame)


def half_day_clock(bars):
    return csv(table(bars, texts(bars, "%Y-%m-%d %I-%p"), name="Date"))


def terminal_export(bars):
    """Tabs, names in angle brackets, dots in dates, volume counted in ticks beside the real one."""
    frame = table(bars, texts(bars, "%H:%M:%S"), name="<TIME>")
    frame.insert(0, "<DATE>", list(texts(bars, "%Y.%m.%d")))
    frame.insert(6, "<TICKVOL>", 7)
    frame.columns = [
        "<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>", "<VOL>"
    ]  # fmt: skip
    return csv(frame, sep="\t")


def decimal_comma(bars):
    return csv(table(bars, texts(bars, "%Y-%m-%d %H:%M:%S")), sep=";", decimal=",")


def pipes(bars):
    return csv(table(bars, texts(bars, "%Y-%m-%dT%H:%M:%SZ")), sep="|")


def quoted(bars):
    return csv(table(bars, texts(bars, "%Y-%m-%dT%H:%M:%S+00:00")), quoting=1)


def other_order_and_case(bars):
    frame = table(bars, texts(bars, "%Y-%m-%dT%H:%M:%SZ"), name="DateTime", note="x")
    frame = frame[["close", "note", "volume", "low", "DateTime", "high", "open"]]
    frame.columns = [name.upper() for name in frame.columns]
    return csv(frame)


def mixed_offsets(bars):
    """Local time with its offset, across the change of the clock."""
    half = len(bars) // 2
    times = [*bars.index[:half].tz_convert("Etc/GMT-1"), *bars.index[half:]]
    return csv(table(bars, [str(t) for t in times], name="Datetime"))


def unnamed_index(bars):
    return bars.rename_axis(None).to_csv().encode()


def windows_lines(bars):
    return b"\xef\xbb\xbf" + csv(table(bars, epochs(bars, "s")), lineterminator="\r\n")


def utf_16(bars):
    return csv(table(bars, epochs(bars, "s"))).decode().encode("utf-16")


def gzipped(bars):
    return gzip.compress(csv(table(bars, epochs(bars, "ms"))), mtime=0)


def zipped(bars, *, members=None):
    """A zip as exchanges offer it, with the litter that other systems leave in one."""
    members = members or {
        "__MACOSX/._BTC.csv": b"\0\5\26\7",
        "BTC.csv": klines_without_header(bars),
        "BTC.csv.CHECKSUM": b"0" * 64 + b"  BTC.csv\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def parquet(bars):
    sink = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pandas(bars.reset_index()), sink, compression="zstd")
    return sink.getvalue()


def parquet_index(bars):
    sink = io.BytesIO()
    frame = bars.rename_axis(None).tz_localize(None)
    pa.parquet.write_table(pa.Table.from_pandas(frame), sink)
    return sink.getvalue()


def parquet_texts(bars):
    sink = io.BytesIO()
    frame = table(bars, texts(bars, "%Y-%m-%dT%H:%M:%SZ")).astype(str)
    pa.parquet.write_table(pa.Table.from_pandas(frame), sink)
    return sink.getvalue()


def feather(bars):
    sink = io.BytesIO()
    pa.feather.write_feather(pa.Table.from_pandas(bars.reset_index()), sink, compression="lz4")
    return sink.getvalue()


DIALECTS = {
    made.__name__: made
    for made in (
        iso, naive, offset, epoch_s, epoch_ms, epoch_us_as_float, epoch_ns, unit_that_changes,
        klines, klines_without_header, six_without_header, low_high_open_close_without_header,
        seven_without_header, three_header_rows, address_before_the_header, damaged_epoch,
        day_first, month_first, compact_dates, half_day_clock, terminal_export, decimal_comma,
        pipes, quoted, other_order_and_case, mixed_offsets, unnamed_index, windows_lines, utf_16,
        gzipped, zipped, parquet, parquet_index, parquet_texts, feather,
    )
}  # fmt: skip
NEWEST_FIRST = {"address_before_the_header", "damaged_epoch"}


def write(bars, path, dialect="iso"):
    """Write bars to `path` in a dialect and return the path."""
    path.write_bytes(DIALECTS[dialect](bars))
    return path


def at(bars, row, **values):
    """Return bars with some values of a row replaced; the first row is 1."""
    changed = bars.copy()
    for column, value in values.items():
        changed.iloc[row - 1, changed.columns.get_loc(column)] = value
    return changed


def identical_duplicate(bars):
    return pd.concat([bars.iloc[:5], bars.iloc[4:]])


def conflicting_duplicate(bars):
    return pd.concat([bars.iloc[:5], at(bars, 5, volume=9.0).iloc[4:]])


def out_of_order(bars):
    return pd.concat([bars.iloc[:3], bars.iloc[6:7], bars.iloc[3:6], bars.iloc[7:]])


def high_below_low(bars):
    return at(bars, 7, high=float(bars["low"].iloc[6]) * 0.9)


def low_above_close(bars):
    return at(bars, 7, low=float(bars[["open", "close"]].iloc[6].min()) * 1.0001)


def zero_price(bars):
    return at(bars, 4, low=0.0)


def negative_price(bars):
    return at(bars, 4, low=-3.0)


def negative_volume(bars):
    return at(bars, 4, volume=-1.0)


def missing_volume(bars):
    return at(bars, 4, volume=np.nan)


def missing_close(bars):
    return at(bars, 2, close=np.nan)


DEFECTS = {
    spoil.__name__: spoil
    for spoil in (
        identical_duplicate, conflicting_duplicate, out_of_order, high_below_low, low_above_close,
        zero_price, negative_price, negative_volume, missing_volume, missing_close,
    )
}  # fmt: skip


def partial_last_bar(bars):
    """Return the bars with a last one that was still open when the file was written."""
    last = bars.iloc[[-1]].assign(volume=0.0)
    last.index = last.index + pd.Timedelta(seconds=302)
    return pd.concat([bars, last])


def with_gap(bars, first=8, bars_missing=5):
    return pd.concat([bars.iloc[:first], bars.iloc[first + bars_missing :]])
