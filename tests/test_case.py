import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from v8lib import baselines, scaling, storage
from v8lib import case as case_module
from v8lib.case import Case, ScaledSplits


@pytest.fixture(scope="module")
def models(make_runtime, prepared):
    """A model per fold, each with its own nets and its own scaler."""
    return [
        replace(make_runtime(seeds=(k,)), scaler=scaler)
        for k, scaler in enumerate(prepared.scalers)
    ]


@pytest.fixture(scope="module")
def case(prepared, models):
    return Case(prepared, models, None, "BTC", 1)


@pytest.mark.parametrize("name", ["train", "valid", "calib"])
def test_every_split_is_there_for_every_fold(case, prepared, name):
    found = [rows.position.tolist() for rows in getattr(case, name)]
    assert found == [getattr(fold, name).tolist() for fold in prepared.folds]


def test_test_rows_of_all_folds_stand_in_order_of_time(case, prepared):
    assert [rows.position.tolist() for rows in case.tests] == [
        fold.test.tolist() for fold in prepared.folds
    ]
    assert case.test.position.tolist() == np.concatenate([f.test for f in prepared.folds]).tolist()
    assert (np.diff(case.test.epoch_s) > 0).all()


def test_each_fold_s_test_is_predicted_by_its_own_model(case, models):
    start = 0
    for model, rows in zip(models, case.tests, strict=True):
        expected = model.predict(rows.features)
        part = slice(start, start + len(rows.labels))
        for name, array in vars(expected).items():
            np.testing.assert_array_equal(getattr(case.prediction, name)[part], array)
        start = part.stop
    assert len(case.prediction.probs) == start == len(case.test.labels)
    others = models[1].predict(case.tests[0].features)
    assert np.abs(others.probs - case.prediction.probs[: len(others.probs)]).max() > 0.01


def test_climatology_is_the_train_frequencies_of_the_row_s_own_fold(case):
    n = len(case.tests[0].labels)
    assert case.climatology.shape == (len(case.test.labels), 3)
    for part, rows in (
        (case.climatology[:n], case.train[0]),
        (case.climatology[n:], case.train[1]),
    ):
        np.testing.assert_array_equal(
            part, np.tile(baselines.climatology(rows.labels), (len(part), 1))
        )
    assert (case.climatology[0] != case.climatology[-1]).any()


def test_scaled_rows_are_those_the_model_sees(case, models):
    for k, (model, found) in enumerate(zip(models, case.scaled, strict=True)):
        for name in ("train", "valid", "calib"):
            rows, (features, labels) = getattr(case, name)[k], getattr(found, name)
            np.testing.assert_array_equal(
                features, scaling.apply_scaler(model.scaler, rows.features)
            )
            assert labels.tolist() == rows.labels.tolist()
        assert found.train_labels.tolist() == case.train[k].labels.tolist()
        expected = scaling.apply_scaler(model.scaler, case.tests[k].features)
        np.testing.assert_array_equal(found.test_features, expected)


def resident_bytes(path):
    """Return how much of a mapped file this process holds in memory."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *rest = line.split()
        if not name.endswith(":"):  # the first line of a mapping
            inside = rest[-1] == str(path)
        elif inside and name == "Rss:":
            found += 1024 * int(rest[0])
    return found


@pytest.fixture
def mapped(tmp_path, case):
    """Train rows of several parts whose features lie in a file, and that file."""
    rows = case.train[0]
    times = 1 + 100_000 // len(rows.labels)  # the system reads two megabytes at a time
    storage.write_array(tmp_path / "features.npy", np.tile(rows.features, (times, 1)))
    features = storage.map_array(tmp_path / "features.npy")
    return replace(rows, features=features), tmp_path / "features.npy"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_train_is_scaled_without_holding_all_of_its_file(mapped, case, monkeypatch):
    rows, path = mapped
    scaler, held = case.models[0].scaler, []
    expected = scaling.apply_scaler(scaler, rows.features)
    assert resident_bytes(path) > 0.9 * rows.features.nbytes, "as it would be without parts"

    def watched(*arguments):
        scaled = scaling.apply_scaler(*arguments)
        held.append(resident_bytes(path))
        return scaled

    splits = ScaledSplits(scaler, rows, case.valid[0], case.calib[0], case.tests[0])
    storage.release(rows.features)
    monkeypatch.setattr(case_module, "RELEASED_ROWS", 8_000)
    monkeypatch.setattr(case_module, "apply_scaler", watched)
    scaled, _ = splits.train
    np.testing.assert_array_equal(scaled, expected)
    assert len(held) == -(-len(expected) // 8_000)
    assert max(held) < 0.4 * rows.features.nbytes
    assert resident_bytes(path) < 0.1 * rows.features.nbytes


def test_the_linear_model_of_a_fold_is_fitted_on_its_train_and_predicts_its_test(case):
    columns = [(name, "volatility") for name in case.prepared.names]
    expected = baselines.fit_baselines(
        case.scaled, columns, trees=25, tree_rate=0.1, seed=0, with_lightgbm=False
    )
    np.testing.assert_array_equal(case.linear, expected["logistic"])
    assert case.linear.shape == (len(case.test.labels), 3)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_class_that_one_fold_s_train_lacks_is_noticed(case, lost):
    assert case.has_every_class
    rows = case.prepared.rows
    only_first = np.isin(rows.position, case.prepared.folds[0].train) & (rows.labels == lost)
    changed = replace(rows, labels=np.where(only_first, (lost + 1) % 3, rows.labels))
    prepared = replace(case.prepared, rows=changed)
    broken = replace(case, prepared=prepared)
    assert (broken.train[1].labels == lost).any()
    assert not broken.has_every_class


def test_a_model_that_uses_another_scaler_than_was_fitted_is_judged_by_its_own(prepared, models):
    """A gate compares the two; hiding the difference here would hide the defect."""
    swapped = [replace(models[0], scaler=prepared.scalers[1]), models[1]]
    case = Case(prepared, swapped, None, "BTC", 1)
    expected = scaling.apply_scaler(prepared.scalers[1], case.train[0].features)
    np.testing.assert_array_equal(case.scaled[0].train[0], expected)


def test_a_missing_model_is_an_error_and_not_a_shorter_test(prepared, models):
    with pytest.raises(ValueError, match="argument 2 is longer"):
        _ = Case(prepared, models[:1], None, "BTC", 1).prediction
