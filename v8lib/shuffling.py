"""Training on nonsense must end without skill: labels shuffled in blocks, or moved in time.

One draw proves little: blocks of labels keep the runs of real ones, so a shuffle can happen
to line up with the market, for or against it. The mean over several draws cannot. And a
control can be broken itself, so how far its labels agree with the true ones is told as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from v8lib.auxiliary import auxiliary_targets
from v8lib.baselines import linear_log_probs
from v8lib.case import Case
from v8lib.intervals import draws_interval
from v8lib.inversion import invert_focal, softmax
from v8lib.metrics import log_loss, matthews
from v8lib.mirror import Mirror, mirror_of
from v8lib.model import build_net, predict_logits
from v8lib.seeds import stream
from v8lib.training import TrainingResult, TrainingSettings, train_model

BLOCK_ROWS = 100
FIRST_MEMBER = 1_000  # numbers of the nets trained here, apart from those of an ensemble
Data = tuple[NDArray[np.float32], NDArray[np.int64]]
Control = TypeVar("Control")


def block_order(n_rows: int, *, block_rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return row numbers with blocks of rows in random order, shape (n_rows,).

    Blocks keep the run lengths of real labels, which single shuffled rows would not.
    """
    blocks = np.array_split(np.arange(n_rows), max(2, n_rows // block_rows))
    order = rng.permutation(len(blocks))
    while (order == np.arange(len(blocks))).any():  # a block in its place would still be true
        order = rng.permutation(len(blocks))
    return np.concatenate([blocks[k] for k in order])


@dataclass(frozen=True)
class ShuffleProbe:
    """Skill of each draw, and agreement of its labels with the true ones, (n_draws,) each."""

    skills: NDArray[np.float64]
    agreements: NDArray[np.float64]


def probe_shuffled(
    train: Data,
    valid: Data,
    test: Data,
    settings: TrainingSettings,
    *,
    targets: NDArray[np.float32],
    mirror: Mirror | None,
    climatology_log_loss: float,
    n_draws: int,
    epochs: int,
    first_draw: int = 0,
) -> ShuffleProbe:
    """Return the test skill of nets trained on shuffled labels.

    Parameters
    ----------
    train, valid : (features, labels)
        Scaled features and true labels, which are shuffled in blocks for each draw.
    test : (features, labels)
        Scaled features and true labels, as they are.
    settings : TrainingSettings
        Of the model that is judged; only the number of epochs is changed.
    targets : array of shape (n_train, 2)
        True auxiliary targets of train, shuffled along with its labels.
    mirror : Mirror, optional
        Of the features; needed unless `mirror_share` is zero.
    climatology_log_loss : float
        Log loss of climatology on test.
    n_draws, epochs : int
        Number of shuffles, and epochs of each training.
    first_draw : int
        Number of the first shuffle: others are other shuffles.
    """
    skills, agreements = [], []
    for draw in range(first_draw, first_draw + n_draws):
        rng = stream(settings.seed, settings.symbol, "shuffle", draw)
        orders = [block_order(len(y), block_rows=BLOCK_ROWS, rng=rng) for _, y in (train, valid)]
        nonsense = [(x, y[o]) for (x, y), o in zip((train, valid), orders, strict=True)]
        # Its own weights to begin with, too: draws that share them share their luck as well, and
        # an interval over them would be too narrow.
        own = replace(settings, epochs=epochs, member=FIRST_MEMBER + draw)
        result = train_model(*nonsense, own, targets=targets[orders[0]], mirror=mirror)
        skills.append(1.0 - _test_loss(result, settings, test) / climatology_log_loss)
        agreements.append(matthews(nonsense[0][1], train[1]))
    return ShuffleProbe(np.array(skills), np.array(agreements))


def _test_loss(result: TrainingResult, settings: TrainingSettings, test: Data) -> float:
    net = build_net(result.weights, normalization=settings.normalization)
    probs = invert_focal(
        softmax(predict_logits(net, test[0])),
        gamma=settings.focal_gamma,
        smoothing=settings.label_smoothing,
        class_weights=result.class_weights,
    )
    return log_loss(probs, test[1])


def shifted_skills(
    train: Data,
    test: Data,
    *,
    climatology_log_loss: float,
    n_draws: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the test skill of logistic regressions on labels of another time, (n_draws,).

    The labels of train are moved along by a tenth of its rows at least, and those pushed off
    its end come back in at its start. Whatever skill is left was not in the features.

    Parameters
    ----------
    train, test : (features, labels)
        Scaled features and true labels.
    climatology_log_loss : float
        Log loss of climatology on test.
    n_draws : int
        Number of shifts.
    rng : numpy Generator
        Draws them.
    """
    n = len(train[1])
    shifts = rng.integers(n // 10, n - n // 10, size=n_draws)
    fits = [linear_log_probs(train[0], np.roll(train[1], shift)) for shift in shifts.tolist()]
    losses = [log_loss(softmax(fit(test[0])), test[1]) for fit in fits]
    return 1.0 - np.array(losses) / climatology_log_loss


def train_on_nonsense(
    case: Case, shuffle_draws: int, shuffle_epochs: int, shift_draws: int
) -> tuple[ShuffleProbe, NDArray[np.float64]]:
    """Return both controls, on the last fold: it has most rows to find something by chance."""
    last, labels = case.scaled[-1], case.tests[-1].labels
    test = (last.test_features, labels)
    nothing = log_loss(case.climatology[-len(labels) :], labels)
    rng = stream(case.seed, case.symbol, "shift")

    def shuffled(number: int) -> ShuffleProbe:
        return probe_shuffled(
            last.train,
            last.valid,
            test,
            case.settings,
            targets=auxiliary_targets(case.train[-1]),
            mirror=mirror_of(case.models[-1].scaler),
            climatology_log_loss=nothing,
            n_draws=shuffle_draws,
            epochs=shuffle_epochs,
            first_draw=number * shuffle_draws,
        )

    def shifted(_: int) -> NDArray[np.float64]:
        return shifted_skills(
            last.train, test, climatology_log_loss=nothing, n_draws=shift_draws, rng=rng
        )

    return confirmed(shuffled, lambda p: p.skills), confirmed(shifted, lambda skills: skills)


def confirmed(
    draw: Callable[[int], Control], skills: Callable[[Control], NDArray[np.float64]]
) -> Control:
    """Return a set of draws, or a second one where the skills of the first are above 0.

    Without any leak the interval over a few draws is above 0 once in forty times. What leaks
    shows again in draws that have nothing to do with the first.

    Parameters
    ----------
    draw : callable
        From the number of a set, 0 or 1, to its draws.
    skills : callable
        From the draws to their skills, (n_draws,).
    """
    first = draw(0)
    return draw(1) if draws_interval(skills(first)).low > 0.0 else first
