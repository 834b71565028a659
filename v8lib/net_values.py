"""A net of this suite out of a bundle: weights and manifest, checked before they are a model."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from v8lib.calibration import Calibration
from v8lib.errors import BundleError
from v8lib.json_values import Values
from v8lib.numpy_net import N_HIDDEN, NumpyNet
from v8lib.runtime import Member, Runtime
from v8lib.scaling_values import read_scaler

NORM_ARRAYS = {
    "layer": {"": ("weight", "bias")},
    "batch": {"": ("weight", "bias", "running_mean", "running_var")},
    "adaptive": {
        ".layer": ("weight", "bias"),
        ".batch": ("weight", "bias", "running_mean", "running_var"),
    },
}
COUNTER = "num_batches_tracked"  # of torch, an integer that inference does not use


def net_runtime(weights: Mapping[str, NDArray], facts: Values) -> Runtime:
    """Return the runtime behind `runtime.model_facts` and `runtime.model_weights`.

    Raises
    ------
    BundleError
        If an array or a value is missing, too many, of another shape, or not finite.
    """
    scaler = read_scaler(facts.below("scaler"))
    normalization = facts.one_of("normalization", tuple(NORM_ARRAYS))
    calibrations = [_calibration(values) for values in facts.each("calibrations")]
    members = []
    for k, calibration in enumerate(calibrations):
        own = {name: array for name, array in _own(weights, k).items()}
        _check_net(own, normalization, len(scaler.names), f"net {k}")
        members.append(Member(NumpyNet(own, normalization), calibration))
    if sum(len(member.net.weights) for member in members) != len(weights):
        raise BundleError(f"the model holds arrays of other nets than its {len(members)}")
    return Runtime(
        tuple(members),
        scaler,
        facts.numbers("decision_offsets", 3),
        facts.number("min_confidence", above=0.0, below=1.0),
    )


def _own(weights: Mapping[str, NDArray], k: int) -> dict[str, NDArray]:
    lead = f"{k}."
    return {key.removeprefix(lead): a for key, a in weights.items() if key.startswith(lead)}


def _calibration(values: Values) -> Calibration:
    weights = values.numbers("class_weights", 3)
    if (weights <= 0.0).any():
        raise values.wrong("class_weights", "three numbers above 0")
    return Calibration(
        values.number("gamma", above=-1e-300),
        values.number("smoothing", above=-1e-300, below=0.5),
        weights,
        values.number("inverse_temperature", above=-1e-300),
        values.shares("prior"),
    )


def _check_net(
    weights: Mapping[str, NDArray], normalization: str, n_features: int, who: str
) -> None:
    linear = [weights.get(f"layers.{4 * layer}.weight") for layer in range(N_HIDDEN + 1)]
    missing = next((4 * k for k, w in enumerate(linear) if w is None or w.ndim != 2), None)
    if missing is not None:
        raise BundleError(f"{who}: the model has no 'layers.{missing}.weight', a matrix")
    widths = [n_features, *(len(w) for w in linear if w is not None)]
    shapes = _shapes(normalization, widths)
    floats = {name: w for name, w in weights.items() if not name.endswith(COUNTER)}
    wrong = sorted(set(shapes) ^ set(floats))
    wrong += [name for name in shapes if name in floats and floats[name].shape != shapes[name]]
    if wrong:
        raise BundleError(f"{who}: '{wrong[0]}' is missing, too much, or of another shape")
    for name, array in floats.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise BundleError(f"{who}: '{name}' holds what is no finite number")
        if name.endswith("running_var") and (array < 0.0).any():
            raise BundleError(f"{who}: '{name}' holds a variance below 0")


def _shapes(normalization: str, widths: list[int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a net with these widths, 3 being the last that is."""
    widths = [*widths[:-1], 3]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (n_in, n_out) in enumerate(pairwise(widths)):
        shapes[f"layers.{4 * layer}.weight"] = (n_out, n_in)
        shapes[f"layers.{4 * layer}.bias"] = (n_out,)
        if layer < N_HIDDEN:
            for inner, names in NORM_ARRAYS[normalization].items():
                shapes |= {f"layers.{4 * layer + 1}{inner}.{name}": (n_out,) for name in names}
    return shapes
