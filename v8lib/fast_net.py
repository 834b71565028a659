"""The net of `auxiliary.TwoHeads` with its gradient written out, for training without autograd.

The layers are few and fixed, so their gradients are known beforehand. What autograd adds is
memory asked for anew at every step, copies of half batches, and random numbers drawn one after
the other. Here results land in place, parameters and gradients lie in one tensor each, what is
dropped is decided by sixteen random bits, and what a step calls is put together once. A test
holds the gradient against that of the plain module.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from v8lib.auxiliary import N_TARGETS, TwoHeads
from v8lib.flat_parameters import FlatParameters
from v8lib.gate import NOISE_VALUES, Gate, in_bits
from v8lib.model import HIDDEN, N_CLASSES
from v8lib.norm_parts import BlockRows, norms_of, parts_of

LAYERS_PER_BLOCK = 4  # linear, norm, ReLU, dropout


class Source(NamedTuple):
    """What a linear layer reads: numbers, the factor they lack, and where their slope goes."""

    x: Tensor
    scale: float
    slope: Tensor | None  # None for the features


class HiddenBlock:
    """Linear, norm, ReLU and dropout, and their gradient.

    Dropout keeps a number and multiplies it by `scale`, 1 / (1 - p), or drops it. The factor is
    left to the matrix product that reads the result, where it costs nothing.
    """

    def __init__(
        self, layers: Sequence[nn.Module], flat: FlatParameters, source: Source, slope: Tensor
    ) -> None:
        linear, norm, _, dropout = layers
        linear_out, self.out, self.slope = torch.empty_like(slope), torch.empty_like(slope), slope
        self.gate = Gate(self.out, slope, dropout.p)
        self.scale = NOISE_VALUES / (NOISE_VALUES - self.gate.dropped)
        self.parts, feeling = parts_of(norm, BlockRows(linear_out, self.out, slope), flat)
        weight, into_weight = flat.views(linear.weight)
        bias, into_bias = flat.views(linear.bias)
        self.linear = linear_calls(source, weight, bias, linear_out)
        self.linear_back = product_slopes(source, weight, into_weight, slope.t())
        if feeling is not None:
            self.linear_back.insert(0, partial(torch.sum, feeling, 0, out=into_bias))

    def forward(self, shared: int | None) -> None:
        """Put what is left of the source's numbers after this block into `out`, without scale."""
        for call in self.linear:
            call()
        for part in self.parts:
            part.forward()
        self.gate.drop(shared)

    def backward(self) -> None:
        """Turn `slope`, the gradient of the block's result, into that of its linear layer.

        Along the way the gradients of all its parameters are kept, and that of the source.
        """
        self.gate.close()
        for part in self.parts:
            part.backward()
        for call in self.linear_back:
            call()


def linear_calls(source: Source, weight: Tensor, bias: Tensor, out: Tensor) -> list[Callable]:
    """Return what puts a linear layer of the source's numbers into `out`, (n_rows, width).

    A product that begins with the bias is one call, and rounds once. On the CPU it takes longer
    in float32 than adding the bias afterwards, and less in bfloat16.
    """
    x, weight = source.x, weight.t()
    if out.device.type == "cpu" and out.dtype != torch.bfloat16:
        product = partial(out.addmm_, x, weight, beta=0.0, alpha=source.scale)
        return [product, partial(out.add_, bias)]
    return [partial(torch.addmm, bias, x, weight, alpha=source.scale, out=out)]


def product_slopes(
    source: Source, weight: Tensor, into_weight: Tensor, slope: Tensor
) -> list[Callable]:
    """Return what brings `slope`, shape (width, n_rows), to a layer's weight and to its source."""
    calls = [partial(into_weight.addmm_, slope, source.x, beta=0.0, alpha=source.scale)]
    if source.slope is not None:
        down = slope.t(), weight
        calls.append(partial(source.slope.addmm_, *down, beta=0.0, alpha=source.scale))
    return calls


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

    Attributes
    ----------
    scores : Tensor of shape (5, n_rows)
        Class scores and, below them, predicted targets: `forward` puts them here.
    slope : Tensor of shape (5, n_rows)
        Their gradient: to be put here before `backward`.
    """

    def __init__(self, heads: TwoHeads, n_rows: int, *, dtype: torch.dtype) -> None:
        *hidden, last = heads.net.layers
        layers = [hidden[k : k + LAYERS_PER_BLOCK] for k in range(0, len(hidden), LAYERS_PER_BLOCK)]
        self.norms = [n for _, norm, *_ in layers for n in norms_of(norm)]
        batch = [p for n in self.norms if isinstance(n, nn.BatchNorm1d) for p in n.parameters()]
        ends = [last.weight, heads.head.weight, last.bias, heads.head.bias]
        exact = {id(p) for p in (*batch, *ends)}
        rounded = [p for p in heads.parameters() if id(p) not in exact]
        self.flat = FlatParameters(rounded, [*batch, *ends], dtype)
        sizes = [n_rows * width for width in HIDDEN]
        slopes = torch.empty(sum(sizes), dtype=dtype, device=self.flat.values.device)
        self.noise = in_bits(slopes)
        self.x = slopes.new_empty(n_rows, hidden[0].in_features)
        self.blocks, source = [], Source(self.x, 1.0, None)
        for some, slope in zip(layers, slopes.split(sizes), strict=True):
            block = HiddenBlock(some, self.flat, source, slope.view(n_rows, -1))
            self.blocks.append(block)
            source = Source(block.out, block.scale, block.slope)
        self._build_heads(ends, source)

    def _build_heads(self, ends: Sequence[nn.Parameter], hidden: Source) -> None:
        weight, into_weight = self.flat.views(*ends[:2])
        bias, into_bias = self.flat.views(*ends[2:])
        self.rounded = hidden
        # In the heads' own precision: the same tensors, if nothing is rounded.
        self.source = Source(hidden.x.to(weight.dtype), hidden.scale, hidden.slope.to(weight.dtype))
        self.scores = weight.new_empty(N_CLASSES + N_TARGETS, len(hidden.x))
        self.slope = torch.zeros_like(self.scores)
        product = bias[:, None], weight, self.source.x.t()
        self.score = partial(torch.addmm, *product, alpha=hidden.scale, out=self.scores)
        self.score_back = [
            partial(torch.sum, self.slope, 1, out=into_bias),
            *product_slopes(self.source, weight, into_weight, self.slope),
        ]

    def forward(self, x: Tensor, noise: Tensor, shared: int | None) -> None:
        """Set `scores`.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the precision of the hidden layers.
        noise, shared : Tensor of shape (noise_size(n_rows),), and int or None
            From `noise.Noise.draw`.
        """
        self.flat.round()
        self.x.copy_(x)
        self.noise.copy_(noise)
        for block in self.blocks:
            block.forward(shared)
        if self.flat.rounds:
            self.source.x.copy_(self.rounded.x)
        self.score()

    def backward(self) -> None:
        """Set `flat.gradient` from `slope`."""
        for call in self.score_back:
            call()
        if self.flat.rounds:
            self.rounded.slope.copy_(self.source.slope)
        for block in reversed(self.blocks):
            block.backward()
        self.flat.collect()

    def count_batches(self, n: int) -> None:
        """Note that BatchNorm has seen `n` batches more, as the plain module would."""
        for norm in self.norms:
            if isinstance(norm, nn.BatchNorm1d):
                norm.num_batches_tracked += n


def noise_size(n_rows: int) -> int:
    """Return how many random integers a step of `n_rows` needs: one per hidden number."""
    return n_rows * sum(HIDDEN)
