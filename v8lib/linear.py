"""A logistic regression as a model that production can run: the fallback a run writes itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.decision import actionable, decide
from v8lib.errors import BundleError
from v8lib.inversion import softmax
from v8lib.json_values import Values
from v8lib.label import CLASS_NAMES
from v8lib.runtime import Prediction
from v8lib.scaling import Scaler, apply_scaler, scaler_numbers
from v8lib.scaling_values import read_scaler

Array = NDArray[np.float64]
COEFFICIENTS, INTERCEPTS = "coefficients", "intercepts"


@dataclass(frozen=True)
class LinearRuntime:
    """A multinomial logistic regression of scaled features at one temperature.

    Attributes
    ----------
    coefficients : float64, (3, n_features)
        Of the scaled features.
    intercepts : float64, (3,)
    scaler : Scaler
        Of the train rows.
    inverse_temperature : float
        1 / T; 0 where calib showed no skill, and every row gets `prior`.
    prior : float64, (3,)
        Class frequencies of train.
    offsets, min_confidence
        The decision, as in `runtime.Runtime`.
    """

    coefficients: Array
    intercepts: Array
    scaler: Scaler
    inverse_temperature: float
    prior: Array
    offsets: Array
    min_confidence: float

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return self.scaler.names

    def logits(self, scores: Array) -> Array:
        """Return the final logits of raw scores, (n_rows, 3), centred."""
        logits = self.inverse_temperature * scores
        if self.inverse_temperature == 0.0:
            logits = logits + np.log(self.prior)  # 0 * NaN is NaN: what is broken stays broken
        return logits - logits.mean(axis=1, keepdims=True)

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction for unscaled features, shape (n_rows, n_features).

        Raises
        ------
        FeatureError
            If the number of columns is not the scaler's.
        """
        scaled = apply_scaler(self.scaler, np.atleast_2d(features)).astype(np.float64)
        logits = self.logits(scaled @ self.coefficients.T + self.intercepts)
        probs = softmax(logits)
        return Prediction(
            logits,
            probs,
            decide(probs, self.offsets),
            actionable(probs, min_confidence=self.min_confidence),
        )


def linear_weights(runtime: LinearRuntime) -> dict[str, NDArray]:
    """Return the arrays of a linear model by name."""
    return {COEFFICIENTS: runtime.coefficients, INTERCEPTS: runtime.intercepts}


def linear_facts(runtime: LinearRuntime) -> dict[str, Any]:
    """Return everything about a linear model but its arrays, as JSON values."""
    return {
        "classes": list(CLASS_NAMES),
        "scaler": scaler_numbers(runtime.scaler),
        "inverse_temperature": runtime.inverse_temperature,
        "prior": runtime.prior.tolist(),
        "decision_offsets": runtime.offsets.tolist(),
        "min_confidence": runtime.min_confidence,
    }


def linear_from(weights: dict[str, NDArray], facts: Values) -> LinearRuntime:
    """Return the model behind `linear_facts` and `linear_weights`.

    Raises
    ------
    BundleError
        If an array or a value is missing, of another shape, or not finite.
    """
    scaler = read_scaler(facts.below("scaler"))
    shapes = {COEFFICIENTS: (3, len(scaler.names)), INTERCEPTS: (3,)}
    if {name: array.shape for name, array in weights.items()} != shapes:
        raise BundleError(f"the model's arrays are not {shapes}")
    if any(array.dtype != np.float64 or not np.isfinite(array).all() for array in weights.values()):
        raise BundleError("the model's arrays hold what is no finite number")
    return LinearRuntime(
        weights[COEFFICIENTS],
        weights[INTERCEPTS],
        scaler,
        facts.number("inverse_temperature", above=-1e-300),
        facts.shares("prior"),
        facts.numbers("decision_offsets", 3),
        facts.number("min_confidence", above=0.0, below=1.0),
    )
