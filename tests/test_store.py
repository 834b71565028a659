import numpy as np
import pytest

from v8lib import storage, store
from v8lib.errors import StoreError
from v8lib.scaling import Scaler


def example_split(n=5):
    rng = np.random.default_rng(0)
    return store.Split(
        rng.normal(size=(n, 2)).astype(np.float32),
        rng.integers(3, size=n),
        np.arange(n) * 60,
        rng.dirichlet([1.0, 1.0, 1.0], size=n),
    )


def test_a_split_comes_back_with_the_same_bits_and_types(tmp_path):
    saved = example_split()
    path = store.save_split(tmp_path, "BTC", "calib", saved)
    assert path == tmp_path / "BTC" / "splits" / "calib.safetensors"
    loaded = store.load_split(tmp_path, "BTC", "calib")
    for name, array in vars(saved).items():
        assert getattr(loaded, name).tobytes() == array.tobytes()
        assert getattr(loaded, name).dtype == array.dtype


@pytest.mark.parametrize("columns", [0, 3])
def test_a_split_without_a_known_posterior_comes_back_without_one(tmp_path, columns):
    split = example_split()
    empty = store.Split(split.features, split.labels, split.epoch_s, np.empty((0, columns)))
    store.save_split(tmp_path, "BTC", "train", empty)
    assert store.load_split(tmp_path, "BTC", "train").posterior.shape == (0, columns)


@pytest.mark.parametrize("name", store.SPLITS)
def test_a_split_that_is_not_there_names_the_notebook_to_run(tmp_path, name):
    with pytest.raises(StoreError, match=rf"{name}\.safetensors .*01_prepare_data\.ipynb first"):
        store.load_split(tmp_path, "BTC", name)


@pytest.mark.parametrize("name", ["val", "../test", ""])
def test_only_the_four_splits_have_a_place(tmp_path, name):
    with pytest.raises(StoreError, match="one of train, valid, calib, test"):
        store.save_split(tmp_path, "BTC", name, example_split())
    with pytest.raises(StoreError, match="one of train, valid, calib, test"):
        store.load_split(tmp_path, "BTC", name)


def test_symbols_do_not_share_files(tmp_path):
    store.save_split(tmp_path, "BTC", "train", example_split())
    with pytest.raises(StoreError, match="does not exist"):
        store.load_split(tmp_path, "ETH", "train")


def test_a_scaler_comes_back_to_the_last_bit(tmp_path):
    saved = Scaler(("a", "b"), np.array([1 / 3, -2e-9]), np.array([0.1, 7.0]), 8.0)
    store.save_scaler(tmp_path, "BTC", saved)
    loaded = store.load_scaler(tmp_path, "BTC")
    assert loaded.names == saved.names
    assert loaded.mean.tobytes() == saved.mean.tobytes()
    assert loaded.scale.tobytes() == saved.scale.tobytes()
    assert loaded.clip_sigma == saved.clip_sigma


def test_facts_come_back_and_missing_ones_name_their_notebook(tmp_path):
    store.save_facts(tmp_path, "BTC", "training", {"best_epoch": 3})
    assert store.load_facts(tmp_path, "BTC", "training", "02_train") == {"best_epoch": 3}
    with pytest.raises(StoreError, match=r"calibration\.json .*run 03_calibrate\.ipynb first"):
        store.load_facts(tmp_path, "BTC", "calibration", "03_calibrate")
    with pytest.raises(StoreError, match=r"scaler\.json .*run 01_prepare_data\.ipynb first"):
        store.load_scaler(tmp_path, "BTC")


def test_weights_come_back_and_missing_ones_name_their_notebook(tmp_path):
    saved = {"layers.0.weight": np.eye(2, dtype=np.float32)}
    store.save_weights(tmp_path, "BTC", saved)
    loaded = store.load_weights(tmp_path, "BTC")
    assert loaded["layers.0.weight"].tobytes() == saved["layers.0.weight"].tobytes()
    with pytest.raises(StoreError, match=r"model\.safetensors .*run 02_train\.ipynb first"):
        store.load_weights(tmp_path, "ETH")


def test_a_damaged_split_is_refused_by_name(tmp_path):
    path = store.save_split(tmp_path, "BTC", "test", example_split())
    storage.write_bytes(path, path.read_bytes()[:-3])
    with pytest.raises(StoreError, match=r"test\.safetensors is not a whole"):
        store.load_split(tmp_path, "BTC", "test")


def test_bars_of_a_run_come_back_with_their_gaps(tmp_path, market_bars):
    saved = market_bars.iloc[:40].drop(market_bars.index[17])
    store.save_bars(tmp_path, "BTC", saved)
    loaded = store.load_saved_bars(tmp_path, "BTC")
    assert (loaded.index == saved.index).all()
    np.testing.assert_array_equal(loaded[saved.columns].to_numpy(), saved.to_numpy())
    with pytest.raises(StoreError, match=r"run 01_prepare_data\.ipynb first"):
        store.load_saved_bars(tmp_path, "ETH")


def test_verdicts_are_found_by_symbol_or_by_looking(tmp_path):
    with pytest.raises(StoreError, match=r"verdict\.json .*run 04_diagnose\.ipynb first"):
        store.load_verdicts(tmp_path, ())
    for symbol in ("SOL", "BTC"):
        store.save_facts(tmp_path, symbol, "verdict", {"of": symbol})
    assert list(store.load_verdicts(tmp_path, ())) == ["BTC", "SOL"]
    assert store.load_verdicts(tmp_path, ["SOL", "ETH"]) == {"SOL": {"of": "SOL"}, "ETH": None}
    with pytest.raises(StoreError, match="04_diagnose"):
        store.load_verdicts(tmp_path, ["ETH"])
