"""The market seen upside down: every rise a fall, and the same odds for both.

Which way a market is about to move hardly shows in its past, and a net that learns it from
some ten thousand rows mostly learns what happened to go up in them. Prices carry a sign by
convention only: a bar and its mirror image should get mirrored probabilities. Shown half of
its rows upside down, a net cannot learn a direction from what has none, such as a time of day
(Abu-Mostafa 1990, "hints"; the invariance is learned from examples, section 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import TrainingError
from v8lib.features import feature_table
from v8lib.scaling import Scaler

ANY_INTERVAL_S = 60  # names and signs of the columns are the same for every bar length


@dataclass(frozen=True)
class Mirror:
    """How scaled features turn when the market is turned upside down: sign * x + shift.

    Attributes
    ----------
    sign, shift : float32 arrays of shape (n_features,)
        -1 for columns that change their sign, such as returns, and +1 for the others.
    """

    sign: NDArray[np.float32]
    shift: NDArray[np.float32]


def mirror_of(scaler: Scaler) -> Mirror:
    """Return the mirror of features that this scaler has scaled.

    A column that is not one of the table's counts as one that does not change.
    """
    sign = signs(scaler.names)
    shift = (sign - 1.0) * scaler.mean / scaler.scale  # (-x - mean) / scale from (x - mean) / scale
    return Mirror(sign.astype(np.float32), shift.astype(np.float32))


def signs(names: Sequence[str]) -> NDArray[np.float64]:
    """Return -1 for each column that changes its sign upside down and +1 for the others."""
    return np.array([-1.0 if name in _odd_names() else 1.0 for name in names])


@cache
def _odd_names() -> frozenset[str]:
    return frozenset(f.name for f in feature_table(ANY_INTERVAL_S) if f.odd)


def checked(mirror: Mirror | None, share: float, n_features: int) -> Mirror:
    """Return the mirror, or one that changes nothing where no row is to be turned.

    Raises
    ------
    TrainingError
        If rows are to be turned and there is no mirror.
    """
    if mirror is None and share > 0.0:
        raise TrainingError("mirror_share above 0 needs the mirror of the features")
    unchanged = Mirror(np.ones(n_features, np.float32), np.zeros(n_features, np.float32))
    return mirror or unchanged
