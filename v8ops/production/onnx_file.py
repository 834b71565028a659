"""An ONNX file from outside: read, opened, and its input and output compared with its spec."""

from pathlib import Path

from v8lib.errors import BundleError
from v8lib.onnx_net import OnnxRuntime
from v8ops.production.errors import ProductionError
from v8ops.production.spec import Spec

MAX_BYTES = 200_000_000


def read_model(path: Path, spec: Spec) -> OnnxRuntime:
    """Return the model in a file, opened.

    Raises
    ------
    ProductionError
        One line that names the file: it cannot be read, is too large, is no ONNX model,
        refers to another file, or has another input or output than the spec says.
    BundleError
        If the extra `onnx` is not installed.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ProductionError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB")
        content = path.read_bytes()
    except OSError as error:
        raise ProductionError(f"{path} cannot be read: {error.strerror}") from None
    runtime = spec.runtime(content)
    try:
        _ = runtime.session
    except BundleError as error:
        raise ProductionError(f"{path}: {error}") from None
    return runtime
