"""ReLU and dropout in place, and what their gradient lets through.

Both only keep a number or make it zero, where another number is at most some threshold. In
bfloat16 that is done on the bits: integers take a third of the time of numbers that go through
float32, and the result is the same.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from v8lib.noise import SHARED_VALUES

NOISE_VALUES = 2**16  # of one random integer that decides whether a number is dropped
KEEP_ABOVE = torch.ops.aten.threshold_backward.grad_input
OF_BITS = {torch.bfloat16: torch.int16}  # integers of the noise's own size


def relu_into(out: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what puts the positive numbers of a tensor into `out`.

    They are compared as numbers, so that a NaN stays one and is seen in the loss.
    """
    return partial(torch.clamp_min, min=0.0, out=out)


def keep_above(judged: Tensor, kept: Tensor) -> Callable[[int], Tensor]:
    """Return what makes `kept` zero, in place, where `judged` is not above a threshold."""
    return partial(KEEP_ABOVE, kept, judged, grad_input=kept)


def in_bits(x: Tensor) -> Tensor:
    """Return a bfloat16 tensor as the integers of its bits, any other as it is."""
    return x.view(OF_BITS[x.dtype]) if x.dtype in OF_BITS else x


class Gate:
    """What stands behind a norm: ReLU, then dropout without its scale.

    Parameters
    ----------
    out : Tensor of shape (n_rows, width)
        Where the result goes, by parts of the rows.
    slope : Tensor like `out`
        The gradient of the result, on the way back. On the way forth the same memory holds the
        noise that decides what is dropped: a step is as fast as its memory is small.
    dropout : float
        Share that is dropped.

    Attributes
    ----------
    dropped : int
        How many of `NOISE_VALUES` are dropped.
    close : callable
        Makes the slope of everything zero that ReLU or dropout took.
    """

    def __init__(self, out: Tensor, slope: Tensor, dropout: float) -> None:
        self.dropped = min(round(dropout * NOISE_VALUES), NOISE_VALUES - 1)
        self.last_dropped = self.dropped - NOISE_VALUES // 2 - 1  # of the int16 numbers in order
        out, slope = in_bits(out), in_bits(slope)
        self.keep_drawn = keep_above(slope, out)
        # The bits of a positive number are a positive integer.
        self.close = partial(keep_above(out, slope), 0)

    def drop(self, shared: int | None) -> None:
        """Make zero what the noise in the slope's memory drops.

        Both come from `noise.Noise.draw`. With bits shared, that memory holds the upper ones: of
        the numbers upper * 256 + shared, those up to `last_dropped` are dropped.
        """
        if not self.dropped:
            return
        last = self.last_dropped
        if shared is not None:
            last = (last - shared) // SHARED_VALUES
        self.keep_drawn(last)
