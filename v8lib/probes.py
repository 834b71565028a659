"""Leak probes: change what a model must not see, and watch what moves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import PRICES, bar_seconds, epoch_seconds
from v8lib.errors import SplitError
from v8lib.feature import Feature
from v8lib.features import make_features, warmup_bars
from v8lib.runtime import Runtime
from v8lib.windows import segment_slices

CANARY = "canary_next_return"
PROBE_BARS = 256  # bars on each side of a cut that are compared and changed


def with_canary(table: Sequence[Feature]) -> list[Feature]:
    """Return the table with a planted column that looks one bar ahead."""
    return [
        *table,
        Feature(CANARY, "canary", 1, lambda s: np.append(np.diff(s.close), 0.0) / s.unit),
    ]


def features_moved(
    bars: pd.DataFrame, table: Sequence[Feature], cuts: Sequence[int], rng: np.random.Generator
) -> list[str]:
    """Return the features of past bars that changed when the bars after a cut did.

    At each cut the bars that follow are once removed and once replaced by others; the
    features up to and including the cut must keep every bit.

    Parameters
    ----------
    bars : DataFrame
        Bars of any split.
    table : sequence of Feature
        What to probe.
    cuts : sequence of int
        Bar positions; bars after a cut are its future.
    rng : numpy Generator
        Draws the other future.
    """
    moved: set[int] = set()
    for cut in cuts:
        first = max(0, cut + 1 - max(f.lookback_bars for f in table) - PROBE_BARS)
        window = bars.iloc[first : cut + 1 + PROBE_BARS]
        n_past = cut + 1 - first
        reference = make_features(window, table)[:n_past]
        for changed in (window.iloc[:n_past], other_future(window, n_past, rng)):
            again = make_features(changed, table)[:n_past]
            same = (again == reference) | (np.isnan(again) & np.isnan(reference))
            moved.update(np.flatnonzero(~same.all(axis=0)).tolist())
    return [table[j].name for j in sorted(moved)]


def other_future(window: pd.DataFrame, n_past: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the bars with everything after the first `n_past` on another path.

    Parameters
    ----------
    window : DataFrame
        Bars.
    n_past : int
        How many of them stay as they are.
    rng : numpy Generator
        Draws the path, the candles and the volume.
    """
    prices = window[list(PRICES)].to_numpy(copy=True)
    volume = window["volume"].to_numpy(np.float64, copy=True)
    n = len(window) - n_past
    path = np.exp(np.cumsum(rng.normal(0.0, 0.01, size=n)))[:, None]
    path = path * np.exp(rng.normal(0.0, 0.001, size=(n, len(PRICES))))  # other candles, too
    prices[n_past:] *= path
    volume[n_past:] = rng.lognormal(3.0, 1.0, size=n)
    return window.assign(**dict(zip(PRICES, prices.T, strict=True)), volume=volume)


def probe_lookahead(
    bars: pd.DataFrame, table: Sequence[Feature], *, n_cuts: int, rng: np.random.Generator
) -> tuple[list[str], bool]:
    """Return the features that saw the future, and whether the planted one was caught.

    Parameters
    ----------
    bars : DataFrame
        Validated bars; cuts are drawn where every feature has values.
    table : sequence of Feature
        What to probe.
    n_cuts : int
        How many cuts.
    rng : numpy Generator
        Draws cuts and futures.

    Raises
    ------
    SplitError
        If no unbroken run of bars is long enough.
    """
    warmup = warmup_bars(table) + PROBE_BARS
    runs = segment_slices(epoch_seconds(bars), bar_seconds(bars))
    # A bar must follow in the same run, or there is no future to change.
    allowed = np.concatenate([np.arange(r.start + warmup, r.stop - 1) for r in runs])
    if not len(allowed):
        raise SplitError(f"no {warmup} bars in a row without a gap: the future cannot be probed")
    cuts = np.sort(rng.choice(allowed, size=n_cuts))
    moved = features_moved(bars, with_canary(table), cuts.tolist(), rng)
    return [name for name in moved if name != CANARY], CANARY in moved


def one_by_one(runtime: Runtime, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of unscaled rows predicted singly, shape (n_rows, 3)."""
    return np.concatenate([runtime.predict(row[None, :]).probs for row in features])


def last_unbroken(bars: pd.DataFrame, n_bars: int) -> pd.DataFrame:
    """Return the last `n_bars` bars that stand in one unbroken run, for golden vectors.

    Raises
    ------
    SplitError
        If no run is that long.
    """
    runs = segment_slices(epoch_seconds(bars), bar_seconds(bars))
    for run in reversed(runs):
        if run.stop - run.start >= n_bars:
            return bars.iloc[run.stop - n_bars : run.stop]
    raise SplitError(f"no {n_bars} bars in a row without a gap")
