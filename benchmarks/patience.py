"""Waiting, before something is measured, for the pace that the machine is known to have."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.machine import pace

LOOK_AGAIN_S = 2.0  # the pace of a shared core changes within seconds


class Patience:
    """Holds a round back while the machine is slower than asked for, and tells what it did.

    Cores of a virtual machine are shared with neighbours that nobody here can stop; seconds that
    were measured beside them are the neighbours' as well. What is waited for is a plain loop that
    knows nothing of the suite, never the outcome of a measurement.

    Parameters
    ----------
    steps_per_second : float
        Pace of `machine.pace` that is waited for; with 0 nothing is waited for.
    seconds : float
        How long to wait at most, all rounds together.
    measure, sleep
        The pace, and how time passes; tests have their own.
    """

    def __init__(
        self,
        steps_per_second: float,
        seconds: float,
        *,
        measure: Callable[[], float] = pace,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.wanted, self.left = steps_per_second, seconds
        self._measure, self._sleep = measure, sleep
        self.waited, self.rounds, self.slow = 0.0, 0, 0

    def __call__(self) -> None:
        """Return once the machine has the pace, or when there is no patience left."""
        if not self.wanted:
            return
        self.rounds += 1
        while self._measure() < self.wanted:
            if self.left < LOOK_AGAIN_S:
                self.slow += 1
                return
            self._sleep(LOOK_AGAIN_S)
            self.left -= LOOK_AGAIN_S
            self.waited += LOOK_AGAIN_S

    def told(self) -> dict[str, Any] | None:
        """Return what was waited for so far, as JSON values; None where nothing was."""
        if not self.wanted:
            return None
        return {
            "steps_per_second": self.wanted,
            "waited_s": self.waited,
            "rounds": self.rounds,
            "slow_rounds": self.slow,
        }
