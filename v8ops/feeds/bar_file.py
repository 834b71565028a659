"""The Parquet files that fetch writes: bars, where they come from, and the time they cover."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from v8lib.bars import COLUMNS
from v8lib.storage import write_bytes
from v8ops.feeds.patience import FeedError

SCHEMA = pa.schema(
    [("timestamp", pa.timestamp("us", tz="UTC")), *((column, pa.float64()) for column in COLUMNS)]
)
PREFIX = "v8."


@dataclass(frozen=True)
class Origin:
    """Where bars come from.

    Attributes
    ----------
    exchange, market, interval : str
        Bars of different ones do not belong in one file.
    version : str
        Of the programs that fetched them last; it may change.
    """

    exchange: str
    market: str
    interval: str
    version: str

    def same_bars(self, other: "Origin") -> bool:
        """Return whether both mean the same bars."""
        return self.words() == other.words()

    def words(self) -> str:
        """Return exchange, market and interval, for people."""
        return f"{self.exchange} {self.market} {self.interval}"


@dataclass(frozen=True)
class Stored:
    """What such a file holds.

    Attributes
    ----------
    origin : Origin
    start, stop : int
        Seconds since 1970-01-01 UTC. Between them every bar is here that the origin has.
    rows : array of shape (n_bars, 6)
        Open time in seconds, open, high, low, close, volume.
    """

    origin: Origin
    start: int
    stop: int
    rows: NDArray[np.float64]


def write_stored(path: Path, stored: Stored) -> None:
    """Write a file atomically; the same content gives the same bytes."""
    times = np.round(stored.rows[:, 0] * 1e6).astype(np.int64)
    columns = [pa.array(times, SCHEMA.field("timestamp").type)]
    columns += [pa.array(np.ascontiguousarray(values)) for values in stored.rows[:, 1:].T]
    words = {field.name: getattr(stored.origin, field.name) for field in fields(Origin)}
    words |= {"start": str(stored.start), "stop": str(stored.stop)}
    table = pa.Table.from_arrays(
        columns, schema=SCHEMA.with_metadata({PREFIX + key: word for key, word in words.items()})
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


def read_stored(path: Path) -> Stored:
    """Return what a file holds.

    Raises
    ------
    FeedError
        If no fetch wrote it, or if it is damaged.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise FeedError(f"{path}: cannot be read as Parquet: {reason}") from None
    words = {key.decode(): word.decode() for key, word in (table.schema.metadata or {}).items()}
    try:
        origin = Origin(**{field.name: words[PREFIX + field.name] for field in fields(Origin)})
        start, stop = int(words[PREFIX + "start"]), int(words[PREFIX + "stop"])
    except (KeyError, ValueError):
        raise FeedError(
            f"{path}: fetch did not write this file and will not change it: move it away, or "
            "name another folder with --data"
        ) from None
    if not table.schema.equals(SCHEMA):
        raise FeedError(f"{path}: the columns are not those that fetch writes")
    times = table["timestamp"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    return Stored(
        origin, start, stop, np.column_stack([times, *(table[c].to_numpy() for c in COLUMNS)])
    )


def merge(parts: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], int]:
    """Return the rows of all parts in order of time, and how many bars a later part changed.

    Of a time that stands in several parts the last one counts.
    """
    rows = np.concatenate(parts)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    replaced = np.zeros(len(rows), dtype=bool)
    replaced[:-1] = rows[:-1, 0] == rows[1:, 0]
    changed = replaced[:-1] & (rows[:-1] != rows[1:]).any(axis=1)
    return rows[~replaced], int(changed.sum())
