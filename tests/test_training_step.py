"""A step of training against the same step of plain torch: autograd, clip and AdamW."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import SETTINGS

from v8lib import auxiliary, losses, training_step

N_FEATURES, N_ROWS = 6, 32
CLASS_WEIGHTS = np.array([0.8, 1.3, 1.0])
WITHOUT_DROPOUT = replace(
    SETTINGS, dropout=0.0, aux_volatility_weight=0.2, aux_return_weight=0.5, gradient_clip=0.3
)


def batches(n):
    rng = np.random.default_rng(0)
    for _ in range(n):
        x = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
        targets = rng.normal(size=(N_ROWS, 2)).astype(np.float32)
        yield tuple(map(torch.from_numpy, (x, rng.integers(3, size=N_ROWS), targets)))


def heads_of(settings):
    torch.manual_seed(1)
    return auxiliary.build_two_heads(
        N_FEATURES, dropout=settings.dropout, normalization=settings.normalization
    ).train()


def plain_step(heads, optimizer, batch, settings):
    x, y, targets = batch
    scores, predicted = heads(x)
    loss = losses.focal_loss(
        scores,
        y,
        gamma=settings.focal_gamma,
        alpha=settings.focal_alpha,
        smoothing=settings.label_smoothing,
        class_weights=torch.tensor(CLASS_WEIGHTS, dtype=torch.float32),
    )
    weights = torch.tensor([settings.aux_volatility_weight, settings.aux_return_weight])
    loss = loss + auxiliary.auxiliary_loss(predicted, targets, weights)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(heads.parameters(), settings.gradient_clip)
    optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize("normalization", ["adaptive", "batch", "layer"])
def test_five_steps_are_those_of_plain_torch(normalization):
    settings = replace(WITHOUT_DROPOUT, normalization=normalization)
    plain = heads_of(settings)
    own = deepcopy(plain)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.002, weight_decay=0.01)
    expected = sum(plain_step(plain, optimizer, batch, settings) for batch in batches(5))
    step = training_step.TrainingStep(own, settings, CLASS_WEIGHTS, N_ROWS)
    step.noise.seed(np.random.default_rng(0))
    with torch.no_grad():
        for x, y, targets in batches(5):
            step((x, step.loss.table[y].t(), targets.t()), torch.tensor(0.002))
    step.net.count_batches(5)
    assert step.loss.total() == pytest.approx(expected, rel=1e-5)
    # AdamW divides a gradient by its own size. Behind BatchNorm the true gradient of a bias is 0
    # and what autograd finds is rounding: its steps are of full length, in any direction.
    own_state, plain_state = own.state_dict(), plain.state_dict()
    compared = [n for n in plain_state if not _is_rounding(n, normalization)]
    assert len(compared) >= 16
    for name in compared:
        torch.testing.assert_close(
            own_state[name], plain_state[name], rtol=1e-3, atol=3e-4, msg=name
        )


def _is_rounding(name, normalization):
    hidden = ("layers.0.bias", "layers.4.bias", "layers.8.bias")
    return normalization == "batch" and name.endswith((*hidden, "running_mean"))


def test_dropout_is_drawn_anew_at_every_step():
    """Without learning, the loss of the same batch differs from step to step by dropout alone."""
    ((x, y, targets),) = batches(1)
    for dropout, n_values in ((0.3, 4), (0.0, 1)):
        settings = replace(WITHOUT_DROPOUT, dropout=dropout, normalization="layer")
        step = training_step.TrainingStep(heads_of(settings), settings, CLASS_WEIGHTS, N_ROWS)
        step.noise.seed(np.random.default_rng(0))
        found = []
        with torch.no_grad():
            for _ in range(4):
                step((x, step.loss.table[y].t(), targets.t()), torch.tensor(0.0))
                found.append(step.loss.total())
        assert len(set(found)) == n_values
