"""Polling an exchange: `fetch` in a process of its own, whenever a bar should have closed."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from v8lib.bar_interval import interval_word
from v8ops.production.bar_source import PROJECT
from v8ops.production.notes import Notes

PROGRAM = (sys.executable, "-m", "v8ops", "fetch")
LOOK_EVERY_S = 0.5  # at a running fetch
LIMIT_S = 300.0  # after which one is ended
PAUSE_S = 10.0  # between two fetches of a symbol
WORDS = 240


class Poll:
    """Lets `fetch` extend the bar files of the symbols that are due.

    Parameters
    ----------
    exchange : str
        A name that `fetch` knows.
    data : path
        The data folder.
    notes : Notes
        Where a fetch that fails is said.
    stopping : callable
        Whether serve is to end; a running fetch is then ended too.
    program : sequence of str
        What fetches.
    """

    def __init__(
        self,
        exchange: str,
        data: Path,
        notes: Notes,
        *,
        stopping: Callable[[], bool],
        program: Sequence[str] = PROGRAM,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exchange, self.data, self.notes = exchange, data, notes
        self.stopping, self.program, self.timer = stopping, tuple(program), timer
        self._asked: dict[str, float] = {}

    def fetch(self, due: Mapping[str, int]) -> None:
        """Fetch the bars of these symbols, each with its interval in seconds, 0 if not known."""
        now = self.timer()
        ready = [s for s in due if now - self._asked.get(s, -PAUSE_S) >= PAUSE_S]
        for interval_s in sorted({due[symbol] for symbol in ready}):
            symbols = [symbol for symbol in ready if due[symbol] == interval_s]
            self._asked |= dict.fromkeys(symbols, now)
            self._fetch(symbols, interval_s)

    def _fetch(self, symbols: Sequence[str], interval_s: int) -> None:
        interval = ["--interval", interval_word(interval_s)] if interval_s else []
        command = [
            *self.program,
            *("--exchange", self.exchange, "--symbols", *symbols, *interval),
            *("--data", str(self.data.resolve())),
        ]
        try:
            status, error = self._run(command)
        except OSError as problem:
            status, error = 1, f"cannot be started: {problem.strerror}"
        names = " ".join(symbols)
        if status:
            self.notes.once("poll", f"fetch of {names} from {self.exchange} failed: {error}")
        else:
            self.notes.over("poll", f"fetch of {names} works again")

    def _run(self, command: Sequence[str]) -> tuple[int, str]:
        """Return the exit status of a fetch and the last line of its errors."""
        began = self.timer()
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=PROJECT
        ) as child:
            while True:
                try:
                    lines = child.communicate(timeout=LOOK_EVERY_S)[1].strip().splitlines()
                    break
                except subprocess.TimeoutExpired:
                    if self.stopping() or self.timer() - began > LIMIT_S:
                        child.terminate()
        if child.returncode < 0:
            return child.returncode, f"ended after {self.timer() - began:.0f} s"
        return child.returncode, lines[-1][:WORDS] if lines else f"status {child.returncode}"
