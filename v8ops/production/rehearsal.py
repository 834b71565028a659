"""A rehearsal: recorded bars through the engine, with a rollout that is moved at given bars.

Everything is the real thing: bundles, rollout.json, log, monitors and commands. Only the bars
come faster, and the clock is theirs.
"""

import argparse
import contextlib
import io
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from v8lib.bar_arrays import BarArrays
from v8lib.bundle import Bundle, load_bundle
from v8ops.production import advance, promote
from v8ops.production.change import LOG_NAME
from v8ops.production.engine import Engine
from v8ops.production.keeper import Keeper
from v8ops.production.log_rows import SignalRow
from v8ops.production.log_writer import SignalLog
from v8ops.production.notes import Notes
from v8ops.production.rollout_file import read_rollout
from v8ops.production.rollout_state import SHARES
from v8ops.production.routing import to_candidate

BLOCK_BARS = 256
WHO, WHY = "rehearsal", "a rehearsal"


@dataclass
class Rehearsal:
    """One symbol's rollout on recorded bars.

    Attributes
    ----------
    models : path
        A models folder of its own, see `stage_set`.
    symbol : str
    bars : BarArrays of shape (n_bars,)
        With the history before the first bar to serve.
    start : int
        Place of the first bar to serve.
    load : callable
        Loads a bundle, or a broken one.
    """

    models: Path
    symbol: str
    bars: BarArrays
    start: int
    load: Callable[[Path], Bundle] = load_bundle
    place: int = 0
    seconds: float = 0.0
    signals: list[SignalRow] = field(default_factory=list)
    routed: dict[str, list[int]] = field(default_factory=dict)  # stage: [bars, the candidate's]

    def __post_init__(self) -> None:
        self.place = self.start
        self.log = SignalLog(self.models / LOG_NAME)
        self._begin()

    def _begin(self) -> None:
        notes = Notes(self.now, tell=lambda line: None)
        self.engine = Engine(
            self.symbol,
            Keeper(self.models, notes, self.load),
            self.log,
            interval_s=int(np.diff(self.bars.epoch_s[-2:])[0]),
            clock=self.now,
            late_bars=None,
        )

    def now(self) -> float:
        """Return the time at which the last served bar is complete."""
        return float(self.bars.epoch_s[min(self.place, len(self.bars.epoch_s) - 1)])

    def restart(self) -> None:
        """Begin again as a new process would, from rollout.json and the log."""
        self.log.close()
        self.log = SignalLog(self.models / LOG_NAME)
        self._begin()

    def serve(self, n: int) -> None:
        """Serve the next `n` bars, or as many as there are."""
        stop = min(self.place + n, len(self.bars.epoch_s))
        began = time.perf_counter()
        while self.place < stop:
            n_new = min(BLOCK_BARS, stop - self.place)
            self.place += n_new
            first = max(0, self.place - n_new - self.engine.history_bars)
            self.signals += self.engine.take(self.bars.at(slice(first, self.place)), n_new)
        self.seconds += time.perf_counter() - began

    def serve_stage(self, stage: str, n: int) -> None:
        """Serve `n` bars and count whose they were, if the candidate is at this stage."""
        before = len(self.signals)
        self.serve(n)
        state = read_rollout(self.models).of(self.symbol)
        if state.stage != stage:
            return
        counted = self.routed.setdefault(stage, [0, 0])
        for row in self.signals[before:]:
            counted[0] += 1
            counted[1] += to_candidate(state, self.symbol, row.epoch_s)

    def promote(self, version: str, *, stable: bool = False) -> None:
        """Give the command `promote`; inconclusive gates are accepted."""
        given = {
            "version": version,
            "accept_inconclusive": WHY,
            "stable": WHY if stable else None,
            "expect_revision": None,
        }
        self._command(promote.main, given)

    def advance(self) -> None:
        """Give the command `advance`, with the evidence that there is."""
        self._command(advance.main, {"force": None})

    def _command(self, main: Callable[[argparse.Namespace], int], given: Mapping) -> None:
        common = {"symbol": self.symbol, "models": self.models, "log": None, "who": WHO}
        self.silent(main, common | dict(given))

    def silent(self, main: Callable[[argparse.Namespace], int], given: Mapping) -> None:
        """Give a command and keep what it prints."""
        with contextlib.redirect_stdout(io.StringIO()):
            main(argparse.Namespace(**given))

    def served(self) -> set[int]:
        """Return the opening times of the bars that should have a signal by now."""
        return set(self.bars.epoch_s[self.start : self.place].tolist())

    def lost_and_doubled(self) -> tuple[int, int]:
        """Return how many bars have no signal in the log, and how many were emitted twice."""
        logged = [row.epoch_s for row in self.log.reader.signals(self.symbol)]
        emitted = [row.epoch_s for row in self.signals]
        doubled = len(logged) - len(set(logged)) + len(emitted) - len(set(emitted))
        return len(self.served() - (set(logged) & set(emitted))), doubled

    def close(self) -> None:
        """End."""
        self.log.close()


def stage_set(folder: Path, models: Path, symbol: str, versions: list[str]) -> Path:
    """Copy bundles into a models folder of their own and return it."""
    for version in versions:
        shutil.copytree(models / symbol / version, folder / symbol / version)
    return folder


def share_errors(routed: Mapping[str, list[int]]) -> dict[str, float]:
    """Return by how much the candidate's share missed its target, per stage, in points."""
    return {stage: 100.0 * (mine / bars - SHARES[stage]) for stage, (bars, mine) in routed.items()}
