"""The feature table: 72 causal, scale-free columns, each with a family and a look-back.

A feature at bar t uses bars up to and including t, and none from before the segment that t
belongs to. Nothing depends on the level of the price or on the currency of the volume:
multiply all prices by ten and every column stays what it was.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.activity_features import activity_columns
from v8lib.bars import bar_seconds, epoch_seconds
from v8lib.errors import FeatureError
from v8lib.feature import Feature
from v8lib.price_features import price_columns
from v8lib.series import Segment
from v8lib.windows import segment_slices


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


def make_features(bars: pd.DataFrame, table: Sequence[Feature]) -> NDArray[np.float32]:
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
    """
    interval_s, epoch_s = bar_seconds(bars), epoch_seconds(bars)
    columns = [bars[c].to_numpy(np.float64) for c in ("open", "high", "low", "close", "volume")]
    out = np.full((len(bars), len(table)), np.nan, dtype=np.float32)
    start = warmup_bars(table) - 1
    for part in segment_slices(epoch_s, interval_s):
        if part.stop - part.start <= start:
            continue
        segment = Segment(*(c[part] for c in columns), epoch_s[part], interval_s)
        for j, feature in enumerate(table):
            out[part.start + start : part.stop, j] = feature.function(segment)[start:]
    return out
