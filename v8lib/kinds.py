"""The kinds of model a bundle can hold, and how each becomes files and a runtime again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import BundleError, StoreError
from v8lib.json_values import Values
from v8lib.linear import LinearRuntime, linear_facts, linear_from, linear_weights
from v8lib.net_values import net_runtime
from v8lib.onnx_net import OnnxRuntime, onnx_facts, onnx_from
from v8lib.runtime import Prediction, Runtime, model_facts, model_weights
from v8lib.storage import arrays_bytes, arrays_from

MODEL, ONNX = "model.safetensors", "model.onnx"


class AnyRuntime(Protocol):
    """What predicts, whatever kind it is of."""

    min_confidence: float

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction for unscaled features, shape (n_rows, n_features)."""


@dataclass(frozen=True)
class Kind:
    """How models of one kind are kept.

    Attributes
    ----------
    runtime : type
        The class of such models.
    file : str
        Name of the file that holds the weights.
    content, facts : function of a runtime
        The bytes of that file, and everything else as JSON values.
    read : function of bytes and values
        The runtime again, everything checked.
    whole_table : bool
        Whether its columns must be all that the feature table has, in its order.
    golden_tolerance : float
        How far golden probabilities may be off: float64 in numpy is the same everywhere but
        for the last bits, float32 kernels of onnxruntime differ from processor to processor.
    """

    runtime: type
    file: str
    content: Callable[[Any], bytes]
    facts: Callable[[Any], dict[str, Any]]
    read: Callable[[bytes, Values], AnyRuntime]
    whole_table: bool
    golden_tolerance: float


KINDS = {
    "mlp": Kind(
        Runtime,
        MODEL,
        lambda runtime: arrays_bytes(model_weights(runtime)),
        model_facts,
        lambda content, facts: net_runtime(_arrays(content), facts),
        True,
        1e-6,
    ),
    "linear": Kind(
        LinearRuntime,
        MODEL,
        lambda runtime: arrays_bytes(linear_weights(runtime)),
        linear_facts,
        lambda content, facts: linear_from(_arrays(content), facts),
        True,
        1e-6,
    ),
    "onnx": Kind(
        OnnxRuntime, ONNX, lambda runtime: runtime.content, onnx_facts, onnx_from, False, 1e-4
    ),
}


def kind_of(runtime: AnyRuntime) -> str:
    """Return the kind of a runtime.

    Raises
    ------
    BundleError
        If it is none that a bundle can hold.
    """
    for name, kind in KINDS.items():
        if isinstance(runtime, kind.runtime):
            return name
    raise BundleError(f"a bundle cannot hold a {type(runtime).__name__}")


def _arrays(content: bytes) -> dict[str, NDArray]:
    try:
        return arrays_from(content, MODEL)
    except StoreError as error:
        raise BundleError(str(error)) from None
