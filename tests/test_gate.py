import numpy as np
import pytest
import torch

from v8lib.gate import NOISE_VALUES, Gate, relu

KINDS = (torch.float32, torch.float64, torch.bfloat16)


def drawn(shape=(64, 48), seed=3):
    rng = np.random.default_rng(seed)
    bits = rng.integers(-(2**15), 2**15, size=shape).astype(np.int16)
    return rng.normal(size=shape), torch.from_numpy(bits)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.21, 0.3, 0.9])
def test_a_gate_is_relu_then_dropout_and_its_slope_theirs(dtype, dropout):
    values, noise = drawn()
    x = torch.from_numpy(values).to(dtype)
    gate = Gate(torch.empty_like(x), dropout)
    kept = noise >= gate.dropped - NOISE_VALUES // 2
    for rows in (slice(20), slice(20, 64)):
        relu(x[rows], gate.out[rows])
    gate.drop(noise.flatten())
    expected = x.clamp_min(0.0) * (kept if dropout else 1)
    assert torch.equal(gate.out, expected)
    slope = torch.from_numpy(drawn(seed=4)[0]).to(dtype)
    closed = slope.clone()
    gate.close(closed)
    assert torch.equal(closed, torch.where(expected > 0, slope, 0.0))


@pytest.mark.parametrize("dropout", [0.3, 0.5])
def test_as_many_are_dropped_as_asked_for(dropout):
    _, noise = drawn((400, 500))
    gate = Gate(torch.ones(400, 500, dtype=torch.bfloat16), dropout)
    gate.drop(noise.flatten())
    assert abs(1.0 - gate.out.float().mean().item() - dropout) < 0.005


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_nan_is_not_hidden(dtype, sign):
    x = torch.full((4, 8), float("nan"), dtype=torch.float64).copysign(torch.tensor(sign))
    gate = Gate(torch.zeros(4, 8, dtype=dtype), 0.0)
    relu(x.to(dtype), gate.out)
    assert gate.out.isnan().all()


def test_in_bfloat16_the_bits_are_used():
    assert Gate(torch.zeros(2, 2, dtype=torch.bfloat16), 0.3).bits.dtype == torch.int16
    assert Gate(torch.zeros(2, 2), 0.3).bits is None
