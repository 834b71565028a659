"""What the signal log says of a candidate at its stage: whether it is enough to go on."""

from dataclasses import dataclass
from pathlib import Path

from v8ops.production.rollout_state import SymbolState
from v8ops.production.signal_log import SignalReader

NEEDED_BARS = 500  # scored at a stage before the next one
ALARM = "alarm"


@dataclass(frozen=True)
class Evidence:
    """What was seen of a candidate since its stage began.

    Attributes
    ----------
    bars : int
        How many bars it has scored.
    alarms : tuple of str
        Messages of the log's events that speak against it.
    """

    bars: int
    alarms: tuple[str, ...]

    @property
    def objections(self) -> list[str]:
        """Why the next stage has to wait; empty where it need not."""
        few = [f"{self.bars} bars scored at this stage, {NEEDED_BARS} are needed"]
        return (few if self.bars < NEEDED_BARS else []) + list(self.alarms)


def gather(log: Path, symbol: str, state: SymbolState) -> Evidence:
    """Return the evidence on a candidate.

    Parameters
    ----------
    log : path
        The signal log; where there is none, nothing was seen.
    symbol, state
        Whose rollout; it has a candidate.

    Raises
    ------
    ProductionError
        If the log is there and cannot be read.
    """
    if not log.exists():
        return Evidence(0, ())
    since = state.trial_since_bar
    with SignalReader(log) as reader:
        bars = reader.count(symbol, state.candidate, None if since is None else since + 1)
        alarms = tuple(
            f"{row.kind}: {row.message}"
            for row in reader.events(symbol)
            if row.version == state.candidate
            and row.kind == ALARM
            and (since is None or (row.epoch_s is not None and row.epoch_s > since))
        )
    return Evidence(bars, alarms)


def last_logged_bar(log: Path, symbol: str) -> int | None:
    """Return the last bar in the log, None where there is none yet."""
    if not log.exists():
        return None
    with SignalReader(log) as reader:
        return reader.last_bar(symbol)
