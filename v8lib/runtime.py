"""Inference in numpy, what production runs: scaler, nets, calibration, decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.calibration import (
    Calibration,
    apply_calibration,
    calibration_from,
    calibration_numbers,
)
from v8lib.decision import actionable, decide
from v8lib.inversion import softmax
from v8lib.label import CLASS_NAMES
from v8lib.numpy_net import NumpyNet
from v8lib.scaling import Scaler, apply_scaler, scaler_from, scaler_numbers

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """Everything a row of features leads to; arrays have one row per input row."""

    logits: Array
    probs: Array
    decisions: NDArray[np.int64]
    actionable: NDArray[np.bool_]


@dataclass(frozen=True)
class Member:
    """One net of an ensemble with the calibration that belongs to it."""

    net: NumpyNet
    calibration: Calibration


@dataclass(frozen=True)
class Runtime:
    """A model as plain arrays: one net, or several whose calibrated probabilities are averaged.

    Attributes
    ----------
    members : tuple of Member, at least one
        The nets, all fitted on the same train rows.
    scaler, offsets, min_confidence
        The steps before and after them.
    """

    members: tuple[Member, ...]
    scaler: Scaler
    offsets: Array
    min_confidence: float

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return self.scaler.names

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction for unscaled features, shape (n_rows, n_features).

        Raises
        ------
        FeatureError
            If the number of columns is not the scaler's.
        """
        return self.conclude(self.raw_logits(features))

    def raw_logits(self, features: NDArray[np.float32]) -> list[Array]:
        """Return what each net says of unscaled features before calibration, (n_rows, 3) each.

        Raises
        ------
        FeatureError
            As `predict`.
        """
        scaled = apply_scaler(self.scaler, np.atleast_2d(features))
        return [member.net.raw_logits(scaled) for member in self.members]

    def conclude(self, raw_logits: Sequence[Array]) -> Prediction:
        """Return the prediction from `raw_logits`."""
        pairs = zip(self.members, raw_logits, strict=True)
        logits = averaged_logits([apply_calibration(m.calibration, raw) for m, raw in pairs])
        probs = softmax(logits)
        return Prediction(
            logits,
            probs,
            decide(probs, self.offsets),
            actionable(probs, min_confidence=self.min_confidence),
        )


def averaged_logits(member_logits: Sequence[Array]) -> Array:
    """Return ln of the mean of the members' probabilities, centred, shape (n_rows, 3)."""
    if len(member_logits) == 1:
        return member_logits[0]
    stacked = np.stack(member_logits)  # (n_members, n_rows, 3)
    stacked = stacked - _log_sum_exp(stacked, axis=2)
    logs = _log_sum_exp(stacked, axis=0)[0]
    return logs - logs.mean(axis=1, keepdims=True)


def _log_sum_exp(values: Array, axis: int) -> Array:
    top = values.max(axis=axis, keepdims=True)
    return top + np.log(np.exp(values - top).sum(axis=axis, keepdims=True))


def joined(predictions: Sequence[Prediction]) -> Prediction:
    """Return the predictions of several stretches of rows as one, in the order given."""
    fields = vars(predictions[0])
    return Prediction(*(np.concatenate([getattr(p, name) for p in predictions]) for name in fields))


def model_weights(runtime: Runtime) -> dict[str, NDArray]:
    """Return the weights of every member by name, each name led by the member's number."""
    return {
        f"{k}.{name}": array
        for k, member in enumerate(runtime.members)
        for name, array in member.net.weights.items()
    }


def model_facts(runtime: Runtime) -> dict[str, Any]:
    """Return everything about a runtime but its weights, as JSON values."""
    return {
        "classes": list(CLASS_NAMES),
        "normalization": runtime.members[0].net.normalization,
        "scaler": scaler_numbers(runtime.scaler),
        "calibrations": [calibration_numbers(member.calibration) for member in runtime.members],
        "decision_offsets": runtime.offsets.tolist(),
        "min_confidence": runtime.min_confidence,
    }


def runtime_from(weights: Mapping[str, NDArray], facts: Mapping[str, Any]) -> Runtime:
    """Return the runtime behind `model_facts` and `model_weights`."""
    nets: dict[int, dict[str, NDArray]] = {}
    for key, array in weights.items():
        number, _, name = key.partition(".")
        nets.setdefault(int(number), {})[name] = array
    members = tuple(
        Member(NumpyNet(nets.get(k, {}), facts["normalization"]), calibration_from(numbers))
        for k, numbers in enumerate(facts["calibrations"])
    )
    return Runtime(
        members,
        scaler_from(facts["scaler"]),
        np.array(facts["decision_offsets"]),
        facts["min_confidence"],
    )
