from dataclasses import replace

import numpy as np
import pytest

from v8lib import baselines, metrics, shuffling, training

SETTINGS = training.TrainingSettings(
    normalization="layer",
    dropout=0.3,
    focal_gamma=2.0,
    focal_alpha=0.25,
    label_smoothing=0.1,
    aux_volatility_weight=0.0,
    aux_return_weight=0.0,
    mirror_share=0.0,
    epochs=6,
    patience_epochs=6,
    batch_size=64,
    learning_rate=0.002,
    weight_decay=0.01,
    gradient_clip=1.0,
    precision="fp32",
    device="cpu",
    seed=11,
    symbol="BTC",
)


def rows(n, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4)).astype(np.float32)
    scores = np.column_stack([-2.0 * features[:, 0], np.zeros(n), 2.0 * features[:, 0]])
    return features, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


def order(n_rows, block_rows, seed):
    return shuffling.block_order(
        n_rows, block_rows=block_rows, rng=np.random.default_rng(seed)
    ).tolist()


def test_shuffled_blocks_keep_every_label_and_the_run_lengths():
    labels = np.repeat(np.random.default_rng(3).integers(3, size=400), 10)
    shuffled = labels[order(4_000, 200, seed=4)]
    assert np.bincount(shuffled).tolist() == np.bincount(labels).tolist()
    runs, runs_before = ((np.diff(x) != 0).sum() for x in (shuffled, labels))
    assert abs(int(runs) - int(runs_before)) <= 20, "only the 20 seams can add or remove a change"
    # Two labels of three differ by chance; a block in its old place takes a twentieth of that.
    assert (shuffled != labels).mean() > 0.4


def test_even_a_block_as_long_as_the_split_is_cut_in_two():
    for seed in range(20):
        assert order(100, 500, seed) == [*range(50, 100), *range(50)]


def test_no_block_stays_in_its_place():
    """A random order leaves one block in place on average: labels that are no nonsense."""
    for seed in range(20):
        moved = order(60, 10, seed)
        assert sorted(moved) == list(range(60))
        assert not (np.array(moved) == np.arange(60)).any()


@pytest.fixture(scope="module")
def splits():
    return rows(600, 1), rows(200, 2), rows(800, 3)


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Sixty blocks in these 600 rows of train: in six, one that stays in place would matter."""
    monkeypatch.setattr(shuffling, "BLOCK_ROWS", 10)


def probe(splits, n_draws=3, settings=SETTINGS, targets=None):
    train = splits[0]
    return shuffling.probe_shuffled(
        *splits,
        settings,
        targets=np.zeros((len(train[1]), 2), np.float32) if targets is None else targets,
        mirror=None,
        climatology_log_loss=climatology_loss(splits),
        n_draws=n_draws,
        epochs=2,
    )


def climatology_loss(splits):
    train, _, test = splits
    frequencies = np.tile(baselines.climatology(train[1]), (len(test[1]), 1))
    return metrics.log_loss(frequencies, test[1])


@pytest.fixture(scope="module")
def honest(splits):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shuffling, "BLOCK_ROWS", 10)
        return probe(splits)


def test_nets_trained_on_shuffled_labels_have_no_skill(honest):
    assert honest.skills.shape == (3,)
    assert len(set(honest.skills.tolist())) == 3, "every draw is a shuffle of its own"
    # One draw has a spread of 0.04 here; the signal is worth 0.33 to a net that saw it.
    assert honest.skills.max() < 0.13
    assert honest.skills.mean() < 0.07


def test_shuffled_labels_do_not_agree_with_the_true_ones(honest):
    assert honest.agreements.shape == (3,)
    # 600 rows: a correlation by chance has a standard error of 0.03.
    assert np.abs(honest.agreements).max() < 0.12


def test_the_draws_do_not_depend_on_how_many_there_are(splits, honest):
    assert probe(splits, n_draws=1).skills[0] == honest.skills[0]


def test_labels_that_are_not_shuffled_do_have_skill_and_agree(splits, monkeypatch):
    """Otherwise the probe above would pass because two epochs teach nothing."""
    monkeypatch.setattr(shuffling, "block_order", lambda n_rows, **_: np.arange(n_rows))
    found = probe(splits, n_draws=1)
    # Beyond what shuffled ones may show above; how far beyond, within two epochs, depends on
    # the weights they begin with.
    assert found.skills[0] > 0.15
    assert found.agreements[0] == 1.0


def test_auxiliary_targets_are_shuffled_along_with_their_labels(splits, monkeypatch):
    """A target left in its place would tell the net which way the row really went."""
    train = splits[0]
    seen = []

    def watch(shuffled, valid, settings, *, targets, mirror):
        seen.append((shuffled, targets))
        return real(shuffled, valid, settings, targets=targets, mirror=mirror)

    real = shuffling.train_model
    monkeypatch.setattr(shuffling, "train_model", watch)
    numbers = np.column_stack([np.arange(600), train[1]]).astype(np.float32)
    probe(splits, 1, replace(SETTINGS, aux_return_weight=0.1), numbers)
    ((features, labels), targets) = seen[0]
    assert targets[:, 1].tolist() == labels.tolist()
    assert sorted(targets[:, 0].tolist()) == list(range(600))
    assert not (targets[:, 0] == np.arange(600)).any()
    assert features.tobytes() == train[0].tobytes(), "the features stay where they are"


def shifted(splits, n_draws=8):
    train, _, test = splits
    return shuffling.shifted_skills(
        train,
        test,
        climatology_log_loss=climatology_loss(splits),
        n_draws=n_draws,
        rng=np.random.default_rng(0),
    )


def test_labels_of_another_time_teach_nothing(splits):
    found = shifted(splits)
    assert found.shape == (8,)
    assert len(set(found.tolist())) > 1
    # One draw has a spread of 0.03 here, the mean of eight one of 0.01.
    assert found.max() < 0.13
    assert found.mean() < 0.03


def test_labels_of_their_own_time_teach_what_there_is(splits, monkeypatch):
    monkeypatch.setattr(np, "roll", lambda labels, _: labels)
    assert shifted(splits, n_draws=1)[0] > 0.2


def test_labels_are_moved_by_a_tenth_at_least_and_all_of_them_are_kept(splits, monkeypatch):
    train = splits[0]
    seen = []

    def watch(features, labels):
        seen.append(labels)
        return real(features, labels)

    real = shuffling.linear_log_probs
    monkeypatch.setattr(shuffling, "linear_log_probs", watch)
    shifted(splits)
    for labels in seen:
        fits = [k for k in range(600) if (np.roll(train[1], k) == labels).all()]
        assert len(fits) == 1
        assert 60 <= fits[0] <= 540


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0.01, -0.01, 0.0], None, 0),  # nothing to confirm
        ([-0.03, -0.031, -0.029], None, 0),  # below 0 is no suspicion
        ([0.03, 0.031, 0.029], [0.01, -0.01, 0.0], 1),  # chance
        ([0.03, 0.031, 0.029], [0.04, 0.041, 0.039], 1),  # a leak shows again
    ],
)
def test_only_draws_above_zero_are_drawn_anew_and_then_the_second_set_counts(
    first, second, expected
):
    sets = [np.array(first), np.array(second) if second else None]
    asked = []

    def draw(number):
        asked.append(number)
        return number, sets[number]

    number, skills = shuffling.confirmed(draw, lambda drawn: drawn[1])
    assert (number, asked) == (expected, list(range(expected + 1)))
    assert skills is sets[expected]


def test_a_second_set_has_other_shuffles():
    def agreements(first_draw):
        found = shuffling.probe_shuffled(
            rows(400, 1),
            rows(200, 2),
            rows(200, 3),
            SETTINGS,
            targets=np.zeros((400, 2), np.float32),
            mirror=None,
            climatology_log_loss=1.0,
            n_draws=2,
            epochs=1,
            first_draw=first_draw,
        )
        return found.agreements.tolist()

    assert agreements(1)[0] == agreements(0)[1]
    assert not set(agreements(2)) & set(agreements(0))
