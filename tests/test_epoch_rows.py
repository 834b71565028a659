import numpy as np
import pytest
import torch

from v8lib import epoch_rows
from v8lib.mirror import Mirror

N, N_FEATURES = 103, 3
X = np.random.default_rng(0).normal(size=(N, N_FEATURES)).astype(np.float32)
X[:, 0] = np.arange(N)  # tells which row it is
Y = np.random.default_rng(1).integers(3, size=N)
TARGETS = torch.from_numpy(np.random.default_rng(2).normal(size=(N, 2)).astype(np.float32))
TABLE = torch.arange(3.0)[:, None] + torch.tensor([0.0, 10.0, 20.0])  # tells the label thrice
MIRROR = Mirror(np.array([1, -1, -1], np.float32), np.array([0, 0.5, -2], np.float32))


def rows_of(share=0.5, batch_size=10, dtype=torch.float32):
    return epoch_rows.EpochRows(
        X,
        Y,
        TARGETS,
        mirror=MIRROR,
        share=share,
        batch_size=batch_size,
        device=torch.device("cpu"),
        dtype=dtype,
    )


def epoch(rows, seed=3):
    return list(rows.batches(np.random.default_rng(seed), TABLE))


def rows_of_all(batches):
    """Return features, labels' rows of the table and targets, each (n_rows, width)."""
    x, y, targets = zip(*batches, strict=True)
    return torch.cat(x), torch.cat(y, dim=1).t(), torch.cat(targets, dim=1).t()


@pytest.mark.parametrize("chunk", [10, 35, 8_192])
def test_an_epoch_gives_each_row_at_most_once_with_its_own_label_and_targets(monkeypatch, chunk):
    monkeypatch.setattr(epoch_rows, "CHUNK_ROWS", chunk)
    batches = epoch(rows_of(share=0.0))
    shapes = {tuple(tuple(part.shape) for part in batch) for batch in batches}
    assert (len(batches), shapes) == (10, {((10, N_FEATURES), (3, 10), (2, 10))})
    x, y, targets = rows_of_all(batches)
    which = x[:, 0].long().numpy()
    assert len(set(which.tolist())) == 100
    assert which.tolist() != sorted(which.tolist())
    np.testing.assert_array_equal(x.numpy(), X[which])
    np.testing.assert_array_equal(y.numpy(), TABLE.numpy()[Y[which]])
    np.testing.assert_array_equal(targets.numpy(), TARGETS.numpy()[which])


@pytest.mark.parametrize("chunk", [10, 35, 8_192])
def test_half_of_the_rows_are_turned_whole(monkeypatch, chunk):
    monkeypatch.setattr(epoch_rows, "CHUNK_ROWS", chunk)
    before = (X.copy(), Y.copy(), TARGETS.clone())
    batches = epoch(rows_of())
    x, y, targets = (part.numpy() for part in rows_of_all(batches))
    which = x[:, 0].astype(int)
    turned = (x[:, 1:] != X[which, 1:]).all(axis=1)
    assert 30 <= turned.sum() <= 70
    np.testing.assert_array_equal(x[~turned], X[which[~turned]])
    np.testing.assert_allclose(x[turned], X[which[turned]] * MIRROR.sign + MIRROR.shift, rtol=1e-6)
    labels = np.where(turned, 2 - Y[which], Y[which])
    np.testing.assert_array_equal(y, TABLE.numpy()[labels])
    signs = np.where(turned[:, None], np.array([1.0, -1.0]), 1.0)
    np.testing.assert_allclose(targets, TARGETS.numpy()[which] * signs, rtol=1e-6)
    assert X.tobytes() == before[0].tobytes(), "the rows themselves stay as they are"
    assert Y.tobytes() == before[1].tobytes()
    assert torch.equal(TARGETS, before[2])


def test_chunks_change_nothing(monkeypatch):
    whole = epoch(rows_of())
    monkeypatch.setattr(epoch_rows, "CHUNK_ROWS", 1)
    for first, second in zip(whole, epoch(rows_of()), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_another_generator_gives_another_order_and_turns_other_rows():
    first, other = (torch.cat([b[0] for b in epoch(rows_of(), seed)]) for seed in (3, 4))
    assert not torch.equal(first, other)


def test_features_are_given_out_in_the_precision_asked_for():
    (x, y, targets), *_ = epoch(rows_of(dtype=torch.bfloat16))
    assert (x.dtype, y.dtype, targets.dtype) == (torch.bfloat16, torch.float32, torch.float32)


def test_fewer_rows_than_a_batch_are_one_batch():
    rows = rows_of(batch_size=1_000)
    assert (rows.batch, rows.steps) == (N, 1)
    assert [len(x) for x, _, _ in epoch(rows)] == [N]
