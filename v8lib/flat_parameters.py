"""The parameters of a net laid end to end in one tensor, and their gradients in another.

One norm, one update and one rounding then serve all of them, where a loop over two dozen
small tensors would spend its time on starting. The net itself keeps its parameters: each
becomes a view into the one tensor.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FlatParameters:
    """Parameters and gradients of a net, as one tensor each.

    Parameters
    ----------
    rounded, exact : sequences of nn.Parameter
        All parameters to be trained. Those of the first kind are also kept rounded to
        `dtype`, for the large matrix products; those of the second are not.
    dtype : torch.dtype
        What the first kind is rounded to. The parameters' own means no rounding.

    Attributes
    ----------
    values, gradient : Tensor of shape (n_parameters,)
        In the parameters' own precision.
    """

    def __init__(
        self, rounded: Sequence[nn.Parameter], exact: Sequence[nn.Parameter], dtype: torch.dtype
    ) -> None:
        every = [*rounded, *exact]
        self.values = torch.cat([p.detach().reshape(-1) for p in every])
        self.gradient = torch.zeros_like(self.values)
        self.n_rounded = sum(p.numel() for p in rounded)
        self.rounds = dtype != self.values.dtype
        head = slice(self.n_rounded)
        self._rounded, self._rounded_gradient = self.values[head], self.gradient[head]
        if self.rounds:
            self._rounded = self._rounded.to(dtype)
            self._rounded_gradient = torch.zeros_like(self._rounded)
        self._start: dict[int, int] = {}
        end = 0
        for p in every:
            self._start[id(p)] = end
            end += p.numel()
            p.data = self.values[end - p.numel() : end].view(p.shape)

    def views(self, *parameters: nn.Parameter) -> tuple[Tensor, Tensor]:
        """Return value and gradient of a parameter, or of neighbours joined along their rows.

        Both are rounded if the parameter is of the rounded kind.
        """
        start = self._start[id(parameters[0])]
        where = slice(start, start + sum(p.numel() for p in parameters))
        pair = (self.values, self.gradient)
        if start < self.n_rounded:
            pair = (self._rounded, self._rounded_gradient)
        shape = (-1, *parameters[0].shape[1:])
        return pair[0][where].view(shape), pair[1][where].view(shape)

    def round(self) -> None:
        """Bring the rounded values up to date: before a step."""
        if self.rounds:
            self._rounded.copy_(self.values[: self.n_rounded])

    def collect(self) -> None:
        """Bring the gradient up to date with its rounded part: after a step's backward."""
        if self.rounds:
            self.gradient[: self.n_rounded].copy_(self._rounded_gradient)
