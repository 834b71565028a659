import numpy as np
import pytest

from v8lib import drift, gates
from v8ops.production import monitors
from v8ops.production.realised import BLOCK_ROWS, mean_and_error
from v8ops.production.scored import ScoreRows

NAMES = ("a", "b")
CLIMATOLOGY = np.full(3, 1 / 3)


@pytest.fixture(scope="module")
def reference():
    rows = np.random.default_rng(1).normal(size=(20_000, 2)).astype(np.float32)
    return drift.fit_reference(rows, NAMES)


@pytest.fixture(scope="module")
def facts(reference):
    return monitors.ModelFacts("v8-1", CLIMATOLOGY, 4, reference)


def honest(n=2_000, seed=2, reference=None, shift=0.0):
    """Rows of a calibrated model: what happened is drawn from what it says."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([3.0, 3.0, 3.0], size=n)
    labels = (rng.random(n)[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    features = rng.normal(size=(n, 2)).astype(np.float32) + np.array([shift, 0.0], np.float32)
    return ScoreRows(
        np.arange(n) * 900,
        probs,
        probs.argmax(axis=1),
        probs.max(axis=1) >= 0.6,
        np.abs(np.log(probs)).max(axis=1),
        labels,
        None if reference is None else drift.bins(reference, features),
    )


def having(rows, **fields):
    return ScoreRows(**{**vars(rows), **fields})


def read(rows, facts, name):
    return {reading.name: reading for reading in monitors.judge(rows, facts)}[name]


def sure(rows, share):
    probs = rows.probs.copy()
    n = round(share * monitors.SURE_ROWS)
    probs[-n:] = [0.995, 0.003, 0.002]
    return having(rows, probs=probs)


def test_an_honest_model_is_well_in_every_respect(facts, reference):
    readings = monitors.judge(honest(reference=reference), facts)
    assert tuple(reading.name for reading in readings) == monitors.MONITORS
    assert {reading.state for reading in readings} == {"ok"}


def test_as_many_rows_as_are_kept_say_what_the_whole_log_says(facts, reference):
    moved = honest(monitors.NEEDED_BARS + 500, reference=reference, shift=1.0)
    storm = having(moved, decisions=np.where(moved.decisions == 1, 0, moved.decisions))
    kept = monitors.judge(storm.last(monitors.NEEDED_BARS), facts)
    assert kept == monitors.judge(storm, facts)
    assert [r.name for r in kept if r.state == "alarm"] == ["class_shares", "drift"]


@pytest.mark.parametrize("n", [0, 1, 199])
def test_too_few_rows_are_no_reading_and_no_error(facts, reference, n):
    readings = monitors.judge(honest(n, reference=reference), facts)
    assert {reading.state for reading in readings} == {"unknown"}
    assert all(reading.value is None and "needed" in reading.note for reading in readings)


@pytest.mark.parametrize(("share", "state"), [(0.04, "ok"), (0.05, "watch"), (0.10, "alarm")])
def test_sure_share(facts, share, state):
    found = read(sure(honest(), share), facts, "sure_share")
    assert (found.state, round(found.value, 3)) == (state, share)


@pytest.mark.parametrize(("level", "state"), [(0.7, "ok"), (0.82, "watch"), (0.9, "alarm")])
def test_actionable_confidence(facts, level, state):
    rows = honest()
    probs = np.tile([level, (1 - level) / 2, (1 - level) / 2], (len(rows), 1))
    found = read(
        having(rows, probs=probs, actionable=np.ones(len(rows), bool)),
        facts,
        "actionable_confidence",
    )
    assert (found.state, found.value) == (state, pytest.approx(level))


def test_few_actionable_rows_are_no_alarm(facts):
    rows = honest()
    acting = np.zeros(len(rows), bool)
    acting[-49:] = True
    assert read(having(rows, actionable=acting), facts, "actionable_confidence").state == "unknown"


def decided(rows, shares, happened=None):
    n = len(rows)
    classes = np.repeat(np.arange(3), np.round(np.array(shares) * n).astype(int))
    labels = rows.labels
    if happened is not None:
        labels = np.repeat(np.arange(3), np.round(np.array(happened) * n).astype(int))
    order = np.random.default_rng(4).permutation(n)
    return having(rows, decisions=classes[order], labels=labels[order])


@pytest.mark.parametrize(
    ("shares", "happened", "state"),
    [
        ((0.30, 0.40, 0.30), None, "ok"),
        ((0.10, 0.80, 0.10), (0.15, 0.70, 0.15), "watch"),  # a quiet fortnight
        ((0.90, 0.05, 0.05), (0.33, 0.33, 0.34), "alarm"),  # not explained
        ((0.01, 0.98, 0.01), (0.05, 0.90, 0.05), "alarm"),  # alone, whatever happened
        ((0.39, 0.00, 0.61), (0.46, 0.16, 0.38), "watch"),  # a stormy one
    ],
)
def test_class_shares(facts, shares, happened, state):
    rows = decided(honest(1_000), shares, happened)
    found = read(rows, facts, "class_shares")
    assert found.state == state, found.words


def test_a_class_is_missing_where_two_windows_lack_it(facts):
    storm = (0.39, 0.00, 0.61)
    missing = decided(honest(2_000), storm)
    assert read(missing, facts, "class_shares").state == "alarm"
    assert read(missing.last(1_999), facts, "class_shares").state == "watch"
    for spared in (slice(0, 10), slice(-10, None)):  # seen in one of the two: 1 % of it
        decisions = missing.decisions.copy()
        decisions[spared] = 1
        seen = having(missing, decisions=decisions)
        assert read(seen, facts, "class_shares").state == "watch"


def test_a_one_class_model_alarms_with_nothing_known_to_have_happened(facts):
    rows = honest(1_000)
    fields = {"decisions": np.zeros(1_000, int), "labels": np.full(1_000, -1)}
    assert read(having(rows, **fields), facts, "class_shares").state == "alarm"


def test_class_bounds_are_the_briefs():
    assert monitors.CLASS_BOUND == (gates.MIN_CLASS_SHARE, gates.MAX_CLASS_SHARE)
    assert (monitors.SURE, monitors.SURE_ALARM) == (gates.SURE, gates.MAX_SURE_SHARE)


def test_a_feature_moved_by_a_sigma_is_named(facts, reference):
    found = read(honest(reference=reference, shift=1.0), facts, "drift")
    assert found.state == "alarm" and found.note.startswith("a: PSI ")


def test_drift_needs_two_windows(facts, reference):
    moved = honest(1_000, reference=reference, shift=1.0)
    assert read(moved, facts, "drift").state == "watch"
    before = honest(1_000, seed=9, reference=reference)
    both = having(honest(2_000), bins=np.concatenate([before.bins, moved.bins]))
    assert read(both, facts, "drift").state == "watch"


def test_a_feature_that_moves_much_on_train_may_do_so_later(reference):
    wide = drift.Reference(**{**vars(reference), "usual": np.array([2.0, 2.0])})
    facts = monitors.ModelFacts("v8-1", CLIMATOLOGY, 4, wide)
    assert read(honest(reference=reference, shift=1.0), facts, "drift").state == "ok"


def test_features_that_no_window_can_judge_are_counted_and_left_out(reference):
    usual = np.array([drift.reach(reference)[0] / monitors.DRIFT_FACTOR, 0.0])
    facts = monitors.ModelFacts(
        "v8-1", CLIMATOLOGY, 4, drift.Reference(**{**vars(reference), "usual": usual})
    )
    found = read(honest(reference=reference, shift=50.0), facts, "drift")
    assert found.state == "ok" and found.note.startswith("b: PSI ")
    assert found.note.endswith("; 1 of 2 features not judged")
    just = {**vars(reference), "usual": usual * 0.999}
    facts = monitors.ModelFacts("v8-1", CLIMATOLOGY, 4, drift.Reference(**just))
    assert read(honest(reference=reference, shift=50.0), facts, "drift").state == "alarm"


def test_without_a_reference_drift_is_unknown(facts, reference):
    bare = monitors.ModelFacts("v8-1", CLIMATOLOGY, 4, None)
    assert read(honest(reference=reference), bare, "drift").state == "unknown"
    assert read(honest(), facts, "drift").state == "unknown"


def test_a_model_worse_than_climatology_for_sure_alarms(facts):
    rows = honest(1_000)
    wrong = having(rows, labels=rows.probs.argmin(axis=1))
    assert read(wrong, facts, "realised_loss").state == "alarm"


def test_a_model_that_knows_nothing_is_no_alarm(facts):
    rows = honest(1_000)
    labels = np.random.default_rng(8).integers(3, size=1_000)
    nothing = having(rows, probs=np.tile(CLIMATOLOGY, (1_000, 1)), labels=labels)
    assert read(nothing, facts, "realised_loss").state in ("ok", "watch")
    assert read(nothing, facts, "realised_loss").value == pytest.approx(0.0)


def test_an_oversure_model_alarms_by_what_happened(facts):
    rows = honest(1_000)
    sharper = rows.probs**3 / (rows.probs**3).sum(axis=1, keepdims=True)
    found = read(having(rows, probs=sharper), facts, "realised_calibration")
    assert found.state == "alarm" and found.value > 0.15


def test_rows_whose_outcome_is_not_known_do_not_count(facts):
    rows = honest(1_100)
    labels = rows.labels.copy()
    labels[-101:] = -1
    assert read(having(rows, labels=labels), facts, "realised_loss").state == "unknown"
    labels[-101] = 0
    assert read(having(rows, labels=labels), facts, "realised_loss").n == 999 + 1


def test_the_error_of_a_mean_sees_that_neighbours_agree():
    rng = np.random.default_rng(5)
    blocks = np.repeat(rng.normal(size=20), BLOCK_ROWS)
    mean, error = mean_and_error(blocks)
    assert mean == pytest.approx(blocks.mean())
    assert error == pytest.approx(blocks[::BLOCK_ROWS].std(ddof=1) / np.sqrt(20))
    assert error > 4 * blocks.std() / np.sqrt(len(blocks))


def test_words_say_value_bound_and_rows(facts):
    found = read(sure(honest(), 0.2), facts, "sure_share")
    assert found.words == "sure_share 0.2, share above 0.99; alarm: 10% or more; 200 rows"
