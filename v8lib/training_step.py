"""One step of training: scores, loss, gradient, clip and update, without leaving the device."""

import torch
from numpy.typing import NDArray
from torch import Tensor

from v8lib.adamw import AdamW
from v8lib.auxiliary import TwoHeads
from v8lib.epoch_rows import Batch
from v8lib.fast_net import FastNet, noise_size
from v8lib.hardware import DTYPES
from v8lib.loss_gradient import LossGradient
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
        self.loss = LossGradient(
            self.net.scores,
            self.net.slope,
            gamma=s.focal_gamma,
            alpha=s.focal_alpha,
            smoothing=s.label_smoothing,
            class_weights=torch.tensor(class_weights, dtype=torch.float32, device=device),
            target_weights=(s.aux_volatility_weight, s.aux_return_weight),
        )
        self.optimizer = AdamW(self.net.flat, weight_decay=s.weight_decay, clip=s.gradient_clip)
        self.noise = Noise(noise_size(n_rows), device)
        self.run = Replay(self._run, device)

    def __call__(self, batch: Batch, learning_rate: Tensor) -> None:
        """Update the net from a batch; `loss` sums up the batches' losses."""
        noise, self.shared = self.noise.draw()
        self.run(*batch, learning_rate, noise)

    def _run(
        self, x: Tensor, weights: Tensor, targets: Tensor, learning_rate: Tensor, noise: Tensor
    ) -> None:
        self.net.forward(x, noise, self.shared)
        self.loss(weights, targets)
        self.net.backward()
        self.optimizer.step(learning_rate)
