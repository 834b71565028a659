"""Predictions of several models at once, each for rows of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.calibration import Calibration
from v8lib.errors import FeatureError
from v8lib.numpy_net import NetPerRow
from v8lib.runtime import Member, Prediction, Runtime, joined
from v8lib.scaling import Scaler


def predict_many(runtimes: Sequence[Runtime], features: NDArray[np.float32]) -> Prediction:
    """Return what each model says of its row.

    A model that is there for several rows (the same object) takes them as one batch. Of the
    others, all steps but the matrix products are done for all at once.

    Parameters
    ----------
    runtimes : sequence of Runtime, one per row
        The models, of the same columns.
    features : array of shape (n_rows, n_features)
        Unscaled features.

    Raises
    ------
    FeatureError
        If there is not one model per row, or a model has another number of columns.
    """
    if features.ndim != 2 or len(runtimes) != len(features) or not len(features):
        raise FeatureError(f"{len(runtimes)} models for features of shape {features.shape}")
    groups = _grouped(range(len(runtimes)), lambda row: id(runtimes[row]))
    shared = [rows for rows in groups if len(rows) > 1]
    single = [rows[0] for rows in groups if len(rows) == 1]
    said = [runtimes[rows[0]].predict(features[rows]) for rows in shared]
    alike = _grouped(single, lambda row: _shape(runtimes[row]))
    said += [stacked([runtimes[row] for row in rows]).predict(features[rows]) for rows in alike]
    back = np.argsort(np.concatenate([*shared, *alike]))
    return Prediction(*(array[back] for array in vars(joined(said)).values()))


def stacked(runtimes: Sequence[Runtime]) -> Runtime:
    """Return several models as one, whose row k goes through model k.

    Parameters
    ----------
    runtimes : sequence of Runtime
        With as many members each, of one shape and normalization, and the same columns.
    """
    return Runtime(
        tuple(
            _stacked_member(members) for members in zip(*(r.members for r in runtimes), strict=True)
        ),
        _stacked_scaler([runtime.scaler for runtime in runtimes]),
        np.stack([runtime.offsets for runtime in runtimes]),
        np.array([runtime.min_confidence for runtime in runtimes]),
    )


def _stacked_member(members: Sequence[Member]) -> Member:
    own = [member.calibration for member in members]
    calibration = Calibration(
        _column(own, "gamma"),
        _column(own, "smoothing"),
        np.stack([c.class_weights for c in own]),
        _column(own, "inverse_temperature"),
        np.stack([c.prior for c in own]),
    )
    return Member(NetPerRow(tuple(member.net for member in members)), calibration)


def _stacked_scaler(scalers: Sequence[Scaler]) -> Scaler:
    names = scalers[0].names
    if any(scaler.names != names for scaler in scalers):
        raise FeatureError("models of different feature columns cannot be asked together")
    mean, scale = (np.stack([getattr(s, k) for s in scalers]) for k in ("mean", "scale"))
    return Scaler(names, mean, scale, _column(scalers, "clip_sigma"))


def _column(things: Sequence[Any], name: str) -> NDArray[np.float64]:
    return np.array([getattr(thing, name) for thing in things])[:, None]


def _shape(runtime: Runtime) -> tuple[Any, ...]:
    """Return what models must have in common to be stacked."""
    net = runtime.members[0].net
    return (len(runtime.members), net.normalization, np.shape(net.weights.get("layers.0.weight")))


def _grouped(rows: Sequence[int], key: Callable[[int], Any]) -> list[list[int]]:
    """Return the rows with equal keys together, in order of their first."""
    groups: dict[Any, list[int]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())
