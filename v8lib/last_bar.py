"""The windows of one bar, all made together: the engine under the features in production.

At the last bar alone a window of 2**k values is a tree of pairs over exactly those values, in
the same order as on the ladder of `windows`, hence with the same bits. Which windows a table
asks for is found out once, by letting it ask; from then on a few array operations give all.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from v8lib.bar_arrays import BarArrays
from v8lib.feature import Feature
from v8lib.features import DIVISION
from v8lib.history import NARROW_BARS, History
from v8lib.series import Segment, ema_decay, ema_reach
from v8lib.windows import Array

Window = tuple[str, int]  # series of the history, bars


class LastBar(Segment):
    """A segment at its last bar, whose windows are already there.

    Parameters
    ----------
    history : History
        Of the run that ends at the bar.
    plan : Plan
        Of the table that will be asked for.
    """

    def __init__(self, history: History, plan: "Plan") -> None:
        super().__init__(history, 1)
        self._totals, self._gaps = {}, {}
        for trees in plan.trees:
            self._totals.update(zip(trees.asked, self._each(trees.totals(history)), strict=True))
        averages = plan.averages
        self._gaps.update(
            zip(averages.spans, self._each(averages.gaps(history.returns)), strict=True)
        )

    @staticmethod
    def _each(values: Array) -> list[Array]:
        """Return what stands along the last axis, one by one, shape (..., 1)."""
        return [values[..., i : i + 1] for i in range(values.shape[-1])]

    @staticmethod
    def joined(columns: Sequence[Array]) -> Array:
        """Return the rows of columns, shape (..., n_columns)."""
        return np.concatenate(columns, axis=-1)

    def total(self, name: str, n_bars: int) -> Array:
        """Return the sum of a series of the history over the last `n_bars`."""
        return self._totals[name, n_bars]

    def highest(self, n_bars: int) -> Array:
        """Return the highest log high of the last `n_bars`."""
        return np.maximum.reduce(self.history.high[..., -n_bars:], axis=-1, keepdims=True)

    def lowest(self, n_bars: int) -> Array:
        """Return the lowest log low of the last `n_bars`."""
        return np.minimum.reduce(self.history.low[..., -n_bars:], axis=-1, keepdims=True)

    def ema_gap(self, span: int) -> Array:
        """Return log close minus its exponential moving average of that span."""
        return self._gaps[span]


class Plan:
    """Which sums and averages a table takes at the last bar.

    Parameters
    ----------
    table : sequence of Feature
        From `features.feature_table`.
    reach_bars : int
        Bars that can influence a row of it.
    """

    def __init__(self, table: Sequence[Feature], reach_bars: int) -> None:
        ones = np.ones(reach_bars)
        listening = _Listening(History(BarArrays(*[ones] * 5, np.arange(reach_bars)), 1))
        with np.errstate(**DIVISION):
            for feature in table:
                feature.function(listening)
        narrow = {w for w in listening.windows if w[1] <= NARROW_BARS}
        parts = (narrow, listening.windows - narrow)  # of a wide series, few levels are wanted
        self.trees = [Trees(sorted(part)) for part in parts if part]
        self.averages = Averages(sorted(listening.spans))


class _Listening(Segment):
    """A segment at its last bar that takes note of what it is asked for."""

    def __init__(self, history: History) -> None:
        super().__init__(history, 1)
        self.windows: set[Window] = set()
        self.spans: set[int] = set()

    def total(self, name: str, n_bars: int) -> Array:
        self.windows.add((name, n_bars))
        return super().total(name, n_bars)

    def ema_gap(self, span: int) -> Array:
        self.spans.add(span)
        return super().ema_gap(span)


class Trees:
    """Sums of several series over windows that end at the last bar.

    Level k of the trees holds sums of 2**k values, counted from the last bar back; all levels
    of all series stand in one array, and a window is a sum of at most a few of its cells.

    Parameters
    ----------
    asked : sequence of (series, bars)
        The windows.
    """

    def __init__(self, asked: Sequence[Window]) -> None:
        self.names = sorted({name for name, _ in asked})
        self._lowest = int(all(n_bars % 2 == 0 for _, n_bars in asked))  # level to start from
        longest = max(n_bars for _, n_bars in asked)
        lengths = [longest >> k for k in range(self._lowest, longest.bit_length())]
        self._span = lengths[0] << self._lowest
        self._ends = np.cumsum(lengths).tolist()  # of the levels within a row
        # Most parts first: those that have an i-th part are then the first so many.
        self.asked = sorted(asked, key=lambda window: -window[1].bit_count())
        parts = [self._cells(*window) for window in self.asked]
        self._parts = [
            np.array([cells[i] for cells in parts if i < len(cells)])
            for i in range(max(map(len, parts)))
        ]

    def _cells(self, name: str, n_bars: int) -> list[int]:
        """Return where the parts of a window stand, the newest and longest first."""
        row, covered, cells = self.names.index(name) * self._ends[-1], 0, []
        for k in reversed(range(n_bars.bit_length())):
            if n_bars & (1 << k):
                cells.append(row + self._ends[k - self._lowest] - 1 - (covered >> k))
                covered += 1 << k
        return cells

    def totals(self, history: History) -> Array:
        """Return the sums in the order of `asked`, shape (..., n_windows)."""
        levels = np.empty((*history.close.shape[:-1], len(self.names), self._ends[-1]))
        for row, name in enumerate(self.names):
            values = _ending(getattr(history, name), self._span, -0.0)
            if self._lowest == 1:
                values = values[..., 1::2] + values[..., ::2]
            levels[..., row, : self._ends[0]] = values
        start = 0
        for end, upper in pairwise(self._ends):
            first = start + (end - start) % 2
            np.add(
                levels[..., first + 1 : end : 2],
                levels[..., first:end:2],
                out=levels[..., end:upper],
            )
            start = end
        cells = levels.reshape(*levels.shape[:-2], -1)
        total = cells.take(self._parts[0], axis=-1)
        for part in self._parts[1:]:
            total[..., : len(part)] += cells.take(part, axis=-1)
        return total


def _ending(values: Array, n: int, fill: float) -> Array:
    """Return the last `n` values, led by `fill` where there are fewer."""
    if values.shape[-1] >= n:
        return values[..., values.shape[-1] - n :]
    missing = np.full((*values.shape[:-1], n - values.shape[-1]), fill)
    return np.concatenate([missing, values], axis=-1)


class Averages:
    """Gaps between the close and its exponential averages at the last bar, of several spans."""

    def __init__(self, spans: Sequence[int]) -> None:
        self.spans = sorted(spans, key=ema_reach, reverse=True)
        self._decays = np.array([ema_decay(span) for span in self.spans])
        self._levels = []  # of each step: the weights of the spans that take it
        self._reach = ema_reach(self.spans[0]) if spans else 1
        for k in range(self._reach.bit_length() - 1):
            weights = [
                decay ** (1 << k)
                for span, decay in zip(self.spans, self._decays, strict=True)
                if ema_reach(span) >= 2 << k
            ]
            self._levels.append(np.array(weights)[:, None])

    def gaps(self, returns: Array) -> Array:
        """Return log close minus each average in the order of `spans`, shape (..., n_spans).

        Parameters
        ----------
        returns : array of shape (..., n_bars)
            Log returns up to the bar.
        """
        if not self.spans:
            return np.empty((*returns.shape[:-1], 0))
        total, sums = _ending(returns, self._reach, 0.0)[..., None, :], []
        for k, weights in enumerate(self._levels):
            if 0 < k and len(weights) < total.shape[-2]:  # the shortest spans are complete
                sums[:0] = [total[..., i, -1:] for i in range(len(weights), total.shape[-2])]
                total = total[..., : len(weights), :]
            older = total[..., ::2] * weights
            older += total[..., 1::2]
            total = older
        sums[:0] = [total[..., i, :] for i in range(len(self.spans) - len(sums))]
        return np.concatenate(sums, axis=-1) * self._decays
