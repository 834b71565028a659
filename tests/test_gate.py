import numpy as np
import pytest
import torch

from v8lib.gate import NOISE_VALUES, Gate, in_bits, relu_into
from v8lib.noise import SHARED_VALUES

KINDS = (torch.float32, torch.float64, torch.bfloat16)


def drawn(shape=(64, 48), seed=3):
    rng = np.random.default_rng(seed)
    bits = rng.integers(-(2**15), 2**15, size=shape).astype(np.int16)
    return rng.normal(size=shape), torch.from_numpy(bits)


def gate_of(out, dropout, noise):
    """Return a gate with noise where its slope will be."""
    slope = torch.empty_like(out)
    in_bits(slope).copy_(noise)
    return Gate(out, slope, dropout)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.21, 0.3, 0.9])
def test_a_gate_is_relu_then_dropout_and_its_slope_theirs(dtype, dropout):
    values, noise = drawn()
    x = torch.from_numpy(values).to(dtype)
    out, slope = torch.empty_like(x), torch.empty_like(x)
    gate = Gate(out, slope, dropout)
    in_bits(slope).copy_(noise)
    kept = noise >= gate.dropped - NOISE_VALUES // 2
    for rows in (slice(20), slice(20, 64)):
        relu_into(out[rows])(x[rows])
    gate.drop(None)
    expected = x.clamp_min(0.0) * (kept if dropout else 1)
    assert torch.equal(out, expected)
    found = torch.from_numpy(drawn(seed=4)[0]).to(dtype)
    slope.copy_(found)
    gate.close()
    assert torch.equal(slope, torch.where(expected > 0, found, 0.0))


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("dropout", [0.3, 0.5])
def test_as_many_are_dropped_as_asked_for(dropout, dtype):
    _, noise = drawn((400, 500))
    out = torch.ones(400, 500, dtype=dtype)
    gate_of(out, dropout, noise).drop(None)
    assert abs(1.0 - out.float().mean().item() - dropout) < 0.005


@pytest.mark.parametrize("dtype", KINDS)
def test_the_largest_dropout_keeps_one_number_in_65536(dtype):
    noise = torch.arange(-(2**15), 2**15, dtype=torch.int16)[None]
    out = torch.ones(1, NOISE_VALUES, dtype=dtype)
    gate_of(out, 0.9999999, noise).drop(None)
    assert out.flatten().nonzero().flatten().tolist() == [NOISE_VALUES - 1]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.00004, 0.21, 0.3, 0.9999999])
def test_with_shared_bits_the_same_numbers_are_dropped(dropout, dtype):
    """Number by number, for all 65,536 of them: upper * 256 + shared."""
    upper = torch.arange(-(2**7), 2**7, dtype=torch.int16)[None]
    for shared in range(SHARED_VALUES):
        whole, halves = (torch.ones(1, 2**8, dtype=dtype) for _ in range(2))
        gate_of(whole, dropout, upper * SHARED_VALUES + shared).drop(None)
        gate_of(halves, dropout, upper).drop(shared)
        assert torch.equal(whole, halves)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_nan_is_not_hidden(dtype, sign):
    x = torch.full((4, 8), float("nan"), dtype=torch.float64).copysign(torch.tensor(sign))
    out = torch.zeros(4, 8, dtype=dtype)
    relu_into(out)(x.to(dtype))
    assert out.isnan().all()
    noise = torch.full((4, 8), 2**15 - 1, dtype=torch.int16)
    gate_of(out, 0.3, noise).drop(None)
    assert out.isnan().all(), "dropout keeps one as it keeps any other number"


def test_in_bfloat16_the_bits_are_used():
    assert in_bits(torch.zeros(2, 2, dtype=torch.bfloat16)).dtype == torch.int16
    plain = torch.zeros(2, 2)
    assert in_bits(plain) is plain
