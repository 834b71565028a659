"""Reading the signal log, beside the one process that writes it and without getting in its way."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from v8ops.production.log_rows import NEVER, EventRow, SignalRow
from v8ops.production.log_schema import named, open_reading
from v8ops.production.scored import UNKNOWN, ScoreRows

SCORES = (
    "SELECT s.epoch_s, down, hold, up, decision, actionable, max_abs_logit, o.label, bins "
    "FROM scores s LEFT JOIN outcomes o USING (symbol, version, epoch_s) "
    "WHERE symbol = :symbol AND version = :version AND failure IS NULL AND epoch_s >= :since "
    "ORDER BY epoch_s DESC LIMIT :last"
)
OPEN = (
    "SELECT epoch_s FROM (SELECT symbol, version, epoch_s FROM scores WHERE symbol = :symbol "
    "AND version = :version AND failure IS NULL ORDER BY epoch_s DESC LIMIT :last) "
    "LEFT JOIN outcomes o USING (symbol, version, epoch_s) WHERE o.label IS NULL "
    "ORDER BY epoch_s DESC"
)
SIGNALS = (
    "SELECT symbol, epoch_s, version, role, decision, confidence, down, hold, up, actionable, "
    "reason FROM signals WHERE (:symbol IS NULL OR symbol = :symbol) AND epoch_s >= :since "
    "ORDER BY epoch_s DESC, symbol DESC LIMIT :last"
)
EVENTS = (
    "SELECT at, symbol, epoch_s, kind, version, message FROM events "
    "WHERE (:symbol IS NULL OR symbol = :symbol) AND (:kind IS NULL OR kind = :kind) "
    "ORDER BY id DESC LIMIT :last"
)


class SignalReader:
    """The signal log, read only; one per thread.

    Parameters
    ----------
    path : path
        The log's file.

    Raises
    ------
    LogError
        If there is no log, or it cannot be read; so do all methods.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._connection = open_reading(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End reading."""
        self._connection.close()

    def scores(
        self, symbol: str, version: str, last: int | None = None, since: int | None = None
    ) -> ScoreRows:
        """Return the rows of a version at bars of a symbol, oldest first; no failures.

        Parameters
        ----------
        symbol, version : str
        last : int, optional
            The newest so many.
        since : int, optional
            From the bar that opened at this time on, in seconds since 1970-01-01 UTC.
        """
        rows = self._ask(SCORES, symbol=symbol, version=version, last=last, since=since)
        return _score_rows(rows[::-1])

    def open_bars(self, symbol: str, version: str, last: int) -> list[int]:
        """Return the bars without a settled label among a version's newest, oldest first."""
        rows = self._ask(OPEN, symbol=symbol, version=version, last=last)
        return [row[0] for row in reversed(rows)]

    def signals(
        self, symbol: str | None = None, last: int | None = None, since: int | None = None
    ) -> list[SignalRow]:
        """Return what was emitted, of one symbol or of all, oldest first."""
        rows = self._ask(SIGNALS, symbol=symbol, last=last, since=since)
        return [_signal_row(row) for row in reversed(rows)]

    def events(
        self, symbol: str | None = None, last: int | None = None, kind: str | None = None
    ) -> list[EventRow]:
        """Return what happened, of one symbol or of all and of one kind or of all, oldest first."""
        rows = self._ask(EVENTS, symbol=symbol, last=last, kind=kind)
        return [EventRow(*row) for row in reversed(rows)]

    def versions(self, symbol: str) -> list[str]:
        """Return the versions that were ever asked about a symbol, in order of their names."""
        after = (
            "SELECT version FROM scores WHERE symbol = :symbol AND version > :version "
            "ORDER BY version LIMIT 1"
        )  # one step down the key for each, instead of a look at every row
        found = [""]
        while rows := self._ask(after, symbol=symbol, version=found[-1]):
            found.append(rows[0][0])
        return found[1:]

    def symbols(self) -> list[str]:
        """Return the symbols for which something was emitted."""
        return [row[0] for row in self._ask("SELECT DISTINCT symbol FROM signals ORDER BY symbol")]

    def last_bar(self, symbol: str) -> int | None:
        """Return the opening time of the last bar for which a signal was emitted."""
        question = "SELECT max(epoch_s) FROM signals WHERE symbol = :symbol"
        return self._ask(question, symbol=symbol)[0][0]

    def count(self, symbol: str, version: str, since: int | None = None) -> int:
        """Return at how many bars of a symbol a version answered, from `since` on."""
        question = (
            "SELECT count(*) FROM scores WHERE symbol = :symbol AND version = :version "
            "AND epoch_s >= :since AND failure IS NULL"
        )
        return self._ask(question, symbol=symbol, version=version, since=since)[0][0]

    def failures(self, symbol: str, version: str) -> list[tuple[int, str]]:
        """Return the bars at which a version had no answer, and why, oldest first."""
        question = (
            "SELECT epoch_s, failure FROM scores WHERE symbol = :symbol AND version = :version "
            "AND failure IS NOT NULL ORDER BY epoch_s"
        )
        return self._ask(question, symbol=symbol, version=version)

    def _ask(
        self, question: str, *, last: int | None = None, since: int | None = None, **given: Any
    ) -> list[tuple]:
        limits = {"last": -1 if last is None else last, "since": 0 if since is None else since}
        names = {key: value for key, value in (given | limits).items() if f":{key}" in question}
        with named(self.path):
            return self._connection.execute(question, names).fetchall()


def _score_rows(rows: list[tuple]) -> ScoreRows:
    """Return rows of `SCORES` as arrays."""
    n = len(rows)
    columns = list(zip(*rows, strict=True)) if rows else [()] * 9
    labels = [UNKNOWN if label in (None, NEVER) else label for label in columns[7]]
    return ScoreRows(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1:4], dtype=np.float64).reshape(3, n).T,
        np.array(columns[4], dtype=np.int64),
        np.array(columns[5], dtype=np.bool_),
        np.array(columns[6], dtype=np.float64),
        np.array(labels, dtype=np.int64),
        _bins(columns[8]),
    )


def _bins(blobs: tuple[bytes | None, ...]) -> NDArray[np.uint8] | None:
    if not blobs or any(blob is None for blob in blobs):
        return None
    return np.frombuffer(b"".join(blobs), dtype=np.uint8).reshape(len(blobs), -1)


def _signal_row(row: tuple) -> SignalRow:
    symbol, epoch_s, version, role, decision, confidence, *probs, actionable, reason = row
    known = None if probs[0] is None else tuple(probs)
    return SignalRow(
        symbol, epoch_s, version, role, decision, confidence, known, bool(actionable), reason
    )
