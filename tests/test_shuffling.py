import numpy as np
import pytest

from v8lib import baselines, metrics, shuffling, training

SETTINGS = training.TrainingSettings(
    normalization="layer",
    dropout=0.3,
    focal_gamma=2.0,
    focal_alpha=0.25,
    label_smoothing=0.1,
    epochs=6,
    patience_epochs=6,
    batch_size=64,
    learning_rate=0.002,
    weight_decay=0.01,
    gradient_clip=1.0,
    seed=11,
    symbol="BTC",
)


def rows(n, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4)).astype(np.float32)
    scores = np.column_stack([-2.0 * features[:, 0], np.zeros(n), 2.0 * features[:, 0]])
    return features, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


def test_shuffled_blocks_keep_every_label_and_the_run_lengths():
    labels = np.repeat(np.random.default_rng(3).integers(3, size=400), 10)
    shuffled = shuffling.block_shuffled(labels, block_rows=200, rng=np.random.default_rng(4))
    assert np.bincount(shuffled).tolist() == np.bincount(labels).tolist()
    runs, runs_before = ((np.diff(x) != 0).sum() for x in (shuffled, labels))
    assert abs(int(runs) - int(runs_before)) <= 20, "only the 20 seams can add or remove a change"
    # Two labels of three differ by chance; a block in its old place takes a twentieth of that.
    assert (shuffled != labels).mean() > 0.4


def test_even_a_block_as_long_as_the_split_is_cut_in_two():
    labels = np.repeat([0, 1], 50)
    rng = np.random.default_rng(0)
    halves = {tuple(shuffling.block_shuffled(labels, block_rows=500, rng=rng)) for _ in range(20)}
    assert tuple(np.repeat([1, 0], 50)) in halves
    assert halves <= {tuple(np.repeat([0, 1], 50)), tuple(np.repeat([1, 0], 50))}


def test_no_block_stays_in_its_place():
    """A random order leaves one block in place on average: labels that are no nonsense."""
    labels = np.arange(60)  # numbers of rows, to see where each went
    for seed in range(20):
        moved = shuffling.block_shuffled(labels, block_rows=10, rng=np.random.default_rng(seed))
        assert not (moved == labels).any()


@pytest.fixture(scope="module")
def splits():
    return rows(600, 1), rows(200, 2), rows(800, 3)


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Sixty blocks in these 600 rows of train: in six, one that stays in place would matter."""
    monkeypatch.setattr(shuffling, "BLOCK_ROWS", 10)


def skills(splits, n_draws=3):
    train, _, test = splits
    frequencies = np.tile(baselines.climatology(train[1]), (len(test[1]), 1))
    return shuffling.shuffled_skills(
        *splits,
        SETTINGS,
        climatology_log_loss=metrics.log_loss(frequencies, test[1]),
        n_draws=n_draws,
        epochs=2,
    )


def test_nets_trained_on_shuffled_labels_have_no_skill(splits):
    found = skills(splits)
    assert found.shape == (3,)
    assert len(set(found.tolist())) == 3, "every draw is a shuffle of its own"
    # One draw has a spread of 0.04 here; the signal is worth 0.33 to a net that saw it.
    assert found.max() < 0.13
    assert found.mean() < 0.07


def test_the_draws_do_not_depend_on_how_many_there_are(splits):
    assert skills(splits, n_draws=1)[0] == skills(splits)[0]


def test_labels_that_are_not_shuffled_do_have_skill(splits, monkeypatch):
    """Otherwise the probe above would pass because two epochs teach nothing."""
    monkeypatch.setattr(shuffling, "block_shuffled", lambda labels, **_: labels)
    assert skills(splits, n_draws=1)[0] > 0.2
