"""Our trainings of several symbols side by side, as a run has them: one thread per process."""

import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

from benchmarks import ours
from benchmarks.training_data import Run, TrainingData
from v8lib.training_settings import TrainingSettings
from v8ops.proof.checks import one_thread

Job = tuple[TrainingData, TrainingSettings]
READY_WITHIN_S = 300.0
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
    from dataclasses import replace

    few = 4 * settings.batch_size
    features, labels = data.train
    small = replace(data, train=(features[:few], labels[:few]), targets=data.targets[:few])
    ours.train(small, replace(settings, epochs=1))
