import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from v8lib import losses


def loss_of(logits, labels, *, gamma=2.0, alpha=0.25, smoothing=0.1, weights=(1.0, 1.0, 1.0)):
    return losses.focal_loss(
        torch.as_tensor(logits, dtype=torch.float64),
        torch.as_tensor(labels),
        gamma=gamma,
        alpha=alpha,
        smoothing=smoothing,
        class_weights=torch.tensor(weights, dtype=torch.float64),
    )


def by_hand(logits, labels, gamma, alpha, smoothing, weights):
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        norm = sum(math.exp(z) for z in row)
        for k, z in enumerate(row):
            p = math.exp(z) / norm
            q = 1.0 - smoothing if k == label else smoothing / 2.0
            total -= alpha * weights[k] * q * (1.0 - p) ** gamma * math.log(p)
    return total / len(labels)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(0.0, 2.0, size=(50, 3)), rng.integers(3, size=50)


def test_one_undecided_row_by_hand():
    """p = 1/3: 0.25 * (2/3)^2 * ln 3, whatever the smoothing."""
    assert float(loss_of([[0.0, 0.0, 0.0]], [1])) == pytest.approx(math.log(3.0) / 9.0)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.7, 1.4, 1.1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_loss_equals_a_loop_over_rows_and_classes(rows, gamma, smoothing, weights):
    got = loss_of(*rows, gamma=gamma, smoothing=smoothing, weights=weights)
    assert float(got) == pytest.approx(by_hand(*rows, gamma, 0.25, smoothing, weights), rel=1e-9)


def test_without_focus_scale_and_smoothing_it_is_cross_entropy(rows):
    got = loss_of(*rows, gamma=0.0, alpha=1.0, smoothing=0.0)
    expected = functional.cross_entropy(*map(torch.as_tensor, rows))
    assert float(got) == pytest.approx(float(expected), rel=1e-12)


def test_smoothing_alone_is_torch_s_with_half_again_the_mass(rows):
    """Torch spreads e over three classes, so e on the two others is 3/2 e there."""
    got = loss_of(*rows, gamma=0.0, alpha=1.0, smoothing=0.1)
    logits, labels = map(torch.as_tensor, rows)
    expected = functional.cross_entropy(logits, labels, label_smoothing=0.15)
    assert float(got) == pytest.approx(float(expected), rel=1e-12)


def test_focus_takes_weight_from_rows_that_are_already_right():
    sure, unsure = [[4.0, 0.0, 0.0]], [[0.1, 0.0, 0.0]]
    plain, focal = (
        loss_of(sure, [0], gamma=g, smoothing=0.0) / loss_of(unsure, [0], gamma=g, smoothing=0.0)
        for g in (0.0, 2.0)
    )
    assert float(focal) < 0.05 * float(plain)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_gradient_is_finite_where_the_net_is_entirely_sure(gamma):
    for scale in (50.0, 500.0):
        logits = torch.tensor([[scale, 0.0, -scale]], requires_grad=True)
        for label in range(3):
            loss = losses.focal_loss(
                logits,
                torch.tensor([label]),
                gamma=gamma,
                alpha=0.25,
                smoothing=0.1,
                class_weights=torch.ones(3),
            )
            (gradient,) = torch.autograd.grad(loss, logits)
            assert torch.isfinite(loss)
            assert torch.isfinite(gradient).all()


def test_the_table_by_hand():
    table = losses.loss_table(alpha=0.5, smoothing=0.2, class_weights=torch.tensor([1.0, 2.0, 3.0]))
    expected = [[0.4, 0.1, 0.15], [0.05, 0.8, 0.15], [0.05, 0.1, 1.2]]
    torch.testing.assert_close(table, torch.tensor(expected))
