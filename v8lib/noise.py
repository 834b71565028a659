"""Random bits for dropout: sixteen for each number that may be dropped."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

LOW, HIGH = -(2**15), 2**15  # of an int16
PER_WORD = 4  # int16 in one 64-bit draw


class Noise:
    """Uniform int16 numbers, so many for each of several takers, new ones at every draw.

    On the CPU they are the raw output of the numpy generator: torch's own dropout draws
    number by number, which takes as long as the net's matrix products. Elsewhere the device
    draws them, seeded by the same generator; the numbers are then others.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of one draw for each taker.
    device : torch.device
        Where the numbers are wanted.
    """

    def __init__(self, sizes: Sequence[int], device: torch.device) -> None:
        self.sizes, self.total = list(sizes), sum(sizes)
        self.on_cpu = device.type == "cpu"
        if not self.on_cpu:
            self.generator = torch.Generator(device)
            self.bits = torch.empty(self.total, dtype=torch.int16, device=device)

    def seed(self, rng: np.random.Generator) -> None:
        """Draw from this generator from now on."""
        self.rng = rng
        if not self.on_cpu:
            self.generator.manual_seed(int(rng.integers(2**62)))

    def draw(self) -> Sequence[Tensor]:
        """Return new numbers, shape (size,) for each size. On a device they last until the next."""
        if self.on_cpu:
            words = self.rng.integers(2**64, size=-(-self.total // PER_WORD), dtype=np.uint64)
            bits = torch.from_numpy(words.view(np.int16)[: self.total])
        else:
            bits = self.bits.random_(LOW, HIGH, generator=self.generator)
        return bits.split(self.sizes)
