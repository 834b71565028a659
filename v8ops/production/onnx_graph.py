"""The steps of a bundle as ONNX nodes, in double precision like the runtime itself.

Only operators are used that mean the same in every operator set from 12 on: sums and means
over columns are matrix products with constant columns. So the nodes fit round a model of any
age.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from v8lib.calibration import Calibration
from v8lib.inversion import PROBABILITY_FLOOR
from v8lib.numpy_net import N_HIDDEN, NORM_EPSILON, NumpyNet
from v8lib.scaling import Scaler

Array = NDArray[np.float64]
CENTRING = np.eye(3) - 1.0 / 3.0
TINY = 1e-15  # as in `decision.decide`


class Graph:
    """Nodes and constants, added one after the other; values are known by name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: object) -> str:
        """Add a node and return the name of what it gives."""
        out = name or f"v8_{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [out], **attributes))
        return out

    def constant(self, value: object, dtype: type = np.float64) -> str:
        """Add a constant and return its name."""
        name = f"v8_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def matrix(self, value: NDArray) -> str:
        """Add a constant matrix of float32 or float64 and return its name as a double."""
        if value.dtype != np.float32:
            return self.constant(value)
        return self.cast(self.constant(value, np.float32), np.float64)

    def cast(self, value: str, dtype: type, name: str = "") -> str:
        """Add a conversion and return its name."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", value, to=to, name=name)


def scaled(graph: Graph, features: str, scaler: Scaler) -> str:
    """Add scaling and clip, rounded to float32 as the runtime rounds; return a double."""
    exact = graph.add("Sub", graph.cast(features, np.float64), graph.constant(scaler.mean))
    exact = graph.add("Div", exact, graph.constant(scaler.scale))
    clip = graph.constant(scaler.clip_sigma), graph.constant(-scaler.clip_sigma)
    cut = graph.add("Max", graph.add("Min", exact, clip[0]), clip[1])
    return graph.cast(graph.cast(cut, np.float32), np.float64)


def net_logits(graph: Graph, x: str, net: NumpyNet) -> str:
    """Add a net's layers through the norm that inference uses, and return its raw scores."""
    for layer in range(N_HIDDEN):
        x = _norm(graph, _linear(graph, x, net, 4 * layer), net, 4 * layer + 1)
        x = graph.add("Relu", x)
    return _linear(graph, x, net, 4 * N_HIDDEN)


def _linear(graph: Graph, x: str, net: NumpyNet, layer: int) -> str:
    weight, bias = (net.weights[f"layers.{layer}.{name}"] for name in ("weight", "bias"))
    product = graph.add("MatMul", x, graph.matrix(np.ascontiguousarray(weight.T)))
    return graph.add("Add", product, graph.matrix(bias))


def _norm(graph: Graph, x: str, net: NumpyNet, layer: int) -> str:
    inner = ".layer" if net.normalization == "adaptive" else ""
    own = {
        name: graph.matrix(net.weights[f"layers.{layer}{inner}.{name}"])
        for name in ("weight", "bias")
    }
    if net.normalization == "batch":
        running = (net.weights[f"layers.{layer}.running_{name}"] for name in ("mean", "var"))
        mean, variance = (graph.matrix(array) for array in running)
        centred = graph.add("Sub", x, mean)
    else:
        width = len(net.weights[f"layers.{layer}{inner}.weight"])
        average = graph.constant(np.full((width, 1), 1.0 / width))
        centred = graph.add("Sub", x, graph.add("MatMul", x, average))
        variance = graph.add("MatMul", graph.add("Mul", centred, centred), average)
    spread = graph.add("Sqrt", graph.add("Add", variance, graph.constant(NORM_EPSILON)))
    unit = graph.add("Div", centred, spread)
    return graph.add("Add", graph.add("Mul", unit, own["weight"]), own["bias"])


def calibrated(graph: Graph, raw: str, calibration: Calibration) -> str:
    """Add the inversion of the loss and the temperature; return final logits, centred."""
    if calibration.inverse_temperature == 0.0:
        return prior_logits(graph, raw, calibration.prior)
    gamma, other = calibration.gamma, calibration.smoothing / 2.0
    v = graph.add("Softmax", raw, axis=1)
    v = graph.add("Max", graph.add("Min", v, graph.constant(1.0 - 1e-12)), graph.constant(1e-12))
    rest = graph.add("Sub", graph.constant(1.0), v)
    steep = graph.add("Mul", graph.constant(gamma), _power(graph, rest, gamma - 1.0))
    steep = graph.add("Mul", graph.add("Mul", steep, v), graph.add("Log", v))
    focus = graph.add("Sub", _power(graph, rest, gamma), steep)
    weighted = graph.add(
        "Div", graph.add("Div", v, focus), graph.constant(calibration.class_weights)
    )
    smoothed = _shares(graph, weighted)
    eta = graph.add("Sub", smoothed, graph.constant(other))
    eta = graph.add("Div", eta, graph.constant(1.0 - calibration.smoothing - other))
    eta = _shares(graph, graph.add("Max", eta, graph.constant(PROBABILITY_FLOOR)))
    sharp = graph.constant(calibration.inverse_temperature)
    return centred(graph, graph.add("Mul", graph.add("Log", eta), sharp))


def prior_logits(graph: Graph, raw: str, prior: Array) -> str:
    """Add the answer of a model without skill: the same for every row, NaN staying NaN."""
    nothing = graph.add("Mul", raw, graph.constant(0.0))
    return centred(graph, graph.add("Add", nothing, graph.constant(np.log(prior))))


def _power(graph: Graph, value: str, exponent: float) -> str:
    return graph.add("Pow", value, graph.constant(exponent))


def _shares(graph: Graph, value: str) -> str:
    return graph.add("Div", value, graph.add("MatMul", value, graph.constant(np.ones((3, 1)))))


def centred(graph: Graph, logits: str) -> str:
    """Add the step that takes each row's mean away."""
    return graph.add("MatMul", logits, graph.constant(CENTRING))


def averaged(graph: Graph, logits: Sequence[str]) -> str:
    """Add the mean of the members' probabilities, back as centred logits."""
    if len(logits) == 1:
        return logits[0]
    total = graph.add("Sum", *(graph.add("Softmax", one, axis=1) for one in logits))
    mean = graph.add("Div", total, graph.constant(float(len(logits))))
    return centred(graph, graph.add("Log", mean))


def finish(
    graph: Graph, logits: str, probs: str | None, offsets: Array, min_confidence: float
) -> None:
    """Add the outputs: logits, probs, decision (int64) and actionable (bool)."""
    graph.add("Identity", logits, name="logits")
    if probs is None:
        probs = graph.add("Softmax", logits, axis=1)
    graph.add("Identity", probs, name="probs")
    scores = graph.add("Log", graph.add("Max", probs, graph.constant(TINY)))
    scores = graph.add("Add", scores, graph.constant(offsets))
    graph.add("ArgMax", scores, axis=1, keepdims=0, name="decision")
    columns = [graph.add("Gather", probs, graph.constant(k, np.int64), axis=1) for k in range(3)]
    below = graph.add("Less", graph.add("Max", *columns), graph.constant(min_confidence))
    graph.add("Not", below, name="actionable")
