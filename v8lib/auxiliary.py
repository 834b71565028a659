"""What a label leaves out: the size of the move ahead, learned beside the classes.

A label keeps one of three words of what happened. How much the price moved over the horizon
says far more about volatility, with far less chance in it, and the net's hidden layers learn
from both (multi-task learning: Caruana 1997, section 2). The head for it is dropped after
training: probabilities come from the classes alone, and calibration is as without it.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from v8lib.config import Normalization
from v8lib.errors import TrainingError
from v8lib.model import HIDDEN, V8TradingNet
from v8lib.rows import Rows

N_TARGETS = 2
FLOOR = 0.01  # of volatility over threshold: a market that stands still is "1 %"
MAX_TARGET = 4.0  # standardised targets are cut here


def auxiliary_targets(rows: Rows) -> NDArray[np.float32]:
    """Return what a label leaves out, shape (n_rows, 2), not standardised.

    First ln(volatility over the horizon / threshold), then return over the horizon /
    threshold: both in the label's own unit.

    Parameters
    ----------
    rows : Rows
        Of the train split: like a label, a target knows the bars of the horizon.
    """
    size = np.maximum(rows.forward_volatility / rows.threshold, FLOOR)
    return np.column_stack([np.log(size), rows.forward_return / rows.threshold]).astype(np.float32)


class TwoHeads(nn.Module):
    """A net with a second head on its last hidden layer, for training only.

    **Shape**: (n_rows, n_features) -> (n_rows, 3) scores and (n_rows, 2) targets.
    """

    def __init__(self, net: V8TradingNet) -> None:
        super().__init__()
        self.net = net
        self.head = nn.Linear(HIDDEN[-1], N_TARGETS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class scores and predicted targets."""
        hidden = self.net.layers[:-1](x)
        return self.net.layers[-1](hidden), self.head(hidden)


def standardised(targets: NDArray[np.float32]) -> Tensor:
    """Return targets in deviations of these rows, cut at `MAX_TARGET`.

    Sizes are centred as well. Returns are not: their sign means something, and a mirror turns
    it (`mirror`).

    Raises
    ------
    TrainingError
        If a target is constant or not finite.
    """
    spread = targets.std(axis=0, dtype=np.float64)
    if not np.isfinite(spread).all() or not spread.all():
        raise TrainingError("auxiliary targets are constant or not finite on train")
    centre = np.array([targets[:, 0].mean(dtype=np.float64), 0.0])
    scaled = (targets - centre) / spread
    return torch.from_numpy(np.clip(scaled, -MAX_TARGET, MAX_TARGET).astype(np.float32))


def auxiliary_loss(predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the targets' mean squared errors, a scalar.

    **Shape**: predicted, targets (n_rows, 2); weights (2,).
    """
    return (weights * ((predicted - targets) ** 2).mean(dim=0)).sum()


def build_two_heads(n_features: int, *, dropout: float, normalization: Normalization) -> TwoHeads:
    """Return a new net with both heads."""
    net = V8TradingNet(n_features, dropout=dropout, normalization=normalization)
    return TwoHeads(net)
