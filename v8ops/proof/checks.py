"""What a part of the proof claims: a figure, its limit, and whether it held."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any


@dataclass(frozen=True)
class Check:
    """One claim."""

    name: str
    measured: str
    limit: str
    held: bool


def at_most(name: str, value: float, limit: float, form: str = ".4f") -> Check:
    """Return the check that a figure is at most its limit."""
    return Check(name, format(value, form), f"at most {limit:{form}}", value <= limit)


def at_least(name: str, value: float, limit: float, form: str = ".1%") -> Check:
    """Return the check that a figure is at least its limit."""
    return Check(name, format(value, form), f"at least {limit:{form}}", value >= limit)


def true(name: str, measured: str, limit: str, held: bool) -> Check:
    """Return a check that is not about one number."""
    return Check(name, measured, limit, bool(held))


def side_by_side(work: Callable[..., Any], arguments: Sequence[Any], jobs: int) -> list[Any]:
    """Return `work` of each argument, in order, `jobs` of them at a time.

    Each runs in a fresh process on one thread, so that the numbers do not depend on `jobs`.
    """
    if jobs == 1:
        return [work(argument) for argument in arguments]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        return list(pool.map(work, arguments))


def one_thread() -> None:
    """Keep this process's numeric libraries to one thread."""
    from threadpoolctl import threadpool_limits

    from v8lib.model import use_threads

    use_threads(1)
    threadpool_limits(1)
