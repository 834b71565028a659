"""The trained net as an ONNX model, for onnxruntime: a peer of the suite's own inference."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET, IR_VERSION = 17, 10
N_HIDDEN, NORM_EPSILON = 3, 1e-5


def write_onnx(path: Path, weights: Mapping[str, NDArray]) -> Path:
    """Write a net with adaptive normalisation as its inference runs: through LayerNorm."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, used = [], []

    def array(name: str) -> str:
        used.append(numpy_helper.from_array(np.asarray(weights[name], np.float32), name))
        return name

    def linear(source: str, layer: int, target: str) -> None:
        inputs = [source, array(f"layers.{layer}.weight"), array(f"layers.{layer}.bias")]
        nodes.append(helper.make_node("Gemm", inputs, [target], transB=1))

    x = "features"
    for k in range(N_HIDDEN):
        linear(x, 4 * k, f"linear{k}")
        norm = f"layers.{4 * k + 1}.layer"
        inputs = [f"linear{k}", array(f"{norm}.weight"), array(f"{norm}.bias")]
        settings = {"axis": -1, "epsilon": NORM_EPSILON}
        nodes.append(helper.make_node("LayerNormalization", inputs, [f"norm{k}"], **settings))
        nodes.append(helper.make_node("Relu", [f"norm{k}"], [f"hidden{k}"]))
        x = f"hidden{k}"
    linear(x, 4 * N_HIDDEN, "logits")
    width = weights["layers.0.weight"].shape[1]
    shapes = {"features": ["rows", width], "logits": ["rows", 3]}
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    graph = helper.make_graph(nodes, "V8TradingNet", ends[:1], ends[1:], used)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def open_session(path: str | Path) -> Any:
    """Return an onnxruntime session on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
