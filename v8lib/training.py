"""Training: AdamW, cosine schedule, early stopping on valid, a checkpoint every epoch.

All randomness of an epoch (row order, dropout) is drawn from (seed, fold, member, epoch), so
that a training that was killed and taken up again ends in the same weights, bit for bit.
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from v8lib.auxiliary import N_TARGETS, build_two_heads, standardised
from v8lib.checkpoint import Checkpoint, fingerprint_of, read_checkpoint, write_checkpoint
from v8lib.epoch_rows import EpochRows
from v8lib.errors import TrainingError
from v8lib.hardware import DTYPES, pick_device, pick_precision
from v8lib.inversion import invert_focal, softmax
from v8lib.losses import balanced_class_weights
from v8lib.metrics import log_loss
from v8lib.mirror import Mirror, checked
from v8lib.model import predict_logits
from v8lib.seeds import stream, torch_seed
from v8lib.training_settings import TrainingSettings
from v8lib.training_step import TrainingStep

Data = tuple[NDArray[np.float32], NDArray[np.int64]]
WARMUP_SHARE = 0.05  # of all steps, before the cosine begins


@dataclass(frozen=True)
class TrainingResult:
    """The weights of the best epoch and one row of history per epoch run.

    `hardware` is the device and the precision that were used, where settings may say "auto".
    """

    weights: dict[str, NDArray[np.float32]]
    history: list[dict[str, Any]]
    class_weights: NDArray[np.float64]
    best_epoch: int
    hardware: dict[str, str]


def train_model(
    train: Data,
    valid: Data,
    settings: TrainingSettings,
    *,
    targets: NDArray[np.float32] | None = None,
    mirror: Mirror | None = None,
    checkpoint_dir: Path | str | None = None,
) -> TrainingResult:
    """Return the net that predicts valid best, after early stopping.

    Parameters
    ----------
    train, valid : (features, labels)
        Scaled features (n_rows, n_features) float32 and labels (n_rows,) int64 of the train
        and valid splits. Valid chooses the epoch and nothing else.
    settings : TrainingSettings
        How to train.
    targets : array of shape (n_train, 2), optional
        From `auxiliary.auxiliary_targets`, of the train rows; needed unless both of their
        weights are zero.
    mirror : Mirror, optional
        Of these features; needed unless `mirror_share` is zero.
    checkpoint_dir : path, optional
        Where the state is written after each epoch, and where an unfinished training with
        the same data and settings is taken up. The caller removes it when the result is safe.

    Raises
    ------
    TrainingError
        If a class is missing from train, targets or the mirror are missing, the loss is not
        finite, or the checkpoint belongs to another training.
    DeviceError
        If the device asked for is not there.
    """
    settings = with_hardware(settings)
    if targets is None:
        if settings.uses_targets:
            raise TrainingError("auxiliary weights above 0 need targets of the train rows")
        targets = np.zeros((len(train[1]), N_TARGETS), dtype=np.float32)
    mirror = checked(mirror, settings.mirror_share, train[0].shape[1])
    fingerprint = ""
    if checkpoint_dir:
        arrays = (*train, *valid, targets, mirror.sign, mirror.shift)
        fingerprint = fingerprint_of(arrays, settings)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        session = _Session(train, valid, targets, mirror, settings)
        if checkpoint_dir and (found := read_checkpoint(checkpoint_dir, fingerprint)):
            session.restore(found)
        while not session.finished():
            session.run_epoch()
            if checkpoint_dir:
                write_checkpoint(checkpoint_dir, fingerprint, session.arrays(), session.history)
    return session.result()


class _Session:
    """One training in progress."""

    def __init__(
        self,
        train: Data,
        valid: Data,
        targets: NDArray,
        mirror: Mirror,
        settings: TrainingSettings,
    ) -> None:
        s = self.settings = settings
        self.valid_x, self.valid_y = valid
        self.class_weights = balanced_class_weights(train[1])
        torch.manual_seed(torch_seed(s.seed, *s.stream, "weights"))
        heads = build_two_heads(train[0].shape[1], dropout=s.dropout, normalization=s.normalization)
        self.heads, self.net = heads.to(s.device).train(), heads.net
        self.rows = EpochRows(
            *train,
            standardised(targets) if s.uses_targets else torch.from_numpy(targets),
            mirror=mirror,
            share=s.mirror_share,
            batch_size=s.batch_size,
            device=torch.device(s.device),
            dtype=DTYPES[s.precision],
        )
        self.step = TrainingStep(self.heads, s, self.class_weights, self.rows.batch)
        self.rates = learning_rates(s, self.rows.steps)
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, Any]] = []

    @property
    def best_epoch(self) -> int:
        """Epoch with the lowest valid log loss so far, from 1; 0 before the first."""
        losses = [row["valid_log_loss"] for row in self.history]
        return 1 + int(np.argmin(losses)) if losses else 0

    def finished(self) -> bool:
        done = len(self.history)
        waited = done - self.best_epoch
        return done >= self.settings.epochs or waited >= self.settings.patience_epochs

    def run_epoch(self) -> None:
        s, epoch, steps = self.settings, len(self.history) + 1, self.rows.steps
        started = time.perf_counter()
        self.step.noise.seed(stream(s.seed, *s.stream, "dropout", epoch))
        rates = self.rates[(epoch - 1) * steps : epoch * steps]
        batches = self.rows.batches(stream(s.seed, *s.stream, "rows", epoch), self.step.loss.table)
        for batch, rate in zip(batches, rates.to(s.device), strict=True):
            self.step(batch, rate)
        self.step.net.count_batches(steps)
        train_loss = self.step.loss.total() / steps  # the one number an epoch waits for
        seconds = time.perf_counter() - started
        if not math.isfinite(train_loss):
            raise TrainingError(f"the training loss is {train_loss} in epoch {epoch}")
        self.history.append(
            {
                "epoch": epoch,
                "learning_rate": float(rates[-1]),
                "train_loss": train_loss,
                **self._validate(),
                "seconds": seconds,
                "rows_per_second": steps * self.rows.batch / seconds,
            }
        )
        if self.best_epoch == epoch:
            self.best = {name: t.clone() for name, t in self.net.state_dict().items()}

    def _validate(self) -> dict[str, float]:
        """Judge the epoch by the log loss of the inverted probabilities: what will be used."""
        s = self.settings
        probs = invert_focal(
            softmax(predict_logits(self.net, self.valid_x)),
            gamma=s.focal_gamma,
            smoothing=s.label_smoothing,
            class_weights=self.class_weights,
        )
        return {
            "valid_log_loss": log_loss(probs, self.valid_y),
            "valid_accuracy": float((probs.argmax(axis=1) == self.valid_y).mean()),
        }

    def arrays(self) -> dict[str, NDArray]:
        """Return net, best net and optimiser as named arrays."""
        groups = {
            "net": self.heads.state_dict(),
            "best": self.best,
            "optimizer": self.step.optimizer.state(),
        }
        return {
            f"{kind}.{n}": t.cpu().numpy() for kind, ts in groups.items() for n, t in ts.items()
        }

    def restore(self, found: Checkpoint) -> None:
        """Take up the state of `arrays`."""
        groups: dict[str, dict[str, Tensor]] = {"net": {}, "best": {}, "optimizer": {}}
        for name, array in found.arrays.items():
            kind, _, rest = name.partition(".")
            groups[kind][rest] = torch.from_numpy(np.array(array)).to(self.settings.device)
        self.heads.load_state_dict(groups["net"])
        self.step.optimizer.load(groups["optimizer"])
        self.best, self.history = groups["best"], found.history

    def result(self) -> TrainingResult:
        weights = {name: np.array(tensor.cpu().numpy()) for name, tensor in self.best.items()}
        hardware = {"precision": self.settings.precision, "device": self.settings.device}
        return TrainingResult(weights, self.history, self.class_weights, self.best_epoch, hardware)


def with_hardware(settings: TrainingSettings) -> TrainingSettings:
    """Return the settings with a device and a precision in the place of "auto"."""
    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    return replace(settings, device=device, precision=precision)


def learning_rates(settings: TrainingSettings, steps_per_epoch: int) -> Tensor:
    """Return the rate of every step: a linear warm-up, then half a cosine down to zero.

    **Shape**: (epochs * steps_per_epoch,), float32.
    """
    n_steps = settings.epochs * steps_per_epoch
    warmup = max(1, round(WARMUP_SHARE * n_steps))
    step = np.arange(n_steps)
    falling = 0.5 * (1.0 + np.cos(np.pi * (step - warmup) / max(1, n_steps - warmup)))
    factor = np.where(step < warmup, (step + 1) / warmup, falling)
    return torch.from_numpy((settings.learning_rate * factor).astype(np.float32))
