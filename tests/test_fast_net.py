"""The gradient written out is autograd's of the plain module, with the same numbers dropped."""

import numpy as np
import pytest
import torch
from torch import nn

from v8lib import auxiliary, fast_net
from v8lib.model import HIDDEN

NORMALIZATIONS = ("adaptive", "batch", "layer")
N_FEATURES, N_ROWS = 6, 21


class Mask(nn.Module):
    """Dropout that drops what it is told to."""

    def __init__(self, kept, scale):
        super().__init__()
        self.factor = kept.to(torch.float64) * scale

    def forward(self, x):
        return x * self.factor.to(x.dtype)


def heads_of(normalization, dropout, dtype=torch.float64):
    torch.manual_seed(3)
    heads = auxiliary.build_two_heads(N_FEATURES, dropout=dropout, normalization=normalization)
    with torch.no_grad():
        for parameter in heads.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return heads.to(dtype).train()


def noise_of(seed=0, n_rows=N_ROWS):
    rng = np.random.default_rng(seed)
    size = fast_net.noise_size(n_rows)
    return torch.from_numpy(rng.integers(-(2**15), 2**15, size=size, dtype=np.int16))


def rows(n_rows=N_ROWS, dtype=torch.float64):
    rng = np.random.default_rng(1)
    x, pull = rng.normal(size=(n_rows, N_FEATURES)), rng.normal(size=(n_rows, 5))
    return torch.from_numpy(x).to(dtype), torch.from_numpy(pull)


def with_masks(heads, noise):
    """Put the numbers that noise drops into a plain module."""
    n_rows = len(noise) // sum(HIDDEN)
    for k, bits in enumerate(noise.split([n_rows * width for width in HIDDEN])):
        dropout = heads.net.layers[4 * k + 3]
        dropped = round(dropout.p * 2**16)
        kept = (bits.to(torch.int64) + 2**15 >= dropped).view(n_rows, -1)
        heads.net.layers[4 * k + 3] = Mask(kept, 2**16 / (2**16 - dropped))
    return heads


def by_autograd(normalization, dropout, n_rows=N_ROWS):
    plain = with_masks(heads_of(normalization, dropout), noise_of(n_rows=n_rows))
    x, pull = rows(n_rows)
    out = torch.cat(plain(x), dim=1)
    (out * pull).sum().backward()
    return plain, out.detach()


def fast(normalization, dropout, n_rows=N_ROWS, dtype=torch.float64, own=torch.float64):
    heads = heads_of(normalization, dropout, own)
    net = fast_net.FastNet(heads, n_rows, dtype=dtype)
    x, pull = rows(n_rows, dtype)
    with torch.no_grad():
        out = passes(net, x, noise_of(n_rows=n_rows), pull.to(own))
    return heads, net, out


def passes(net, x, noise, pull):
    """Go forth and back; return the scores, (n_rows, 5)."""
    net.forward(x, noise, None)
    net.slope.copy_(pull.t())
    net.backward()
    return net.scores.t().clone()


def gradients(heads, net):
    """Return the gradients of a fast net under the names of the module's parameters."""
    start, found = net.flat.values.data_ptr(), {}
    for name, p in heads.named_parameters():
        at = (p.data_ptr() - start) // p.element_size()
        found[name] = net.flat.gradient[at : at + p.numel()].view(p.shape)
    return found


@pytest.mark.parametrize("n_rows", [N_ROWS, 64])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_scores_and_gradients_are_those_of_the_plain_module(normalization, dropout, n_rows):
    plain, expected = by_autograd(normalization, dropout, n_rows)
    heads, net, out = fast(normalization, dropout, n_rows)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    found = gradients(heads, net)
    assert set(found) == {name for name, _ in plain.named_parameters()}
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-9, atol=1e-9, msg=name)


def test_a_bias_before_batch_norm_has_no_gradient():
    """Its true gradient is 0; the plain module finds rounding, which AdamW makes steps of."""
    plain, _ = by_autograd("batch", 0.3)
    found = gradients(*fast("batch", 0.3)[:2])
    for name in (f"net.layers.{k}.bias" for k in (0, 4, 8)):
        assert not found[name].any(), name
        assert 0.0 < float(dict(plain.named_parameters())[name].grad.abs().max()) < 1e-12


@pytest.mark.parametrize("normalization", ["adaptive", "batch"])
def test_running_statistics_are_those_of_the_plain_module(normalization):
    plain, _ = by_autograd(normalization, 0.3)
    heads, net, _ = fast(normalization, 0.3)
    net.count_batches(1)
    buffers = dict(heads.named_buffers())
    assert len(buffers) == 9
    for name, expected in plain.named_buffers():
        torch.testing.assert_close(buffers[name], expected, rtol=1e-10, atol=1e-10, msg=name)


def test_a_second_pass_leaves_nothing_of_the_first():
    _, net, out = fast("adaptive", 0.3)
    first = net.flat.gradient.clone()
    x, pull = rows()
    with torch.no_grad():
        passes(net, torch.full_like(x, 7.0), noise_of(seed=5), pull.flip(0))
        assert not torch.equal(net.flat.gradient, first)
        again = passes(net, x, noise_of(), pull)
    torch.testing.assert_close(again, out, rtol=0.0, atol=0.0)
    torch.testing.assert_close(net.flat.gradient, first, rtol=0.0, atol=0.0)


def test_the_gradient_is_the_slope_of_the_scores():
    """Against differences, not autograd: a mistake in both would agree with itself."""
    _, net, _ = fast("adaptive", 0.3)
    x, pull = rows()
    slope = net.flat.gradient.clone()
    rng = np.random.default_rng(4)

    def value():
        net.forward(x, noise_of(), None)
        return float((net.scores * pull.t()).sum())

    with torch.no_grad():
        for _ in range(5):
            way = torch.from_numpy(rng.normal(size=len(slope)))
            ends = []
            for step in (1e-7, -1e-7):
                net.flat.values.add_(way, alpha=step)
                ends.append(value())
                net.flat.values.add_(way, alpha=-step)
            assert (ends[0] - ends[1]) / 2e-7 == pytest.approx(float(slope @ way), rel=1e-4)


def test_the_module_is_trained_with_the_fast_net_and_keeps_its_names():
    untouched = heads_of("adaptive", 0.3)
    heads, net, _ = fast("adaptive", 0.3)
    assert list(heads.state_dict()) == list(untouched.state_dict())
    for (name, p), q in zip(heads.named_parameters(), untouched.parameters(), strict=True):
        assert torch.equal(p, q), name
    with torch.no_grad():
        net.flat.values.zero_()
    assert all(not p.detach().any() for p in heads.parameters())


@pytest.mark.parametrize(("dropout", "share"), [(0.3, 0.3), (0.21, 0.21), (0.9, 0.9)])
def test_the_share_that_is_dropped_is_exact_to_sixteen_bits(dropout, share):
    heads = heads_of("layer", dropout)
    block = fast_net.FastNet(heads, N_ROWS, dtype=torch.float64).blocks[0]
    values = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    kept = (values > block.gate.last_dropped).to(torch.float64)
    assert 1.0 - float(kept.mean()) == pytest.approx(share, abs=2**-17)
    assert float(kept.mean()) * block.scale == pytest.approx(1.0, abs=1e-12), "the mean is kept"


def test_in_bfloat16_gradients_are_as_close_as_autocast_s():
    """Eight bits of mantissa: what torch's own mixed precision loses, this may lose too."""
    heads, net, _ = fast("adaptive", 0.3, 256, torch.float32, torch.float32)
    expected = gradients(heads, net)
    heads, net, _ = fast("adaptive", 0.3, 256, torch.bfloat16, torch.float32)
    assert net.flat.values.dtype == net.flat.gradient.dtype == torch.float32
    found = gradients(heads, net)
    plain = with_masks(heads_of("adaptive", 0.3, torch.float32), noise_of(n_rows=256))
    x, pull = rows(256, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = torch.cat(plain(x), dim=1)
    (out * pull).sum().backward()
    lost, lost_by_autocast = (
        sum(float((expected[n] - g[n]).square().sum()) for n in expected) ** 0.5
        for g in (found, {n: p.grad for n, p in plain.named_parameters()})
    )
    assert 0.0 < lost < 1.2 * lost_by_autocast
