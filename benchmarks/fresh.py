"""What is measured in a process of its own: ``python -m benchmarks.fresh WORK ARGUMENT ...``.

Each work prints one line of JSON as soon as it has its answer. Nothing heavy is imported
before the work is known: for a cold start that is part of the figure.
"""

import json
import sys
import time


def nothing() -> dict:
    """Return at once: what a process costs before it does anything."""
    return {}


def features(path: str) -> dict:
    """Return the seconds of computing all features of a Parquet file, and the peak memory."""
    import pandas as pd

    from benchmarks.processes import peak_memory_bytes
    from v8lib.bars import bar_seconds
    from v8lib.features import feature_table, make_features

    bars = pd.read_parquet(path).set_index("timestamp")
    table = feature_table(bar_seconds(bars))
    before = peak_memory_bytes()
    began, cpu = time.perf_counter(), time.process_time()
    made = make_features(bars, table)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "shape": list(made.shape),
        "bytes_before": before,
        "peak_bytes": peak_memory_bytes(),
    }


def signal(bundle: str, tail: str) -> dict:
    """Return the first signal of a process from a bundle and the arrays of its last bars."""
    from benchmarks import ours

    loaded = ours.open_bundle(bundle)
    probs = ours.signaller(loaded)(ours.read_tail(tail))
    return {"probs": [float(p) for p in probs], "modules": len(sys.modules)}


def torch_row(weights: str) -> dict:
    """Return the first raw scores of a process that runs the net in torch, on one row."""
    import numpy as np
    from safetensors.numpy import load_file

    from v8lib.model import build_net, predict_logits

    arrays = load_file(weights)
    row = np.zeros((1, arrays["layers.0.weight"].shape[1]), np.float32)
    net = build_net(arrays, normalization="adaptive")
    return {"logits": predict_logits(net, row)[0].tolist()}


def onnx_row(model: str) -> dict:
    """Return the first raw scores of a process that runs the net in onnxruntime, on one row."""
    import numpy as np

    from benchmarks.onnx_net import open_session

    session = open_session(model)
    width = session.get_inputs()[0].shape[1]
    logits = session.run(None, {"features": np.zeros((1, width), np.float32)})[0]
    return {"logits": logits[0].tolist()}


def numpy_row(weights: str) -> dict:
    """Return the first raw scores of a process that runs the net in numpy, on one row."""
    import numpy as np
    from safetensors.numpy import load_file

    from v8lib.numpy_net import NumpyNet

    arrays = load_file(weights)
    row = np.zeros((1, arrays["layers.0.weight"].shape[1]), np.float32)
    return {"logits": NumpyNet(arrays, "adaptive").raw_logits(row)[0].tolist()}


WORKS = {
    work.__name__: work for work in (nothing, features, signal, torch_row, onnx_row, numpy_row)
}


def main(arguments: list[str]) -> int:
    """Do one work and print what it found."""
    found = WORKS[arguments[0]](*arguments[1:])
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
