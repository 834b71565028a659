"""Feature drift: how far later rows are from the train rows, by the population stability index.

Each feature's train rows are cut into ten bins of equal mass. The index of a window is

    PSI = sum over bins of (a - e) * ln(a / e),   a: share in the window, e: share in train

(the symmetric divergence of Jeffreys 1946; the name comes from credit scoring, Siddiqi 2006). A
window of a few hundred bars never looks like two years of train, least of all in features that
move slowly, so every feature brings its own yardstick: how large the index was in windows of
train itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import FeatureError

Array = NDArray[np.float64]
N_BINS = 10
WINDOW_ROWS = 1_000
FLOOR = 1e-4  # an empty bin counts as this share: one bin alone adds at most about one


@dataclass(frozen=True)
class Reference:
    """The train rows of a model, as far as drift is measured against them.

    Attributes
    ----------
    names : tuple of str
        The features.
    edges : float64, (n_features, 9)
        Inner edges of the bins, not falling; a value equal to an edge is above it.
    shares : float64, (n_features, 10)
        Share of the train rows in each bin.
    usual : float64, (n_features,)
        The largest index of a window of `window_rows` rows within train.
    window_rows : int
        Length of those windows; windows to be judged should have it too.
    """

    names: tuple[str, ...]
    edges: Array
    shares: Array
    usual: Array
    window_rows: int


def fit_reference(
    features: NDArray[np.float32], names: Sequence[str], *, window_rows: int = WINDOW_ROWS
) -> Reference:
    """Return the reference of train rows.

    Parameters
    ----------
    features : array of shape (n_rows, n_features)
        Unscaled features of the train split, in order of time.
    names : sequence of str
        The columns.
    window_rows : int
        Rows of a window, >= 200: below that the index of pure chance is above 0.1. Train must
        hold at least two; half-overlapping windows are looked at.

    Raises
    ------
    FeatureError
        If the columns are not as many as the names, a value is not finite, or there are too
        few rows.
    """
    n, width = features.shape
    if width != len(names):
        raise FeatureError(f"{width} feature columns, {len(names)} names")
    if n < 2 * window_rows:
        raise FeatureError(f"{n} train rows, drift needs at least two windows of {window_rows}")
    edges, shares = np.empty((width, N_BINS - 1)), np.empty((width, N_BINS))
    usual = np.empty(width)
    for k, name in enumerate(names):
        column = features[:, k].astype(np.float64)  # one column at a time: train is large
        if not np.isfinite(column).all():
            raise FeatureError(f"feature '{name}' is not finite on train")
        edges[k] = np.quantile(column, np.arange(1, N_BINS) / N_BINS)
        where = np.searchsorted(edges[k], column, side="right")
        shares[k] = np.bincount(where, minlength=N_BINS) / n
        usual[k] = _index(_window_shares(where, window_rows), shares[k]).max()
    return Reference(tuple(names), edges, shares, usual, window_rows)


def bins(reference: Reference, rows: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the bin of every value, shape (n_rows, n_features).

    Parameters
    ----------
    rows : array of shape (n_rows, n_features)
        Unscaled, finite features of any period, in the reference's order.
    """
    out = np.empty(rows.shape, dtype=np.uint8)
    for k, edges in enumerate(reference.edges):
        out[:, k] = np.searchsorted(edges, rows[:, k].astype(np.float64), side="right")
    return out


def psi(reference: Reference, binned: NDArray[np.uint8]) -> Array:
    """Return the index of each feature in a window, shape (n_features,).

    Parameters
    ----------
    binned : uint8 array of shape (n_rows, n_features)
        From `bins`, at least one row.
    """
    width = len(reference.names)
    places = binned + N_BINS * np.arange(width, dtype=np.uint16)  # one count for all features
    found = np.bincount(places.ravel(), minlength=N_BINS * width).reshape(width, N_BINS)
    return _index(found / len(binned), reference.shares)


def reach(reference: Reference) -> Array:
    """Return the largest index a window can have, shape (n_features,): all rows in the rarest bin.

    A feature whose bound lies beyond it moves so much within train that no window says anything.
    """
    alone = np.eye(N_BINS)
    return _index(alone[reference.shares.argmin(axis=1)], reference.shares)


def _index(found: Array, expected: Array) -> Array:
    """Return the index of shares (..., 10) against expected ones."""
    found, expected = np.maximum(found, FLOOR), np.maximum(expected, FLOOR)
    return ((found - expected) * np.log(found / expected)).sum(axis=-1)


def _window_shares(where: NDArray[np.integer], window_rows: int) -> Array:
    """Return the shares of each bin in half-overlapping windows, shape (n_windows, 10)."""
    half = window_rows // 2
    n = len(where) // half
    halves = np.repeat(np.arange(n), half) * N_BINS + where[: n * half]
    counts = np.bincount(halves, minlength=n * N_BINS).reshape(n, N_BINS)
    return (counts[:-1] + counts[1:]) / (2 * half)


def reference_numbers(reference: Reference) -> dict[str, Any]:
    """Return a reference as JSON values."""
    return {
        "names": list(reference.names),
        "edges": reference.edges.tolist(),
        "shares": reference.shares.tolist(),
        "usual": reference.usual.tolist(),
        "window_rows": reference.window_rows,
    }


def reference_from(numbers: Mapping[str, Any]) -> Reference:
    """Return the reference behind `reference_numbers`.

    Raises
    ------
    ValueError
        If the numbers cannot be one: another shape, not finite, edges that fall, shares that do
        not sum to one.
    """
    try:
        names = tuple(numbers["names"])
        arrays = [np.array(numbers[key], np.float64) for key in ("edges", "shares", "usual")]
        window_rows = numbers["window_rows"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no drift reference: {error}") from None
    edges, shares, usual = arrays
    n = len(names)
    shapes = [(n, N_BINS - 1), (n, N_BINS), (n,)]
    if [array.shape for array in arrays] != shapes or not all(isinstance(x, str) for x in names):
        raise ValueError("no drift reference: names and numbers do not fit together")
    if not all(np.isfinite(array).all() for array in arrays) or type(window_rows) is not int:
        raise ValueError("no drift reference: it holds what is no number")
    sums_to_one = np.abs(shares.sum(axis=1) - 1.0).max(initial=0.0) < 1e-9
    if window_rows < 1 or (np.diff(edges) < 0.0).any() or (shares < 0.0).any() or not sums_to_one:
        raise ValueError("no drift reference: its bins are none")
    return Reference(names, edges, shares, usual, window_rows)
