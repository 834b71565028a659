"""Repeated measurements as plain values: spreads, rounds, and one figure beside another's."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

Comparison = dict[str, Any]
NEVER_S = 1e9  # stands for the seconds to something that was not reached


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, min, max and the number of repeats."""
    return {
        "median": float(median(values)),
        "min": float(min(values)),
        "max": float(max(values)),
        "n": len(values),
    }


def rounds(
    works: Mapping[str, Callable[[int], Any]], repeats: int, ready: Callable[[], None]
) -> dict[str, list[Any]]:
    """Return what each work gave, round after round.

    Every round does all works one after the other, every second one in the opposite order: a
    machine that becomes slower in the meantime is slower for all of them.

    Parameters
    ----------
    works : mapping of name to callable
        Each is called with the number of the round, from 0.
    repeats : int
        Rounds, at least 1.
    ready : callable
        Called before every round; it returns when the round may begin.
    """
    found: dict[str, list[Any]] = {name: [] for name in works}
    for number in range(repeats):
        ready()
        order = list(works) if number % 2 == 0 else list(works)[::-1]
        for name in order:
            found[name].append(works[name](number))
    return found


def comparison(
    what: str,
    unit: str,
    ours: tuple[str, Sequence[float]],
    peer: tuple[str, Sequence[float]],
    *,
    higher_is_better: bool,
) -> Comparison:
    """Return two measurements side by side; a ratio above 1 means that ours is better.

    Parameters
    ----------
    what, unit : str
        What was measured, and in what.
    ours, peer : (name, values)
        One value per round. Ratios are taken within a round where both were measured equally
        often, else between the medians.
    higher_is_better : bool
        Whether a large value is a good one.
    """
    pairs = [(median(ours[1]), median(peer[1]))]
    if len(ours[1]) == len(peer[1]):
        pairs = list(zip(ours[1], peer[1], strict=True))
    ratios = [own / other if higher_is_better else other / own for own, other in pairs]
    return {
        "what": what,
        "unit": unit,
        "ours": {"name": ours[0], **spread(ours[1])},
        "peer": {"name": peer[0], **spread(peer[1])},
        "ratio": spread(ratios),
    }


def behind(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons in which the peer is better, furthest behind first."""
    lost = [c for c in comparisons if c["ratio"]["median"] < 1.0]
    return sorted(lost, key=lambda c: c["ratio"]["median"])
