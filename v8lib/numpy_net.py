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
ROWS_AT_A_TIME = 1_024  # whose activations fit into the cache


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
        return self._in_parts(scaled, self.normalization)

    def training_path_logits(self, scaled: NDArray[np.float32]) -> Array:
        """Return the scores through the norm that training went through as well.

        For an adaptive net that is its BatchNorm with the running statistics; the others have
        one path only. Nothing is decided on these: they tell whether inference runs through
        a path that was trained.
        """
        path = "adaptive batch" if self.normalization == "adaptive" else self.normalization
        return self._in_parts(scaled, path)

    def _in_parts(self, scaled: NDArray[np.float32], path: str) -> Array:
        if len(scaled) <= ROWS_AT_A_TIME:
            return through(self, scaled, path)
        starts = range(0, len(scaled), ROWS_AT_A_TIME)
        return np.concatenate([through(self, scaled[k : k + ROWS_AT_A_TIME], path) for k in starts])

    @cached_property
    def _doubles(self) -> dict[str, Array]:
        """The weights in float64, converted once."""
        return {name: np.asarray(w, dtype=np.float64) for name, w in self.weights.items()}

    def array(self, name: str) -> Array:
        """Return one of the weights in float64.

        Raises
        ------
        BundleError
            If there is none of that name.
        """
        if name not in self._doubles:
            raise BundleError(f"the model has no '{name}'")
        return self._doubles[name]

    def product(self, x: Array, name: str) -> Array:
        """Return rows times a weight matrix, shape (n_rows, n_out)."""
        return x @ self.array(name).T


@dataclass(frozen=True)
class NetPerRow:
    """Several nets as one: row k of what goes in is for net k, and for no other.

    Attributes
    ----------
    nets : tuple of NumpyNet
        Nets of one shape and one normalization.
    """

    nets: tuple[NumpyNet, ...]

    def raw_logits(self, scaled: NDArray[np.float32]) -> Array:
        """Return each net's scores of its row, shape (n_nets, 3)."""
        return through(self, scaled, self.nets[0].normalization)

    def array(self, name: str) -> Array:
        """Return one of the vectors of every net, shape (n_nets, n)."""
        return np.stack([net.array(name) for net in self.nets])

    def product(self, x: Array, name: str) -> Array:
        """Return each row times its own net's weight matrix, shape (n_nets, n_out)."""
        return np.stack([net.array(name) @ row for net, row in zip(self.nets, x, strict=True)])


def through(net: NumpyNet | NetPerRow, scaled: NDArray[np.float32], path: str) -> Array:
    """Return the scores of scaled features by way of one of the norms, shape (n_rows, 3)."""
    x = np.asarray(scaled, dtype=np.float64)
    for layer in range(N_HIDDEN):
        x = _norm(net, _linear(net, x, 4 * layer), 4 * layer + 1, path)
        np.maximum(x, 0.0, out=x)
    return _linear(net, x, 4 * N_HIDDEN)


def _linear(net: NumpyNet | NetPerRow, x: Array, layer: int) -> Array:
    out = net.product(x, f"layers.{layer}.weight")
    out += net.array(f"layers.{layer}.bias")
    return out


def _norm(net: NumpyNet | NetPerRow, x: Array, layer: int, path: str) -> Array:
    inner = {"adaptive": ".layer", "adaptive batch": ".batch"}.get(path, "")
    prefix = f"layers.{layer}{inner}"
    if path in ("batch", "adaptive batch"):
        centred = x - net.array(f"{prefix}.running_mean")
        variance = net.array(f"{prefix}.running_var")
    else:
        centred = x - np.add.reduce(x, axis=1, keepdims=True) / x.shape[1]
        variance = np.add.reduce(centred * centred, axis=1, keepdims=True) / x.shape[1]
    centred /= np.sqrt(variance + NORM_EPSILON)
    centred *= net.array(f"{prefix}.weight")
    centred += net.array(f"{prefix}.bias")
    return centred
