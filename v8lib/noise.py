"""Random bits for dropout: sixteen for each number, and on the CPU a step shares half of them.

The lower eight bits do no more than make the share that is dropped exact over the steps. One
draw of them for all numbers of a step does that as well, and drawing takes half as long.
"""

import numpy as np
import torch
from torch import Tensor

LOW, HIGH = -(2**15), 2**15  # of an int16
SHARED_VALUES = 2**8  # of the lower eight bits
PER_WORD = 8  # int8 in one 64-bit draw


class Noise:
    """Uniform integers of sixteen bits, new ones at every draw.

    On the CPU they are the raw output of SFC64, quicker than numpy's default: torch's own
    dropout draws number by number, which takes as long as the net's matrix products. Elsewhere
    the device draws them; the numbers are then others. Both are seeded by the generator given.

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
        """Draw what this generator stands for from now on."""
        seed = int(rng.integers(2**62))
        if self.on_cpu:
            self.words = np.random.SFC64(seed)
        else:
            self.generator.manual_seed(seed)

    def draw(self) -> tuple[Tensor, int | None]:
        """Return new numbers, shape (size,), and the lower bits that all of them share.

        On the CPU the numbers are the upper bits, int8. Elsewhere they are int16, whole: nothing
        is shared, and they last until the next draw.
        """
        if not self.on_cpu:
            return self.bits.random_(LOW, HIGH, generator=self.generator), None
        words = self.words.random_raw(-(-self.size // PER_WORD) + 1)
        shared = int(words[-1]) % SHARED_VALUES
        return torch.from_numpy(words.view(np.int8)[: self.size]), shared
