"""The norm and the ReLU of a hidden layer over the rows that the norm takes, and their gradient.

What is called at every step is put together once, with everything that it is called with: to
make a view, a tuple or a keyword takes as long as the smallest computations of a step.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from v8lib.flat_parameters import FlatParameters
from v8lib.gate import relu_into
from v8lib.model import AdaptiveNorm

BATCH_BACKWARD = torch.ops.aten.native_batch_norm_backward.out
LAYER_BACKWARD = torch.ops.aten.native_layer_norm_backward.out
EVERY_ONE = [True] * 3  # gradients of rows, weight and bias are all wanted


class BlockRows(NamedTuple):
    """The tensors of a hidden layer, each of shape (n_rows, width), or some of their rows."""

    linear_out: Tensor
    out: Tensor
    slope: Tensor

    def some(self, rows: slice) -> "BlockRows":
        """Return these rows of each."""
        return BlockRows(*(tensor[rows] for tensor in self))


class BatchPart:
    """BatchNorm and ReLU over some rows of the batch, and the norm's gradient.

    `backward` turns `slope`, of the normalised rows, into that of `linear_out`, and keeps the
    gradients of the norm's own parameters.
    """

    def __init__(self, norm: nn.BatchNorm1d, rows: BlockRows, flat: FlatParameters) -> None:
        running = norm.running_mean, norm.running_var
        (weight, into_weight), (bias, into_bias) = map(flat.views, (norm.weight, norm.bias))
        saved = [torch.empty_like(known) for known in running]  # mean, 1 / deviation
        given = rows.linear_out, weight, bias, *running, True, norm.momentum, norm.eps
        self.normalise = partial(torch.native_batch_norm, *given, out=(rows.out, *saved))
        self.rectify = partial(relu_into(rows.out), rows.out)
        known = weight, *running, *saved, True, norm.eps, EVERY_ONE
        results = {"out0": rows.slope, "out1": into_weight, "out2": into_bias}
        self.backward = partial(BATCH_BACKWARD, rows.slope, rows.linear_out, *known, **results)

    def forward(self) -> None:
        """Put what is left of `linear_out` into `out`, and move the running statistics along."""
        self.normalise()
        self.rectify()


class LayerPart:
    """LayerNorm and ReLU over some rows of the batch, and the norm's gradient."""

    def __init__(self, norm: nn.LayerNorm, rows: BlockRows, flat: FlatParameters) -> None:
        (weight, into_weight), (bias, into_bias) = map(flat.views, (norm.weight, norm.bias))
        given = rows.linear_out, norm.normalized_shape
        self.normalise = partial(torch.native_layer_norm, *given, weight, bias, norm.eps)
        self.rectify = relu_into(rows.out)
        self.known = weight, bias, EVERY_ONE
        results = {"out0": rows.slope, "out1": into_weight, "out2": into_bias}
        self.go_back = partial(LAYER_BACKWARD, rows.slope, *given, **results)

    def forward(self) -> None:
        """Put what is left of `linear_out` into `out`."""
        normal, self.mean, self.scale = self.normalise()
        self.rectify(normal)

    def backward(self) -> None:
        """Turn `slope`, of the normalised rows, into that of `linear_out`; keep the norm's own."""
        self.go_back(self.mean, self.scale, *self.known)


def norms_of(norm: nn.Module) -> list[nn.Module]:
    """Return the norms inside a norm layer, in the order of the rows they take in training."""
    return [norm.batch, norm.layer] if isinstance(norm, AdaptiveNorm) else [norm]


def parts_of(
    norm: nn.Module, rows: BlockRows, flat: FlatParameters
) -> tuple[list[BatchPart | LayerPart], Tensor | None]:
    """Return the parts of a norm layer, and the slopes of the rows that feel the layer's bias.

    BatchNorm takes the mean off and the bias with it, so that the bias has no gradient there:
    what a sum over those rows would find is rounding.
    """
    inner, n_rows = norms_of(norm), len(rows.slope)
    ends = [0, n_rows // 2, n_rows] if len(inner) > 1 else [0, n_rows]
    parts, feeling = [], None
    for k, own in enumerate(inner):
        some = rows.some(slice(ends[k], ends[k + 1]))
        if isinstance(own, nn.BatchNorm1d):
            parts.append(BatchPart(own, some, flat))
        else:
            parts.append(LayerPart(own, some, flat))
            feeling = some.slope
    return parts, feeling
