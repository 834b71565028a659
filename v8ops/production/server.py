"""The loop of serving: every few seconds, new bars of every symbol become signals."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from v8lib.bar_arrays import BarArrays
from v8ops.production.bar_source import BarSource
from v8ops.production.catch_up import blocks, complete, new_bars
from v8ops.production.emission import line
from v8ops.production.engine import Engine
from v8ops.production.keeper import Keeper
from v8ops.production.log_schema import LogError
from v8ops.production.log_writer import SignalLog
from v8ops.production.notes import Notes, utc_words
from v8ops.production.poll import Poll

JUMP_S = 60.0  # a clock that moves by as much against the machine's own is worth a line
SILENT_BARS = 2.0  # that a new bar may be late before it is said


@dataclass
class Server:
    """Serves several symbols from one process.

    Attributes
    ----------
    sources : sequence of BarSource
        One per symbol.
    keeper, log, notes
        Which models, where to, and what is said.
    clock, timer : callable
        The time in seconds since 1970-01-01 UTC, and seconds that nobody sets.
    stopping : callable
        Whether to end; asked between two blocks.
    poll : Poll, optional
        What extends the files.
    """

    sources: Sequence[BarSource]
    keeper: Keeper
    log: SignalLog
    notes: Notes
    clock: Callable[[], float]
    stopping: Callable[[], bool]
    timer: Callable[[], float] = time.monotonic
    poll: Poll | None = None
    _engines: dict[str, Engine] = field(default_factory=dict)
    _times: tuple[float, float] | None = None  # of clock and timer, a round before

    def run(self, every_s: float, wait: Callable[[float], object]) -> None:
        """Serve until told to stop; `wait` is called with the seconds between two rounds."""
        while not self.stopping():
            self.round()
            if not self.stopping():
                wait(every_s)

    def round(self) -> bool:
        """Serve all that is there now, and return whether nothing was in the way."""
        self._watch_clock()
        self.keeper.refresh()
        if self.poll is not None:
            self.poll.fetch(self._due())
        served = [self._serve(source) for source in self.sources if not self.stopping()]
        return self._write_notes() and all(served)

    def _serve(self, source: BarSource) -> bool:
        bars = source.read()
        if bars is None:
            return False
        try:
            self._catch_up(source, bars)
        except LogError as error:
            self.notes.once("log", f"{error}; nothing is emitted until it works again")
            return False
        self.notes.over("log", "the signal log works again")
        return True

    def _catch_up(self, source: BarSource, bars: BarArrays) -> None:
        engine, now = self._engine(source), self.clock()
        closed = complete(bars, now, engine.interval_s)
        n_new = new_bars(closed, engine.last_bar)
        self._watch_bars(engine, closed, now)
        for block, n in blocks(closed, n_new, engine.history_bars):
            if self.stopping():
                return
            for row in engine.take(block, n):
                self.notes.tell(line(row))

    def _engine(self, source: BarSource) -> Engine:
        if source.symbol not in self._engines:
            self._engines[source.symbol] = Engine(
                source.symbol,
                self.keeper,
                self.log,
                interval_s=source.interval_s,
                clock=self.clock,
            )
        return self._engines[source.symbol]

    def _watch_bars(self, engine: Engine, closed: BarArrays, now: float) -> None:
        """Say when the bars stay away, or end before what was emitted."""
        symbol, last = engine.symbol, engine.last_bar
        newest = int(closed.epoch_s[-1]) if len(closed.epoch_s) else None
        if last is not None and (newest is None or newest < last):
            words = f"signals are out up to {utc_words(last)}, complete bars end before: waiting"
            self.notes.once("behind", words, symbol=symbol)
        else:
            self.notes.over("behind", "bars have caught up with the signals", symbol=symbol)
        if newest is not None and now - newest > (2.0 + SILENT_BARS) * engine.interval_s:
            words = f"no new bar since that of {utc_words(newest)}"
            self.notes.once("silent", words, symbol=symbol)
        else:
            self.notes.over("silent", "new bars come again", symbol=symbol)

    def _watch_clock(self) -> None:
        """Say when the clock was set; what is complete and what is late goes by it."""
        now, seconds = self.clock(), self.timer()
        if self._times is not None:
            jump = (now - self._times[0]) - (seconds - self._times[1])
            if abs(jump) > JUMP_S:
                where = "jumped ahead" if jump > 0.0 else "went back"
                self.notes.say("clock", f"the clock {where} by {abs(jump):.0f} s")
        self._times = now, seconds

    def _due(self) -> dict[str, int]:
        """Return the symbols of which another bar should have closed, and their intervals."""
        due = {}
        for source in self.sources:
            bars, interval_s = source.bars, source.interval_s
            if bars is None or self.clock() >= bars.epoch_s[-1] + 2 * interval_s:
                due[source.symbol] = interval_s or self.keeper.interval_s(source.symbol)
        return due

    def _write_notes(self) -> bool:
        """Write what no block took along."""
        waiting = list(self.notes.waiting)
        if not waiting:
            return True
        try:
            self.log.note(waiting)
        except LogError as error:
            self.notes.once("log", f"{error}; nothing is emitted until it works again")
            return False
        self.notes.settle(len(waiting))
        return True
