"""The tables of the signal log, and how a connection to it is opened."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from v8ops.production.errors import ProductionError

SCHEMA = 1
WAIT_S = 5.0  # for a lock of another process
TABLES = """
CREATE TABLE IF NOT EXISTS scores (
    symbol TEXT NOT NULL, version TEXT NOT NULL, epoch_s INTEGER NOT NULL,
    down REAL, hold REAL, up REAL, decision INTEGER, actionable INTEGER, max_abs_logit REAL,
    bins BLOB, failure TEXT,
    PRIMARY KEY (symbol, version, epoch_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcomes (
    symbol TEXT NOT NULL, version TEXT NOT NULL, epoch_s INTEGER NOT NULL, label INTEGER NOT NULL,
    PRIMARY KEY (symbol, version, epoch_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signals (
    symbol TEXT NOT NULL, epoch_s INTEGER NOT NULL, version TEXT, role TEXT NOT NULL,
    decision INTEGER NOT NULL, confidence REAL, down REAL, hold REAL, up REAL,
    actionable INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (symbol, epoch_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, symbol TEXT, epoch_s INTEGER, kind TEXT NOT NULL,
    version TEXT, message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_symbol ON events (symbol, kind);
"""


class LogError(ProductionError):
    """The signal log cannot be read or written just now."""


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into a `LogError` that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise LogError(f"{path}: the signal log cannot be used: {error}") from None


def open_reading(path: Path) -> sqlite3.Connection:
    """Return a read-only connection to a log that is there.

    Raises
    ------
    LogError
        If there is none, or it is not a signal log of this code's schema.
    """
    if not path.is_file():
        raise LogError(f"{path}: no signal log; `python -m v8ops serve` writes one")
    with named(path):
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=WAIT_S)
        _check_schema(path, connection)
    return connection


def open_writing(path: Path, wait_s: float) -> sqlite3.Connection:
    """Return a connection that writes; the log is made if there is none.

    Raises
    ------
    LogError
        If the file cannot be made or opened, or is something else than a signal log.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{path.parent}: cannot be made: {error.strerror}") from None
    with named(path):
        connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
        try:
            _prepare(path, connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what was emitted outlives the power
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise LogError(f"{path}: a database of something else, no signal log")
        version = f"PRAGMA user_version = {SCHEMA};"
        connection.executescript(f"BEGIN IMMEDIATE;{TABLES}{version}COMMIT;")
    _check_schema(path, connection)


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != SCHEMA:
        connection.close()
        raise LogError(f"{path}: signal log of schema {found}, this code reads {SCHEMA}")
