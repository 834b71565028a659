"""Training: AdamW, cosine schedule, early stopping on valid, a checkpoint every epoch.

All randomness of an epoch (row order, dropout) is drawn from (seed, fold, member, epoch), so
that a training that was killed and taken up again ends in the same weights, bit for bit.
"""

import math
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from v8lib.auxiliary import N_TARGETS, auxiliary_loss, build_two_heads, standardised
from v8lib.checkpoint import Checkpoint, fingerprint_of, read_checkpoint, write_checkpoint
from v8lib.errors import TrainingError
from v8lib.inversion import invert_focal, softmax
from v8lib.labels import CLASS_NAMES
from v8lib.losses import balanced_class_weights, focal_loss
from v8lib.metrics import log_loss
from v8lib.mirror import Mirror, checked
from v8lib.model import predict_logits
from v8lib.seeds import stream, torch_seed
from v8lib.training_settings import TrainingSettings

Data = tuple[NDArray[np.float32], NDArray[np.int64]]
TURNED_TARGETS = torch.tensor([1.0, -1.0])  # a size upside down is the same, a return the other
WARMUP_SHARE = 0.05  # of all steps, before the cosine begins


@dataclass(frozen=True)
class TrainingResult:
    """The weights of the best epoch and one row of history per epoch run."""

    weights: dict[str, NDArray[np.float32]]
    history: list[dict[str, Any]]
    class_weights: NDArray[np.float64]
    best_epoch: int


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
    """
    if targets is None:
        if settings.uses_targets:
            raise TrainingError("auxiliary weights above 0 need targets of the train rows")
        targets = np.zeros((len(train[1]), N_TARGETS), dtype=np.float32)
    mirror = checked(mirror, settings.mirror_share, train[0].shape[1])
    arrays = (*train, *valid, targets, mirror.sign, mirror.shift)
    fingerprint = fingerprint_of(arrays, settings)
    found = read_checkpoint(checkpoint_dir, fingerprint) if checkpoint_dir else None
    with torch.random.fork_rng(devices=[]):
        session = _Session(train, valid, targets, mirror, settings)
        if found:
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
        self.settings = settings
        self.x, self.y = torch.from_numpy(train[0]), torch.from_numpy(train[1])
        self.valid_x, self.valid_y = valid
        self.class_weights = balanced_class_weights(train[1])
        self.loss_weights = torch.tensor(self.class_weights, dtype=torch.float32)
        torch.manual_seed(torch_seed(settings.seed, *settings.stream, "weights"))
        self.heads = build_two_heads(
            train[0].shape[1], dropout=settings.dropout, normalization=settings.normalization
        )
        self.net = self.heads.net
        self.targets = standardised(targets) if settings.uses_targets else torch.from_numpy(targets)
        self.mirror = [torch.from_numpy(part) for part in (mirror.sign, mirror.shift)]
        self.target_weights = torch.tensor(
            [settings.aux_volatility_weight, settings.aux_return_weight]
        )
        rates = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
        self.optimizer = torch.optim.AdamW(self.heads.parameters(), **rates, fused=True)
        self.batch = min(settings.batch_size, len(self.x))
        self.steps_per_epoch = len(self.x) // self.batch
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
        s, epoch = self.settings, len(self.history) + 1
        started = time.perf_counter()
        rng = stream(s.seed, *s.stream, "rows", epoch)
        order = rng.permutation(len(self.x))
        turned = torch.from_numpy(rng.random(len(order)) < s.mirror_share)
        torch.manual_seed(torch_seed(s.seed, *s.stream, "dropout", epoch))
        self.heads.train()
        total = torch.zeros(())
        rows = torch.from_numpy(order)[: self.steps_per_epoch * self.batch]
        for step, chosen in enumerate(rows.split(self.batch)):
            self._set_learning_rate((epoch - 1) * self.steps_per_epoch + step)
            total += self._step(chosen, turned[chosen])
        seconds = time.perf_counter() - started
        train_loss = float(total) / self.steps_per_epoch
        if not math.isfinite(train_loss):
            raise TrainingError(f"the training loss is {train_loss} in epoch {epoch}")
        self.history.append(
            {
                "epoch": epoch,
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "train_loss": train_loss,
                **self._validate(),
                "seconds": seconds,
                "rows_per_second": len(rows) / seconds,
            }
        )
        if self.best_epoch == epoch:
            self.best = deepcopy(self.net.state_dict())

    def _batch(self, chosen: Tensor, turned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features, labels and targets of some rows, those of `turned` upside down."""
        x, y, targets = self.x[chosen], self.y[chosen], self.targets[chosen]
        if self.settings.mirror_share > 0.0:
            sign, shift = self.mirror
            x = torch.where(turned[:, None], x * sign + shift, x)
            y = torch.where(turned, len(CLASS_NAMES) - 1 - y, y)  # DOWN and UP change places
            targets = torch.where(turned[:, None], targets * TURNED_TARGETS, targets)
        return x, y, targets

    def _step(self, chosen: Tensor, turned: Tensor) -> Tensor:
        s = self.settings
        x, y, targets = self._batch(chosen, turned)
        scores, predicted = self.heads(x)
        loss = focal_loss(
            scores,
            y,
            gamma=s.focal_gamma,
            alpha=s.focal_alpha,
            smoothing=s.label_smoothing,
            class_weights=self.loss_weights,
        )
        loss = loss + auxiliary_loss(predicted, targets, self.target_weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.heads.parameters(), s.gradient_clip)
        self.optimizer.step()
        return loss.detach()

    def _set_learning_rate(self, step: int) -> None:
        n_steps = self.settings.epochs * self.steps_per_epoch
        warmup = max(1, round(WARMUP_SHARE * n_steps))
        if step < warmup:
            factor = (step + 1) / warmup
        else:
            factor = 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, n_steps - warmup)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * factor

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
        out = {f"net.{n}": t.numpy() for n, t in self.heads.state_dict().items()}
        out |= {f"best.{n}": t.numpy() for n, t in self.best.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            out |= {f"optimizer.{index}.{n}": t.numpy() for n, t in state.items()}
        return out

    def restore(self, found: Checkpoint) -> None:
        """Take up the state of `arrays`."""
        groups: dict[str, dict[str, Tensor]] = {"net": {}, "best": {}, "optimizer": {}}
        for name, array in found.arrays.items():
            kind, _, rest = name.partition(".")
            groups[kind][rest] = torch.from_numpy(np.array(array))
        self.heads.load_state_dict(groups["net"])
        self.best, self.history = groups["best"], found.history
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, _, field = name.partition(".")
            state.setdefault(int(index), {})[field] = tensor
        groups_of = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups_of})

    def result(self) -> TrainingResult:
        weights = {name: np.array(tensor.numpy()) for name, tensor in self.best.items()}
        return TrainingResult(weights, self.history, self.class_weights, self.best_epoch)
