"""The net in numpy: raw scores without torch, row by row the same as in a batch.

Arithmetic is float64, so a row alone and the same row inside a batch agree to the last few
bits, whatever kernel the matrix library picks for each shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import BundleError

Array = NDArray[np.float64]
N_HIDDEN = 3
NORM_EPSILON = 1e-5  # torch's default for both norms


@dataclass(frozen=True)
class NumpyNet:
    """A trained `V8TradingNet` as plain arrays.

    Attributes
    ----------
    weights : mapping of name to array
        State of the net, as `training.TrainingResult` holds it.
    normalization : {"adaptive", "batch", "layer"}
        Which norm stands behind each hidden layer; adaptive uses its LayerNorm.
    """

    weights: Mapping[str, NDArray]
    normalization: str

    def raw_logits(self, scaled: NDArray[np.float32]) -> Array:
        """Return the net's scores of scaled features, shape (n_rows, 3).

        Raises
        ------
        BundleError
            If an array is missing.
        """
        return self._through(scaled, self.normalization)

    def training_path_logits(self, scaled: NDArray[np.float32]) -> Array:
        """Return the scores through the norm that training went through as well.

        For an adaptive net that is its BatchNorm with the running statistics; the others have
        one path only. Nothing is decided on these: they tell whether inference runs through
        a path that was trained.
        """
        path = "adaptive batch" if self.normalization == "adaptive" else self.normalization
        return self._through(scaled, path)

    def _through(self, scaled: NDArray[np.float32], path: str) -> Array:
        x = np.asarray(scaled, dtype=np.float64)
        for layer in range(N_HIDDEN):
            x = self._linear(x, 4 * layer)
            x = np.maximum(self._norm(x, 4 * layer + 1, path), 0.0)
        return self._linear(x, 4 * N_HIDDEN)

    @cached_property
    def _doubles(self) -> dict[str, Array]:
        """The weights in float64, converted once."""
        return {name: np.asarray(w, dtype=np.float64) for name, w in self.weights.items()}

    def _array(self, name: str) -> Array:
        if name not in self._doubles:
            raise BundleError(f"the model has no '{name}'")
        return self._doubles[name]

    def _linear(self, x: Array, layer: int) -> Array:
        weight, bias = self._array(f"layers.{layer}.weight"), self._array(f"layers.{layer}.bias")
        return x @ weight.T + bias

    def _norm(self, x: Array, layer: int, path: str) -> Array:
        inner = {"adaptive": ".layer", "adaptive batch": ".batch"}.get(path, "")
        prefix = f"layers.{layer}{inner}"
        if path in ("batch", "adaptive batch"):
            mean = self._array(f"{prefix}.running_mean")
            variance = self._array(f"{prefix}.running_var")
        else:
            mean = x.mean(axis=1, keepdims=True)
            variance = x.var(axis=1, keepdims=True)
        scaled = (x - mean) / np.sqrt(variance + NORM_EPSILON)
        return scaled * self._array(f"{prefix}.weight") + self._array(f"{prefix}.bias")
