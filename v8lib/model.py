"""`V8TradingNet`: 512-256-128-3 with dropout and adaptive normalisation."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from v8lib.config import Normalization

HIDDEN = (512, 256, 128)
DROPOUT_SHARE = (1.0, 1.0, 0.7)  # of the `dropout` parameter, per hidden layer
BIAS_STD = 1.0  # of the hidden layers at the start; decision record 0003
N_CLASSES = 3
EVALUATION_ROWS = 2_048  # rows at a time when nothing is learned: what they become fits the cache


class AdaptiveNorm(nn.Module):
    """BatchNorm and LayerNorm side by side, both trained; inference uses LayerNorm alone.

    In training the first half of each batch passes through BatchNorm and the second through
    LayerNorm, so that the LayerNorm used at inference has seen gradients. A LayerNorm that is
    only switched on for inference evaluates a network that was never trained.

    **Shape**: (n_rows, width) -> (n_rows, width).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.batch = nn.BatchNorm1d(width)
        self.layer = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised rows."""
        if not self.training:
            return self.layer(x)
        half = len(x) // 2
        return torch.cat([self.batch(x[:half]), self.layer(x[half:])])


NORMS: dict[Normalization, type[nn.Module]] = {
    "adaptive": AdaptiveNorm,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


class V8TradingNet(nn.Module):
    """Scaled features in, raw scores of DOWN, HOLD, UP out.

    **Shape**: (n_rows, n_features) float32 -> (n_rows, 3) float32.

    Parameters
    ----------
    n_features : int
        Number of columns.
    dropout : float
        Dropout of the first two hidden layers; the third has 0.7 of it.
    normalization : {"adaptive", "batch", "layer"}
        What stands after each hidden linear layer.
    """

    def __init__(self, n_features: int, *, dropout: float, normalization: Normalization) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = n_features
        for hidden, share in zip(HIDDEN, DROPOUT_SHARE, strict=True):
            linear = nn.Linear(width, hidden)
            # LayerNorm divides a row by its own size. Only beside biases as large as the
            # weighted inputs does a large move still look larger than a small one.
            nn.init.normal_(linear.bias, std=BIAS_STD)
            layers += [
                linear,
                NORMS[normalization](hidden),
                nn.ReLU(),
                nn.Dropout(dropout * share),
            ]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, N_CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw scores."""
        return self.layers(x)


def use_threads(n: int) -> None:
    """Let torch compute on `n` CPU threads; the last bits of a result depend on it."""
    torch.set_num_threads(n)


def build_net(weights: Mapping[str, NDArray], *, normalization: Normalization) -> V8TradingNet:
    """Return the net with these weights, ready for inference."""
    n_features = weights["layers.0.weight"].shape[1]
    net = V8TradingNet(n_features, dropout=0.0, normalization=normalization)
    net.load_state_dict({name: torch.from_numpy(np.array(w)) for name, w in weights.items()})
    return net.eval()


@torch.no_grad()
def predict_logits(net: V8TradingNet, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the raw scores of scaled features, shape (n_rows, 3), in inference mode."""
    net.eval()
    device = next(net.parameters()).device
    parts = torch.from_numpy(np.ascontiguousarray(features)).split(EVALUATION_ROWS)
    # Written to their place: small arrays that stay between large ones that go split up memory.
    out = torch.empty((len(features), N_CLASSES), device=device)
    for part, scores in zip(parts, out.split(EVALUATION_ROWS), strict=True):
        scores.copy_(net(part.to(device)))
    return out.cpu().numpy()
