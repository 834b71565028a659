"""Inference in numpy: what production runs, without torch.

Arithmetic is float64, so a row alone and the same row inside a batch agree to the last few
bits, whatever kernel the matrix library picks for each shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.calibration import Calibration, apply_calibration
from v8lib.decision import actionable, decide
from v8lib.errors import BundleError
from v8lib.inversion import softmax
from v8lib.labels import CLASS_NAMES
from v8lib.scaling import Scaler, apply_scaler, scaler_from, scaler_numbers

Array = NDArray[np.float64]
N_HIDDEN = 3
NORM_EPSILON = 1e-5  # torch's default for both norms


@dataclass(frozen=True)
class Prediction:
    """Everything a row of features leads to; arrays have one row per input row."""

    logits: Array
    probs: Array
    decisions: NDArray[np.int64]
    actionable: NDArray[np.bool_]


@dataclass(frozen=True)
class Runtime:
    """A trained model as plain arrays.

    Attributes
    ----------
    weights : mapping of name to array
        State of `V8TradingNet`, as `training.TrainingResult` holds it.
    normalization : {"adaptive", "batch", "layer"}
        Which norm stands behind each hidden layer at inference.
    scaler, calibration, offsets, min_confidence
        The steps before and after the net.
    """

    weights: Mapping[str, NDArray]
    normalization: str
    scaler: Scaler
    calibration: Calibration
    offsets: Array
    min_confidence: float

    def raw_logits(self, scaled: NDArray[np.float32]) -> Array:
        """Return the net's scores of scaled features, shape (n_rows, 3)."""
        x = np.asarray(scaled, dtype=np.float64)
        for layer in range(N_HIDDEN):
            x = self._linear(x, 4 * layer)
            x = np.maximum(self._norm(x, 4 * layer + 1), 0.0)
        return self._linear(x, 4 * N_HIDDEN)

    @cached_property
    def _doubles(self) -> dict[str, Array]:
        """The weights in float64, converted once."""
        return {name: np.asarray(w, dtype=np.float64) for name, w in self.weights.items()}

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction for unscaled features, shape (n_rows, n_features).

        Raises
        ------
        FeatureError
            If the number of columns is not the scaler's.
        """
        scaled = apply_scaler(self.scaler, np.atleast_2d(features))
        logits = apply_calibration(self.calibration, self.raw_logits(scaled))
        probs = softmax(logits)
        return Prediction(
            logits,
            probs,
            decide(probs, self.offsets),
            actionable(probs, min_confidence=self.min_confidence),
        )

    def _array(self, name: str) -> Array:
        if name not in self._doubles:
            raise BundleError(f"the model has no '{name}'")
        return self._doubles[name]

    def _linear(self, x: Array, layer: int) -> Array:
        weight, bias = self._array(f"layers.{layer}.weight"), self._array(f"layers.{layer}.bias")
        return x @ weight.T + bias

    def _norm(self, x: Array, layer: int) -> Array:
        prefix = f"layers.{layer}"
        if self.normalization == "batch":
            mean, variance = (
                self._array(f"{prefix}.running_mean"),
                self._array(f"{prefix}.running_var"),
            )
        else:
            prefix += ".layer" if self.normalization == "adaptive" else ""
            mean = x.mean(axis=1, keepdims=True)
            variance = x.var(axis=1, keepdims=True)
        scaled = (x - mean) / np.sqrt(variance + NORM_EPSILON)
        return scaled * self._array(f"{prefix}.weight") + self._array(f"{prefix}.bias")


def model_facts(runtime: Runtime) -> dict[str, Any]:
    """Return everything about a runtime but its weights, as JSON values."""
    calibration = runtime.calibration
    return {
        "classes": list(CLASS_NAMES),
        "normalization": runtime.normalization,
        "scaler": scaler_numbers(runtime.scaler),
        "calibration": {
            "gamma": calibration.gamma,
            "smoothing": calibration.smoothing,
            "class_weights": calibration.class_weights.tolist(),
            "inverse_temperature": calibration.inverse_temperature,
            "prior": calibration.prior.tolist(),
        },
        "decision_offsets": runtime.offsets.tolist(),
        "min_confidence": runtime.min_confidence,
    }


def runtime_from(weights: Mapping[str, NDArray], facts: Mapping[str, Any]) -> Runtime:
    """Return the runtime behind `model_facts` and the weights of its net."""
    numbers = facts["calibration"]
    calibration = Calibration(
        numbers["gamma"],
        numbers["smoothing"],
        np.array(numbers["class_weights"]),
        numbers["inverse_temperature"],
        np.array(numbers["prior"]),
    )
    return Runtime(
        weights,
        facts["normalization"],
        scaler_from(facts["scaler"]),
        calibration,
        np.array(facts["decision_offsets"]),
        facts["min_confidence"],
    )
