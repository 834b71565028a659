"""The net of `auxiliary.TwoHeads` with its gradient written out, for training without autograd.

The layers are few and fixed, so their gradients are known beforehand. What autograd adds is
memory asked for anew at every step, copies of half batches, and random numbers drawn one after
the other. Here results land in place, parameters and gradients lie in one tensor each, and
what is dropped is decided by sixteen random bits a number. A test holds the gradient against
that of the plain module.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from v8lib.auxiliary import N_TARGETS, TwoHeads
from v8lib.flat_parameters import FlatParameters
from v8lib.gate import NOISE_VALUES, Gate, relu
from v8lib.model import HIDDEN, N_CLASSES, AdaptiveNorm

LAYERS_PER_BLOCK = 4  # linear, norm, ReLU, dropout
BATCH_BACKWARD = torch.ops.aten.native_batch_norm_backward.out
LAYER_BACKWARD = torch.ops.aten.native_layer_norm_backward.out
EVERY_ONE = [True] * 3  # gradients of rows, weight and bias are all wanted


class BatchPart:
    """BatchNorm and ReLU over some rows of the batch, and the norm's gradient."""

    def __init__(self, norm: nn.BatchNorm1d, flat: FlatParameters) -> None:
        pairs = [flat.views(p) for p in (norm.weight, norm.bias)]
        (self.weight, self.bias), self.gradients = zip(*pairs, strict=True)
        self.running = norm.running_mean, norm.running_var
        self.saved = tuple(torch.empty_like(known) for known in self.running)  # mean, 1 / deviation
        self.momentum, self.eps = norm.momentum, norm.eps

    def forward(self, x: Tensor, out: Tensor) -> None:
        """Put what is left of `x` into `out`, and move the running statistics along."""
        known = (self.weight, self.bias, *self.running, True, self.momentum, self.eps)
        torch.native_batch_norm(x, *known, out=(out, *self.saved))
        relu(out, out)

    def backward(self, gradient: Tensor, x: Tensor) -> None:
        """Turn the gradient of the normalised rows into that of `x`, and keep the norm's own."""
        known = (self.weight, *self.running, *self.saved, True, self.eps, EVERY_ONE)
        weight, bias = self.gradients
        BATCH_BACKWARD(gradient, x, *known, out0=gradient, out1=weight, out2=bias)


class LayerPart:
    """LayerNorm and ReLU over some rows of the batch, and the norm's gradient."""

    def __init__(self, norm: nn.LayerNorm, flat: FlatParameters) -> None:
        pairs = [flat.views(p) for p in (norm.weight, norm.bias)]
        self.parameters, self.gradients = zip(*pairs, strict=True)
        self.shape, self.eps = norm.normalized_shape, norm.eps

    def forward(self, x: Tensor, out: Tensor) -> None:
        """Put what is left of `x` into `out`."""
        normal, *self.saved = torch.native_layer_norm(x, self.shape, *self.parameters, self.eps)
        relu(normal, out)

    def backward(self, gradient: Tensor, x: Tensor) -> None:
        """Turn the gradient of the normalised rows into that of `x`, and keep the norm's own."""
        known = (self.shape, *self.saved, *self.parameters, EVERY_ONE)
        weight, bias = self.gradients
        LAYER_BACKWARD(gradient, x, *known, out0=gradient, out1=weight, out2=bias)


def norms_of(norm: nn.Module) -> list[nn.Module]:
    """Return the norms inside a norm layer, in the order of the rows they take in training."""
    return [norm.batch, norm.layer] if isinstance(norm, AdaptiveNorm) else [norm]


class Part(NamedTuple):
    """The rows of a batch that one norm takes, in each of a block's tensors, and that norm.

    Made once: a slice takes as long as the smallest computations of a step.
    """

    norm: BatchPart | LayerPart
    linear_out: Tensor
    out: Tensor
    slope: Tensor


class HiddenBlock:
    """Linear, norm, ReLU and dropout, and their gradient.

    Dropout keeps a number and multiplies it by `scale`, 1 / (1 - p), or drops it. The factor is
    left to the matrix product that reads the result, where it costs nothing.
    """

    def __init__(
        self, linear: nn.Linear, norm: nn.Module, dropout: float, flat: FlatParameters, n_rows: int
    ) -> None:
        self.weight, self.weight_gradient = flat.views(linear.weight)
        self.bias, self.bias_gradient = flat.views(linear.bias)
        self.linear_out, self.out, self.slope = (
            self.weight.new_empty(n_rows, len(self.weight)) for _ in range(3)
        )
        self.gate = Gate(self.out, dropout)
        self.scale = NOISE_VALUES / (NOISE_VALUES - self.gate.dropped)
        inner = norms_of(norm)
        first = n_rows // len(inner)
        rows = [slice(first), slice(first, n_rows)] if len(inner) > 1 else [slice(n_rows)]
        kinds = [BatchPart if isinstance(n, nn.BatchNorm1d) else LayerPart for n in inner]
        self.parts = [
            Part(kind(n, flat), self.linear_out[some], self.out[some], self.slope[some])
            for kind, n, some in zip(kinds, inner, rows, strict=True)
        ]
        self.transposed = self.weight.t(), self.slope.t()

    def forward(self, x: Tensor, scale: float, noise: Tensor) -> Tensor:
        """Return what is left of `x` times `scale` after this block, before its own scale."""
        torch.addmm(self.bias, x, self.transposed[0], alpha=scale, out=self.linear_out)
        for part in self.parts:
            part.norm.forward(part.linear_out, part.out)
        self.gate.drop(noise)
        return self.out

    def backward(self, x: Tensor, scale: float) -> None:
        """Turn `slope`, the gradient of the block's result, into that of its linear layer.

        Along the way the gradients of all its parameters are kept.
        """
        self.gate.close(self.slope)
        for part in self.parts:
            part.norm.backward(part.slope, part.linear_out)
        torch.sum(self.slope, 0, out=self.bias_gradient)
        self.weight_gradient.addmm_(self.transposed[1], x, beta=0.0, alpha=scale)


class FastNet:
    """Training passes of a net with two heads over batches of one size.

    The net's parameters become views into `flat.values`, so that the net is trained with it.

    Parameters
    ----------
    heads : TwoHeads
        On its device, in float32 (float64 in tests).
    n_rows : int
        Rows of every batch.
    dtype : torch.dtype
        Precision of rows and weights in the hidden layers; both heads, BatchNorm's parameters
        and the values that are updated keep the net's own.
    """

    def __init__(self, heads: TwoHeads, n_rows: int, *, dtype: torch.dtype) -> None:
        *hidden, last = heads.net.layers
        blocks = [hidden[k : k + LAYERS_PER_BLOCK] for k in range(0, len(hidden), LAYERS_PER_BLOCK)]
        self.norms = [n for _, norm, *_ in blocks for n in norms_of(norm)]
        batch = [p for n in self.norms if isinstance(n, nn.BatchNorm1d) for p in n.parameters()]
        ends = [last.weight, heads.head.weight, last.bias, heads.head.bias]
        exact = {id(p) for p in (*batch, *ends)}
        rounded = [p for p in heads.parameters() if id(p) not in exact]
        self.flat = FlatParameters(rounded, [*batch, *ends], dtype)
        self.weight, self.weight_gradient = self.flat.views(*ends[:2])
        self.bias, self.bias_gradient = self.flat.views(*ends[2:])
        self.blocks = [
            HiddenBlock(linear, norm, dropout.p, self.flat, n_rows)
            for linear, norm, _, dropout in blocks
        ]
        self.scores = self.weight.new_empty(n_rows, N_CLASSES + N_TARGETS)
        self.last_slope = self.blocks[-1].slope.to(self.weight.dtype)  # itself, if not rounded

    def forward(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Return class scores and predicted targets side by side, shape (n_rows, 5).

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the precision of the hidden layers; kept until `backward`.
        noise : sequence of int16 Tensors of shape (n_rows * width,)
            Per hidden layer, uniform over all values.
        """
        self.flat.round()
        self.x, scale = x, 1.0
        for block, bits in zip(self.blocks, noise, strict=True):
            x, scale = block.forward(x, scale, bits), block.scale
        self.last = x.to(self.weight.dtype)
        return torch.addmm(self.bias, self.last, self.weight.t(), alpha=scale, out=self.scores)

    def backward(self, gradient: Tensor) -> None:
        """Set `flat.gradient` from the gradient of what `forward` returned."""
        scale = self.blocks[-1].scale
        torch.sum(gradient, 0, out=self.bias_gradient)
        self.weight_gradient.addmm_(gradient.t(), self.last, beta=0.0, alpha=scale)
        self.last_slope.addmm_(gradient, self.weight, beta=0.0, alpha=scale)
        if self.flat.rounds:
            self.blocks[-1].slope.copy_(self.last_slope)
        for k in reversed(range(len(self.blocks))):
            block, below = self.blocks[k], self.blocks[k - 1] if k else None
            block.backward(below.out if below else self.x, below.scale if below else 1.0)
            if below:
                below.slope.addmm_(block.slope, block.weight, beta=0.0, alpha=below.scale)
        self.flat.collect()

    def count_batches(self, n: int) -> None:
        """Note that BatchNorm has seen `n` batches more, as the plain module would."""
        for norm in self.norms:
            if isinstance(norm, nn.BatchNorm1d):
                norm.num_batches_tracked += n


def noise_sizes(n_rows: int) -> list[int]:
    """Return how much noise each hidden layer needs for a step of `n_rows`."""
    return [n_rows * width for width in HIDDEN]
