"""One training step as one launch: a function of tensors, recorded on CUDA and played again.

A step of this net is some sixty small kernels, and on a GPU each takes less time than
starting it. A CUDA graph starts them together. Written for a GPU, and not measured on one:
where this was made there is none, and elsewhere the function is simply called.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

PLAIN_CALLS = 3  # real steps before one is recorded, so that libraries are set up by then


class Replay:
    """Calls a function of tensors of fixed shapes that keeps its results in place.

    Parameters
    ----------
    function : callable
        Takes tensors, returns nothing, and never waits for the device.
    device : torch.device
        Where those tensors lie. On CUDA the call after the first `PLAIN_CALLS` is recorded.
    """

    def __init__(self, function: Callable[..., None], device: torch.device) -> None:
        self.function = function
        self.records = device.type == "cuda"
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor) -> None:
        """Do what the function does."""
        if not self.records:
            self.function(*inputs)
        elif self.graph is None and self.calls < PLAIN_CALLS:
            self.calls += 1
            self._aside(inputs)
        else:
            if self.graph is None:
                self._record(inputs)
            for kept, new in zip(self.inputs, inputs, strict=True):
                kept.copy_(new)
            self.graph.replay()

    def _aside(self, inputs: Sequence[Tensor]) -> None:
        """Call the function on a stream of its own, as a recording needs beforehand."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.function(*inputs)
        torch.cuda.current_stream().wait_stream(side)

    def _record(self, inputs: Sequence[Tensor]) -> None:
        """Record the function; nothing is computed by that."""
        self.inputs = [tensor.clone() for tensor in inputs]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.function(*self.inputs)
