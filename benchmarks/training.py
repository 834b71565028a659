"""Part training: rows a second and time to a log loss, beside what people would use instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks import loops, ours
from benchmarks.at_once import (
    in_turns_with_products,
    products_alone,
    train_alone,
    train_at_once,
)
from benchmarks.figures import rounds
from benchmarks.machine import available_cores
from benchmarks.training_data import Run, TrainingData, make_training_data
from v8lib.config import Parameters
from v8lib.recipe import training_settings
from v8lib.training_settings import TrainingSettings
from v8ops.run.plan import default_jobs

BATCHES = (256, 512, 1024)
EXCESS_NATS = 0.02  # the fixed log loss: so much above that of the exact probabilities
PLAIN, SKORCH, SKLEARN, LIGHTGBM = "plain loop", "skorch", "scikit-learn MLP", "LightGBM"
PRECISIONS = ("fp32", "bf16")
TURNS = 5  # a round, of training and matrix products


@dataclass(frozen=True)
class Contest:
    """The rows and settings that everyone gets; a method per contestant, called every round."""

    data: Sequence[TrainingData]
    settings: Sequence[TrainingSettings]

    def of_round(self, number: int, **changes: Any) -> list[TrainingSettings]:
        """Return every symbol's settings with the round's seed."""
        return [replace(s, seed=s.seed + number, **changes) for s in self.settings]

    def plain(self, number: int) -> list[Run]:
        """Return the plain loop of every symbol, one after the other, on all cores."""
        jobs = list(zip(self.data, self.of_round(number), strict=True))
        return train_alone(loops.plain_loop, jobs, available_cores())

    def at_once(self, precision: str, number: int) -> tuple[list[Run], float]:
        """Return our training of as many symbols at once as a run has, and its seconds."""
        settings = [ours.with_precision(s, precision) for s in self.of_round(number)]
        return train_at_once(
            list(zip(self.data, settings, strict=True)), default_jobs(len(self.data))
        )

    def alone(self, precision: str, threads: int, batch: int, number: int) -> Run:
        """Return our training of the first symbol."""
        settings = self.of_round(number, batch_size=batch)[0]
        job = self.data[0], ours.with_precision(settings, precision)
        return train_alone(ours.train, [job], threads)[0]

    def peer(self, loop: Callable[[TrainingData, TrainingSettings], Run], number: int) -> Run:
        """Return a peer's training of the first symbol, on all cores."""
        return train_alone(loop, [(self.data[0], self.of_round(number)[0])], available_cores())[0]

    def products(self, precision: str, threads: int, _: int) -> float:
        """Return rows/s of the matrix products alone."""
        n_features, batch = self.data[0].train[0].shape[1], self.settings[0].batch_size
        return products_alone(n_features, batch, precision, threads)


def measure(
    parameters: Sequence[Parameters], *, repeats: int, ready: Callable[[], None]
) -> dict[str, Any]:
    """Return the figures of all trainings.

    Parameters
    ----------
    parameters : sequence of Parameters
        Of every symbol; the first is the one that is trained alone.
    repeats : int
        Rounds; every round trains with a seed of its own, ours and the peers with the same.
    ready : callable
        Called before every round; it returns when the round may begin.
    """
    data, cores = [make_training_data(p) for p in parameters], available_cores()
    settings = [training_settings(p) for p in parameters]
    settings = [replace(s, patience_epochs=s.epochs) for s in settings]  # as many rows for all
    together, alone, floor = contestants(Contest(data, settings))
    found = rounds(together | alone | floor, repeats, ready)
    ready()
    in_turns = in_turns_with_products((data[0], settings[0]), "fp32", cores, TURNS * repeats)
    level = data[0].possible_log_loss + EXCESS_NATS
    single = {name: found[name] for name in alone} | {PLAIN: [runs[0] for runs in found[PLAIN]]}
    return {
        "symbols": [d.symbol for d in data],
        "rows": [len(d.train[1]) for d in data],
        "epochs": settings[0].epochs,
        "batch": settings[0].batch_size,
        "cores": cores,
        "possible_log_loss": data[0].possible_log_loss,
        "level": level,
        "together": {name: _together(found[name]) for name in together},
        "alone": {name: _alone(runs, level) for name, runs in single.items()},
        "floor": {name: found[name] for name in floor},
        "in_turns": in_turns,
    }


def contestants(contest: Contest) -> tuple[dict[str, Callable[[int], Any]], ...]:
    """Return who trains all symbols, who trains one, and the floor, each by name."""
    batch, cores = contest.settings[0].batch_size, available_cores()
    precisions = [p for p in PRECISIONS if p == "fp32" or ours.has_bf16()]
    together = {PLAIN: contest.plain} | {
        at_once_name(p): partial(contest.at_once, p) for p in precisions
    }
    asked = {(p, 1, b) for p in precisions for b in BATCHES} | {("fp32", cores, batch)}
    asked |= {(p, 1, batch) for p in precisions}
    alone: dict[str, Callable[[int], Any]] = {
        alone_name(*each): partial(contest.alone, *each) for each in sorted(asked)
    }
    alone[SKORCH] = partial(contest.peer, loops.skorch_loop)
    alone[SKLEARN] = partial(contest.peer, loops.sklearn_loop)
    alone[LIGHTGBM] = partial(contest.peer, loops.lightgbm_loop)
    products = {("fp32", 1), ("fp32", cores)} | {(p, 1) for p in precisions}
    floor = {floor_name(*each): partial(contest.products, *each) for each in sorted(products)}
    return together, alone, floor


def at_once_name(precision: str) -> str:
    """Return what our training of all symbols is called."""
    return f"ours, all at once, {precision}"


def alone_name(precision: str, threads: int, batch: int) -> str:
    """Return what our training of one symbol is called."""
    return f"ours, {precision}, {threads} thread{'s' * (threads > 1)}, batch {batch}"


def floor_name(precision: str, threads: int) -> str:
    """Return what the matrix products alone are called."""
    return f"matrix products, {precision}, {threads} thread{'s' * (threads > 1)}"


def _together(entries: Sequence[Any]) -> dict[str, Any]:
    """Return rows/s of all symbols by the clock, and each training's own figures, per round."""
    pairs = [e if isinstance(e, tuple) else (e, sum(run.seconds for run in e)) for e in entries]
    n_rows = [sum(epoch.n_rows for run in runs for epoch in run.epochs) for runs, _ in pairs]
    return {
        "seconds": [seconds for _, seconds in pairs],
        "rows_per_second": [n / s for n, (_, s) in zip(n_rows, pairs, strict=True)],
        "each": [[run.rows_per_second for run in runs] for runs, _ in pairs],
        "log_loss": [[run.log_loss for run in runs] for runs, _ in pairs],
    }


def _alone(runs: Sequence[Run], level: float) -> dict[str, Any]:
    return {
        "rows_per_second": [run.rows_per_second for run in runs],
        "log_loss": [run.log_loss for run in runs],
        "seconds_to_level": [run.seconds_to(level) for run in runs],
        "seconds_to_best": [run.seconds_to(run.log_loss) for run in runs],
    }
