import sys
from subprocess import run

import pytest
import torch
from torch import nn

from v8lib import adamw, flat_parameters

SHAPES = ((7, 5), (7,), (3, 7))


def parameters(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def gradients(size, n, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, generator=generator) for _ in range(n)]


def flat_of(own):
    return flat_parameters.FlatParameters(own[:2], own[2:], torch.float32)


@pytest.mark.parametrize("clip", [0.1, 1e6])
def test_twenty_steps_are_those_of_torch_with_its_clip(clip):
    plain, own = parameters(), parameters()
    torch_s = torch.optim.AdamW(plain, lr=1.0, weight_decay=0.1, fused=True)
    flat = flat_of(own)
    ours = adamw.AdamW(flat, weight_decay=0.1, clip=clip)
    for k, gradient in enumerate(gradients(len(flat.values), 20)):
        rate = torch.tensor(0.01 / (k + 1))
        torch_s.param_groups[0]["lr"] = float(rate)
        parts = gradient.split([p.numel() for p in plain])
        for p, part in zip(plain, parts, strict=True):
            p.grad = part.view(p.shape).clone()
        norm = nn.utils.clip_grad_norm_(plain, clip)
        assert (float(norm) > clip) == (clip < 1.0), "one of the two clips, the other does not"
        torch_s.step()
        flat.gradient.copy_(gradient)
        ours.step(rate)
    for p, q in zip(plain, own, strict=True):
        torch.testing.assert_close(q, p, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("length", [0.0, 0.5, 1.0 - 3e-6, 1.0 - 1e-6, 1.0, 1.0 + 1e-6, 1.5])
@pytest.mark.parametrize("clip", [0.3, 1e-6])
def test_a_gradient_that_is_left_alone_would_not_have_been_changed(clip, length):
    """On the CPU short gradients are not multiplied; elsewhere all are. Both to the same bits."""
    found = []
    for on_cpu in (True, False):
        flat = flat_of(parameters())
        optimizer = adamw.AdamW(flat, weight_decay=0.1, clip=clip)
        assert optimizer.on_cpu
        optimizer.on_cpu = on_cpu
        (gradient,) = gradients(len(flat.values), 1)
        flat.gradient.copy_(gradient * (clip * length / gradient.norm()))
        optimizer.step(torch.tensor(0.01))
        found.append((flat.values, flat.gradient))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert float(found[0][1].norm()) <= clip * (1.0 + 1e-5)


def test_a_gradient_with_a_nan_becomes_one():
    flat = flat_of(parameters())
    flat.gradient.fill_(1e-3)[5] = float("nan")
    adamw.AdamW(flat, weight_decay=0.1, clip=1.0).step(torch.tensor(0.01))
    assert flat.values.isnan().all()


def test_a_state_that_is_taken_up_goes_on_to_the_same_bits():
    whole, first, second = (flat_of(parameters()) for _ in range(3))
    steps = gradients(len(whole.values), 6)
    rate = torch.tensor(0.01)

    def run(flat, optimizer, some):
        for gradient in some:
            flat.gradient.copy_(gradient)
            optimizer.step(rate)

    run(whole, adamw.AdamW(whole, weight_decay=0.1, clip=1.0), steps)
    half = adamw.AdamW(first, weight_decay=0.1, clip=1.0)
    run(first, half, steps[:3])
    second.values.copy_(first.values)
    rest = adamw.AdamW(second, weight_decay=0.1, clip=1.0)
    rest.load({name: tensor.clone() for name, tensor in half.state().items()})
    run(second, rest, steps[3:])
    assert torch.equal(second.values, whole.values)


def test_training_does_not_import_torch_s_compiler(repo):
    """Two seconds in every process that trains, for nothing; why the optimiser is our own."""
    code = (
        "import sys, test_training as t; from dataclasses import replace; "
        "t.training.train_model(t.TRAIN, t.VALID, replace(t.SETTINGS, epochs=1)); "
        "from v8lib.predecessor import _trained; _trained(t.TRAIN, (1,), 1, 64); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    done = run([sys.executable, "-c", code], cwd=repo / "tests", check=False, env=_env(repo))
    assert done.returncode == 0


def _env(repo):
    import os

    return os.environ | {"PYTHONPATH": str(repo)}
