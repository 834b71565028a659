from dataclasses import replace

import numpy as np
import pytest
import torch

from v8lib import auxiliary
from v8lib.errors import TrainingError


@pytest.fixture(scope="module")
def rows(prepared):
    return prepared.split("train")[0]


def test_targets_are_the_size_and_the_return_of_the_move_in_units_of_the_threshold(rows):
    targets = auxiliary.auxiliary_targets(rows)
    assert targets.dtype == np.float32
    for k in (0, 17, len(rows.labels) - 1):
        cut = rows.threshold[k]
        assert targets[k, 0] == pytest.approx(np.log(rows.forward_volatility[k] / cut), rel=1e-5)
        assert targets[k, 1] == pytest.approx(rows.forward_return[k] / cut, rel=1e-5)


def test_the_return_of_a_row_tells_its_label(rows):
    """In units of the threshold UP is above 1, DOWN below -1: the label keeps no more than that."""
    moved = auxiliary.auxiliary_targets(rows)[:, 1]
    found = 1 + (moved > 1.0).astype(int) - (moved < -1.0)
    unsure = np.abs(np.abs(moved) - 1.0) < 1e-5  # float32
    assert (found == rows.labels)[~unsure].all()
    assert unsure.mean() < 0.01


def test_a_market_that_stood_still_has_a_finite_target(rows):
    still = replace(rows, forward_volatility=np.zeros_like(rows.forward_volatility))
    assert auxiliary.auxiliary_targets(still)[:, 0].tolist() == pytest.approx(
        [np.log(0.01)] * len(rows.labels)
    )


def test_standardised_targets_have_deviation_1_sizes_have_mean_0_and_all_are_cut(rows):
    targets = auxiliary.auxiliary_targets(rows)
    targets[3] = [1e4, -1e4]
    made = auxiliary.standardised(targets).numpy()
    assert made.dtype == np.float32
    assert made[3].tolist() == [4.0, -4.0]
    plain = auxiliary.standardised(np.random.default_rng(0).uniform(size=(5_000, 2))).numpy()
    np.testing.assert_allclose(plain[:, 0].mean(), 0.0, atol=1e-6)
    assert plain[:, 1].min() >= 0.0, "a return keeps its sign"
    np.testing.assert_allclose(plain.std(axis=0), 1.0, atol=1e-6)


@pytest.mark.parametrize("value", [1.0, np.nan, np.inf])
def test_targets_that_are_constant_or_no_numbers_are_refused(value):
    targets = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    targets[:, 1] = value
    with pytest.raises(TrainingError, match="constant or not finite"), np.errstate(all="ignore"):
        auxiliary.standardised(targets)


def test_the_loss_by_hand():
    predicted = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    targets = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    loss = auxiliary.auxiliary_loss(predicted, targets, torch.tensor([0.1, 0.5]))
    assert float(loss) == pytest.approx(0.1 * (1 + 9) / 2 + 0.5 * (0 + 4) / 2)


def test_the_first_head_is_the_net_itself_and_the_second_sits_on_its_last_hidden_layer():
    torch.manual_seed(0)
    heads = auxiliary.build_two_heads(5, dropout=0.3, normalization="adaptive").eval()
    x = torch.randn(7, 5)
    with torch.no_grad():
        scores, predicted = heads(x)
        torch.testing.assert_close(scores, heads.net(x), rtol=0.0, atol=0.0)
        hidden = heads.net.layers[:-1](x)
        torch.testing.assert_close(predicted, heads.head(hidden), rtol=0.0, atol=0.0)
    assert predicted.shape == (7, auxiliary.N_TARGETS)


def test_both_heads_teach_the_hidden_layers():
    torch.manual_seed(0)
    heads = auxiliary.build_two_heads(5, dropout=0.0, normalization="layer")
    _, predicted = heads(torch.randn(7, 5))
    auxiliary.auxiliary_loss(predicted, torch.zeros(7, 2), torch.ones(2)).backward()
    assert heads.net.layers[0].weight.grad.abs().sum() > 0.0
    assert heads.net.layers[-1].weight.grad is None, "the class scores are not touched by it"
