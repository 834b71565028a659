"""The public archive of Binance: monthly and daily files of klines, with checksums."""

import io
import zipfile
import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from v8lib.bar_interval import interval_word
from v8lib.errors import ParameterError
from v8ops.feeds.downloads import Downloads
from v8ops.feeds.paging import DAY_S, Piece, no_rows
from v8ops.feeds.patience import FeedError, one_line

NAME = "binance-archive"
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
N_COLUMNS = 6  # of twelve: open time, open, high, low, close, volume
FIRST_MICROSECOND = 10**14  # spot files count in microseconds from 2025 on, in milliseconds before


@dataclass(frozen=True)
class ArchiveFile:
    """A file of the archive: a month or a day of one market, times in seconds."""

    market: str
    interval: str
    start: int
    stop: int

    @property
    def is_month(self) -> bool:
        """Whether it holds a month."""
        return self.stop - self.start > DAY_S

    @property
    def path(self) -> str:
        """Where it lies in the archive."""
        kind, form = ("monthly", "%Y-%m") if self.is_month else ("daily", "%Y-%m-%d")
        day = datetime.fromtimestamp(self.start, UTC).strftime(form)
        name = f"{self.market}-{self.interval}-{day}.zip"
        return f"data/spot/{kind}/klines/{self.market}/{self.interval}/{name}"

    @property
    def name(self) -> str:
        """Its file name."""
        return self.path.rpartition("/")[2]


def files_of(market: str, interval: str, start: int, stop: int) -> list[ArchiveFile]:
    """Return the files that hold the time from `start` to `stop`: whole months, and days."""
    files, day = [], start // DAY_S * DAY_S
    while day < stop:
        date = datetime.fromtimestamp(day, UTC)
        month = date.replace(day=1)
        next_month = int((month + timedelta(days=32)).replace(day=1).timestamp())
        whole = date.day == 1 and start <= day and next_month <= stop
        end = next_month if whole else day + DAY_S
        files.append(ArchiveFile(market, interval, day, end))
        day = end
    return files


def read_klines(content: bytes, name: str) -> NDArray[np.float64]:
    """Return the bars of a zipped kline file as rows of shape (n_bars, 6), times in seconds.

    Raises
    ------
    FeedError
        If it is no zip file with one CSV file of klines in it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            members = [m for m in bundle.namelist() if m.lower().endswith(".csv")]
            if len(members) != 1:
                raise FeedError(f"{name}: {len(members)} CSV files in it instead of one")
            text = bundle.read(members[0])
        table = pa.csv.read_csv(
            io.BytesIO(text),
            read_options=pa.csv.ReadOptions(
                # Few files have a row of names; a first row of data begins with a digit.
                skip_rows=0 if text[:1].isdigit() else 1,
                autogenerate_column_names=True,
                use_threads=False,
            ),
            convert_options=pa.csv.ConvertOptions(
                include_columns=[f"f{k}" for k in range(N_COLUMNS)],
                column_types={"f0": pa.int64()} | {f"f{k}": pa.float64() for k in range(1, 6)},
            ),
        )
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise FeedError(f"{name}: not a whole zip file: {one_line(error)}") from None
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise FeedError(f"{name}: no klines in it: {one_line(error)}") from None
    rows = np.column_stack([table[column].to_numpy() for column in table.column_names])
    rows[:, 0] /= np.where(rows[:, 0] >= FIRST_MICROSECOND, 1e6, 1e3)
    return np.unique(rows, axis=0)


class Archive:
    """Bars of the archive; see `v8ops.feeds.fetch.Source` for what its methods promise."""

    name = NAME
    overlap_bars = 0  # its files do not change from one day to the next
    pieces_per_part = 1  # a file is worth keeping by itself

    def __init__(self, downloads: Downloads, *, side_by_side: int = 4) -> None:
        self.downloads = downloads
        self.side_by_side = side_by_side
        self.version = "monthly and daily klines"

    def check_interval(self, interval_s: int) -> None:
        """Refuse an interval that the archive has no files of.

        Raises
        ------
        ParameterError
            With the intervals that it has.
        """
        if interval_word(interval_s) not in INTERVALS:
            raise ParameterError(
                f"{NAME} has no {interval_word(interval_s)} bars: it has {', '.join(INTERVALS)}"
            )

    def connect(self) -> float:
        """Return the archive's time in seconds.

        Raises
        ------
        FeedError
            If it does not answer.
        """
        return self.now()

    def find_market(self, market: str) -> str:
        """Return the market's name; whether there are files shows when they are asked for.

        Raises
        ------
        FeedError
            If it cannot be the name of a folder of the archive.
        """
        if not (market.isascii() and market.isalnum() and market.isupper()):
            raise FeedError(f"{NAME}: market {market}: capital letters and digits, as in BTCUSDT")
        return market

    def now(self) -> float:
        """Return the time by the archive's clock, in seconds."""
        return self.downloads.now()

    def pieces(
        self, market: str, interval_s: int, start: int, stop: int, *, to_the_end: bool
    ) -> Generator[Piece, None, None]:
        """Yield what each file holds of the time from `start` to `stop`, as files arrive.

        A day without a file is a gap if a later day has one; days after the last file are not
        published yet, and nothing is said of them.

        Raises
        ------
        FeedError
            If a file cannot be had. The others that were begun are yielded before.
        """
        files = files_of(market, interval_word(interval_s), start, stop)
        absent: list[ArchiveFile] = []
        reached = start
        for file, rows in self._arrivals(files):
            if rows is None:
                absent.append(file)
            else:
                reached = max(reached, file.stop)
                yield _cut(file, rows, start, stop)
        for file in absent:
            if file.start < reached or not to_the_end:
                yield _cut(file, no_rows(), start, stop)

    def _arrivals(
        self, files: list[ArchiveFile]
    ) -> Iterator[tuple[ArchiveFile, NDArray[np.float64] | None]]:
        """Yield files as they arrive; after one that fails no other is begun."""
        error: BaseException | None = None
        pool = ThreadPoolExecutor(self.side_by_side)
        try:
            waiting: list[Future] = [pool.submit(self._month_or_days, file) for file in files]
            for done in as_completed(waiting):
                if done.cancelled():
                    continue
                if done.exception() is None:
                    yield from done.result()
                elif error is None:
                    error = done.exception()
                    for other in waiting:
                        other.cancel()
        finally:
            pool.shutdown(cancel_futures=True)
        if error is not None:
            raise error

    def _month_or_days(
        self, file: ArchiveFile
    ) -> list[tuple[ArchiveFile, NDArray[np.float64] | None]]:
        rows = self._rows(file)
        if rows is not None or not file.is_month:
            return [(file, rows)]
        # Monthly files are published some days into the next month.
        days = [
            ArchiveFile(file.market, file.interval, day, day + DAY_S)
            for day in range(file.start, file.stop, DAY_S)
        ]
        return [(day, self._rows(day)) for day in days]

    def _rows(self, file: ArchiveFile) -> NDArray[np.float64] | None:
        content = self.downloads.checked(file.path)
        if content is None:
            return None
        rows = read_klines(content, file.name)
        if len(rows) and not file.start <= rows[0, 0] <= rows[-1, 0] < file.stop:
            raise FeedError(f"{file.name}: bars outside of the time in its name")
        return rows


def _cut(file: ArchiveFile, rows: NDArray[np.float64], start: int, stop: int) -> Piece:
    first, last = max(file.start, start), min(file.stop, stop)
    return Piece(first, last, rows[(rows[:, 0] >= first) & (rows[:, 0] < last)])
