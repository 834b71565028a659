import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import drift
from v8lib.errors import FeatureError

NAMES = ("steady", "slow", "constant")


def train(n=8_000, seed=5):
    rng = np.random.default_rng(seed)
    slow = np.repeat(rng.normal(size=n // 400 + 1), 400)[:n] + 0.1 * rng.normal(size=n)
    rows = np.stack([rng.normal(size=n), slow, np.full(n, 2.0)], axis=1)
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def reference():
    return drift.fit_reference(train(), NAMES, window_rows=1_000)


def test_bins_hold_a_tenth_each(reference):
    assert np.abs(reference.shares[:2] - 0.1).max() < 0.002
    assert np.abs(reference.shares.sum(axis=1) - 1.0).max() < 1e-12


def test_the_index_is_its_formula(reference):
    binned = drift.bins(reference, train(1_000, seed=6))
    shares = np.bincount(binned[:, 0], minlength=10) / 1_000
    expected = ((shares - 0.1) * np.log(shares / 0.1)).sum()
    assert drift.psi(reference, binned)[0] == pytest.approx(expected, rel=1e-2)


def test_train_itself_has_no_drift(reference):
    assert drift.psi(reference, drift.bins(reference, train())).max() < 1e-12


def test_rows_like_train_have_little_and_moved_rows_much(reference):
    rng = np.random.default_rng(7)
    rows = np.stack([rng.normal(size=1_000), np.zeros(1_000), np.full(1_000, 2.0)], axis=1)
    assert drift.psi(reference, drift.bins(reference, rows))[0] < 0.1
    moved = rows + np.array([1.0, 0.0, 0.0])
    assert drift.psi(reference, drift.bins(reference, moved))[0] > 0.8


def test_a_slow_feature_is_measured_by_what_it_did_on_train(reference):
    steady, slow, constant = reference.usual
    assert steady < 0.1, "chance alone"
    assert slow > 10 * steady, "a window holds few of its moods"
    assert constant == 0.0


def test_the_usual_index_is_the_largest_of_half_overlapping_windows(reference):
    binned = drift.bins(reference, train())
    windows = [binned[k : k + 1_000] for k in range(0, 7_001, 500)]
    largest = np.max([drift.psi(reference, window) for window in windows], axis=0)
    assert reference.usual == pytest.approx(largest)


def test_no_window_reaches_further_than_all_rows_in_the_rarest_bin(reference):
    far = np.full((300, 3), 1e6, np.float32)
    for rows in (far, -far, train(300, seed=8)):
        found = drift.psi(reference, drift.bins(reference, rows))
        assert (found <= drift.reach(reference) + 1e-9).all()
    nearest = [
        drift.psi(reference, np.full((5, 3), k, np.uint8)) for k in range(drift.N_BINS)
    ]  # every bin alone
    assert drift.reach(reference) == pytest.approx(np.max(nearest, axis=0))


@given(st.integers(0, 50), st.integers(1, 300))
def test_an_index_is_never_negative_and_finite(seed, n):
    reference = drift.fit_reference(train(), NAMES, window_rows=1_000)
    rows = np.random.default_rng(seed).normal(scale=5.0, size=(n, 3)).astype(np.float32)
    found = drift.psi(reference, drift.bins(reference, rows))
    assert np.isfinite(found).all() and (found >= 0.0).all()


def test_a_reference_survives_json(reference):
    again = drift.reference_from(drift.reference_numbers(reference))
    for name in vars(reference):
        assert np.array_equal(getattr(again, name), getattr(reference, name))


DAMAGE = {
    "no names": lambda n: n.pop("names"),
    "a name too many": lambda n: n["names"].append("x"),
    "a name that is none": lambda n: n["names"].__setitem__(0, 3),
    "edges that fall": lambda n: n["edges"][0].reverse(),
    "a bin missing": lambda n: n["shares"][0].pop(),
    "shares that do not sum to one": lambda n: n["shares"][0].__setitem__(0, 0.5),
    "a negative share": lambda n: n["shares"][0].__setitem__(slice(0, 2), [-0.1, 0.3]),
    "infinity": lambda n: n["usual"].__setitem__(0, float("inf")),
    "text": lambda n: n["usual"].__setitem__(0, "x"),
    "a window that is none": lambda n: n.update(window_rows=0),
    "a window of another type": lambda n: n.update(window_rows=True),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_numbers_that_are_no_reference_are_refused(reference, name):
    numbers = drift.reference_numbers(reference)
    DAMAGE[name](numbers)
    with pytest.raises(ValueError, match="drift reference"):
        drift.reference_from(numbers)


def test_rows_that_cannot_be_a_reference_are_refused_by_name():
    rows = train()
    with pytest.raises(FeatureError, match="3 feature columns, 2 names"):
        drift.fit_reference(rows, NAMES[:2])
    with pytest.raises(FeatureError, match="8000 train rows"):
        drift.fit_reference(rows, NAMES, window_rows=4_001)
    rows[5, 1] = np.nan
    with pytest.raises(FeatureError, match="'slow' is not finite"):
        drift.fit_reference(rows, NAMES)


def test_a_reference_cannot_be_changed(reference):
    with pytest.raises(dataclasses.FrozenInstanceError):
        reference.window_rows = 3
