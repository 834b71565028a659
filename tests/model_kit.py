"""Models of every kind, small, for tests of bundles and of what is made of them."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from v8lib.features import warmup_bars
from v8lib.linear import LinearRuntime
from v8lib.onnx_net import OnnxRuntime

COLUMNS = ("rsi_14", "return_1", "return_4")  # a subset, and not in the table's order


def facts_of(table, **changed):
    """Facts for a manifest."""
    return {
        "interval_s": 60,
        "exclude_families": [],
        "warmup_bars": warmup_bars(table),
        "lookbacks": {feature.name: feature.lookback_bars for feature in table},
        "labels": {"scheme": "trailing_tercile", "horizon_bars": 4},
        "class_shares": [0.3, 0.4, 0.3],
        "trained_on": [1, 2],
        "data_sha256": "0" * 64,
        "gates": {"skill": {"value": 0.1, "ci": [0.0, 0.2], "limit": "x", "verdict": "pass"}},
    } | changed


def linear_runtime(scaler, *, inverse_temperature=1.2):
    rng = np.random.default_rng(5)
    return LinearRuntime(
        rng.normal(scale=0.1, size=(3, len(scaler.names))),
        np.array([0.1, -0.2, 0.1]),
        scaler,
        inverse_temperature,
        np.array([0.3, 0.4, 0.3]),
        np.array([0.05, -0.1, 0.05]),
        0.6,
    )


def onnx_content(
    n_columns,
    *,
    rows="rows",
    ends=(),
    opset=17,
    columns=None,
    n_out=3,
    dtype=TensorProto.FLOAT,
    external=False,
    through=(),
):
    """A linear ONNX model "in" -> "out"; `ends` are further operators, `through` whole nodes."""
    rng = np.random.default_rng(11)
    np_dtype = helper.tensor_dtype_to_np_dtype(dtype)
    weights = [
        numpy_helper.from_array((0.3 * rng.normal(size=(n_columns, n_out))).astype(np_dtype), "W"),
        numpy_helper.from_array(np.linspace(-0.1, 0.1, n_out).astype(np_dtype), "b"),
    ]
    if external:
        onnx.external_data_helper.set_external_data(weights[0], "weights.bin")
        weights[0].ClearField("raw_data")
        weights[0].data_location = TensorProto.EXTERNAL
    steps = [
        helper.make_node("MatMul", ["in", "W"], ["x0"]),
        helper.make_node("Add", ["x0", "b"], ["x1"]),
    ]
    last = "x1"
    for k, operator in enumerate(ends):
        attributes = {"axis": 1} if "Softmax" in operator else {}
        steps.append(helper.make_node(operator, [last], [f"y{k}"], **attributes))
        last = f"y{k}"
    for node in through:
        node.input[0], last = last, node.output[0]
        steps.append(node)
    steps.append(helper.make_node("Identity", [last], ["out"]))
    graph = helper.make_graph(
        steps,
        "small",
        [helper.make_tensor_value_info("in", dtype, [rows, columns or n_columns])],
        [helper.make_tensor_value_info("out", dtype, [rows, n_out])],
        weights,
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def onnx_runtime(scaler=None, *, content=None, output="logits", order=(0, 1, 2), columns=COLUMNS):
    content = content or onnx_content(len(columns))
    offsets = np.array([0.05, -0.1, 0.05])
    return OnnxRuntime(content, columns, "in", "out", output, order, scaler, offsets, 0.6)


def spec_of(**changed):
    """A description of `onnx_content(3)`; what is None is left out."""
    content = {
        "input": "in",
        "columns": list(COLUMNS),
        "mean": [0.0, 0.0, 0.0],
        "scale": [1.0, 1.0, 1.0],
        "clip_sigma": 8.0,
        "output": "out",
        "output_is": "logits",
        "classes": ["DOWN", "HOLD", "UP"],
        "interval_s": 60,
        "labels": {"scheme": "trailing_tercile", "horizon_bars": 4, "window_bars": 2_880},
        "min_confidence": 0.6,
    } | changed
    return {key: value for key, value in content.items() if value is not None}


def write_spec(path, **changed):
    path.write_text(json.dumps(spec_of(**changed)))
    return path
