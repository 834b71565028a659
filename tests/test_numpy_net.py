import numpy as np
import pytest
import torch

from v8lib import model, numpy_net, scaling
from v8lib.errors import BundleError

NORMALIZATIONS = ("adaptive", "batch", "layer")


@pytest.fixture(scope="module")
def scaled(market_features, split, scaler):
    return scaling.apply_scaler(scaler, market_features[split.test][:150])


@pytest.fixture
def pair(random_net, scaler):
    """The same net twice: as arrays, and under torch."""

    def build(normalization):
        net = random_net(len(scaler.names), normalization)
        weights = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
        return numpy_net.NumpyNet(weights, normalization), net

    return build


def through_batch_norm(net, scaled):
    """Return what an adaptive net says if each row takes its BatchNorm, as torch evaluates it."""
    x = torch.from_numpy(scaled)
    with torch.no_grad():
        for layer in net.layers:
            x = layer.batch(x) if isinstance(layer, model.AdaptiveNorm) else layer(x)
    return x.numpy()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_numpy_and_torch_give_the_same_scores(pair, scaled, normalization):
    ours, net = pair(normalization)
    expected = model.predict_logits(net, scaled)
    assert np.ptp(expected, axis=0).min() > 0.01, "scores must differ by far more than that"
    # float32 against float64 through four layers.
    np.testing.assert_allclose(ours.raw_logits(scaled), expected, rtol=0.0, atol=1e-5)


def test_the_training_path_of_an_adaptive_net_is_torch_s_batch_norm(pair, scaled):
    ours, net = pair("adaptive")
    expected = through_batch_norm(net, scaled)
    np.testing.assert_allclose(ours.training_path_logits(scaled), expected, rtol=0.0, atol=1e-5)
    gap = np.abs(ours.training_path_logits(scaled) - ours.raw_logits(scaled)).max()
    assert gap > 0.1, "the two paths are not the same function"


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_a_net_with_one_norm_has_one_path(pair, scaled, normalization):
    ours, _ = pair(normalization)
    assert ours.training_path_logits(scaled).tobytes() == ours.raw_logits(scaled).tobytes()


@pytest.mark.parametrize("path", ["raw_logits", "training_path_logits"])
def test_a_row_alone_gives_what_it_gives_in_a_batch(pair, scaled, path):
    score = getattr(pair("adaptive")[0], path)
    alone = np.concatenate([score(row[None]) for row in scaled])
    np.testing.assert_allclose(alone, score(scaled), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("name", ["layers.4.bias", "layers.12.weight", "layers.1.layer.weight"])
def test_an_array_that_is_missing_is_named(pair, scaled, name):
    weights = {n: w for n, w in pair("adaptive")[0].weights.items() if n != name}
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        numpy_net.NumpyNet(weights, "adaptive").raw_logits(scaled)


def test_inference_needs_no_batch_norm_and_only_the_training_path_asks_for_it(pair, scaled):
    weights = {n: w for n, w in pair("adaptive")[0].weights.items() if ".batch." not in n}
    net = numpy_net.NumpyNet(weights, "adaptive")
    assert np.isfinite(net.raw_logits(scaled)).all()
    with pytest.raises(BundleError, match=r"layers\.1\.batch\.running_mean"):
        net.training_path_logits(scaled)


@pytest.mark.parametrize("path", ["raw_logits", "training_path_logits"])
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 64])
def test_many_rows_go_through_in_parts(pair, scaled, path, rows, monkeypatch):
    whole = getattr(pair("adaptive")[0], path)(scaled[:rows])
    monkeypatch.setattr(numpy_net, "ROWS_AT_A_TIME", 8)
    parts = getattr(pair("adaptive")[0], path)(scaled[:rows])
    np.testing.assert_allclose(parts, whole, rtol=0.0, atol=1e-12)
