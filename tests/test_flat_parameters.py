import pytest
import torch
from torch import nn

from v8lib import flat_parameters


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(3, 1))


def flat_of(net, dtype):
    first, *rest = net
    ends = [rest[0].weight, rest[1].weight, rest[0].bias, rest[1].bias]
    return flat_parameters.FlatParameters(list(first.parameters()), ends, dtype)


def test_the_net_computes_what_it_did_and_moves_with_the_one_tensor(net):
    x = torch.randn(5, 4)
    before = net[1](net[0](x)).detach()
    flat = flat_of(net, torch.float32)
    torch.testing.assert_close(net[1](net[0](x)), before, rtol=0.0, atol=0.0)
    assert len(flat.values) == sum(p.numel() for p in net.parameters())
    flat.values.mul_(2.0)
    assert not torch.equal(net[1](net[0](x)), before)
    net.load_state_dict({name: torch.ones_like(t) for name, t in net.state_dict().items()})
    assert flat.values.eq(1.0).all(), "a state that is loaded is in the one tensor too"


def test_neighbours_are_joined_along_their_rows(net):
    expected = torch.cat([net[1].weight, net[2].weight]).detach()
    flat = flat_of(net, torch.float32)
    value, gradient = flat.views(net[1].weight, net[2].weight)
    torch.testing.assert_close(value, expected, rtol=0.0, atol=0.0)
    gradient.fill_(3.0)
    assert int(flat.gradient.eq(3.0).sum()) == 9


def test_rounded_values_and_gradients_follow_the_exact_ones(net):
    flat = flat_of(net, torch.bfloat16)
    value, gradient = flat.views(net[0].weight)
    assert value.dtype == gradient.dtype == torch.bfloat16
    assert flat.views(net[1].weight)[0].dtype == torch.float32
    flat.values.fill_(1.0 / 3.0)
    assert not value.eq(torch.tensor(1.0 / 3.0, dtype=torch.bfloat16)).all()
    flat.round()
    assert value.eq(torch.tensor(1.0 / 3.0, dtype=torch.bfloat16)).all()
    gradient.fill_(0.5)
    flat.views(net[1].weight)[1].fill_(0.25)
    flat.collect()
    assert flat.gradient.dtype == torch.float32
    assert int(flat.gradient.eq(0.5).sum()) == 12
    assert int(flat.gradient.eq(0.25).sum()) == 6, "what is not rounded is left as it is"
