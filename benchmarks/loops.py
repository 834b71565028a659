"""What people train such a net with instead, on the same rows, and the floor below all of it."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.machine import available_cores
from benchmarks.training_data import Epoch, Run, TrainingData, judged
from v8lib.losses import balanced_class_weights, focal_loss
from v8lib.metrics import log_loss
from v8lib.model import HIDDEN, N_CLASSES, V8TradingNet, predict_logits
from v8lib.training_settings import TrainingSettings

FLOOR_STEPS = 200


class BalancedFocal(nn.Module):
    """The suite's loss as a module, which is how these loops want it."""

    def __init__(self, class_weights: Tensor, gamma: float, alpha: float, smoothing: float) -> None:
        super().__init__()
        self.class_weights = class_weights
        self.terms = {"gamma": gamma, "alpha": alpha, "smoothing": smoothing}

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of a batch."""
        return focal_loss(logits, labels, class_weights=self.class_weights, **self.terms)


def loss_terms(data: TrainingData, settings: TrainingSettings) -> dict[str, Any]:
    """Return the arguments of `BalancedFocal` for these rows."""
    weights = torch.tensor(balanced_class_weights(data.train[1]), dtype=torch.float32)
    s = settings
    return {"class_weights": weights, "gamma": s.focal_gamma, "alpha": s.focal_alpha} | {
        "smoothing": s.label_smoothing
    }


def judge_net(net: V8TradingNet, data: TrainingData, settings: TrainingSettings) -> float:
    """Return the valid log loss of a net in inference mode."""
    return judged(
        predict_logits(net, data.valid[0]),
        data,
        gamma=settings.focal_gamma,
        smoothing=settings.label_smoothing,
    )


def plain_loop(data: TrainingData, settings: TrainingSettings) -> Run:
    """Return the loop everybody writes first: DataLoader, AdamW, ``loss.item()`` each step.

    The same net, loss, batch, learning rate and number of epochs as ours; no schedule, no
    clipping, no second task, nothing turned upside down.
    """
    torch.manual_seed(settings.seed)
    began = time.perf_counter()
    s, n_features = settings, data.train[0].shape[1]
    net = V8TradingNet(n_features, dropout=s.dropout, normalization=s.normalization)
    rates = {"lr": s.learning_rate, "weight_decay": s.weight_decay}
    optimizer = torch.optim.AdamW(net.parameters(), **rates)
    criterion = BalancedFocal(**loss_terms(data, settings))
    rows = TensorDataset(*map(torch.from_numpy, data.train))
    loader = DataLoader(rows, batch_size=s.batch_size, shuffle=True, drop_last=True)
    epochs = []
    for _ in range(s.epochs):
        started, total = time.perf_counter(), 0.0
        net.train()
        for features, labels in loader:
            optimizer.zero_grad()
            loss = criterion(net(features), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds = time.perf_counter() - started
        n_rows = len(loader) * s.batch_size
        epochs.append(Epoch(seconds, n_rows, judge_net(net, data, settings)))
    return Run(epochs, time.perf_counter() - began)


def skorch_loop(data: TrainingData, settings: TrainingSettings) -> Run:
    """Return the same net and loss trained by skorch's NeuralNetClassifier."""
    from skorch import NeuralNetClassifier

    s = settings
    torch.manual_seed(s.seed)
    learner = NeuralNetClassifier(
        V8TradingNet,
        module__n_features=data.train[0].shape[1],
        module__dropout=s.dropout,
        module__normalization=s.normalization,
        criterion=BalancedFocal,
        **{f"criterion__{name}": value for name, value in loss_terms(data, settings).items()},
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=s.weight_decay,
        lr=s.learning_rate,
        batch_size=s.batch_size,
        max_epochs=1,
        iterator_train__shuffle=True,
        iterator_train__drop_last=True,
        train_split=None,
        classes=[0, 1, 2],
        verbose=0,
    ).initialize()

    def judge() -> float:
        return judge_net(learner.module_, data, s)

    n_rows = len(data.train[1]) // s.batch_size * s.batch_size
    return _epoch_by_epoch(lambda: learner.partial_fit(*data.train), judge, n_rows, s.epochs)


def sklearn_loop(data: TrainingData, settings: TrainingSettings) -> Run:
    """Return scikit-learn's MLPClassifier with the same layer sizes; cross-entropy, Adam."""
    from sklearn.neural_network import MLPClassifier

    learner = MLPClassifier(
        hidden_layer_sizes=HIDDEN,
        batch_size=settings.batch_size,
        learning_rate_init=settings.learning_rate,
        random_state=settings.seed,
    )
    classes = np.arange(N_CLASSES)

    def step() -> None:
        learner.partial_fit(*data.train, classes=classes)

    def judge() -> float:
        return log_loss(learner.predict_proba(data.valid[0]), data.valid[1])

    return _epoch_by_epoch(step, judge, len(data.train[1]), settings.epochs)


def _epoch_by_epoch(
    step: Callable[[], Any], judge: Callable[[], float], n_rows: int, n_epochs: int
) -> Run:
    began, epochs = time.perf_counter(), []
    for _ in range(n_epochs):
        started = time.perf_counter()
        step()
        epochs.append(Epoch(time.perf_counter() - started, n_rows, judge()))
    return Run(epochs, time.perf_counter() - began)


def lightgbm_loop(data: TrainingData, settings: TrainingSettings) -> Run:
    """Return `lightgbm_run` on all cores."""
    return lightgbm_run(data, settings.seed, available_cores())


def lightgbm_run(data: TrainingData, seed: int, threads: int) -> Run:
    """Return LightGBM up to its best valid log loss: one entry per tree, as in the baselines.

    The seconds of a tree hold its own share of judging valid, which early stopping needs.
    """
    from v8lib import boosting

    lightgbm = boosting.load_lightgbm()
    marks: list[tuple[float, float]] = []

    def note(env: Any) -> None:
        marks.append((time.perf_counter(), env.evaluation_result_list[0][2]))

    model = lightgbm.LGBMClassifier(
        n_estimators=boosting.LIGHTGBM_TREES,
        learning_rate=boosting.LIGHTGBM_RATE,
        num_leaves=boosting.LEAVES,
        min_child_samples=boosting.LEAF_ROWS,
        random_state=seed,
        n_jobs=threads,
        verbose=-1,
    )
    stop = lightgbm.early_stopping(boosting.LIGHTGBM_PATIENCE, verbose=False)
    began = time.perf_counter()
    model.fit(*data.train, eval_X=data.valid[0], eval_y=data.valid[1], callbacks=[note, stop])
    seconds = time.perf_counter() - began
    times = [began, *(mark[0] for mark in marks)]
    trees = [
        Epoch(after - before, len(data.train[1]), loss)
        for (before, after), (_, loss) in zip(pairwise(times), marks, strict=True)
    ]
    return Run(trees[: model.best_iteration_], seconds)


def matrix_products(n_features: int, batch: int, dtype: torch.dtype = torch.float32) -> float:
    """Return rows/s of the net's own matrix products, forward and backward, and nothing else.

    Forward x W; backward the gradient of every weight, and of every layer's input but the
    first: what no implementation of this net can do without.
    """
    widths = (n_features, *HIDDEN, N_CLASSES)
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    inputs = [random(batch, width) for width in widths[:-1]]
    weights = [random(b, a) for a, b in pairwise(widths)]
    gradients = [random(batch, width) for width in widths[1:]]

    def step() -> None:
        for x, weight in zip(inputs, weights, strict=True):
            torch.mm(x, weight.T)
        for k in reversed(range(len(weights))):
            torch.mm(gradients[k].T, inputs[k])
            if k:
                torch.mm(gradients[k], weights[k])

    for _ in range(FLOOR_STEPS // 10):
        step()
    began = time.perf_counter()
    for _ in range(FLOOR_STEPS):
        step()
    return FLOOR_STEPS * batch / (time.perf_counter() - began)
