"""Whole ONNX models of bundles: of our own kinds, and of a foreign file with steps round it."""

import json

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, compose, helper

from v8lib.bundle import Bundle
from v8lib.linear import LinearRuntime
from v8lib.onnx_net import FLOOR, ROUNDING, OnnxRuntime
from v8lib.runtime import Runtime
from v8ops.production import onnx_graph as steps
from v8ops.production.errors import ProductionError
from v8ops.production.onnx_graph import Graph

OPSET, IR_VERSION = 17, 8
OLDEST_OPSET = 13  # from here on the steps mean the same in every set
INNER = "model_"  # leads every name of a foreign file
OUTPUTS = {
    "logits": (TensorProto.DOUBLE, ["rows", 3]),
    "probs": (TensorProto.DOUBLE, ["rows", 3]),
    "decision": (TensorProto.INT64, ["rows"]),
    "actionable": (TensorProto.BOOL, ["rows"]),
}


def onnx_model(bundle: Bundle) -> ModelProto:
    """Return a model from features, float32 (rows, n_features), to `OUTPUTS`.

    Raises
    ------
    ProductionError
        If a foreign file is of an operator set before 13, or takes one row at a time.
    """
    runtime, graph = bundle.runtime, Graph()
    opsets, functions, ir_version = [helper.make_opsetid("", OPSET)], [], IR_VERSION
    if isinstance(runtime, Runtime):
        _net(graph, runtime)
    elif isinstance(runtime, LinearRuntime):
        _linear(graph, runtime)
    else:
        inner = _wrapped(graph, runtime)
        opsets, functions, ir_version = inner.opset_import, inner.functions, inner.ir_version
    made = helper.make_graph(
        graph.nodes,
        f"{bundle.manifest['symbol']} {bundle.version}",
        [_value("features", TensorProto.FLOAT, ["rows", len(runtime.names)])],
        [_value(name, *kind) for name, kind in OUTPUTS.items()],
        graph.constants,
    )
    model = helper.make_model(
        made, opset_imports=opsets, functions=functions, ir_version=ir_version
    )
    told = {"version": bundle.version, "symbol": bundle.manifest["symbol"]}
    told |= {"columns": json.dumps(list(runtime.names)), "classes": "DOWN HOLD UP"}
    helper.set_model_props(model, told)
    onnx.checker.check_model(model, full_check=True)
    return model


def _value(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _net(graph: Graph, runtime: Runtime) -> None:
    x = steps.scaled(graph, "features", runtime.scaler)
    members = [
        steps.calibrated(graph, steps.net_logits(graph, x, m.net), m.calibration)
        for m in runtime.members
    ]
    logits = steps.averaged(graph, members)
    steps.finish(graph, logits, None, runtime.offsets, runtime.min_confidence)


def _linear(graph: Graph, runtime: LinearRuntime) -> None:
    x = steps.scaled(graph, "features", runtime.scaler)
    product = graph.add("MatMul", x, graph.constant(runtime.coefficients.T))
    scores = graph.add("Add", product, graph.constant(runtime.intercepts))
    if runtime.inverse_temperature == 0.0:
        logits = steps.prior_logits(graph, scores, runtime.prior)
    else:
        sharp = graph.constant(runtime.inverse_temperature)
        logits = steps.centred(graph, graph.add("Mul", scores, sharp))
    steps.finish(graph, logits, None, runtime.offsets, runtime.min_confidence)


def _wrapped(graph: Graph, runtime: OnnxRuntime) -> ModelProto:
    """Add a foreign file between our steps, its names led by a prefix; return the file."""
    inner = compose.add_prefix(onnx.load_model_from_string(runtime.content), INNER)
    sets = {opset.domain: opset.version for opset in inner.opset_import}
    if sets.get("", 0) < OLDEST_OPSET:
        raise ProductionError(
            f"the model is of operator set {sets.get('', 0)}: export it again with "
            f"{OLDEST_OPSET} or newer"
        )
    given = next(i for i in inner.graph.input if i.name == INNER + runtime.input_name)
    if given.type.tensor_type.shape.dim[0].dim_value:
        raise ProductionError("the model takes one row at a time: export it with open rows")
    x = "features"
    if runtime.scaler is not None:
        x = steps.scaled(graph, x, runtime.scaler)
    dtype = helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
    graph.cast(x, dtype, name=INNER + runtime.input_name)
    graph.nodes.extend(inner.graph.node)
    graph.constants.extend(inner.graph.initializer)
    if inner.graph.sparse_initializer:
        raise ProductionError("the model holds sparse weights: export it again with dense ones")
    said = graph.cast(INNER + runtime.output_name, np.float64)
    said = graph.add("Gather", said, graph.constant(list(runtime.order), np.int64), axis=1)
    logits, probs = _scores(graph, said, runtime.output)
    steps.finish(graph, logits, probs, runtime.offsets, runtime.min_confidence)
    return inner


def _scores(graph: Graph, said: str, output: str) -> tuple[str, str | None]:
    """Add what `onnx_net.scores` does."""
    if output == "logits":
        return steps.centred(graph, said), None
    probs = graph.add("Exp", said) if output == "log_probs" else said
    total = graph.add("MatMul", probs, graph.constant(np.ones((3, 1))))
    off = graph.add("Abs", graph.add("Sub", total, graph.constant(1.0)))
    rounding = graph.add("Less", off, graph.constant(ROUNDING))
    probs = graph.add("Where", rounding, graph.add("Div", probs, total), probs)
    logs = graph.add("Log", graph.add("Max", probs, graph.constant(FLOOR)))
    return steps.centred(graph, logs), probs
