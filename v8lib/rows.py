"""The rows a model can use: every bar with finite features and a label, and picks from them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import bar_seconds, epoch_seconds
from v8lib.labels import MISSING, Labels
from v8lib.windows import segment_slices


@dataclass(frozen=True)
class Rows:
    """Bars in order of time, as a model sees them.

    Attributes
    ----------
    features : float32, (n_rows, n_features), unscaled
    labels : int64, (n_rows,)
    epoch_s : int64, (n_rows,), bar open times
    position : int64, (n_rows,), where each stands among the bars
    forward_return : float64, (n_rows,), log return over the horizon
    forward_volatility : float64, (n_rows,), how much the price moved over it, log return
    threshold : float64, (n_rows,), the move that separates HOLD from UP and DOWN, log return
    posterior : float64, (n_rows, 3), exact on a simulated market, else (n_rows, 0)
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    epoch_s: NDArray[np.int64]
    position: NDArray[np.int64]
    forward_return: NDArray[np.float64]
    forward_volatility: NDArray[np.float64]
    threshold: NDArray[np.float64]
    posterior: NDArray[np.float64]

    def at(self, positions: NDArray[np.int64]) -> "Rows":
        """Return the rows that stand at these bar positions, in that order.

        Rows that follow each other, such as those of a split, are a view and not a copy.

        Raises
        ------
        ValueError
            If a position is not one of the rows'.
        """
        found = np.searchsorted(self.position, positions)
        found = np.minimum(found, len(self.position) - 1)
        if not np.array_equal(self.position[found], positions):
            raise ValueError("a split names bars that are not among the usable rows")
        chosen = as_slice(found)
        return Rows(**{name: array[chosen] for name, array in vars(self).items()})


def as_slice(positions: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return positions as a slice if they follow each other, so that it takes a view."""
    if len(positions) and (np.diff(positions) == 1).all():
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def make_rows(
    bars: pd.DataFrame,
    features: NDArray[np.float32],
    labelled: Labels,
    posterior: NDArray[np.float64],
) -> Rows:
    """Return the usable rows of some bars.

    Parameters
    ----------
    bars : DataFrame of n_bars rows
        Validated bars.
    features : array of shape (n_bars, n_features)
        From `features.make_features`.
    labelled : Labels
        Of the same bars.
    posterior : array of shape (n_bars, 3) or (n_bars, 0)
        Exact class probabilities where they are known.
    """
    position = np.flatnonzero(usable(features, labelled))
    chosen = as_slice(position)
    return Rows(
        features[chosen],
        labelled.labels[chosen],
        epoch_seconds(bars)[chosen],
        position,
        labelled.forward_return[chosen],
        labelled.forward_volatility[chosen],
        labelled.threshold[chosen],
        posterior[chosen],
    )


def usable(features: NDArray[np.float32], labelled: Labels) -> NDArray[np.bool_]:
    """Return which bars have a finite value in every feature and a label, shape (n_bars,)."""
    return np.isfinite(features).all(axis=1) & (labelled.labels != MISSING)


def missing_values(
    bars: pd.DataFrame, features: NDArray[np.float32], names: list[str], warmup_bars: int
) -> dict[str, int]:
    """Return how many values each feature lacks after the warm-up, if any: by name.

    Rows without a value are left out of every split, so a column that is NaN for a while would
    otherwise take its rows with it and never be seen.
    """
    counts = np.zeros(features.shape[1], dtype=int)
    for part in segment_slices(epoch_seconds(bars), bar_seconds(bars)):
        counts += (~np.isfinite(features[part][warmup_bars - 1 :])).sum(axis=0)
    return {name: int(n) for name, n in zip(names, counts, strict=True) if n}
