"""One row of the feature table: what a column is called, needs and computes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from v8lib.series import REFERENCE_REACH, REFERENCE_WARMUP, Segment
from v8lib.windows import Array


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    Attributes
    ----------
    name, family : str
        What it is called, and with what it can be left out.
    window_bars : int
        Bars its own window needs, the current one included.
    function : callable
        From a segment to one value per bar.
    uses_reference : bool
        Whether it is measured against the reference window (the unit of volatility, the
        mean volume), which works with what a segment has once `REFERENCE_WARMUP` bars are there.
    odd : bool
        Whether it changes its sign, and nothing else, when the market is turned upside down:
        every log price negated. Otherwise it stays what it is.
    """

    name: str
    family: str
    window_bars: int
    function: Callable[[Segment], Array]
    uses_reference: bool = True
    odd: bool = False

    @property
    def lookback_bars(self) -> int:
        """Bars that can influence a value, the current one included."""
        return max(self.window_bars, REFERENCE_REACH if self.uses_reference else 0)

    @property
    def minimum_bars(self) -> int:
        """Bars of a segment that must have passed before there is a value."""
        return max(self.window_bars, REFERENCE_WARMUP if self.uses_reference else 0)


plain = partial(Feature, uses_reference=False)
