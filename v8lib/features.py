"""The feature table: 72 causal, scale-free columns, each with a family and a look-back.

A feature at bar t uses bars up to and including t, and none from before the segment that t
belongs to. Nothing depends on the level of the price or on the currency of the volume:
multiply all prices by ten and every column stays what it was.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from v8lib.activity_features import activity_columns
from v8lib.bar_arrays import bar_arrays, step_seconds
from v8lib.errors import FeatureError
from v8lib.feature import Feature
from v8lib.history import History
from v8lib.price_features import price_columns
from v8lib.series import Segment
from v8lib.windows import segment_slices

if TYPE_CHECKING:  # production computes features from arrays and does without pandas
    import pandas as pd

BLOCK_BARS = 8_192  # what a block needs stays in the cache, and with the process for the next one
DIVISION = {"divide": "ignore", "invalid": "ignore"}  # formulas answer for their own zeros
PADDING = 16  # columns a power of two apart would share a few lines of the cache


def feature_table(interval_s: int, exclude_families: Sequence[str] = ()) -> list[Feature]:
    """Return the features for bars of this length, in column order.

    Parameters
    ----------
    interval_s : int
        Bar length in seconds; it sets what "the same time yesterday" means in bars.
    exclude_families : sequence of str
        Families to leave out, for instance ``("volume",)`` for bars that carry none.

    Raises
    ------
    FeatureError
        If a family is not one of the table's.
    """
    table = price_columns() + activity_columns(interval_s)
    families = sorted({f.family for f in table})
    for family in exclude_families:
        if family not in families:
            raise FeatureError(f"exclude_families: no family '{family}'; there are {families}")
    return [f for f in table if f.family not in exclude_families]


def warmup_bars(table: Sequence[Feature]) -> int:
    """Return how many bars of a segment pass before every feature of the table has a value."""
    return max(feature.minimum_bars for feature in table)


def reach_bars(table: Sequence[Feature]) -> int:
    """Return how many bars can influence a row of the table, the row's own included."""
    return max(feature.lookback_bars for feature in table)


def make_features(
    bars: "pd.DataFrame", table: Sequence[Feature], *, block_bars: int | None = None
) -> NDArray[np.float32]:
    """Return the features of every bar, shape (n_bars, n_features), float32, unscaled.

    Rows before `warmup_bars` of their segment are NaN throughout. From there on what is
    measured against the reference window uses what the segment has of it, so the same bar
    has other values after a short history than after `lookback_bars`.

    Parameters
    ----------
    bars : DataFrame
        Validated bars (see `bars.load_bars`), any period: nothing is fitted here.
    table : sequence of Feature
        From `feature_table`, for the same bar length.
    block_bars : int, optional
        How many rows are computed at a time: by default as many as fit the cache. It changes
        the time and no bit of the result.
    """
    arrays = bar_arrays(bars)
    warmup, reach = warmup_bars(table), reach_bars(table)
    # Blocks shorter than what stands before them would mostly compute that.
    block_bars = block_bars or max(BLOCK_BARS, reach)
    out = np.empty((len(bars), len(table)), dtype=np.float32)
    scratch = np.empty((len(table), block_bars + PADDING), dtype=np.float32)
    for run in segment_slices(arrays.epoch_s, step_seconds(arrays.epoch_s)):
        start = min(run.start + warmup - 1, run.stop)
        out[run.start : start] = np.nan
        for first in range(start, run.stop, block_bars):
            stop = min(first + block_bars, run.stop)
            n, oldest = stop - first, max(run.start, first + 1 - reach)
            history = History(arrays.at(slice(oldest, stop)), n)
            fill_columns(scratch[:, :n], table, Segment(history, n))
            out[first:stop] = scratch[:, :n].T
    return out


def fill_columns(columns: NDArray[np.float32], table: Sequence[Feature], segment: Segment) -> None:
    """Write the features of a segment's last bars to `columns`, shape (n_features, ..., n)."""
    with np.errstate(**DIVISION):
        for column, feature in zip(columns, table, strict=True):
            column[...] = feature.function(segment)
