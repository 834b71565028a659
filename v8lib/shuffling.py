"""The shuffled-labels probe: the same training on nonsense must end without skill.

One draw proves little: blocks of labels keep the runs of real ones, so a shuffle can happen
to line up with the market, for or against it. The mean over several draws cannot.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from v8lib.inversion import invert_focal, softmax
from v8lib.metrics import log_loss
from v8lib.model import build_net, predict_logits
from v8lib.seeds import stream
from v8lib.training import TrainingResult, TrainingSettings, train_model

BLOCK_ROWS = 100
Data = tuple[NDArray[np.float32], NDArray[np.int64]]


def block_shuffled(
    labels: NDArray[np.integer], *, block_rows: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the labels with blocks of rows in random order, shape unchanged.

    Blocks keep the run lengths of real labels, which single shuffled rows would not.
    """
    blocks = np.array_split(np.asarray(labels, np.int64), max(2, len(labels) // block_rows))
    order = rng.permutation(len(blocks))
    while (order == np.arange(len(blocks))).any():  # a block in its place would still be true
        order = rng.permutation(len(blocks))
    return np.concatenate([blocks[k] for k in order])


def shuffled_skills(
    train: Data,
    valid: Data,
    test: Data,
    settings: TrainingSettings,
    *,
    climatology_log_loss: float,
    n_draws: int,
    epochs: int,
) -> NDArray[np.float64]:
    """Return the test skill of nets trained on shuffled labels, shape (n_draws,).

    Parameters
    ----------
    train, valid : (features, labels)
        Scaled features and true labels, which are shuffled in blocks for each draw.
    test : (features, labels)
        Scaled features and true labels, as they are.
    settings : TrainingSettings
        Of the model that is judged; only the number of epochs is changed.
    climatology_log_loss : float
        Log loss of climatology on test.
    n_draws, epochs : int
        Number of shuffles, and epochs of each training.
    """
    skills = []
    for draw in range(n_draws):
        rng = stream(settings.seed, settings.symbol, "shuffle", draw)
        nonsense = [
            (features, block_shuffled(labels, block_rows=BLOCK_ROWS, rng=rng))
            for features, labels in (train, valid)
        ]
        result = train_model(*nonsense, replace(settings, epochs=epochs))
        skills.append(1.0 - _test_loss(result, settings, test) / climatology_log_loss)
    return np.array(skills)


def _test_loss(result: TrainingResult, settings: TrainingSettings, test: Data) -> float:
    net = build_net(result.weights, normalization=settings.normalization)
    probs = invert_focal(
        softmax(predict_logits(net, test[0])),
        gamma=settings.focal_gamma,
        smoothing=settings.label_smoothing,
        class_weights=result.class_weights,
    )
    return log_loss(probs, test[1])
