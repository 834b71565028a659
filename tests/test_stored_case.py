from dataclasses import asdict

import numpy as np
import pytest
import small_case

from v8lib import store, stored_case
from v8lib.errors import StoreError
from v8lib.preparation import SPLIT_KEYS, label_settings
from v8lib.runtime import model_facts


def save(run_dir, case, *, until=3):
    """Leave in a folder what notebooks 01 to 03 leave."""
    values = small_case.parameters().model_dump()
    prepared = case.prepared
    if until >= 1:
        store.save_bars(run_dir, "BTC", prepared.bars)
        store.save_rows(run_dir, "BTC", prepared.rows, prepared.folds)
        store.save_scalers(run_dir, "BTC", prepared.scalers)
        facts = {
            "seed": case.seed,
            "exclude_families": [],
            "clip_sigma": values["clip_sigma"],
            "labels": label_settings(values),
            "splits": {key: values[key] for key in SPLIT_KEYS},
            "missing": {"volume_96": 3},
        }
        store.save_facts(run_dir, "BTC", "prepare", facts)
    if until >= 2:
        nets = [[dict(member.net.weights) for member in m.members] for m in case.models]
        store.save_weights(run_dir, "BTC", nets)
        store.save_facts(run_dir, "BTC", "train", {"settings": asdict(case.settings)})
    if until >= 3:
        store.save_facts(run_dir, "BTC", "models", [model_facts(m) for m in case.models])
    return run_dir


@pytest.fixture(scope="module")
def case():
    return small_case.case()


@pytest.fixture(scope="module")
def loaded(case, tmp_path_factory):
    return stored_case.load_case(save(tmp_path_factory.mktemp("run"), case), "BTC")


def test_a_case_comes_back_with_the_same_predictions_to_the_last_bit(case, loaded):
    for name, array in vars(case.prediction).items():
        assert getattr(loaded.prediction, name).tobytes() == array.tobytes(), name
    assert (loaded.symbol, loaded.seed) == (case.symbol, case.seed)
    assert loaded.settings == case.settings


def test_everything_a_judgement_looks_at_comes_back(case, loaded):
    for name in ("train", "valid", "calib", "tests"):
        for first, second in zip(getattr(case, name), getattr(loaded, name), strict=True):
            for field, array in vars(first).items():
                np.testing.assert_array_equal(getattr(second, field), array)
    assert loaded.prepared.bars.equals(case.prepared.bars)
    assert loaded.prepared.names == case.prepared.names
    assert loaded.prepared.missing == {"volume_96": 3}


def test_the_steps_come_back_and_give_the_same_labels_and_splits(case, loaded):
    again, first = (c.prepared.steps.labels(c.prepared.bars) for c in (loaded, case))
    np.testing.assert_array_equal(again.labels, first.labels)
    usable = np.zeros(len(case.prepared.bars), bool)
    usable[case.prepared.rows.position] = True
    for made, fold in zip(loaded.prepared.steps.split(usable), case.prepared.folds, strict=True):
        assert made.train.tolist() == fold.train.tolist()
        assert made.test.tolist() == fold.test.tolist()


@pytest.mark.parametrize(
    ("until", "notebook"), [(0, "01_prepare_data"), (1, "02_train"), (2, "03_calibrate")]
)
def test_a_notebook_that_has_not_run_is_named(case, tmp_path, until, notebook):
    with pytest.raises(StoreError, match=rf"run {notebook}\.ipynb first"):
        stored_case.load_case(save(tmp_path, case, until=until), "BTC")


def test_the_size_of_test_is_that_of_all_folds_and_of_the_others_that_of_the_last(case, loaded):
    last = case.prepared.folds[-1]
    assert stored_case.split_sizes(loaded) == {
        "train": len(last.train),
        "valid": len(last.valid),
        "calib": len(last.calib),
        "test": len(case.test.labels),
    }
