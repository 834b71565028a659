"""What of a symbol's bars is there already, what is missing, and how it is put together."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from v8lib.bars import COLUMNS, bars_from
from v8ops.feeds.bar_file import Origin, Stored, merge, read_stored, write_stored
from v8ops.feeds.judging import time_words
from v8ops.feeds.patience import FeedError

Range = tuple[int, int]  # from a time in seconds to another; the second does not belong to it


def missing_ranges(wanted: Range, covered: Sequence[Range]) -> list[Range]:
    """Return the parts of `wanted` that no covered range holds, in order of time."""
    start, stop = wanted
    missing = []
    for first, last in sorted(covered):
        if start < min(first, stop):
            missing.append((start, min(first, stop)))
        start = max(start, last)
    if start < stop:
        missing.append((start, stop))
    return missing


@dataclass(frozen=True)
class Fetched:
    """What a symbol's file holds after a fetch.

    Attributes
    ----------
    path : Path
    start, stop : int
        The time it covers, in seconds.
    first, last : int
        Open times of its first and last bar, in seconds.
    n_bars, n_gaps, n_missing : int
        Bars, gaps between them, and bars missing in the gaps.
    n_new, n_changed : int
        Bars that were not in the file before, and bars that had other values.
    """

    path: Path
    start: int
    stop: int
    first: int
    last: int
    n_bars: int
    n_gaps: int
    n_missing: int
    n_new: int
    n_changed: int


class BarStore:
    """The file of a symbol in a folder, and the parts of a fetch that is not finished.

    Parts lie in ``<folder>/.fetch/<exchange>-<symbol>-<interval>/``, one file for every few
    pages, numbered. The file itself is written once, at the end.
    """

    def __init__(
        self, folder: Path, symbol: str, origin: Origin, interval_s: int, pieces_per_part: int
    ) -> None:
        self.path = folder / f"{symbol}.parquet"
        self.lock_path = folder / ".fetch" / f"{symbol}.lock"
        self.parts = folder / ".fetch" / f"{origin.exchange}-{symbol}-{origin.interval}"
        self.origin = origin
        self.interval_s = interval_s
        self.pieces_per_part = pieces_per_part
        self.file: Stored | None = None
        self.stored: list[Stored] = []
        self._pending: list[NDArray[np.float64]] = []
        self._pending_range: Range | None = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the file for this process alone, and read what is there.

        Raises
        ------
        FeedError
            If another fetch holds it, or what is there are other bars.
        """
        import fcntl

        self.lock_path.parent.mkdir(parents=True, exist_ok=True)
        with self.lock_path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FeedError(f"{self.path}: another fetch is writing it: wait for it") from None
            self._read()
            yield

    def _read(self) -> None:
        self.file = read_stored(self.path) if self.path.exists() else None
        if self.file and not self.file.origin.same_bars(self.origin):
            raise FeedError(
                f"{self.path} holds {self.file.origin.words()}, not {self.origin.words()}: "
                "name another folder with --data"
            )
        for torn in self.parts.glob(".*"):  # a write that was killed before it took its name
            torn.unlink()
        self.stored = [read_stored(path) for path in sorted(self.parts.glob("*.parquet"))]
        if not all(part.origin.same_bars(self.origin) for part in self.stored):
            raise FeedError(f"{self.parts} holds parts of another market: remove it")

    def span(self, wanted: Range) -> Range:
        """Return the time the file will cover: what it covers now, what is wanted, no hole."""
        if self.file is None:
            return wanted
        return min(wanted[0], self.file.start), max(wanted[1], self.file.stop)

    def to_fetch(self, span: Range, overlap_bars: int) -> list[Range]:
        """Return the ranges of a span that have to be fetched.

        A range that follows bars which are there begins some bars earlier, so that bars that
        were changed afterwards are noticed.
        """
        held = [*([self.file] if self.file else []), *self.stored]
        missing = missing_ranges(span, [(part.start, part.stop) for part in held])
        overlap = overlap_bars * self.interval_s
        return [
            (start if start == span[0] else max(span[0], start - overlap), stop)
            for start, stop in missing
        ]

    def add(self, start: int, stop: int, rows: NDArray[np.float64]) -> None:
        """Take the bars from `start` to `stop`; every few pieces are written as a part."""
        if self._pending_range and self._pending_range[1] != start:
            self.flush()
        self._pending.append(rows)
        self._pending_range = (self._pending_range or (start, stop))[0], stop
        if len(self._pending) >= self.pieces_per_part:
            self.flush()

    def flush(self) -> None:
        """Write what was taken and not written yet."""
        if self._pending_range is None:
            return
        start, stop = self._pending_range
        part = Stored(self.origin, start, stop, merge(self._pending)[0])
        numbers = [int(path.stem) for path in self.parts.glob("*.parquet")]
        write_stored(self.parts / f"{max(numbers, default=0) + 1:06d}.parquet", part)
        self.stored.append(part)
        self._pending, self._pending_range = [], None

    def finish(self, span: Range) -> Fetched:
        """Put file and parts together, write the file, remove the parts.

        Of `span` the file covers what was added without a hole, from its start on.

        Raises
        ------
        FeedError
            If there is not a single bar.
        """
        self.flush()
        held = [*([self.file] if self.file else []), *self.stored]
        holes = missing_ranges(span, [(part.start, part.stop) for part in held])
        start, stop = span[0], holes[0][0] if holes else span[1]
        rows, n_changed = merge([part.rows for part in held] or [np.empty((0, 6))])
        rows = rows[(rows[:, 0] >= start) & (rows[:, 0] < stop)]
        if not len(rows):
            shutil.rmtree(self.parts, ignore_errors=True)
            raise FeedError(
                f"{self.origin.words()}: no bars from {time_words(span[0])} "
                f"to {time_words(span[1])}"
            )
        if self.stored:
            _check(rows)
            write_stored(self.path, Stored(self.origin, start, stop, rows))
            shutil.rmtree(self.parts)
        return self._fetched(start, stop, rows, n_changed)

    def _fetched(self, start: int, stop: int, rows: NDArray, n_changed: int) -> Fetched:
        steps = np.diff(rows[:, 0])
        gaps = steps[steps > self.interval_s]
        return Fetched(
            path=self.path,
            start=start,
            stop=stop,
            first=int(rows[0, 0]),
            last=int(rows[-1, 0]),
            n_bars=len(rows),
            n_gaps=len(gaps),
            n_missing=int((gaps // self.interval_s - 1).sum()),
            n_new=len(rows) - (len(self.file.rows) if self.file else 0),
            n_changed=n_changed,
        )


def _check(rows: NDArray[np.float64]) -> None:
    """Refuse to write what reading would refuse, whatever was judged before."""
    from v8lib.bar_schema import check_schema

    check_schema(
        bars_from({"epoch_s": rows[:, 0], **dict(zip(COLUMNS, rows[:, 1:].T, strict=True))})
    )
