import numpy as np
import torch

from v8lib import noise

CPU = torch.device("cpu")
SIZE = 64 * 76 + 3


def source(seed=0):
    made = noise.Noise(SIZE, CPU)
    made.seed(np.random.default_rng(seed))
    return made


def test_a_draw_has_the_size_asked_for_and_is_the_generator_s():
    first, again, other = source().draw(), source().draw(), source(1).draw()
    assert tuple(first.shape) == (SIZE,)
    assert first.dtype == torch.int16
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    words = np.random.default_rng(0).integers(2**64, size=SIZE // 4 + 1, dtype=np.uint64)
    assert (first.numpy() == words.view(np.int16)[:SIZE]).all(), "its raw output, all of it used"


def test_the_next_draw_is_new_and_leaves_the_last_alone():
    made = source()
    first = made.draw()
    kept = first.clone()
    assert not torch.equal(made.draw(), kept)
    assert torch.equal(first, kept)


def test_every_one_of_the_65536_numbers_is_as_likely():
    """Counts of 256 equal bins over 400 draws: chi-square with 255 degrees of freedom."""
    made = source()
    found = np.concatenate([made.draw().numpy() for _ in range(400)])
    counts = np.bincount((found.astype(np.int64) + 2**15) // 256, minlength=256)
    expected = len(found) / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert found.min() < -32_700
    assert found.max() > 32_700
    assert 150.0 < chi_square < 380.0, "six standard deviations either way"


def test_neighbours_are_independent():
    made = source()
    dropped = np.concatenate([made.draw().numpy() < -13_000 for _ in range(134)])
    for lag in (1, 2, 3, 4, 51):
        a, b = dropped[:-lag], dropped[lag:]
        # 650,000 pairs: a correlation by chance has a standard error of 0.0012.
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.006


def test_another_device_draws_for_itself(monkeypatch):
    """The path of a GPU, on the CPU: seeded by the same generator, from a buffer of its own."""
    generator = torch.Generator()
    monkeypatch.setattr(torch, "Generator", lambda device: generator)
    made = noise.Noise(SIZE, torch.device("meta"))
    assert not made.on_cpu
    made.bits = torch.empty(made.size, dtype=torch.int16)
    draws = []
    for seed in (0, 0, 1):
        made.seed(np.random.default_rng(seed))
        draws.append(made.draw().clone())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    found = draws[0].float()
    assert float(found.min()) < -30_000.0
    assert float(found.max()) > 30_000.0
