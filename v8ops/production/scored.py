"""What one model said of the bars of one symbol: the rows that monitors look at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1  # label of a row whose horizon has not passed, or that never gets one


@dataclass(frozen=True)
class ScoreRows:
    """Rows of one version at bars of one symbol, oldest first; failed rows are not among them.

    Attributes
    ----------
    epoch_s : int64, (n,)
        Opening times of the bars, in seconds since 1970-01-01 UTC.
    probs : float64, (n, 3)
        Calibrated probabilities of DOWN, HOLD and UP.
    decisions : int64, (n,)
        `Label` values.
    actionable : bool, (n,)
        Whether the confidence reaches the model's bar.
    max_abs_logit : float64, (n,)
        The largest logit by size.
    labels : int64, (n,)
        What the market did, `UNKNOWN` where that is not known.
    bins : uint8, (n, n_features), or None
        Bin of every feature in the model's drift reference; None for a model without one.
    """

    epoch_s: NDArray[np.int64]
    probs: NDArray[np.float64]
    decisions: NDArray[np.int64]
    actionable: NDArray[np.bool_]
    max_abs_logit: NDArray[np.float64]
    labels: NDArray[np.int64]
    bins: NDArray[np.uint8] | None

    def __len__(self) -> int:
        return len(self.epoch_s)

    def at(self, rows: slice) -> "ScoreRows":
        """Return these rows alone."""
        return ScoreRows(*(None if a is None else a[rows] for a in vars(self).values()))

    def last(self, n: int) -> "ScoreRows":
        """Return the newest `n` rows, or all of them if there are fewer."""
        return self.at(slice(max(0, len(self) - n), None))
