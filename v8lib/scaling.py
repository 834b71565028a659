"""StandardScaler statistics fitted on train and kept as plain numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import FeatureError

if TYPE_CHECKING:  # production applies a scaler: numpy is enough
    import pandas as pd


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

    broken = [n for n, ok in zip(names, np.isfinite(features).all(axis=0), strict=True) if not ok]
    if broken:
        raise FeatureError(f"features not finite on train: {', '.join(broken)}")
    fitted = StandardScaler().fit(features.astype(np.float64))
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
    scaled = (features - scaler.mean) / scaler.scale
    return np.clip(scaled, -scaler.clip_sigma, scaler.clip_sigma).astype(np.float32)


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

    table = pd.DataFrame(
        {
            "train mean": train_scaled.mean(axis=0, dtype=np.float64),
            "train std": train_scaled.std(axis=0, dtype=np.float64),
            "test mean": test_scaled.mean(axis=0, dtype=np.float64),
            "test std": test_scaled.std(axis=0, dtype=np.float64),
        },
        index=pd.Index(names, name="feature"),
    )
    return table.sort_values("test mean", key=np.abs, ascending=False)
