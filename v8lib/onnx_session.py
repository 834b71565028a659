"""Opening ONNX files: onnx and onnxruntime are the extra `onnx`, imported only when used."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from v8lib.errors import BundleError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}
NO_EXTRA = "an ONNX model needs onnx and onnxruntime: install the extra (pip install '.[onnx]')"


def open_session(content: bytes) -> "InferenceSession":
    """Return a session of one thread for the bytes of an ONNX file.

    Raises
    ------
    BundleError
        If the extra is not installed, the file refers to another, or is no ONNX file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise BundleError(NO_EXTRA) from None
    refuse_other_files(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong is raised
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except onnx_errors() as error:
        raise BundleError(f"not a usable ONNX model: {one_line(error)}") from None


def refuse_other_files(content: bytes) -> None:
    """Refuse an ONNX file whose weights stand in another file: that one nobody has checked.

    Raises
    ------
    BundleError
        If it does, or is no ONNX file.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise BundleError(NO_EXTRA) from None
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise BundleError("not an ONNX model: its bytes cannot be read as one") from None
    tensors = (m for m in _messages(model) if isinstance(m, onnx.TensorProto))
    outside = next((t.name for t in tensors if t.data_location or t.external_data), None)
    if outside is not None:
        raise BundleError(f"weights '{outside}' stand in another file: save the model as one file")


def _messages(message: Any) -> Iterator[Any]:
    """Return a message and every one within it: weights may stand in nodes and subgraphs too."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(inner)


def onnx_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises: classes of its own, which share no base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (x for x in vars(state).values() if isinstance(x, type) and issubclass(x, Exception))
    return (*own, RuntimeError, ValueError)


def check_shapes(
    session: "InferenceSession", input_name: str, output_name: str, n_columns: int
) -> None:
    """Refuse a file that has not this one input of so many columns, and this output.

    The number of rows must be open, or 1.

    Raises
    ------
    BundleError
        One line that says what it has and what is wanted.
    """
    names = [i.name for i in session.get_inputs()]
    if names != [input_name]:
        raise BundleError(f"its inputs are {names}, '{input_name}' alone is wanted")
    given = session.get_inputs()[0]
    if given.type not in DTYPES:
        raise BundleError(f"its input is of {given.type}, float or double is wanted")
    if len(given.shape) != 2:
        raise BundleError(f"its input has shape {given.shape}, (rows, {n_columns}) is wanted")
    rows, columns = given.shape
    if not isinstance(columns, int):
        raise BundleError(f"its input leaves the number of columns open: fix it to {n_columns}")
    if columns != n_columns:
        raise BundleError(f"its input takes {columns} columns, the spec names {n_columns}")
    if isinstance(rows, int) and rows != 1:
        raise BundleError(f"its input takes {rows} rows at a time: leave the number open, or 1")
    _check_output(session, output_name)


def _check_output(session: "InferenceSession", output_name: str) -> None:
    outputs = {o.name: o for o in session.get_outputs()}
    if output_name not in outputs:
        raise BundleError(f"it has no output '{output_name}', there are {list(outputs)}")
    shape = outputs[output_name].shape
    if len(shape) not in (0, 2) or (shape and isinstance(shape[1], int) and shape[1] != 3):
        raise BundleError(f"its output has shape {shape}, (rows, 3) is wanted")


def one_line(error: Exception) -> str:
    """Return the message of an error as one line of bounded length."""
    return " ".join(str(error).split())[:300]
