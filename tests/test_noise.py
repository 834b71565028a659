import numpy as np
import torch

from v8lib import noise

CPU = torch.device("cpu")
SIZE = 64 * 76 + 3


def source(seed=0):
    made = noise.Noise(SIZE, CPU)
    made.seed(np.random.default_rng(seed))
    return made


def numbers(made):
    """Return the whole numbers of a draw, int64: upper * 256 + shared."""
    upper, shared = made.draw()
    return upper.numpy().astype(np.int64) * noise.SHARED_VALUES + shared


def test_a_draw_has_the_size_asked_for_and_is_the_generator_s():
    (first, shared), (again, _), (other, _) = source().draw(), source().draw(), source(1).draw()
    assert tuple(first.shape) == (SIZE,)
    assert first.dtype == torch.int8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    words = np.random.SFC64(int(np.random.default_rng(0).integers(2**62))).random_raw(SIZE // 8 + 2)
    assert (first.numpy() == words.view(np.int8)[:SIZE]).all(), "its raw output, all of it used"
    assert shared == words[-1] % 256, "and a word of its own for what is shared"


def test_the_next_draw_is_new_and_leaves_the_last_alone():
    made = source()
    first, _ = made.draw()
    kept = first.clone()
    assert not torch.equal(made.draw()[0], kept)
    assert torch.equal(first, kept)


def _chi_square(counts):
    expected = counts.sum() / len(counts)
    return ((counts - expected) ** 2 / expected).sum()


def test_every_upper_half_is_as_likely():
    """Counts of 256 values over 400 draws: chi-square with 255 degrees of freedom."""
    made = source()
    found = np.concatenate([made.draw()[0].numpy() for _ in range(400)]).astype(np.int64)
    counts = np.bincount(found + 2**7, minlength=256)
    assert 150.0 < _chi_square(counts) < 380.0, "six standard deviations either way"


def test_every_lower_half_is_as_likely():
    made = noise.Noise(8, CPU)
    made.seed(np.random.default_rng(0))
    counts = np.bincount([made.draw()[1] for _ in range(20_000)], minlength=256)
    assert len(counts) == 256
    assert 150.0 < _chi_square(counts) < 380.0, "six standard deviations either way"


def test_a_share_between_two_256ths_is_exact_over_the_draws():
    """0.3 is 76.8 / 256: a single draw drops 76 or 77 of them, all of them together 0.3."""
    made = source()
    shares = [float((numbers(made) < 0.3 * 2**16 - 2**15).mean()) for _ in range(2_000)]
    # 9.7 million numbers: a standard error of 0.00015, and of 0.00004 for what is shared.
    # Always 77 would be 0.3008.
    assert abs(np.mean(shares) - 0.3) < 0.0005


def test_neighbours_are_independent():
    made = source()
    dropped = np.concatenate([numbers(made) < -13_000 for _ in range(134)])
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
        found, shared = made.draw()
        draws.append(found.clone())
        assert shared is None, "a recorded step cannot take another threshold each time"
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert float(draws[0].float().min()) < -30_000.0
    assert float(draws[0].float().max()) > 30_000.0
