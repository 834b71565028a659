import numpy as np
import pytest

from v8lib import storage, store
from v8lib.errors import StoreError
from v8lib.rows import Rows
from v8lib.scaling import Scaler
from v8lib.splits import SplitIndex

FOLDS = [
    SplitIndex(np.arange(0, 6), np.arange(7, 9), np.arange(10, 12), np.arange(14, 18)),
    SplitIndex(np.arange(0, 8), np.arange(9, 12), np.arange(14, 16), np.arange(18, 20)),
]


def example_rows(n=20, columns=3):
    rng = np.random.default_rng(0)
    return Rows(
        rng.normal(size=(n, 2)).astype(np.float32),
        rng.integers(3, size=n),
        np.arange(n) * 60,
        np.arange(n),
        rng.normal(size=n),
        np.abs(rng.normal(size=n)),
        np.abs(rng.normal(size=n)),
        rng.dirichlet([1.0] * 3, size=n)[:, :columns],
    )


def assert_same_rows(first, second):
    for name, array in vars(first).items():
        assert getattr(second, name).tobytes() == array.tobytes(), name
        assert getattr(second, name).dtype == array.dtype, name
        assert getattr(second, name).shape == array.shape, name


def test_rows_come_back_with_the_same_bits_and_types(tmp_path):
    saved = example_rows()
    assert store.save_rows(tmp_path, "BTC", saved, FOLDS) == tmp_path / "BTC"
    assert_same_rows(saved, store.load_rows(tmp_path, "BTC"))


def test_rows_without_a_known_posterior_come_back_without_one(tmp_path):
    store.save_rows(tmp_path, "BTC", example_rows(columns=0), FOLDS)
    assert store.load_rows(tmp_path, "BTC").posterior.shape == (20, 0)
    (first, _) = store.load_splits(tmp_path, "BTC", ["train"])
    assert first["train"].posterior.shape == (6, 0)


@pytest.mark.parametrize("n_folds", [1, 2, 12])
def test_the_splits_of_every_fold_come_back_in_order(tmp_path, n_folds):
    """Twelve, because as text fold 10 stands before fold 2."""
    folds = [
        SplitIndex(np.arange(k + 1), np.array([14]), np.array([15]), np.array([16 + k % 4]))
        for k in range(n_folds)
    ]
    store.save_rows(tmp_path, "BTC", example_rows(), folds)
    loaded = store.load_folds(tmp_path, "BTC")
    assert len(loaded) == n_folds
    for saved, found in zip(folds, loaded, strict=True):
        for name, positions in vars(saved).items():
            assert getattr(found, name).tolist() == positions.tolist()


def test_a_split_is_the_rows_at_its_positions(tmp_path):
    rows = example_rows()
    store.save_rows(tmp_path, "BTC", rows, FOLDS)
    loaded = store.load_splits(tmp_path, "BTC", ["valid", "calib"])
    assert [sorted(fold) for fold in loaded] == [["calib", "valid"]] * 2
    for fold, parts in zip(FOLDS, loaded, strict=True):
        assert_same_rows(rows.at(fold.valid), parts["valid"])
        assert_same_rows(rows.at(fold.calib), parts["calib"])


@pytest.mark.parametrize("asked", [["train"], ["train", "valid", "calib"]])
def test_test_is_not_given_to_who_does_not_ask_for_it(tmp_path, asked):
    store.save_rows(tmp_path, "BTC", example_rows(), FOLDS)
    for parts in store.load_splits(tmp_path, "BTC", asked):
        assert set(parts) == set(asked)


@pytest.mark.parametrize("load", [store.load_rows, store.load_folds])
def test_rows_that_are_not_there_name_the_notebook_to_run(tmp_path, load):
    with pytest.raises(StoreError, match=r"safetensors .*01_prepare_data\.ipynb first"):
        load(tmp_path, "BTC")


@pytest.mark.parametrize("name", ["val", "../test", ""])
def test_only_the_four_splits_have_a_place(tmp_path, name):
    store.save_rows(tmp_path, "BTC", example_rows(), FOLDS)
    with pytest.raises(StoreError, match="one of train, valid, calib, test"):
        store.load_splits(tmp_path, "BTC", ["train", name])


def test_symbols_do_not_share_files(tmp_path):
    store.save_rows(tmp_path, "BTC", example_rows(), FOLDS)
    with pytest.raises(StoreError, match="does not exist"):
        store.load_splits(tmp_path, "ETH", ["train"])


def test_scalers_come_back_to_the_last_bit_and_in_order(tmp_path):
    saved = [
        Scaler(("a", "b"), np.array([1 / 3, -2e-9]), np.array([0.1, 7.0]), 8.0),
        Scaler(("a", "b"), np.array([2 / 3, 1e9]), np.array([1e-7, 0.7]), 8.0),
    ]
    store.save_scalers(tmp_path, "BTC", saved)
    for first, second in zip(saved, store.load_scalers(tmp_path, "BTC"), strict=True):
        assert second.names == first.names
        assert second.mean.tobytes() == first.mean.tobytes()
        assert second.scale.tobytes() == first.scale.tobytes()
        assert second.clip_sigma == first.clip_sigma


def test_facts_come_back_and_missing_ones_name_their_notebook(tmp_path):
    store.save_facts(tmp_path, "BTC", "training", {"best_epoch": 3})
    assert store.load_facts(tmp_path, "BTC", "training", "02_train") == {"best_epoch": 3}
    with pytest.raises(StoreError, match=r"calibration\.json .*run 03_calibrate\.ipynb first"):
        store.load_facts(tmp_path, "BTC", "calibration", "03_calibrate")
    with pytest.raises(StoreError, match=r"scalers\.json .*run 01_prepare_data\.ipynb first"):
        store.load_scalers(tmp_path, "BTC")


def test_weights_of_every_net_come_back_in_their_place(tmp_path):
    saved = [
        [{"layers.0.weight": np.full((2, 2), 100 * k + j, np.float32)} for j in range(11)]
        for k in range(2)
    ]
    store.save_weights(tmp_path, "BTC", saved)
    loaded = store.load_weights(tmp_path, "BTC")
    assert [len(nets) for nets in loaded] == [11, 11]
    for k, nets in enumerate(loaded):
        for j, net in enumerate(nets):
            assert list(net) == ["layers.0.weight"], "the net's own name is as it was"
            assert net["layers.0.weight"].tobytes() == saved[k][j]["layers.0.weight"].tobytes()
            assert net["layers.0.weight"].dtype == np.float32


def test_missing_weights_name_their_notebook(tmp_path):
    with pytest.raises(StoreError, match=r"model\.safetensors .*run 02_train\.ipynb first"):
        store.load_weights(tmp_path, "ETH")


@pytest.mark.parametrize("name", ["rows", "folds"])
def test_a_damaged_file_is_refused_by_name(tmp_path, name):
    path = store.save_rows(tmp_path, "BTC", example_rows(), FOLDS) / f"{name}.safetensors"
    storage.write_bytes(path, path.read_bytes()[:-3])
    with pytest.raises(StoreError, match=rf"{name}\.safetensors is not a whole"):
        store.load_splits(tmp_path, "BTC", ["test"])


def test_damaged_or_missing_features_are_refused_by_name(tmp_path):
    path = store.save_rows(tmp_path, "BTC", example_rows(), FOLDS) / "features.npy"
    whole = path.read_bytes()
    storage.write_bytes(path, whole[:-3])
    with pytest.raises(StoreError, match=r"features\.npy is not a whole npy file"):
        store.load_rows(tmp_path, "BTC")
    storage.write_array(path, np.zeros((19, 2), np.float32))
    with pytest.raises(StoreError, match=r"19 rows of features, 20 of labels: run 01_prepare"):
        store.load_rows(tmp_path, "BTC")
    path.unlink()
    with pytest.raises(StoreError, match=r"features\.npy does not exist: run 01_prepare_data"):
        store.load_rows(tmp_path, "BTC")


def test_stored_features_stay_in_their_file_and_cannot_be_written_to(tmp_path):
    store.save_rows(tmp_path, "BTC", example_rows(), FOLDS)
    rows = store.load_rows(tmp_path, "BTC")
    before = rows.features.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        rows.features[0, 0] = 1.0
    storage.release(rows.features[3:7])
    assert rows.features.tobytes() == before


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
