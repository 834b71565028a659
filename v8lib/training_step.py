"""One step of training: scores, loss, gradient, clip and update, without leaving the device."""

import torch
from numpy.typing import NDArray
from torch import Tensor

from v8lib.adamw import AdamW
from v8lib.auxiliary import TwoHeads, auxiliary_loss_gradient
from v8lib.epoch_rows import Batch
from v8lib.fast_net import FastNet, noise_shapes
from v8lib.hardware import DTYPES
from v8lib.losses import focal_loss_gradient, loss_table
from v8lib.model import N_CLASSES
from v8lib.noise import Noise
from v8lib.replay import Replay
from v8lib.training_settings import TrainingSettings


class TrainingStep:
    """Trains a net batch by batch.

    Parameters
    ----------
    heads : TwoHeads
        On its device.
    settings : TrainingSettings
        With device and precision already picked.
    class_weights : float array of shape (3,)
        Of the train split.
    n_rows : int
        Rows of every batch.
    """

    def __init__(
        self, heads: TwoHeads, settings: TrainingSettings, class_weights: NDArray, n_rows: int
    ) -> None:
        s, device = settings, torch.device(settings.device)
        self.net = FastNet(heads, n_rows, dtype=DTYPES[s.precision])
        self.optimizer = AdamW(self.net.flat, weight_decay=s.weight_decay, clip=s.gradient_clip)
        weights = torch.tensor(class_weights, dtype=torch.float32, device=device)
        self.table = loss_table(
            alpha=s.focal_alpha, smoothing=s.label_smoothing, class_weights=weights
        )
        self.target_weights = torch.tensor(
            [s.aux_volatility_weight, s.aux_return_weight], device=device
        )
        self.gamma = s.focal_gamma
        self.noise = Noise(noise_shapes(n_rows), device)
        self.total = torch.zeros((), device=device)
        self.run = Replay(self._run, device)

    def __call__(self, batch: Batch, learning_rate: Tensor) -> None:
        """Update the net from a batch, and add the batch's loss to `total`."""
        self.run(*batch, learning_rate, *self.noise.draw())

    def _run(
        self, x: Tensor, y: Tensor, targets: Tensor, learning_rate: Tensor, *noise: Tensor
    ) -> None:
        out = self.net.forward(x, noise)
        scores, predicted = out[:, :N_CLASSES], out[:, N_CLASSES:]
        loss, by_scores = focal_loss_gradient(scores, y, self.table, gamma=self.gamma)
        also, by_predicted = auxiliary_loss_gradient(predicted, targets, self.target_weights)
        self.net.backward(torch.cat([by_scores, by_predicted], dim=1))
        self.optimizer.step(learning_rate)
        self.total.add_(loss).add_(also)
