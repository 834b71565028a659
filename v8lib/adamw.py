"""AdamW over parameters that lie in one tensor, with the gradient's norm clipped first.

The update is torch's own fused kernel, called directly: building a `torch.optim` optimiser
imports torch's compiler, some two seconds in every new process, and a test holds this against
`torch.optim.AdamW`.
"""

from functools import partial

import torch
from torch import Tensor

from v8lib.flat_parameters import FlatParameters

BETAS = (0.9, 0.999)
EPSILON = 1e-8
NORM_EPSILON = 1e-6  # of `torch.nn.utils.clip_grad_norm_`
STATE = ("mean", "square", "step")


class AdamW:
    """AdamW (Loshchilov and Hutter 2019, algorithm 2) behind a clip of the whole gradient.

    Parameters
    ----------
    flat : FlatParameters
        What is updated, and where its gradient lies.
    weight_decay : float
        Decoupled from the gradient, for every parameter.
    clip : float
        The gradient is made shorter until its norm is at most this.
    """

    def __init__(self, flat: FlatParameters, *, weight_decay: float, clip: float) -> None:
        self.gradient = flat.gradient
        self.mean = torch.zeros_like(flat.values)
        self.square = torch.zeros_like(flat.values)
        self.step_count = torch.zeros((), device=flat.values.device)
        # As tensors: a Python number beside a tensor is made into one, and cast, at every step.
        self.longest, self.little = map(flat.values.new_tensor, (clip, NORM_EPSILON))
        self.on_cpu = flat.values.device.type == "cpu"
        self.short = max(0.0, clip - 2.0 * NORM_EPSILON) ** 2  # of this square nothing is clipped
        self.squared = partial(torch.dot, self.gradient, self.gradient)
        self.count = partial(self.step_count.add_, torch.ones_like(self.step_count))
        every = (flat.values, flat.gradient, self.mean, self.square)
        self.update = partial(
            torch._fused_adamw_,
            *([t] for t in every),
            [],
            [self.step_count],
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def step(self, learning_rate: Tensor) -> None:
        """Update the parameters; the rate is a scalar tensor, so that no value is waited for."""
        self._clip()
        self.count()
        self.update(lr=learning_rate)

    def _clip(self) -> None:
        squared = self.squared()
        if self.on_cpu and squared.item() <= self.short:
            return  # a factor of 1; on the CPU to ask makes nothing wait
        norm = squared.sqrt_().add_(self.little)
        self.gradient.mul_(torch.div(self.longest, norm).clamp_(max=1.0))

    def state(self) -> dict[str, Tensor]:
        """Return what `load` takes up, by name."""
        return dict(zip(STATE, (self.mean, self.square, self.step_count), strict=True))

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from the state of another, trained as far as that."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
