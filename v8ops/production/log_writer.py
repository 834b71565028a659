"""Writing the signal log: one transaction per block of bars, and one writer at a time."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from v8ops.production.errors import ProductionError
from v8ops.production.log_rows import EventRow, LogBlock, SignalRow
from v8ops.production.log_schema import WAIT_S, LogError, named, open_writing
from v8ops.production.scored import ScoreRows
from v8ops.production.signal_log import SignalReader

INSERT_SCORE = "INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
INSERT_FAILURE = "INSERT INTO scores (symbol, version, epoch_s, failure) VALUES (?, ?, ?, ?)"
INSERT_SIGNAL = "INSERT INTO signals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_OUTCOME = "INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?)"
INSERT_EVENT = (
    "INSERT INTO events (at, symbol, epoch_s, kind, version, message) VALUES (?, ?, ?, ?, ?, ?)"
)


class SignalLog:
    """The signal log, open for writing.

    Parameters
    ----------
    path : path
        The log's file, made if there is none. `path`.lock beside it says who writes.
    wait_s : float
        How long to wait for a lock of another process.

    Raises
    ------
    ProductionError
        If another process writes this log, or the file is something else.
    """

    def __init__(self, path: Path | str, *, wait_s: float = WAIT_S) -> None:
        self.path, self._wait_s = Path(path), wait_s
        self._connection: sqlite3.Connection | None = None
        self._reader: SignalReader | None = None
        self._place: tuple[int, int] | None = None
        self._lock: int | None = None
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def reader(self) -> SignalReader:
        """What reads this log, for the process that writes it."""
        self._open()
        return self._reader

    def append(self, block: LogBlock) -> None:
        """Write a block, all of it or nothing.

        Raises
        ------
        LogError
            If it is not written: the disk is full, another process holds the lock, a bar of it
            has a signal already, or the file is no longer where it was.
        """
        self._write(lambda cursor: _insert(cursor, block))

    def note(self, events: Iterable[EventRow]) -> None:
        """Write events that belong to no block. Raises as `append` does."""
        rows = [_event(event) for event in events]
        self._write(lambda cursor: cursor.executemany(INSERT_EVENT, rows))

    def close(self) -> None:
        """End writing, and let others write."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self, insert: Callable[[sqlite3.Connection], object]) -> None:
        self._open()
        connection = self._connection
        with named(self.path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                insert(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _open(self) -> None:
        """Connect, also where somebody took the file away: signals must not go into nowhere."""
        if self._connection is not None and self._where() != self._place:
            self._disconnect()
            raise LogError(f"{self.path}: the signal log was removed or replaced while in use")
        if self._connection is None:
            connection = open_writing(self.path, self._wait_s)
            try:
                self._take_lock()
                self._reader = SignalReader(self.path)
            except BaseException:
                connection.close()
                raise
            self._connection, self._place = connection, self._where()

    def _where(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LogError(f"{path}: cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise ProductionError(
                f"{self.path}: another serve writes this log; end it, or give --log another file"
            ) from None
        self._lock = handle

    def _disconnect(self) -> None:
        for thing in (self._reader, self._connection):
            if thing is not None:
                thing.close()
        self._reader = self._connection = self._place = None


def _insert(connection: sqlite3.Connection, block: LogBlock) -> None:
    symbol = block.symbol
    for version, rows in block.scores:
        connection.executemany(INSERT_SCORE, _scores(symbol, version, rows))
    connection.executemany(
        INSERT_FAILURE, [(symbol, f.version, f.epoch_s, f.words) for f in block.failures]
    )
    connection.executemany(INSERT_SIGNAL, [_signal(row) for row in block.signals])
    connection.executemany(
        INSERT_OUTCOME, [(symbol, o.version, o.epoch_s, o.label) for o in block.outcomes]
    )
    connection.executemany(INSERT_EVENT, [_event(event) for event in block.events])


def _scores(symbol: str, version: str, rows: ScoreRows) -> Iterator[tuple]:
    blobs = [None] * len(rows) if rows.bins is None else [row.tobytes() for row in rows.bins]
    return zip(
        [symbol] * len(rows),
        [version] * len(rows),
        rows.epoch_s.tolist(),
        *rows.probs.T.tolist(),
        rows.decisions.tolist(),
        rows.actionable.tolist(),
        rows.max_abs_logit.tolist(),
        blobs,
        strict=True,
    )


def _signal(row: SignalRow) -> tuple:
    start = (row.symbol, row.epoch_s, row.version, row.role, row.decision, row.confidence)
    return *start, *(row.probs or (None, None, None)), row.actionable, row.reason


def _event(row: EventRow) -> tuple:
    return row.at, row.symbol, row.epoch_s, row.kind, row.version, row.message
