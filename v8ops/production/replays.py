"""Rollouts rehearsed on recorded bars, from shadow to stable."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v8lib.bar_arrays import BarArrays
from v8lib.bundle import Bundle, load_bundle
from v8ops.production.monitors import EVERY_BARS, facts_of
from v8ops.production.rehearsal import Rehearsal, stage_set
from v8ops.production.rollout_file import read_rollout
from v8ops.production.through_time import courses

# Bars at each stage of a clean replay; the rest is served as stable.
STAGES = {"shadow": 2_000, "10": 4_000, "50": 4_000, "100": 2_000}
STATES = ("ok", "watch", "alarm", "unknown")


@dataclass(frozen=True)
class Cast:
    """Who takes part: a symbol, its bars, its stable model and its candidate.

    Attributes
    ----------
    models : path
        Where the bundles are; nothing is changed there.
    symbol : str
    stable, candidate : str
        Versions.
    bars : BarArrays of shape (n_bars,)
    start : int
        Place of the first bar to serve: the models have seen nothing from there on.
    """

    models: Path
    symbol: str
    stable: str
    candidate: str
    bars: BarArrays
    start: int


def clean_replay(cast: Cast) -> dict[str, Any]:
    """Return what a whole rollout without a fault came to."""
    with staged(cast) as play:
        play.promote(cast.candidate)
        for stage, n in STAGES.items():
            play.serve_stage(stage, n)
            play.advance()
        play.serve(len(cast.bars.epoch_s))
        state = read_rollout(play.models).of(cast.symbol)
        lost, doubled = play.lost_and_doubled()
        bars = len(play.served())
        return {
            "readings": readings(play, cast.candidate),
            "symbol": cast.symbol,
            "stable": cast.stable,
            "candidate": cast.candidate,
            "bars": bars,
            "first_bar": int(cast.bars.epoch_s[cast.start]),
            "last_bar": int(cast.bars.epoch_s[-1]),
            "lost": lost,
            "doubled": doubled,
            "without_model": sum(row.version is None for row in play.signals),
            "rollbacks": [
                f"{event.version}: {event.message}"
                for event in play.log.reader.events(cast.symbol, kind="rollback")
            ],
            "became_stable": state.stable == cast.candidate,
            "routed": play.routed,
            "seconds": play.seconds,
            "bars_per_second": bars / play.seconds,
        }


def readings(play: Rehearsal, version: str) -> dict[str, dict[str, int]]:
    """Return how often each monitor was in each state, over a version's whole rollout."""
    rows = play.log.reader.scores(play.symbol, version)
    facts = facts_of(load_bundle(play.models / play.symbol / version))
    found = courses(rows, facts, points=len(rows) // EVERY_BARS)
    return {
        name: {state: int((course.state == state).sum()) for state in STATES}
        for name, course in found.items()
    }


@contextmanager
def staged(cast: Cast, load: Callable[[Path], Bundle] = load_bundle) -> Iterator[Rehearsal]:
    """Set up a rehearsal in a folder that is removed afterwards, with its stable model in place."""
    with tempfile.TemporaryDirectory(prefix="v8-replay-") as folder:
        models = stage_set(Path(folder), cast.models, cast.symbol, [cast.stable, cast.candidate])
        play = Rehearsal(models, cast.symbol, cast.bars, cast.start, load)
        try:
            play.promote(cast.stable, stable=True)
            yield play
        finally:
            play.close()


def pooled(replays: list[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return bars and the candidate's bars of each stage, over all replays."""
    found: dict[str, list[int]] = {}
    for replay in replays:
        for stage, (bars, mine) in replay["routed"].items():
            total = found.setdefault(stage, [0, 0])
            total[0] += bars
            total[1] += mine
    return found
