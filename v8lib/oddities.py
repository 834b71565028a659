"""Signs that bars were made up: what real prices do not do."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from v8lib.bars import bar_seconds, epoch_seconds
from v8lib.windows import segment_slices

PATH_BARS = 8  # bars of a path that is looked for a second time
MAX_RETURN = 8.0  # median absolute returns; larger ones are cut, or one jump would hide the rest


@dataclass(frozen=True)
class Oddities:
    """What was found in some bars.

    Attributes
    ----------
    autocorrelation : float
        Correlation of each one-bar return with the one before. Noise laid over prices comes
        back in the next bar: independent noise alone gives -0.5 (Roll 1984, equation 2).
    inconsistent : int
        Bars whose high is not the highest or whose low is not the lowest.
    repeated : float
        Share of paths of eight returns that stand among the bars more than once.
    """

    autocorrelation: float
    inconsistent: int
    repeated: float


def bar_oddities(bars: pd.DataFrame) -> Oddities:
    """Return the oddities of validated bars of any period, gaps left out."""
    close = np.log(bars["close"].to_numpy(np.float64))
    parts = [
        np.diff(close[part])
        for part in segment_slices(epoch_seconds(bars), bar_seconds(bars))
        if part.stop - part.start > PATH_BARS
    ]
    before = _cut(np.concatenate([part[:-1] for part in parts]))
    after = _cut(np.concatenate([part[1:] for part in parts]))
    spread = np.sqrt((before @ before) * (after @ after))
    edges = bars[["open", "close"]]
    broken = (bars["high"] < edges.max(axis=1)) | (bars["low"] > edges.min(axis=1))
    return Oddities(
        0.0 if spread == 0.0 else float(before @ after / spread),
        int(broken.sum()),
        _repeated_share(parts),
    )


def _cut(returns: np.ndarray) -> np.ndarray:
    """Return returns cut at `MAX_RETURN` typical moves; bars that stood still are not typical."""
    moves = np.abs(returns[returns != 0.0])
    limit = MAX_RETURN * float(np.median(moves)) if len(moves) else 0.0
    return np.clip(returns, -limit, limit)


def _repeated_share(parts: list[np.ndarray]) -> float:
    """Return the share of moving paths that occur again; stretches without a move do not count."""
    paths = np.concatenate([np.lib.stride_tricks.sliding_window_view(p, PATH_BARS) for p in parts])
    paths = np.round(paths[(paths != 0.0).all(axis=1)], 12)
    if not len(paths):
        return 0.0
    _, counts = np.unique(paths, axis=0, return_counts=True)
    return float(counts[counts > 1].sum() / len(paths))
