"""What the monitor shows of each symbol: its rollout, its models' readings, its events."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from v8lib.bundle import load_bundle
from v8lib.errors import BundleError
from v8ops.production.log_rows import EventRow, SignalRow
from v8ops.production.monitors import ModelFacts, facts_of, judge
from v8ops.production.names import bundle_folder
from v8ops.production.reading import Reading
from v8ops.production.rollout_state import Rollout, SymbolState
from v8ops.production.scored import ScoreRows
from v8ops.production.signal_log import SignalReader

OUT_OF_USE = "out of use"
SHOWN_EVENTS = 20


@dataclass(frozen=True)
class WatchedModel:
    """One model: its role, its rows, and what the monitors read of them now.

    Attributes
    ----------
    role, version : str
    facts : ModelFacts or None
        None where the bundle cannot be loaded; `complaint` then says why.
    rows : ScoreRows
        The newest rows of the log.
    readings : tuple of Reading
        Empty without facts.
    complaint : str
    """

    role: str
    version: str
    facts: ModelFacts | None
    rows: ScoreRows
    readings: tuple[Reading, ...]
    complaint: str


@dataclass(frozen=True)
class WatchedSymbol:
    """One symbol: its rollout, its models and what was emitted and said lately."""

    symbol: str
    state: SymbolState
    models: tuple[WatchedModel, ...]
    signals: tuple[SignalRow, ...]
    events: tuple[EventRow, ...]

    @property
    def worst(self) -> str:
        """The worst state among the models in use."""
        states = {r.state for m in self.models if m.role != OUT_OF_USE for r in m.readings}
        broken = any(m.complaint for m in self.models if m.role != OUT_OF_USE)
        if broken or "alarm" in states or not self.state.roles:
            return "alarm"
        return next((s for s in ("watch", "ok", "unknown") if s in states), "unknown")


def watch(
    reader: SignalReader, rollout: Rollout, models_dir: Path, symbols: Sequence[str], bars: int
) -> list[WatchedSymbol]:
    """Return what there is to see of each symbol.

    Parameters
    ----------
    reader : SignalReader
        The log.
    rollout : Rollout
        Its present state.
    models_dir : path
        Where the bundles are.
    symbols : sequence of str
    bars : int
        How many of the newest bars are read.
    """
    return [_symbol(reader, rollout.of(symbol), models_dir, symbol, bars) for symbol in symbols]


def _symbol(
    reader: SignalReader, state: SymbolState, models_dir: Path, symbol: str, bars: int
) -> WatchedSymbol:
    signals = reader.signals(symbol, last=bars)
    since = signals[0].epoch_s if signals else None
    named = [(role, version) for role, version in state.roles.items()]
    used = {version for _, version in named}
    named += [(OUT_OF_USE, v) for v in reader.versions(symbol) if v not in used]
    models = [
        _model(reader, models_dir, symbol, role, version, since, bars) for role, version in named
    ]
    shown = tuple(m for m in models if m.role != OUT_OF_USE or len(m.rows))
    events = tuple(reader.events(symbol, last=SHOWN_EVENTS))
    return WatchedSymbol(symbol, state, shown, tuple(signals), events)


def _model(
    reader: SignalReader,
    models_dir: Path,
    symbol: str,
    role: str,
    version: str,
    since: int | None,
    bars: int,
) -> WatchedModel:
    rows = reader.scores(symbol, version, last=bars, since=since)
    try:
        facts = facts_of(load_bundle(bundle_folder(models_dir, symbol, version)))
    except BundleError as error:
        return WatchedModel(role, version, None, rows, (), str(error))
    return WatchedModel(role, version, facts, rows, tuple(judge(rows, facts)), "")
