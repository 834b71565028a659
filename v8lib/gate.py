"""ReLU and dropout in place, and what their gradient lets through.

Both only keep a number or make it zero. In bfloat16 that is done on the bits: masks over
sixteen-bit integers take a third of the time of products and comparisons that go through
float32, and give the same numbers.
"""

import torch
from torch import Tensor

NOISE_VALUES = 2**16  # of one random integer that decides whether a number is dropped
OF_BITS = {torch.bfloat16: torch.int16}  # integers of the noise's own size


def relu(x: Tensor, out: Tensor) -> None:
    """Put what is positive into `out`, as numbers: a NaN stays one and is seen in the loss."""
    torch.clamp_min(x, 0.0, out=out)


class Gate:
    """What stands behind a norm: ReLU, then dropout without its scale.

    Parameters
    ----------
    out : Tensor of shape (n_rows, width)
        Where the result goes, by parts of the rows.
    dropout : float
        Share that is dropped.

    Attributes
    ----------
    dropped : int
        How many of `NOISE_VALUES` are dropped.
    """

    def __init__(self, out: Tensor, dropout: float) -> None:
        self.out = out
        self.dropped = min(round(dropout * NOISE_VALUES), NOISE_VALUES - 1)
        integer = OF_BITS.get(out.dtype)
        self.bits = None if integer is None else out.view(integer)
        self.kept = torch.empty_like(out if integer is None else self.bits)
        self.decided = self.kept.view(-1)
        # As a tensor: a Python number beside a tensor is made into one, and cast, at every step.
        least = self.dropped - NOISE_VALUES // 2
        self.least_kept = torch.tensor(least, dtype=torch.int16, device=out.device)

    def drop(self, noise: Tensor) -> None:
        """Make what is dropped zero; `noise` is int16, (n_rows * width,), uniform."""
        if not self.dropped:
            return
        torch.ge(noise, self.least_kept, out=self.decided)  # 1 or 0
        if self.bits is None:
            self.out.mul_(self.kept)
        else:
            self.bits.bitwise_and_(self.kept.neg_())  # all bits, or none

    def close(self, slope: Tensor) -> None:
        """Make the slope of everything zero that ReLU or dropout took, in place."""
        threshold = torch.ops.aten.threshold_backward.grad_input
        if self.bits is None:
            threshold(slope, self.out, 0.0, grad_input=slope)
        else:  # the bits of a positive number are a positive integer
            of_bits = slope.view(self.bits.dtype)
            threshold(of_bits, self.bits, 0, grad_input=of_bits)
