"""StandardScaler statistics fitted on train and kept as plain numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import FeatureError

if TYPE_CHECKING:  # production applies a scaler: numpy is enough
    import pandas as pd

ROWS_AT_A_TIME = 16_384


@dataclass(frozen=True)
class Scaler:
    """Mean and scale of every feature on train, arrays of shape (n_features,), and the clip."""

    names: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    clip_sigma: float


def fit_scaler(features: NDArray[np.float32], names: Sequence[str], *, clip_sigma: float) -> Scaler:
    """Return the scaler of these rows.

    Parameters
    ----------
    features : array of shape (n_rows, n_features)
        Rows of the train split, and of no other.
    names : sequence of str
        Column names, for the error messages and the bundle.
    clip_sigma : float
        Scaled values are cut at plus and minus this many standard deviations.

    Raises
    ------
    FeatureError
        If a column is constant or not finite on these rows; the message names it.
    """
    # Imported here: applying a scaler, all that production does, needs no scikit-learn.
    from sklearn.preprocessing import StandardScaler

    finite = np.all([np.isfinite(part).all(axis=0) for part in _parts(features)], axis=0)
    broken = [n for n, ok in zip(names, finite, strict=True) if not ok]
    if broken:
        raise FeatureError(f"features not finite on train: {', '.join(broken)}")
    fitted = StandardScaler()
    for part in _parts(features):
        fitted.partial_fit(part.astype(np.float64))
    constant = [n for n, v in zip(names, fitted.var_, strict=True) if v < 1e-12]
    if constant:
        raise FeatureError(
            f"features constant on train: {', '.join(constant)}; bars that carry no such "
            "information can leave the family out, e.g. --set exclude_families=volume"
        )
    return Scaler(tuple(names), fitted.mean_, fitted.scale_, clip_sigma)


def apply_scaler(scaler: Scaler, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features in standard deviations of train, cut at the clip; shape unchanged.

    Raises
    ------
    FeatureError
        If the number of columns is not the scaler's.
    """
    if features.shape[-1] != len(scaler.names):
        raise FeatureError(
            f"{features.shape[-1]} feature columns, the scaler was fitted on {len(scaler.names)}"
        )
    scaled = np.empty(features.shape, dtype=np.float32)
    several = scaler.mean.ndim > 1  # one scaler per row: as few rows as there are models
    parts = [(features, scaled)] if several else zip(_parts(features), _parts(scaled), strict=True)
    for part, out in parts:
        exact = (part - scaler.mean) / scaler.scale
        np.clip(exact, -scaler.clip_sigma, scaler.clip_sigma, out=out, casting="same_kind")
    return scaled


def _parts(rows: NDArray) -> list[NDArray]:
    """Return views of some thousand rows each: no step then needs all of them in float64."""
    return [rows[k : k + ROWS_AT_A_TIME] for k in range(0, max(len(rows), 1), ROWS_AT_A_TIME)]


def column_moments(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column, (n_features,) each, from float64 sums.

    The numbers of numpy's `mean` and `std`, without a copy of all rows in float64.
    """
    n = len(rows)
    mean = np.sum([part.sum(axis=0, dtype=np.float64) for part in _parts(rows)], axis=0) / n
    squares = [((part - mean) ** 2).sum(axis=0) for part in _parts(rows)]
    return mean, np.sqrt(np.sum(squares, axis=0) / n)


def scaler_numbers(scaler: Scaler) -> dict[str, Any]:
    """Return a scaler as JSON values."""
    return {
        "names": list(scaler.names),
        "mean": scaler.mean.tolist(),
        "scale": scaler.scale.tolist(),
        "clip_sigma": scaler.clip_sigma,
    }


def scaler_from(numbers: dict[str, Any]) -> Scaler:
    """Return the scaler behind `scaler_numbers`."""
    return Scaler(
        tuple(numbers["names"]),
        np.array(numbers["mean"]),
        np.array(numbers["scale"]),
        numbers["clip_sigma"],
    )


def normalization_table(
    names: Sequence[str], train_scaled: NDArray[np.float32], test_scaled: NDArray[np.float32]
) -> "pd.DataFrame":
    """Return mean and standard deviation of every scaled feature on train and test.

    One row per feature, furthest mean on test first: a feature that has drifted since
    training stands on top.
    """
    import pandas as pd

    columns = (*column_moments(train_scaled), *column_moments(test_scaled))
    titles = ("train mean", "train std", "test mean", "test std")
    table = pd.DataFrame(
        dict(zip(titles, columns, strict=True)), index=pd.Index(names, name="feature")
    )
    return table.sort_values("test mean", key=np.abs, ascending=False)


def drift_table(
    scaler: Scaler, train: NDArray[np.float32], other: NDArray[np.float32]
) -> "pd.DataFrame":
    """Return the `normalization_table` of unscaled rows of train and of a later split."""
    return normalization_table(
        scaler.names, apply_scaler(scaler, train), apply_scaler(scaler, other)
    )
