import numpy as np
import pytest
import torch
from torch import nn

from v8lib import model

NORMALIZATIONS = ("adaptive", "batch", "layer")
N_FEATURES = 6


def fresh(normalization, dropout=0.0):
    torch.manual_seed(1)
    return model.V8TradingNet(N_FEATURES, dropout=dropout, normalization=normalization)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(97, N_FEATURES)).astype(np.float32)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_net_is_512_256_128_3(normalization):
    linear = [m for m in fresh(normalization).modules() if isinstance(m, nn.Linear)]
    assert [m.in_features for m in linear] == [N_FEATURES, 512, 256, 128]
    assert [m.out_features for m in linear] == [512, 256, 128, 3]


def test_dropout_is_weaker_in_the_third_hidden_layer():
    drops = [m.p for m in fresh("adaptive", 0.3).modules() if isinstance(m, nn.Dropout)]
    assert drops == pytest.approx([0.3, 0.3, 0.21])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_single_row_gives_what_it_gives_in_a_batch(random_net, rows, normalization):
    net = random_net(N_FEATURES, normalization)
    batch = model.predict_logits(net, rows)
    alone = np.concatenate([model.predict_logits(net, row[None]) for row in rows])
    assert np.ptp(batch, axis=0).min() > 0.01, "rows must differ, or any mix-up would pass"
    # float32 sums of 512 terms in another order.
    np.testing.assert_allclose(alone, batch, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_inference_draws_nothing_and_changes_nothing(random_net, rows, normalization):
    net = random_net(N_FEATURES, normalization).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    first, again = (model.predict_logits(net, rows) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_many_rows_are_predicted_in_parts_with_the_same_result(random_net, rows, monkeypatch):
    net = random_net(N_FEATURES, "adaptive")
    whole = model.predict_logits(net, rows)
    monkeypatch.setattr(model, "EVALUATION_ROWS", 10)
    np.testing.assert_allclose(model.predict_logits(net, rows), whole, rtol=0.0, atol=1e-5)


def test_adaptive_training_sends_half_a_batch_through_each_norm():
    norm = model.AdaptiveNorm(4)
    x = torch.arange(24.0).reshape(6, 4) ** 2
    out = norm(x)
    torch.testing.assert_close(out[:3].mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(out[3:].mean(dim=1), torch.zeros(3), atol=1e-5, rtol=0.0)
    assert out[:3].mean(dim=1).abs().max() > 0.1
    assert out[3:].mean(dim=0).abs().max() > 0.1


def test_adaptive_inference_is_layer_norm_alone():
    norm = model.AdaptiveNorm(4)
    with torch.no_grad():
        norm.layer.weight.uniform_(0.5, 2.0)
        norm.batch.weight.fill_(1e6)
    norm.eval()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(norm(x), norm.layer(x))


def test_the_layer_norm_used_at_inference_really_gets_gradients(rows):
    """A LayerNorm that never sees a gradient evaluates a net that was never trained."""
    net = fresh("adaptive", 0.3)
    net(torch.from_numpy(rows)).square().sum().backward()
    norms = [m for m in net.modules() if isinstance(m, model.AdaptiveNorm)]
    assert len(norms) == 3
    for norm in norms:
        for parameter in (*norm.layer.parameters(), *norm.batch.parameters()):
            assert parameter.grad is not None
            assert float(parameter.grad.abs().max()) > 0.0


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_net_built_from_its_weights_is_the_same_net(random_net, rows, normalization):
    net = random_net(N_FEATURES, normalization)
    weights = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    built = model.build_net(weights, normalization=normalization)
    assert not built.training
    assert model.predict_logits(built, rows).tobytes() == model.predict_logits(net, rows).tobytes()


def test_weights_of_another_normalization_are_refused(random_net):
    weights = {n: t.numpy() for n, t in random_net(N_FEATURES, "layer").state_dict().items()}
    with pytest.raises(RuntimeError, match="Missing key"):
        model.build_net(weights, normalization="adaptive")
