"""Opening ONNX files: onnx and onnxruntime are the extra `onnx`, imported only when used."""

from typing import TYPE_CHECKING

from v8lib.errors import BundleError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

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
        from onnxruntime.capi.onnxruntime_pybind11_state import OrtException
    except ImportError:
        raise BundleError(NO_EXTRA) from None
    refuse_other_files(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong is raised
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (OrtException, RuntimeError, ValueError) as error:
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
        from onnx.external_data_helper import _get_all_tensors, uses_external_data
    except ImportError:
        raise BundleError(NO_EXTRA) from None
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise BundleError("not an ONNX model: its bytes cannot be read as one") from None
    outside = next((t.name for t in _get_all_tensors(model) if uses_external_data(t)), None)
    if outside is not None:
        raise BundleError(f"weights '{outside}' stand in another file: save the model as one file")


def one_line(error: Exception) -> str:
    """Return the message of an error as one line of bounded length."""
    return " ".join(str(error).split())[:300]
