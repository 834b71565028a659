"""The last bars' features from a bounded tail of bars, as production computes them.

The columns are those of `features.make_features`, made by the same formulas from the same
building blocks, here for a block of one bar or of a few: given the bars that can influence it,
a row is equal to the batch's to the bit. Nothing is kept between calls.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_arrays import BarArrays
from v8lib.errors import FeatureError
from v8lib.feature import Feature
from v8lib.features import DIVISION, fill_columns, reach_bars, warmup_bars
from v8lib.history import History
from v8lib.last_bar import LastBar, Plan
from v8lib.last_numbers import LastNumbers
from v8lib.series import Segment
from v8lib.windows import segment_slices

SYMBOLS_AT_ONCE = 32  # their tails fit into the cache together


class LatestFeatures:
    """Computes the features of the last bar, of one symbol or of many.

    Parameters
    ----------
    table : sequence of Feature
        From `features.feature_table`.
    interval_s : int
        Length of a bar in seconds; any other step between two bars is a gap.

    Attributes
    ----------
    reach_bars : int
        Bars that can influence a row: the tail to keep. Bars before them are not looked at.
    warmup_bars : int
        Unbroken bars at the end without which there are no features.
    names : tuple of str
        The columns.
    """

    def __init__(self, table: Sequence[Feature], interval_s: int) -> None:
        self.table, self.interval_s = tuple(table), interval_s
        self.reach_bars, self.warmup_bars = reach_bars(table), warmup_bars(table)
        self.names = tuple(feature.name for feature in table)
        self._plan = Plan(table, self.reach_bars)

    def features(self, bars: BarArrays) -> NDArray[np.float32]:
        """Return the features of the last bar, shape (n_features,) or (n_symbols, n_features).

        A row is NaN where its symbol ends in fewer than `warmup_bars` unbroken bars, and has
        NaN or infinity where the market never moved, as in the batch. With fewer bars than
        `reach_bars` it is the row of a segment that begins with them.

        Parameters
        ----------
        bars : BarArrays of shape (n_bars,) or (n_symbols, n_bars)
            Validated bars that end at the bar in question.

        Raises
        ------
        FeatureError
            If the arrays are not of one shape.
        """
        tail = self._tail(bars, self.reach_bars)
        if tail.close.ndim == 1:
            return self._rows(tail, int(self.run_bars(tail.epoch_s)))
        out = np.empty((len(tail.close), len(self.table)), dtype=np.float32)
        runs = self.run_bars(tail.epoch_s)
        for run in np.unique(runs).tolist():
            alike = np.flatnonzero(runs == run)
            for first in range(0, len(alike), SYMBOLS_AT_ONCE):
                chosen = alike[first : first + SYMBOLS_AT_ONCE]
                if chosen[-1] - chosen[0] == len(chosen) - 1:  # a slice copies nothing
                    chosen = slice(chosen[0], chosen[-1] + 1)
                out[chosen] = self._rows(BarArrays(*(array[chosen] for array in tail)), run)
        return out

    def block(self, bars: BarArrays, n: int) -> NDArray[np.float32]:
        """Return the features of the last `n` bars, shape (n, n_features), oldest first.

        Row k is to the bit what `features` gives for the bars up to it: both are the arithmetic
        of `windows`, on the same bars. Together they cost far less than one by one.

        Parameters
        ----------
        bars : BarArrays of shape (n_bars,)
            Validated bars of one symbol; `reach_bars` + `n` - 1 of them are looked at.
        n : int
            From 1 to n_bars.

        Raises
        ------
        FeatureError
            If the arrays are not of one shape, or there are fewer than `n` bars.
        """
        tail = self._tail(bars, self.reach_bars + n - 1)
        n_bars = tail.close.shape[-1]
        if tail.close.ndim != 1 or not 1 <= n <= n_bars:
            raise FeatureError(f"features of {n} bars asked for, bars of shape {tail.close.shape}")
        columns = np.full((len(self.table), n), np.nan, dtype=np.float32)
        for run in segment_slices(tail.epoch_s, self.interval_s):
            first = max(run.start + self.warmup_bars - 1, n_bars - n)
            if first < run.stop:
                oldest = max(run.start, first + 1 - self.reach_bars)
                n_last, before = run.stop - first, n_bars - n
                history = History(tail.at(slice(oldest, run.stop)), n_last)
                rows = columns[:, first - before : run.stop - before]
                fill_columns(rows, self.table, Segment(history, n_last))
        return columns.T

    def run_bars(self, epoch_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many bars stand unbroken at the end, shape () or (n_symbols,).

        Parameters
        ----------
        epoch_s : int64 array of shape (n_bars,) or (n_symbols, n_bars)
            Bar open times.
        """
        begins = np.ones(epoch_s.shape, dtype=np.bool_)  # whether a run begins at a bar
        np.not_equal(epoch_s[..., 1:] - epoch_s[..., :-1], self.interval_s, out=begins[..., 1:])
        return begins[..., ::-1].argmax(axis=-1) + 1

    def complaint(self, bars: BarArrays, row: NDArray[np.float32]) -> str:
        """Return in one line why the row of these bars, of one symbol, is not finite."""
        run, needed = int(self.run_bars(bars.epoch_s)), self.warmup_bars
        if run < needed:
            return f"the last bar has no features: {needed} unbroken bars needed, {run} there"
        tail = bars.at(slice(-min(run, self.reach_bars), None))
        for name, values in zip(BarArrays._fields[:5], tail[:5], strict=True):
            usable = np.isfinite(values) & (values >= 0.0 if name == "volume" else values > 0.0)
            if not usable.all():
                return f"column '{name}' holds {values[~usable][-1]} among the last bars"
        if (tail.close == tail.close[-1]).all():
            return f"the last bar has no features: the price did not move in {len(tail.close)} bars"
        broken = [
            name for name, value in zip(self.names, row, strict=True) if not np.isfinite(value)
        ]
        return f"the last bar has no value for {', '.join(broken)}"

    def _tail(self, bars: BarArrays, n_bars: int) -> BarArrays:
        shape, shapes = np.shape(bars.close), [np.shape(array) for array in bars]
        one_shape = set(shapes[:5]) == {shape} and shapes[5] in (shape, shape[-1:])
        if not one_shape or len(shape) not in (1, 2) or 0 in shape:
            raise FeatureError(f"bars of (n_bars,) or (n_symbols, n_bars) needed, got {shapes}")
        prices = (np.asarray(array, dtype=np.float64) for array in bars[:5])
        epoch_s = bars.epoch_s if shapes[5] == shape else np.broadcast_to(bars.epoch_s, shape)
        return BarArrays(*prices, epoch_s).at(slice(-n_bars, None))

    def _rows(self, tail: BarArrays, run: int) -> NDArray[np.float32]:
        """Return the rows of symbols that all end in `run` unbroken bars."""
        if run < self.warmup_bars:
            return np.full((*tail.close.shape[:-1], len(self.table)), np.nan, dtype=np.float32)
        last = LastNumbers if tail.close.ndim == 1 else LastBar
        with np.errstate(**DIVISION):
            segment = last(History(tail.at(slice(-run, None)), 1), self._plan)
            columns = [feature.function(segment) for feature in self.table]
        return last.joined(columns).astype(np.float32)
