"""One live line per symbol on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self


class Display(Protocol):
    """What the supervisor tells whoever is watching."""

    def event(self, event: dict[str, Any]) -> None:
        """Show an event of a worker."""

    def epoch(self, symbol: str, done: int, total: int) -> None:
        """Show how far a training is."""


class PlainDisplay:
    """A line when a step starts, ends or fails."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def event(self, event: dict[str, Any]) -> None:
        """Print what happened, with the time since the run began."""
        if event["event"] == "cell":
            return
        took = f" in {event['seconds']:.1f} s" if "seconds" in event else ""
        why = f": {event['error']}" if "error" in event else ""
        line = f"{event['symbol']:<6} {event['step']} {event['event']}{took}{why}"
        sys.stdout.write(f"[{time.monotonic() - self.began:6.1f} s] {line}\n")
        sys.stdout.flush()

    def epoch(self, symbol: str, done: int, total: int) -> None:
        """Print nothing: a line per epoch would drown the rest."""


class LiveDisplay:
    """A bar per symbol that moves, with step, cells or epochs, and time."""

    def __init__(self, symbols: Sequence[str], steps: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            TextColumn("[bold]{task.fields[symbol]:<6}"),
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
        )
        self.tasks = {
            s: self.progress.add_task("waiting", symbol=s, total=steps, start=False)
            for s in symbols
        }
        self.done = dict.fromkeys(symbols, 0.0)
        self.step: dict[str, str] = {}

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

    def event(self, event: dict[str, Any]) -> None:
        """Move the bar of a symbol."""
        symbol, kind = event["symbol"], event["event"]
        if symbol not in self.tasks:
            self.tasks[symbol] = self.progress.add_task("waiting", symbol=symbol, total=1)
            self.done[symbol] = 0.0
        task = self.tasks[symbol]
        if kind == "started":
            self.progress.start_task(task)
            self.step[symbol] = event["step"]
            self.progress.update(task, description=event["step"])
        elif kind == "cell":
            share = event["cell"] / event["cells"]
            self.progress.update(task, completed=self.done[symbol] + share)
        elif kind in ("done", "skipped"):
            self.done[symbol] += 1.0
            self.progress.update(
                task, completed=self.done[symbol], description=f"{event['step']} {kind}"
            )
        else:
            self.progress.update(task, description=f"[red]{event['step']} failed")

    def epoch(self, symbol: str, done: int, total: int) -> None:
        """Show the epoch of a training."""
        if done and self.step.get(symbol) == "02_train":
            words = f"02_train epoch {done} of {total}"
            self.progress.update(self.tasks[symbol], description=words)


def make_display(symbols: Sequence[str], steps: int) -> PlainDisplay | LiveDisplay:
    """Return the live display on a terminal, the plain one elsewhere."""
    return LiveDisplay(symbols, steps) if sys.stdout.isatty() else PlainDisplay()
