"""Random bits for dropout: sixteen for each number that may be dropped."""

import numpy as np
import torch
from torch import Tensor

LOW, HIGH = -(2**15), 2**15  # of an int16
PER_WORD = 4  # int16 in one 64-bit draw


class Noise:
    """Uniform int16 numbers; new ones at every draw.

    On the CPU they are the raw output of the numpy generator: torch's own dropout draws
    number by number, which takes as long as the net's matrix products. Elsewhere the device
    draws them, seeded by the same generator; the numbers are then others.

    Parameters
    ----------
    size : int
        Numbers of one draw.
    device : torch.device
        Where the numbers are wanted.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.size = size
        self.on_cpu = device.type == "cpu"
        if not self.on_cpu:
            self.generator = torch.Generator(device)
            self.bits = torch.empty(self.size, dtype=torch.int16, device=device)

    def seed(self, rng: np.random.Generator) -> None:
        """Draw from this generator from now on."""
        self.rng = rng
        if not self.on_cpu:
            self.generator.manual_seed(int(rng.integers(2**62)))

    def draw(self) -> Tensor:
        """Return new numbers, shape (size,). On a device they last until the next draw."""
        if not self.on_cpu:
            return self.bits.random_(LOW, HIGH, generator=self.generator)
        words = self.rng.bit_generator.random_raw(-(-self.size // PER_WORD))
        return torch.from_numpy(words.view(np.int16)[: self.size])
