import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v8lib import conformal
from v8lib.errors import CalibrationError, ParameterError


def forecast(rng, n, sharpen=1.0):
    """Return a forecast and what happened; `sharpen` other than 1 makes it wrongly sure."""
    logits = rng.normal(0.0, 1.0, size=(n, 3)) + np.array([0.3, -0.2, 0.0])
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=2)
    said = np.exp(sharpen * logits)
    return said / said.sum(axis=1, keepdims=True), labels


def rolling(calib, test, **changed):
    settings = {"error_rate": 0.2, "horizon_bars": 4, "window_rows": 100, "refit_rows": 25}
    return conformal.rolling_conformal_sets(*calib, *test, **(settings | changed))


def sets_by_hand(calib_probs, calib_labels, test_probs, error_rate):
    """Return the sets from their definition: a count per class and row, no library."""
    sets = np.zeros(test_probs.shape, dtype=bool)
    for k in range(3):
        scores = 1.0 - calib_probs[calib_labels == k, k]
        for i, score in enumerate(1.0 - test_probs[:, k]):
            sets[i, k] = ((scores >= score).sum() + 1) / (len(scores) + 1) > error_rate
    return sets


def test_sets_of_four_calib_rows_per_class_by_hand():
    """At 0.2 with four rows: p = (1 + number as strange) / 5, and only p = 1/5 is ruled out.

    So a class is out when it is given less than in any calib row where it happened.
    """
    given_to = np.array([0.5, 0.6, 0.7, 0.8])
    rest = (1.0 - given_to) / 2.0
    calib = np.concatenate(
        [np.insert(np.column_stack([rest, rest]), k, given_to, axis=1) for k in range(3)]
    )
    test = np.array([[0.50, 0.30, 0.20], [0.49, 0.49, 0.02], [0.2, 0.1, 0.7]])
    sets = conformal.conformal_sets(calib, np.repeat([0, 1, 2], 4), test, error_rate=0.2)
    assert sets.tolist() == [[True, False, False], [False, False, False], [False, False, True]]
    assert sets.dtype == np.bool_


@given(
    n=st.integers(1, 90),
    error_rate=st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.3, 0.5]),
    seed=st.integers(0, 50),
)
def test_sets_equal_their_definition_with_ties_and_with_empty_classes(n, error_rate, seed):
    rng = np.random.default_rng(seed)
    (calib, labels), (test, _) = forecast(rng, n), forecast(rng, 15)
    calib, test = calib.round(1), test.round(1)
    found = conformal.conformal_sets(calib, labels, test, error_rate=error_rate)
    assert found.tolist() == sets_by_hand(calib, labels, test, error_rate).tolist()


@pytest.mark.parametrize("sharpen", [1.0, 3.0])
@pytest.mark.parametrize("error_rate", [0.1, 0.3])
def test_coverage_of_each_class_is_near_the_target_even_of_a_forecast_that_is_too_sure(
    sharpen, error_rate
):
    """20 pairs of 3,000 calib and 2,000 test rows, about 1,000 and 650 of a class.

    One class in one pair has variance e(1 - e)(1/1,000 + 1/650), so the mean of 20 has a
    standard error below 0.006; four of them are allowed.
    """
    rng = np.random.default_rng(3)
    found = []
    for _ in range(20):
        calib, test = forecast(rng, 3_000, sharpen), forecast(rng, 2_000, sharpen)
        sets = conformal.conformal_sets(*calib, test[0], error_rate=error_rate)
        found.append(conformal.coverage_summary(sets, test[1])["coverage_by_class"])
    means = pd.DataFrame(found).mean()
    assert means.to_numpy() == pytest.approx(1.0 - error_rate, abs=0.024)


def test_a_forecast_that_knows_more_has_smaller_sets():
    rng = np.random.default_rng(4)
    probs, labels = forecast(rng, 4_000)
    blind = np.column_stack([probs[rng.permutation(4_000), k] for k in range(3)])
    sizes = [
        conformal.conformal_sets(p[:2_000], labels[:2_000], p[2_000:], error_rate=0.2).sum()
        for p in (probs, blind)
    ]
    assert sizes[0] < 0.95 * sizes[1]


@given(seed=st.integers(0, 30))
def test_a_smaller_error_rate_never_takes_a_class_out(seed):
    rng = np.random.default_rng(seed)
    calib, (test, _) = forecast(rng, 80), forecast(rng, 20)
    strict, loose = (
        conformal.conformal_sets(*calib, test, error_rate=rate) for rate in (0.05, 0.2)
    )
    assert (strict >= loose).all()


def test_a_class_that_calib_hardly_saw_is_in_every_set():
    """Eight rows cannot rule out at 0.1, 9 + 1 = 10 would need a p-value above 1/10."""
    rng = np.random.default_rng(5)
    calib, _ = forecast(rng, 500)
    test = np.tile([0.5, 0.5, 0.0], (5, 1))
    few = np.where(np.arange(500) < 8, 2, np.arange(500) % 2)
    more = np.where(np.arange(500) < 9, 2, np.arange(500) % 2)
    assert conformal.conformal_sets(calib, few, test, error_rate=0.1)[:, 2].all()
    assert not conformal.conformal_sets(calib, more, test, error_rate=0.1)[:, 2].any()


def test_nothing_is_drawn_at_random():
    rng = np.random.default_rng(6)
    calib, (test, _) = forecast(rng, 60), forecast(rng, 40)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again = (conformal.conformal_sets(*calib, test, error_rate=0.2) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_rolling_sets_use_no_label_that_was_not_settled():
    """Whatever happens from row k - 3 on, sets of the blocks up to row k stay as they were."""
    rng = np.random.default_rng(7)
    calib, (probs, labels) = forecast(rng, 120), forecast(rng, 100)
    sets = rolling(calib, (probs, labels))
    for start in (0, 25, 50, 75):
        later = labels.copy()
        later[max(start - 3, 0) :] = (later[max(start - 3, 0) :] + 1) % 3
        changed = rolling(calib, (probs, later))
        assert changed[: start + 25].tolist() == sets[: start + 25].tolist()
    known_bars = 3  # the last three calib labels are not settled at the first test row
    calib_later = calib[1].copy()
    calib_later[-known_bars:] = (calib_later[-known_bars:] + 1) % 3
    changed = rolling((calib[0], calib_later), (probs, labels))
    assert changed[:25].tolist() == sets[:25].tolist()


def test_rolling_sets_use_the_label_that_has_just_settled():
    """Window of one row: the label of row start - 4 decides which single class has a score."""
    probs = np.tile([0.4, 0.3, 0.3], (12, 1))
    labels = np.zeros(12, dtype=int)
    test = np.tile([0.1, 0.1, 0.8], (8, 1)), np.array([0, 1, 0, 0, 0, 0, 0, 0])
    sets = rolling((probs, labels), test, window_rows=1, refit_rows=1, error_rate=0.7)
    # A class without a row is in the set; one row of the same class as strange as this one
    # or more gives p = 1, one row less strange p = 1/2, which is ruled out at 0.7 (and so is
    # the 2/3 of a window of two).
    assert sets[:4].tolist() == [[False, True, True]] * 4  # settled: calib rows, all DOWN
    assert sets[4].tolist() == [True, True, True]  # settled: test row 0, DOWN with p as low
    assert sets[5].tolist() == [True, True, True]  # settled: test row 1, HOLD


def test_rolling_sets_are_plain_sets_of_the_window():
    rng = np.random.default_rng(8)
    calib, test = forecast(rng, 150), forecast(rng, 60)
    sets = rolling(calib, test)
    probs, labels = (np.concatenate(pair) for pair in zip(calib, test, strict=True))
    for start in (0, 25, 50):
        end = 150 + start - 4 + 1
        window = slice(end - 100, end)
        block = test[0][start : start + 25]
        plain = conformal.conformal_sets(probs[window], labels[window], block, error_rate=0.2)
        assert sets[start : start + 25].tolist() == plain.tolist()
    assert sets.shape == (60, 3)


def test_rolling_sets_recover_where_fixed_ones_do_not():
    """From the first test row on the forecast is three times too sure."""
    rng = np.random.default_rng(9)
    calib, test = forecast(rng, 1_000), forecast(rng, 4_000, sharpen=3.0)
    fixed = conformal.conformal_sets(*calib, test[0], error_rate=0.1)
    renewed = rolling(calib, test, error_rate=0.1, window_rows=1_000, refit_rows=50)
    late = slice(1_100, None)
    fixed_rate, renewed_rate = (
        conformal.coverage_summary(sets[late], test[1][late])["coverage"]
        for sets in (fixed, renewed)
    )
    # Standard error of 2,900 rows against windows of 1,000: 0.006 and 0.009.
    assert renewed_rate == pytest.approx(0.9, abs=0.04)
    assert fixed_rate < 0.85


def test_no_test_row_has_no_set():
    calib = forecast(np.random.default_rng(0), 20)
    assert rolling(calib, (np.empty((0, 3)), np.empty(0, dtype=int))).shape == (0, 3)


@pytest.mark.parametrize("error_rate", [0.0, 1.0, -0.1, float("nan")])
def test_an_error_rate_that_is_no_share_is_refused(error_rate):
    calib = forecast(np.random.default_rng(0), 20)
    with pytest.raises(ParameterError, match="error_rate"):
        conformal.conformal_sets(*calib, calib[0], error_rate=error_rate)


@pytest.mark.parametrize("name", ["horizon_bars", "window_rows", "refit_rows"])
def test_a_number_of_rows_below_one_is_refused(name):
    calib = forecast(np.random.default_rng(0), 20)
    with pytest.raises(ParameterError, match=name):
        rolling(calib, calib, **{name: 0})


def test_rows_that_cannot_give_scores_are_refused():
    probs, labels = forecast(np.random.default_rng(0), 20)
    with pytest.raises(CalibrationError, match="shapes disagree"):
        conformal.conformal_sets(probs, labels[:-1], probs, error_rate=0.1)
    with pytest.raises(CalibrationError, match="no settled row"):
        conformal.conformal_sets(probs[:0], labels[:0], probs, error_rate=0.1)
    with pytest.raises(CalibrationError, match="no settled row"):
        rolling((probs[:3], labels[:3]), (probs, labels))


SETS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
HAPPENED = np.array([0, 1, 1, 0])


def test_coverage_summary_of_four_sets():
    """Covered: yes, yes, no, no; sizes 1, 2, 0, 1; one of two single sets is right."""
    assert conformal.coverage_summary(SETS, HAPPENED) == {
        "coverage": 0.5,
        "mean_set_size": 1.0,
        "share_empty": 0.25,
        "share_single": 0.5,
        "single_accuracy": 0.5,
        "coverage_by_class": {"DOWN": 0.5, "HOLD": 0.5, "UP": None},
    }


def test_sets_of_everything_cover_everything_and_no_single_set_has_no_accuracy():
    summary = conformal.coverage_summary(np.ones((4, 3), dtype=bool), HAPPENED)
    assert summary["coverage"] == 1.0
    assert summary["single_accuracy"] is None


def test_a_week_begins_on_monday_utc():
    times = pd.to_datetime(
        ["2024-06-02 23:59:59", "2024-06-03 00:00:00", "2024-06-09 23:59:59", "2024-06-10 00:00:00"]
    )
    epoch_s = ((times - pd.Timestamp("1970-01-01")) // pd.Timedelta("1s")).to_numpy()
    table = conformal.coverage_table(SETS, HAPPENED, epoch_s)
    assert [str(day.date()) for day in table.index] == ["2024-05-27", "2024-06-03", "2024-06-10"]
    assert (table.index.day_of_week == 0).all()
    assert str(table.index.tz) == "UTC"
    assert table["n"].tolist() == [1, 2, 1]
    assert table["coverage"].tolist() == [1.0, 0.5, 0.0]
    assert table["mean_set_size"].tolist() == [1.0, 1.0, 1.0]
