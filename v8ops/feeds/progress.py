"""How far a fetch is: a moving bar with an estimate on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from v8ops.feeds.judging import time_words

LINE_EVERY_S = 5.0


class Watch(Protocol):
    """What a fetch tells whoever is watching."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def begin(self, symbol: str, total_s: int) -> None:
        """Say that a symbol is begun, and how many seconds of market time are to be fetched."""

    def advance(self, done_s: int, reached_s: int) -> None:
        """Say that `done_s` more seconds of market time are there, the latest at `reached_s`."""

    def note(self, line: str) -> None:
        """Show a line that stays."""


class PlainWatch:
    """A line every few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.symbol, self.total_s, self.done_s = "", 0, 0
        self.began = self.told = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def begin(self, symbol: str, total_s: int) -> None:
        """Start counting."""
        self.symbol, self.total_s, self.done_s = symbol, total_s, 0
        self.began = self.told = self.clock()

    def advance(self, done_s: int, reached_s: int) -> None:
        """Print how far it is, and about how long it will take, if the last line is old."""
        self.done_s += done_s
        now = self.clock()
        if now - self.told < LINE_EVERY_S or self.done_s <= 0:
            return
        self.told = now
        left = (now - self.began) * (self.total_s / self.done_s - 1.0)
        share = 100.0 * self.done_s / self.total_s
        place = f"{self.symbol}: {share:.0f} %, at {time_words(reached_s)}"
        self.note(f"{place}, about {_duration(left)} left")

    def note(self, line: str) -> None:
        """Print a line."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class LiveWatch:
    """A bar per symbol that moves."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.progress = Progress(
            TextColumn("[bold]{task.description:<8}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TextColumn("{task.fields[at]:<16}"),
            Remaining(elapsed_when_finished=True),
        )
        self.task = None

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def begin(self, symbol: str, total_s: int) -> None:
        """Show a new bar."""
        self.task = self.progress.add_task(symbol, total=total_s, at="")

    def advance(self, done_s: int, reached_s: int) -> None:
        """Move the bar."""
        self.progress.update(self.task, advance=done_s, at=time_words(reached_s))

    def note(self, line: str) -> None:
        """Print a line above the bars."""
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


def make_watch() -> PlainWatch | LiveWatch:
    """Return the live watch on a terminal, the plain one elsewhere."""
    return LiveWatch() if sys.stdout.isatty() else PlainWatch()


def _duration(seconds: float) -> str:
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5_400.0 else f"{seconds / 3_600.0:.1f} h"
