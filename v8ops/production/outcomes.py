"""What the market did after a bar, by the label definition of the model that was asked.

The labels are those of `v8lib.labels.make_labels`, here for a few bars at a time and without a
data frame. A test holds the two against each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_arrays import BarArrays
from v8lib.label import Label
from v8lib.series import REFERENCE_MIN_BARS
from v8lib.windows import Array, decayed_sum, segment_slices
from v8ops.production.errors import ProductionError
from v8ops.production.log_rows import NEVER
from v8ops.production.scored import UNKNOWN

SIGMA_SPAN = 96  # bars, as in `v8lib.labels`
SIGMA_REACH = 8 * SIGMA_SPAN
SIGMA_BARS = 1 << (SIGMA_REACH - 1).bit_length()  # that `decayed_sum` looks at
SCHEMES = ("trailing_tercile", "fixed", "vol_scaled", "triple_barrier")


@dataclass(frozen=True)
class Definition:
    """How labels are made: the arguments of `make_labels`.

    Attributes
    ----------
    scheme : str
        One of `SCHEMES`.
    horizon_bars, window_bars : int
    threshold_bps, sigmas : float
    """

    scheme: str
    horizon_bars: int
    window_bars: int
    threshold_bps: float
    sigmas: float

    @property
    def reach_bars(self) -> int:
        """Bars before a bar, itself included, that its threshold can depend on."""
        if self.scheme == "fixed":
            return 1
        return (
            self.window_bars + self.horizon_bars
            if self.scheme == "trailing_tercile"
            else SIGMA_BARS + 1
        )


def definition_from(manifest: Mapping[str, Any]) -> Definition:
    """Return the label definition of a bundle.

    Raises
    ------
    ProductionError
        If the manifest holds none that this code knows.
    """
    labels = manifest.get("labels")
    try:
        found = Definition(**{name: labels[name] for name in Definition.__dataclass_fields__})
    except (TypeError, KeyError):
        raise ProductionError(f"no label definition in the bundle's manifest: {labels}") from None
    if found.scheme not in SCHEMES or found.horizon_bars < 1:
        raise ProductionError(f"a label definition this code does not know: {labels}")
    return found


def realised(
    bars: BarArrays, places: NDArray[np.int64], definition: Definition, interval_s: int
) -> NDArray[np.int64]:
    """Return the labels at some bars, shape (n_places,).

    A `Label` value; `UNKNOWN` while the horizon may still pass; `NEVER` where it spans a gap, or
    where no threshold was known at the bar.

    Parameters
    ----------
    bars : BarArrays of shape (n_bars,)
        With `definition.reach_bars` before the first place, or all there are.
    places : int64 array of shape (n_places,)
        Which bars, as places in `bars`, increasing.
    definition : Definition
        Of the labels.
    interval_s : int
        Length of a bar in seconds; any other step is a gap.
    """
    out = np.full(len(places), UNKNOWN, dtype=np.int64)
    for run in segment_slices(bars.epoch_s, interval_s):
        inside = np.flatnonzero((places >= run.start) & (places < run.stop))
        passed = inside[places[inside] + definition.horizon_bars < run.stop]
        if run.stop < len(bars.close):
            out[inside] = NEVER
        if len(passed):
            path = np.log(bars.close[run])
            out[passed] = _of_run(path, places[passed] - run.start, definition)
    return out


def _of_run(path: Array, places: NDArray[np.int64], how: Definition) -> NDArray[np.int64]:
    """Return the labels at places of one run whose horizon lies in it."""
    threshold = _threshold(path, places, how)
    ahead = path[places[:, None] + np.arange(1, how.horizon_bars + 1)] - path[places][:, None]
    with np.errstate(invalid="ignore"):
        if how.scheme == "triple_barrier":
            touched = np.abs(ahead) > threshold[:, None]
            touched[:, -1] = True  # where none is touched, the last move stands, and is below
            first = touched.argmax(axis=1)
            move = ahead[np.arange(len(places)), first]
        else:
            move = ahead[:, -1]
        outcome = np.sign(np.where(np.abs(move) > threshold, move, 0.0)).astype(np.int64)
    return np.where(np.isfinite(threshold), Label.HOLD + outcome, NEVER)


def _threshold(path: Array, places: NDArray[np.int64], how: Definition) -> Array:
    """Return the move that separates HOLD from UP and DOWN, NaN where it is not known."""
    if how.scheme == "fixed":
        return np.full(len(places), np.log1p(how.threshold_bps / 10_000.0))
    if how.scheme == "trailing_tercile":
        return np.array([_tercile(path, place, how) for place in places.tolist()])
    return how.sigmas * _horizon_sigma(path, places, how.horizon_bars)


def _tercile(path: Array, place: int, how: Definition) -> float:
    """Return the 1/3 quantile of the |horizon returns| that were complete at a bar."""
    h = how.horizon_bars
    first = max(h, place - how.window_bars + 1)
    n = place - first + 1
    if n < min(how.window_bars, REFERENCE_MIN_BARS):
        return np.nan
    moves = np.abs(path[first : place + 1] - path[first - h : place + 1 - h])
    rank = (1.0 / 3.0) * (n - 1)  # as pandas has it, to the bit
    low = int(rank)
    moves.partition((low, min(low + 1, n - 1)))
    threshold = moves[low] + (moves[min(low + 1, n - 1)] - moves[low]) * (rank - low)
    return threshold if threshold > 0.0 else np.nan


def _horizon_sigma(path: Array, places: NDArray[np.int64], horizon_bars: int) -> Array:
    """Return the EWMA volatility of one bar times sqrt(horizon); NaN while it warms up."""
    decay = 1.0 - 2.0 / (SIGMA_SPAN + 1.0)
    start = max(0, int(places[0]) - SIGMA_BARS)
    near = path[start : int(places[-1]) + 1]
    squares = np.diff(near, prepend=near[:1]) ** 2
    variance = (1.0 - decay) * decayed_sum(squares, decay, SIGMA_REACH)
    sigma = np.sqrt(variance[places - start] * horizon_bars)
    return np.where((sigma > 0.0) & (places >= SIGMA_REACH), sigma, np.nan)
