"""The engine of serving: new bars of one symbol in, one logged signal per bar out."""

import time
from collections.abc import Callable

import numpy as np

from v8lib.bar_arrays import BarArrays
from v8ops.production.block_labels import BlockLabels
from v8ops.production.block_models import BlockModels
from v8ops.production.block_run import BlockRun
from v8ops.production.errors import ProductionError
from v8ops.production.keeper import Keeper
from v8ops.production.log_rows import LogBlock, SignalRow
from v8ops.production.log_writer import SignalLog
from v8ops.production.monitors import NEEDED_BARS
from v8ops.production.recent import Recent

HISTORY_BARS = 4_096  # at least; a model that comes into use meanwhile then has its history too
LATE_BARS = 2.0  # bars after its close from which on a signal is too old to act on


class Engine:
    """Turns new complete bars of a symbol into signals, all of them in the log.

    Both models of a symbol are asked at every bar; the one the bar is routed to gives the
    signal, and the next in line where it has none. A version that fails, or whose windows
    alarm, is taken back on the spot. Nothing that a model does comes out as an exception.

    Parameters
    ----------
    symbol : str
        Whose bars.
    keeper : Keeper
        Which models are in use.
    log : SignalLog
        Where everything goes.
    interval_s : int
        Length of a bar in seconds.
    clock : callable
        Returns the time in seconds since 1970-01-01 UTC.
    late_bars : float, optional
        Bars after its close from which on a signal is not actionable; None for never, as in a
        replay.
    timer : callable
        Returns seconds, for the latency of a model.
    """

    def __init__(
        self,
        symbol: str,
        keeper: Keeper,
        log: SignalLog,
        *,
        interval_s: int,
        clock: Callable[[], float],
        late_bars: float | None = LATE_BARS,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.symbol, self.keeper, self.log = symbol, keeper, log
        self.interval_s, self.clock, self.late_bars = interval_s, clock, late_bars
        self.timer = timer
        self.recent = Recent(log, symbol, NEEDED_BARS)
        self.labels = BlockLabels(symbol, keeper, self.recent, interval_s)

    @property
    def last_bar(self) -> int | None:
        """Opening time of the last bar that has its signal, None before the first."""
        return self.recent.last_bar

    @property
    def history_bars(self) -> int:
        """Bars before the new ones that the models in use and their labels look at, or more."""
        self.keeper.refresh()
        found = [HISTORY_BARS]
        for member in self.keeper.lineup(self.symbol):
            try:
                bundle = self.keeper.bundle(self.symbol, member.version)
            except ProductionError:
                continue
            found.append(bundle.latest.reach_bars)
        for version in {*self.recent.open_versions(), *self._in_use()}:
            definition = self.labels.definition(version)
            if definition is not None:
                # The label that a new bar settles belongs to a bar one horizon before it.
                found.append(definition.reach_bars + definition.horizon_bars)
        return max(found)

    def take(self, bars: BarArrays, n_new: int) -> list[SignalRow]:
        """Return the signals of new bars, after they are in the log.

        Bars up to `last_bar` are not new, whatever the caller says: the same bar never has two
        signals.

        Parameters
        ----------
        bars : BarArrays of shape (n_bars,)
            Validated, complete bars; at least `history_bars` before the new ones, or all
            there are.
        n_new : int
            How many of the last are new.

        Raises
        ------
        LogError
            If the log cannot be written or read. Nothing was emitted then, and the same call
            may be made again.
        """
        self.keeper.refresh()
        n = self._new(bars, n_new)
        if not n:
            return []
        models = BlockModels(self.symbol, self.keeper, bars, n, self.interval_s, self.timer)
        run = BlockRun(models, self.labels, self.recent, self._late_before(), LogBlock(self.symbol))
        waiting = self.keeper.notes.waiting
        try:
            run.run()
            run.block.events += waiting
            self.log.append(run.block)
        except BaseException:
            self.recent.forget()  # what was worked out is not in the log: that is what counts
            raise
        self.keeper.notes.settle(len(run.block.events))
        self.recent.reached(int(bars.epoch_s[-1]))
        return run.block.signals

    def _in_use(self) -> list[str]:
        return [member.version for member in self.keeper.lineup(self.symbol)]

    def _new(self, bars: BarArrays, n_new: int) -> int:
        """Return how many of the last bars have no signal yet."""
        n = min(n_new, len(bars.epoch_s))
        last = self.last_bar
        if n and last is not None:
            n = int(np.count_nonzero(bars.epoch_s[len(bars.epoch_s) - n :] > last))
        return n

    def _late_before(self) -> float:
        """Return the opening time from which on a bar is not too old."""
        if self.late_bars is None:
            return -np.inf
        return self.clock() - (1.0 + self.late_bars) * self.interval_s
