"""The closed forms are autograd's slopes of the losses as they are defined."""

import pytest
import torch

from v8lib import auxiliary, loss_gradient, losses

N_ROWS = 50


def rows(seed=0, n_rows=N_ROWS):
    """Return scores, some almost sure and some undecided, labels, predictions and targets."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(width, spread):
        values = torch.randn(n_rows, width, generator=generator, dtype=torch.float64)
        return spread * values

    labels = torch.randint(3, (n_rows,), generator=generator)
    return drawn(3, 16.0), labels, drawn(2, 1.0), drawn(2, 1.0)


class Ours:
    """A loss gradient with its memory, called with rows."""

    def __init__(self, n_rows=N_ROWS, weights=(1.0, 1.0, 1.0), dtype=torch.float64, **changes):
        terms = {"gamma": 2.0, "alpha": 0.25, "smoothing": 0.1, "target_weights": (0.03, 0.5)}
        class_weights = torch.tensor(weights, dtype=dtype)
        self.scores, self.slope = torch.zeros(2, 5, n_rows, dtype=dtype)
        self.loss = loss_gradient.LossGradient(
            self.scores, self.slope, class_weights=class_weights, **terms | changes
        )
        self.total = self.loss.total

    def gradient(self, batch):
        """Return the gradient, (n_rows, 5), with each label as its row of the table."""
        scores, labels, predicted, targets = batch
        self.scores.copy_(torch.cat([scores, predicted], dim=1).t())
        self.loss(self.loss.table[labels].t(), targets.t())
        return self.slope.t().clone()


def by_autograd(batch, weights, gamma, smoothing, target_weights):
    scores, labels, predicted, targets = batch
    free = [part.clone().requires_grad_() for part in (scores, predicted)]
    loss = losses.focal_loss(
        free[0],
        labels,
        gamma=gamma,
        alpha=0.25,
        smoothing=smoothing,
        class_weights=torch.tensor(weights, dtype=torch.float64),
    )
    loss = loss + auxiliary.auxiliary_loss(
        free[1], targets, torch.tensor(target_weights, dtype=torch.float64)
    )
    return float(loss.detach()), torch.cat(torch.autograd.grad(loss, free), dim=1)


@pytest.mark.parametrize("target_weights", [(0.03, 0.5), (0.0, 0.0)])
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.7, 1.4, 1.1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_loss_and_gradient_are_autograd_s(gamma, smoothing, weights, target_weights):
    changes = {"gamma": gamma, "smoothing": smoothing, "target_weights": target_weights}
    loss, expected = by_autograd(rows(), weights, **changes)
    own = Ours(weights=weights, **changes)
    torch.testing.assert_close(own.gradient(rows()), expected, rtol=1e-9, atol=1e-12)
    assert own.total() == pytest.approx(loss, rel=1e-12, abs=1e-12)


def test_losses_are_summed_over_batches_and_begin_at_zero_after_they_were_asked_for():
    own, one_by_one = Ours(), []
    for seed in (0, 1):
        own.gradient(rows(seed))
        one_by_one.append(own.total())
    assert one_by_one[0] != one_by_one[1]
    for seed in (0, 1):
        own.gradient(rows(seed))
    assert own.total() == pytest.approx(sum(one_by_one), rel=1e-12)
    assert own.total() == 0.0


def test_a_second_call_leaves_nothing_of_the_first():
    own = Ours()
    own.gradient(rows(1))
    assert torch.equal(own.gradient(rows()), Ours().gradient(rows()))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_it_is_finite_where_the_net_is_entirely_sure(gamma):
    scores = torch.tensor([[500.0, 0.0, -500.0], [50.0, 0.0, -50.0]])
    own = Ours(2, dtype=torch.float32, gamma=gamma)
    for label in range(3):
        labels, nothing = torch.tensor([label, label]), torch.zeros(2, 2)
        gradient = own.gradient((scores, labels, nothing, nothing))
        assert torch.isfinite(gradient).all()
        assert torch.isfinite(torch.tensor(own.total()))


def test_a_nan_is_seen_in_the_total():
    scores, labels, predicted, targets = rows()
    scores[3, 1] = float("nan")
    own = Ours()
    own.gradient((scores, labels, predicted, targets))
    assert torch.tensor(own.total()).isnan()
