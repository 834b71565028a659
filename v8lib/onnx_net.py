"""A model that was trained elsewhere, as an ONNX file: run by onnxruntime, decided on here.

onnxruntime is the extra `onnx`, imported only when such a model is opened.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from v8lib.decision import actionable, decide
from v8lib.errors import BundleError, FeatureError
from v8lib.inversion import softmax
from v8lib.json_values import Values
from v8lib.label import CLASS_NAMES
from v8lib.onnx_session import DTYPES, check_shapes, one_line, onnx_errors, open_session
from v8lib.runtime import Prediction
from v8lib.scaling import Scaler, apply_scaler, scaler_numbers
from v8lib.scaling_values import read_scaler

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = NDArray[np.float64]
OUTPUTS = ("logits", "probs", "log_probs")
FLOOR = (
    1e-30  # below it a probability of a file counts as this: a logit of 69, which no gate passes
)
ROUNDING = 1e-3  # of probabilities in float32 that were meant to sum to one


@dataclass(frozen=True)
class OnnxRuntime:
    """An ONNX model with the steps before and after it.

    Attributes
    ----------
    content : bytes
        The ONNX file, which refers to no other.
    columns : tuple of str
        Its columns in order, any of the feature table's.
    input_name, output_name : str
        Of the file's graph.
    output : {"logits", "probs", "log_probs"}
        What the output says.
    order : tuple of int
        Where DOWN, HOLD and UP stand in the output.
    scaler : Scaler or None
        What the features go through first; None where the file takes them as they are.
    offsets, min_confidence
        The decision, as in `runtime.Runtime`.
    """

    content: bytes
    columns: tuple[str, ...]
    input_name: str
    output_name: str
    output: str
    order: tuple[int, int, int]
    scaler: Scaler | None
    offsets: Array
    min_confidence: float

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return self.columns

    @cached_property
    def session(self) -> "InferenceSession":
        """The opened file.

        Raises
        ------
        BundleError
            If the extra is not installed, the file refers to another, is no ONNX file, or has
            not the input and output it is said to have.
        """
        session = open_session(self.content)
        check_shapes(session, self.input_name, self.output_name, len(self.columns))
        return session

    @cached_property
    def _one_row_only(self) -> bool:
        return self.session.get_inputs()[0].shape[0] == 1

    def raw(self, features: NDArray[np.float32]) -> Array:
        """Return what the file says of unscaled features, in the order DOWN, HOLD, UP, (n, 3)."""
        rows = np.atleast_2d(features)
        if rows.shape[1] != len(self.columns):
            raise FeatureError(f"{rows.shape[1]} columns, the model takes {len(self.columns)}")
        if self.scaler is not None:
            rows = apply_scaler(self.scaler, rows)
        rows = np.ascontiguousarray(rows, DTYPES[self.session.get_inputs()[0].type])
        parts = np.split(rows, len(rows)) if self._one_row_only and len(rows) > 1 else [rows]
        said = [self._run(part) for part in parts]
        return np.concatenate(said)[:, list(self.order)]

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction for unscaled features, shape (n_rows, n_features).

        What the file says that is no number stays none, for whoever watches it to see.

        Raises
        ------
        FeatureError
            If the number of columns is another.
        BundleError
            If the file cannot be run, or gives no three numbers a row.
        """
        logits, probs = scores(self.raw(features), self.output)
        return Prediction(
            logits,
            probs,
            decide(probs, self.offsets),
            actionable(probs, min_confidence=self.min_confidence),
        )

    def _run(self, rows: NDArray) -> Array:
        try:
            (said,) = self.session.run([self.output_name], {self.input_name: rows})
        except onnx_errors() as error:
            raise BundleError(f"the ONNX model cannot be run: {one_line(error)}") from None
        if not isinstance(said, np.ndarray) or said.shape != (len(rows), 3):
            shape = getattr(said, "shape", type(said).__name__)
            raise BundleError(f"output of shape {shape}, ({len(rows)}, 3) expected")
        return said.astype(np.float64)


def scores(said: Array, output: str) -> tuple[Array, Array]:
    """Return centred logits and probabilities, (n_rows, 3) each, from what a file says."""
    if output == "logits":
        logits = said - said.mean(axis=1, keepdims=True)
        return logits, softmax(logits)
    probs = np.exp(said) if output == "log_probs" else said
    total = probs.sum(axis=1, keepdims=True)
    # Rounding is taken out. What is no distribution stays none: a monitor has to see it.
    probs = np.where(np.abs(total - 1.0) < ROUNDING, probs / total, probs)
    logs = np.log(np.maximum(probs, FLOOR))
    return logs - logs.mean(axis=1, keepdims=True), probs


def onnx_facts(runtime: OnnxRuntime) -> dict[str, Any]:
    """Return everything about an ONNX model but the file, as JSON values."""
    return {
        "classes": list(CLASS_NAMES),
        "columns": list(runtime.columns),
        "input_name": runtime.input_name,
        "output_name": runtime.output_name,
        "output": runtime.output,
        "order": list(runtime.order),
        "scaler": scaler_numbers(runtime.scaler) if runtime.scaler else None,
        "decision_offsets": runtime.offsets.tolist(),
        "min_confidence": runtime.min_confidence,
    }


def onnx_from(content: bytes, facts: Values) -> OnnxRuntime:
    """Return the model behind `onnx_facts` and the bytes of its file, opened.

    Raises
    ------
    BundleError
        If a value is missing or of another type, or the file cannot be opened.
    """
    order = facts.value("order")
    if not isinstance(order, list) or any(type(x) is not int for x in order):
        raise facts.wrong("order", "0, 1 and 2 in some order")
    if sorted(order) != [0, 1, 2]:
        raise facts.wrong("order", "0, 1 and 2 in some order")
    columns = tuple(facts.texts("columns"))
    scaler = None if facts.value("scaler") is None else read_scaler(facts.below("scaler"))
    if scaler is not None and scaler.names != columns:
        raise facts.wrong("scaler", "that of the columns")
    runtime = OnnxRuntime(
        content,
        columns,
        facts.text("input_name"),
        facts.text("output_name"),
        facts.one_of("output", OUTPUTS),
        tuple(order),
        scaler,
        facts.numbers("decision_offsets", 3),
        facts.number("min_confidence", above=0.0, below=1.0),
    )
    _ = runtime.session  # opened now: what is wrong with it is said at load
    return runtime
