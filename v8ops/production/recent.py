"""The last rows of every version of a symbol in memory, taken from the log and kept up with it."""

import numpy as np
from numpy.typing import NDArray

from v8ops.production.log_rows import NEVER, Outcome
from v8ops.production.log_writer import SignalLog
from v8ops.production.scored import UNKNOWN, ScoreRows

ROLLBACK = "rollback"  # kind of the event that ends what a version is judged by


class Recent:
    """The newest rows per version, and the bars whose labels are not settled.

    Whatever goes wrong with the log, `forget` makes the next question read it again.

    Parameters
    ----------
    log : SignalLog
        Where the rows come from.
    symbol : str
        Whose.
    needed : int
        How many rows of a version are kept.
    """

    def __init__(self, log: SignalLog, symbol: str, needed: int) -> None:
        self.log, self.symbol, self.needed = log, symbol, needed
        self._rows: dict[str, ScoreRows] = {}
        self._open: dict[str, NDArray[np.int64]] | None = None
        self._last_bar: int | None = None

    def forget(self) -> None:
        """Forget everything but the last bar; the log knows."""
        self._rows, self._open = {}, None

    @property
    def last_bar(self) -> int | None:
        """Opening time of the last bar with a signal, in this log or in this process's life."""
        if self._open is None:
            self._seed()
        return self._last_bar

    def reached(self, epoch_s: int) -> None:
        """Note that the bar that opened at `epoch_s` has its signal in the log."""
        self._last_bar = epoch_s

    def rows(self, version: str) -> ScoreRows:
        """Return the newest rows of a version, those after its last rollback."""
        if version not in self._rows:
            events = self.log.reader.events(self.symbol, kind=ROLLBACK)
            ends = [e.epoch_s for e in events if e.version == version and e.epoch_s is not None]
            since = max(ends) + 1 if ends else None
            self._rows[version] = self.log.reader.scores(
                self.symbol, version, last=self.needed, since=since
            )
        return self._rows[version]

    def add(self, version: str, rows: ScoreRows) -> None:
        """Put new rows behind those that are there."""
        if len(rows):
            self._rows[version] = _behind(self.rows(version), rows).last(self.needed)
            self._open[version] = np.concatenate([self.open_bars(version), rows.epoch_s])

    def restart(self, version: str) -> None:
        """Let a version that was taken back begin anew, should it ever come back."""
        self._rows[version] = self.rows(version).last(0)

    def open_versions(self) -> list[str]:
        """Return the versions that have bars without a settled label."""
        if self._open is None:
            self._seed()
        return [version for version, bars in self._open.items() if len(bars)]

    def open_bars(self, version: str) -> NDArray[np.int64]:
        """Return the opening times of the bars without a settled label, oldest first."""
        if self._open is None:
            self._seed()
        return self._open.get(version, np.empty(0, dtype=np.int64))

    def learn(
        self, version: str, epoch_s: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> list[Outcome]:
        """Take over the labels of some open bars, and return those that are settled now.

        Parameters
        ----------
        version : str
        epoch_s : int64 array of shape (n,)
            Opening times, increasing.
        labels : int64 array of shape (n,)
            Of `outcomes.realised`.
        """
        settled = labels != UNKNOWN
        epoch_s, labels = epoch_s[settled], labels[settled]
        self._open[version] = np.setdiff1d(self.open_bars(version), epoch_s, assume_unique=True)
        rows = self.rows(version)
        known = labels != NEVER
        _, mine, theirs = np.intersect1d(
            rows.epoch_s, epoch_s[known], assume_unique=True, return_indices=True
        )
        changed = rows.labels.copy()
        changed[mine] = labels[known][theirs]
        self._rows[version] = ScoreRows(*list(vars(rows).values())[:5], changed, rows.bins)
        pairs = zip(epoch_s.tolist(), labels.tolist(), strict=True)
        return [Outcome(version, epoch, label) for epoch, label in pairs]

    def _seed(self) -> None:
        reader = self.log.reader
        found = reader.last_bar(self.symbol)
        if self._last_bar is None or (found is not None and found > self._last_bar):
            self._last_bar = found
        self._open = {
            version: np.array(reader.open_bars(self.symbol, version, self.needed), dtype=np.int64)
            for version in reader.versions(self.symbol)
        }


def _behind(old: ScoreRows, new: ScoreRows) -> ScoreRows:
    if not len(old):
        return new
    pairs = zip(vars(old).values(), vars(new).values(), strict=True)
    return ScoreRows(
        *(None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs)
    )
