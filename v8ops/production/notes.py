"""What serving has to say: a line for whoever watches, and an event for the log."""

import sys
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from v8ops.production.log_rows import EventRow

KEPT = 1_000  # events that wait for a log that cannot be written


def utc_words(epoch_s: float) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(int(epoch_s), UTC).isoformat().replace("+00:00", "Z")


def to_stdout(line: str) -> None:
    """Write a line to standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Notes:
    """Says what happens, and keeps it until the log has it.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds since 1970-01-01 UTC.
    tell : callable
        Called with every line.

    Attributes
    ----------
    waiting : deque of EventRow
        What the log does not have yet, oldest first; the oldest are dropped beyond `KEPT`.
    """

    def __init__(self, clock: Callable[[], float], tell: Callable[[str], None] = to_stdout) -> None:
        self.clock, self.tell = clock, tell
        self.waiting: deque[EventRow] = deque(maxlen=KEPT)
        self._last: dict[tuple[str, str | None], str] = {}

    def say(
        self,
        kind: str,
        message: str,
        *,
        symbol: str | None = None,
        epoch_s: int | None = None,
        version: str | None = None,
    ) -> None:
        """Say something now, and let the log have it with the next block."""
        at = utc_words(self.clock())
        self.waiting.append(EventRow(at, symbol, epoch_s, kind, version, message))
        who = f"{symbol}: " if symbol else ""
        self.tell(f"{at} {who}{message}")

    def once(self, kind: str, message: str, *, symbol: str | None = None) -> None:
        """Say something unless it was the last thing said of this kind and symbol."""
        if self._last.get((kind, symbol)) != message:
            self._last[kind, symbol] = message
            self.say(kind, message, symbol=symbol)

    def over(self, kind: str, message: str, *, symbol: str | None = None) -> None:
        """Say that what `once` said is over, if it said anything."""
        if self._last.pop((kind, symbol), None) is not None:
            self.say(kind, message, symbol=symbol)

    def settle(self, n: int) -> None:
        """Forget the oldest `n` events: the log has them."""
        for _ in range(min(n, len(self.waiting))):
            self.waiting.popleft()
