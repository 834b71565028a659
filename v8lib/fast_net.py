"""The net of `auxiliary.TwoHeads` with its gradient written out, for training without autograd.

The layers are few and fixed, so their gradients are known beforehand. What autograd adds is
memory asked for anew at every step, copies of half batches, and random numbers drawn one after
the other. Here results land in place, parameters and gradients lie in one tensor each, and
what is dropped is decided by sixteen random bits. A test holds the gradient against
that of the plain module.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from v8lib.auxiliary import N_TARGETS, TwoHeads
from v8lib.flat_parameters import FlatParameters
from v8lib.gate import NOISE_VALUES, Gate, in_bits, relu
from v8lib.model import HIDDEN, N_CLASSES, AdaptiveNorm

LAYERS_PER_BLOCK = 4  # linear, norm, ReLU, dropout
BATCH_BACKWARD = torch.ops.aten.native_batch_norm_backward.out
LAYER_BACKWARD = torch.ops.aten.native_layer_norm_backward.out
EVERY_ONE = [True] * 3  # gradients of rows, weight and bias are all wanted


class Part(NamedTuple):
    """The rows of a batch that one norm takes, in each of a block's tensors.

    Made once, as everything that a norm is called with: to make a slice or a tuple takes as
    long as the smallest computations of a step.
    """

    linear_out: Tensor
    out: Tensor
    slope: Tensor


class BatchPart:
    """BatchNorm and ReLU over some rows of the batch, and the norm's gradient."""

    def __init__(self, norm: nn.BatchNorm1d, part: Part, flat: FlatParameters) -> None:
        self.out, running = part.out, (norm.running_mean, norm.running_var)
        (weight, into_weight), (bias, into_bias) = map(flat.views, (norm.weight, norm.bias))
        saved = [torch.empty_like(known) for known in running]  # mean, 1 / deviation
        self.given = (part.linear_out, weight, bias, *running, True, norm.momentum, norm.eps)
        self.results = part.out, *saved
        known = (weight, *running, *saved, True, norm.eps, EVERY_ONE)
        self.given_back = part.slope, part.linear_out, *known
        self.gradients = {"out0": part.slope, "out1": into_weight, "out2": into_bias}

    def forward(self) -> None:
        """Put what is left of `linear_out` into `out`, and move the running statistics along."""
        torch.native_batch_norm(*self.given, out=self.results)
        relu(self.out, self.out)

    def backward(self) -> None:
        """Turn `slope`, of the normalised rows, into that of `linear_out`; keep the norm's own."""
        BATCH_BACKWARD(*self.given_back, **self.gradients)


class LayerPart:
    """LayerNorm and ReLU over some rows of the batch, and the norm's gradient."""

    def __init__(self, norm: nn.LayerNorm, part: Part, flat: FlatParameters) -> None:
        self.out = part.out
        (weight, into_weight), (bias, into_bias) = map(flat.views, (norm.weight, norm.bias))
        self.given = part.linear_out, norm.normalized_shape, weight, bias, norm.eps
        self.given_back = part.slope, part.linear_out, norm.normalized_shape
        self.known = weight, bias, EVERY_ONE
        self.gradients = {"out0": part.slope, "out1": into_weight, "out2": into_bias}

    def forward(self) -> None:
        """Put what is left of `linear_out` into `out`."""
        normal, *self.saved = torch.native_layer_norm(*self.given)
        relu(normal, self.out)

    def backward(self) -> None:
        """Turn `slope`, of the normalised rows, into that of `linear_out`; keep the norm's own."""
        LAYER_BACKWARD(*self.given_back, *self.saved, *self.known, **self.gradients)


def norms_of(norm: nn.Module) -> list[nn.Module]:
    """Return the norms inside a norm layer, in the order of the rows they take in training."""
    return [norm.batch, norm.layer] if isinstance(norm, AdaptiveNorm) else [norm]


class HiddenBlock:
    """Linear, norm, ReLU and dropout, and their gradient.

    Dropout keeps a number and multiplies it by `scale`, 1 / (1 - p), or drops it. The factor is
    left to the matrix product that reads the result, where it costs nothing.
    """

    def __init__(self, layers: Sequence[nn.Module], flat: FlatParameters, slope: Tensor) -> None:
        linear, norm, _, dropout = layers
        self.weight, self.weight_gradient = flat.views(linear.weight)
        self.bias, self.bias_gradient = flat.views(linear.bias)
        self.slope = slope
        self.linear_out, self.out = torch.empty_like(slope), torch.empty_like(slope)
        self.gate = Gate(self.out, slope, dropout.p)
        self.scale = NOISE_VALUES / (NOISE_VALUES - self.gate.dropped)
        inner = norms_of(norm)
        n_rows = len(slope)
        first = n_rows // len(inner)
        rows = [slice(first), slice(first, n_rows)] if len(inner) > 1 else [slice(n_rows)]
        kinds = [BatchPart if isinstance(n, nn.BatchNorm1d) else LayerPart for n in inner]
        self.parts = [
            kind(n, Part(*(t[some] for t in (self.linear_out, self.out, slope))), flat)
            for kind, n, some in zip(kinds, inner, rows, strict=True)
        ]
        self.transposed = self.weight.t(), self.slope.t()

    def forward(self, x: Tensor, scale: float, shared: int | None) -> Tensor:
        """Return what is left of `x` times `scale` after this block, before its own scale."""
        torch.addmm(self.bias, x, self.transposed[0], alpha=scale, out=self.linear_out)
        for part in self.parts:
            part.forward()
        self.gate.drop(shared)
        return self.out

    def backward(self, x: Tensor, scale: float) -> None:
        """Turn `slope`, the gradient of the block's result, into that of its linear layer.

        Along the way the gradients of all its parameters are kept.
        """
        self.gate.close()
        for part in self.parts:
            part.backward()
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
        sizes = [n_rows * width for width in HIDDEN]
        slopes = torch.empty(sum(sizes), dtype=dtype, device=self.weight.device)
        self.blocks = [
            HiddenBlock(layers, self.flat, slope.view(n_rows, -1))
            for layers, slope in zip(blocks, slopes.split(sizes), strict=True)
        ]
        self.noise = in_bits(slopes)
        self.scores = self.weight.new_empty(n_rows, N_CLASSES + N_TARGETS)
        self.last_slope = self.blocks[-1].slope.to(self.weight.dtype)  # itself, if not rounded

    def forward(self, x: Tensor, noise: Tensor, shared: int | None) -> Tensor:
        """Return class scores and predicted targets side by side, shape (n_rows, 5).

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the precision of the hidden layers; kept until `backward`.
        noise, shared : Tensor of shape (noise_size(n_rows),), and int or None
            From `noise.Noise.draw`.
        """
        self.flat.round()
        self.x, scale = x, 1.0
        self.noise.copy_(noise)
        for block in self.blocks:
            x, scale = block.forward(x, scale, shared), block.scale
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


def noise_size(n_rows: int) -> int:
    """Return how many random integers a step of `n_rows` needs: one per hidden number."""
    return n_rows * sum(HIDDEN)
