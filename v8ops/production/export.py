"""`export`: a bundle as one ONNX file, from its features to logits, probabilities and decision.

The file takes `features`, float32 (rows, columns), unscaled, in the order of its metadata entry
`columns`, and gives `logits`, `probs`, `decision` (0 DOWN, 1 HOLD, 2 UP) and `actionable`. It
is compared with the bundle before it is written.

Exit status: 0 written; 2 refused, nothing was written.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from v8lib.bundle import Bundle
from v8lib.storage import write_bytes
from v8ops.production.change import MODELS, verified_bundle
from v8ops.production.errors import ProductionError
from v8ops.production.names import check_symbol, check_version

TOLERANCE = 1e-5
N_ROWS = 64
NO_EXTRA = "export needs onnx and onnxruntime: install the extra (pip install '.[onnx]')"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add = parser.add_argument
    add("--symbol", required=True, help="whose model, such as BTC")
    add("--version", required=True, help="name of its folder in models/SYMBOL/")
    add("--onnx", required=True, type=Path, metavar="FILE", help="the file to write (.onnx)")
    add("--models", type=Path, default=MODELS, help="the models folder")


def main(options: argparse.Namespace) -> int:
    """Export a bundle and say what was written."""
    symbol, version = check_symbol(options.symbol), check_version(options.version)
    out = options.onnx
    if out.suffix != ".onnx":
        raise ProductionError(f"--onnx {out}: name it .onnx")
    if out.resolve().is_relative_to(options.models.resolve()):
        raise ProductionError(f"--onnx {out}: bundles are never changed; write it elsewhere")
    bundle = verified_bundle(options.models, symbol, version)
    content = exported(bundle)
    try:
        write_bytes(out, content)
    except OSError as error:
        raise ProductionError(f"{out} cannot be written: {error.strerror}") from None
    n = len(bundle.runtime.names)
    sys.stdout.write(f"{out}: {symbol} {version}, {n} columns, {len(content):,} bytes\n")
    return 0


def exported(bundle: Bundle) -> bytes:
    """Return a bundle as the bytes of an ONNX file that says what the bundle says.

    Raises
    ------
    ProductionError
        If the extra is not installed, or the file says something else of rows drawn around the
        middle of train.
    """
    try:
        import onnxruntime

        from v8ops.production.onnx_wrapped import onnx_model
    except ImportError:
        raise ProductionError(NO_EXTRA) from None
    content = onnx_model(bundle).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rows = probe_rows(bundle)
    own = bundle.runtime.predict(rows)
    for name, expected in (("logits", own.logits), ("probs", own.probs)):
        (said,) = session.run([name], {"features": rows})
        gap = float(np.abs(said - expected).max())
        if not gap <= TOLERANCE:  # a NaN is refused too
            raise ProductionError(f"the exported {name} are off by {gap:.2g}: not written")
    return content


def probe_rows(bundle: Bundle) -> NDArray[np.float32]:
    """Return rows to compare on: drawn round the middle of train where that is known."""
    scaler = getattr(bundle.runtime, "scaler", None)
    drawn = np.random.default_rng(0).normal(size=(N_ROWS, len(bundle.runtime.names)))
    if scaler is not None:
        drawn = scaler.mean + scaler.scale * drawn
    return drawn.astype(np.float32)
