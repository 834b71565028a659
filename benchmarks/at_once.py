"""Trainings in processes of their own: side by side as a run has them, or one contestant alone.

Libraries bring thread pools of their own into a process, and those of one slow the others down.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from statistics import harmonic_mean

from benchmarks import loops, ours
from benchmarks.training_data import Run, TrainingData
from v8lib.hardware import DTYPES
from v8lib.model import use_threads
from v8lib.training_settings import TrainingSettings
from v8ops.proof.checks import one_thread

Job = tuple[TrainingData, TrainingSettings]
READY_WITHIN_S = 300.0
TURN_EPOCHS = 2  # of a training that takes turns with the matrix products
_jobs: list[Job] = []


def train_at_once(jobs: Sequence[Job], processes: int) -> tuple[list[Run], float]:
    """Return every training, and the seconds from the first's start to the last's end.

    The processes have imported everything and hold the rows before the clock starts: what
    they need to get there is the suite's start-up and measured with it.
    """
    context = get_context("spawn")
    barrier = context.Barrier(processes + 1)
    with context.Pool(processes, initializer=_get_ready, initargs=(barrier, list(jobs))) as pool:
        barrier.wait(READY_WITHIN_S)
        began = time.perf_counter()
        runs = pool.map(_train, range(len(jobs)), chunksize=1)
        seconds = time.perf_counter() - began
    return runs, seconds


def _get_ready(barrier: Barrier, jobs: list[Job]) -> None:
    one_thread()
    _jobs.extend(jobs)
    warm_up(*jobs[0])
    barrier.wait(READY_WITHIN_S)


def _train(number: int) -> Run:
    return ours.train(*_jobs[number])


def warm_up(data: TrainingData, settings: TrainingSettings) -> None:
    """Train on a few rows, so that what is imported or compiled late has been."""
    ours.train(*_few(data, settings))


def _few(data: TrainingData, settings: TrainingSettings) -> Job:
    n = 4 * settings.batch_size
    features, labels = data.train
    small = replace(data, train=(features[:n], labels[:n]), targets=data.targets[:n])
    return small, replace(settings, epochs=1)


def train_alone(
    train: Callable[[TrainingData, TrainingSettings], Run], jobs: Sequence[Job], threads: int
) -> list[Run]:
    """Return the trainings of one contestant, one after the other in a fresh process.

    Parameters
    ----------
    train : function of a module
        From data and settings to a run; called on a few rows first.
    jobs : sequence of (data, settings)
        Of every symbol.
    threads : int
        Of the process.
    """
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_train_all, (train, list(jobs), threads))


def _train_all(train: Callable[..., Run], jobs: list[Job], threads: int) -> list[Run]:
    use_threads(threads)
    train(*_few(*jobs[0]))
    return [train(*job) for job in jobs]


def products_alone(n_features: int, batch: int, precision: str, threads: int) -> float:
    """Return rows/s of the matrix products alone, in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_products, (n_features, batch, precision, threads))


def _products(n_features: int, batch: int, precision: str, threads: int) -> float:
    use_threads(threads)
    return loops.matrix_products(n_features, batch, DTYPES[precision])


def in_turns_with_products(
    job: Job, precision: str, threads: int, turns: int
) -> list[tuple[float, float]]:
    """Return rows/s of our training and of the matrix products alone, once per turn.

    Both in one fresh process: the machine's pace moves within seconds, and a share of two figures
    minutes apart moves with it. The products run before and after each training of a turn, which
    is judged by the harmonic mean of the two.
    """
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_in_turns, (job, precision, threads, turns))


def _in_turns(job: Job, precision: str, threads: int, turns: int) -> list[tuple[float, float]]:
    use_threads(threads)
    data, settings = job[0], ours.with_precision(replace(job[1], epochs=TURN_EPOCHS), precision)
    ours.train(*_few(data, settings))

    def products() -> float:
        return loops.matrix_products(data.train[0].shape[1], settings.batch_size, DTYPES[precision])

    found = []
    for turn in range(turns):
        before = products()
        rate = ours.train(data, replace(settings, seed=settings.seed + turn)).rows_per_second
        found.append((rate, harmonic_mean((before, products()))))
    return found
