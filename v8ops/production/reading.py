"""What a monitor reads: a value beside its two bounds."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "watch", "alarm", "unknown"]


@dataclass(frozen=True)
class Reading:
    """One monitor of one model at one moment.

    Attributes
    ----------
    name : str
        Of the monitor.
    value : float or None
        None where there are too few rows.
    watch, alarm : str
        When a person should look, and when the model is rolled back.
    state : {"ok", "watch", "alarm", "unknown"}
    n : int
        Rows that were looked at.
    note : str
        What the value alone does not say: which class, which feature, what is missing.
    """

    name: str
    value: float | None
    watch: str
    alarm: str
    state: State
    n: int
    note: str = ""

    @property
    def words(self) -> str:
        """The reading in one line, for events and histories."""
        value = "no value" if self.value is None else f"{self.value:.3g}"
        note = f", {self.note}" if self.note else ""
        return f"{self.name} {value}{note}; alarm: {self.alarm}; {self.n} rows"


def state_of(*, watch: bool, alarm: bool) -> State:
    """Return the state that two bounds lead to."""
    return "alarm" if alarm else "watch" if watch else "ok"
