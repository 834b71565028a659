"""What a bundle keeps of its train rows, so that drift can be measured against them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from v8lib.drift import WINDOW_ROWS, Reference, fit_reference
from v8lib.storage import release

MIN_WINDOW_ROWS = 200  # below it, an index measures chance


def drift_reference(features: NDArray[np.float32], names: Sequence[str]) -> Reference | None:
    """Return the reference of unscaled train rows, (n_rows, n_features), in order of time.

    Windows are of the usual length, or half of train where train is short. None where that is
    too few rows to tell drift from chance.
    """
    window_rows = min(WINDOW_ROWS, len(features) // 2)
    if window_rows < MIN_WINDOW_ROWS:
        return None
    reference = fit_reference(features, names, window_rows=window_rows)
    release(features)
    return reference
