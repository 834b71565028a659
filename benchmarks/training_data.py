"""The rows that every training loop gets: the default profile's simulated markets, prepared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from v8lib.auxiliary import auxiliary_targets
from v8lib.config import Parameters
from v8lib.inversion import invert_focal, softmax
from v8lib.losses import balanced_class_weights
from v8lib.metrics import log_loss
from v8lib.mirror import Mirror, mirror_of
from v8lib.preparation import prepare, steps_of
from v8lib.recipe import exact_probabilities, open_bars
from v8lib.scaling import apply_scaler

Data = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class TrainingData:
    """Scaled train and valid rows of a symbol.

    Attributes
    ----------
    symbol : str
    train, valid : (features, labels)
    targets : array of shape (n_train, 2)
        What our training also learns; the peers leave it.
    mirror : Mirror
        How these features turn upside down.
    possible_log_loss : float
        Of the exact probabilities on valid: no model can be expected below it.
    """

    symbol: str
    train: Data
    valid: Data
    targets: NDArray[np.float32]
    mirror: Mirror
    possible_log_loss: float


@dataclass(frozen=True)
class Epoch:
    """One pass over train: seconds without judging it, rows, and the valid log loss after it."""

    seconds: float
    n_rows: int
    valid_log_loss: float


@dataclass(frozen=True)
class Run:
    """A training: its epochs, and the seconds from data in memory to result."""

    epochs: list[Epoch]
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows trained on, by the seconds of the epochs alone."""
        return sum(e.n_rows for e in self.epochs) / sum(e.seconds for e in self.epochs)

    @property
    def log_loss(self) -> float:
        """Valid log loss of the best epoch: the one that is kept."""
        return min(e.valid_log_loss for e in self.epochs)

    def seconds_to(self, level: float) -> float | None:
        """Return the seconds of training until valid log loss is at the level, None if never."""
        passed = 0.0
        for epoch in self.epochs:
            passed += epoch.seconds
            if epoch.valid_log_loss <= level:
                return passed
        return None


def make_training_data(parameters: Parameters) -> TrainingData:
    """Return the rows of one symbol's simulated market, as notebooks 01 and 02 make them."""
    source = open_bars(parameters)
    exact = exact_probabilities(source, parameters)
    prepared = prepare(source.bars, steps_of(parameters), exact)
    scaler, splits = prepared.scalers[-1], [prepared.split(n)[-1] for n in ("train", "valid")]
    train, valid = ((apply_scaler(scaler, rows.features), rows.labels) for rows in splits)
    return TrainingData(
        parameters.symbol,
        train,
        valid,
        auxiliary_targets(splits[0]),
        mirror_of(scaler),
        log_loss(splits[1].posterior, splits[1].labels),
    )


def judged(logits: NDArray, data: TrainingData, *, gamma: float, smoothing: float) -> float:
    """Return the valid log loss of a net's scores, the bend of its loss undone."""
    probs = invert_focal(
        softmax(logits),
        gamma=gamma,
        smoothing=smoothing,
        class_weights=balanced_class_weights(data.train[1]),
    )
    return log_loss(probs, data.valid[1])
