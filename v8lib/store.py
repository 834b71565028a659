"""What one notebook leaves for the next, under `<run_dir>/<SYMBOL>/`, and the words for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import COLUMNS, bars_from, epoch_seconds
from v8lib.errors import StoreError
from v8lib.rows import Rows
from v8lib.scaling import Scaler, scaler_from, scaler_numbers
from v8lib.splits import SplitIndex
from v8lib.storage import (
    map_array,
    read_arrays,
    read_json,
    write_array,
    write_arrays,
    write_json,
)

SPLITS = ("train", "valid", "calib", "test")


def symbol_dir(run_dir: Path | str, symbol: str) -> Path:
    """Return the folder of a symbol in a run."""
    return Path(run_dir) / symbol


def save_rows(run_dir: Path | str, symbol: str, rows: Rows, folds: Sequence[SplitIndex]) -> Path:
    """Write the usable rows, and which of them each split of each fold has; return the folder.

    The features, by far the most of it, get a file of their own that is read as it is used.
    """
    folder = symbol_dir(run_dir, symbol)
    indices = {f"{k}.{name}": part for k, f in enumerate(folds) for name, part in vars(f).items()}
    write_arrays(folder / "folds.safetensors", indices)
    others = {name: array for name, array in vars(rows).items() if name != "features"}
    write_arrays(folder / "rows.safetensors", others)
    write_array(folder / "features.npy", rows.features)
    return folder


def load_splits(run_dir: Path | str, symbol: str, names: Sequence[str]) -> list[dict[str, Rows]]:
    """Return the named splits of every fold, oldest fold first.

    Only notebook 04 may ask for test.

    Raises
    ------
    StoreError
        If notebook 01 has not run for this symbol, or there is no split of that name.
    """
    for name in names:
        if name not in SPLITS:
            raise StoreError(f"no split '{name}': one of {', '.join(SPLITS)}")
    rows = load_rows(run_dir, symbol)
    return [
        {name: rows.at(positions) for name, positions in vars(fold).items() if name in names}
        for fold in load_folds(run_dir, symbol)
    ]


def load_rows(run_dir: Path | str, symbol: str) -> Rows:
    """Return the usable rows of all splits together; the features stay in their file till used.

    Raises
    ------
    StoreError
        If notebook 01 has not run for this symbol, or did not finish.
    """
    folder = symbol_dir(run_dir, symbol)
    others = _read(folder / "rows.safetensors", "01_prepare_data")
    if not (folder / "features.npy").is_file():
        raise _not_yet(folder / "features.npy", "01_prepare_data")
    features = map_array(folder / "features.npy")
    if len(features) != len(others["labels"]):
        raise StoreError(
            f"{folder}: {len(features)} rows of features, {len(others['labels'])} of labels: "
            "run 01_prepare_data.ipynb again"
        )
    return Rows(features, **others)


def load_folds(run_dir: Path | str, symbol: str) -> list[SplitIndex]:
    """Return the bar positions of every split, oldest fold first."""
    indices = _read(symbol_dir(run_dir, symbol) / "folds.safetensors", "01_prepare_data")
    n_folds = len(indices) // len(SPLITS)
    return [SplitIndex(*(indices[f"{k}.{name}"] for name in SPLITS)) for k in range(n_folds)]


def save_scalers(run_dir: Path | str, symbol: str, scalers: Sequence[Scaler]) -> Path:
    """Write the scaler of each fold as plain numbers."""
    numbers = [scaler_numbers(scaler) for scaler in scalers]
    return write_json(symbol_dir(run_dir, symbol) / "scalers.json", numbers)


def load_scalers(run_dir: Path | str, symbol: str) -> list[Scaler]:
    """Return the scalers notebook 01 fitted, one per fold."""
    return [scaler_from(n) for n in load_facts(run_dir, symbol, "scalers", "01_prepare_data")]


def save_facts(run_dir: Path | str, symbol: str, name: str, facts: Any) -> Path:
    """Write what a notebook found out, as `<name>.json` in the symbol's folder."""
    return write_json(symbol_dir(run_dir, symbol) / f"{name}.json", facts)


def load_facts(run_dir: Path | str, symbol: str, name: str, notebook: str) -> Any:
    """Return what `notebook` wrote as `<name>.json`.

    Raises
    ------
    StoreError
        If the notebook has not run for this symbol; the message says which to run.
    """
    path = symbol_dir(run_dir, symbol) / f"{name}.json"
    if not path.is_file():
        raise _not_yet(path, notebook)
    return read_json(path)


def save_weights(
    run_dir: Path | str, symbol: str, weights: Sequence[Sequence[Mapping[str, NDArray]]]
) -> Path:
    """Write the weights of every net of every fold."""
    arrays = {
        f"{fold}.{net}.{name}": array
        for fold, nets in enumerate(weights)
        for net, named in enumerate(nets)
        for name, array in named.items()
    }
    return write_arrays(symbol_dir(run_dir, symbol) / "model.safetensors", arrays)


def load_weights(run_dir: Path | str, symbol: str) -> list[list[dict[str, NDArray]]]:
    """Return the weights notebook 02 trained: one list of nets per fold."""
    arrays = _read(symbol_dir(run_dir, symbol) / "model.safetensors", "02_train")
    found: dict[int, dict[int, dict[str, NDArray]]] = {}
    for key, array in arrays.items():
        fold, net, name = key.split(".", 2)
        found.setdefault(int(fold), {}).setdefault(int(net), {})[name] = array
    return [[found[k][j] for j in sorted(found[k])] for k in sorted(found)]


def save_bars(run_dir: Path | str, symbol: str, bars: pd.DataFrame) -> Path:
    """Write the validated bars of the run, for the leak probe and the golden vectors."""
    arrays = {name: bars[name].to_numpy(np.float64) for name in COLUMNS}
    path = symbol_dir(run_dir, symbol) / "bars.safetensors"
    return write_arrays(path, {"epoch_s": epoch_seconds(bars), **arrays})


def load_saved_bars(run_dir: Path | str, symbol: str) -> pd.DataFrame:
    """Return the bars notebook 01 used."""
    return bars_from(_read(symbol_dir(run_dir, symbol) / "bars.safetensors", "01_prepare_data"))


def load_verdicts(run_dir: Path | str, symbols: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    """Return notebook 04's verdict of each symbol, None for one that did not get that far.

    Without symbols, those that notebook 04 has judged in this folder, in order of name.

    Raises
    ------
    StoreError
        If no symbol has a verdict.
    """
    paths = [symbol_dir(run_dir, symbol) / "verdict.json" for symbol in symbols]
    paths = paths or sorted(Path(run_dir).glob("*/verdict.json"))
    verdicts = {p.parent.name: read_json(p) if p.is_file() else None for p in paths}
    if not any(verdicts.values()):
        raise _not_yet(symbol_dir(run_dir, "<SYMBOL>") / "verdict.json", "04_diagnose")
    return verdicts


def _read(path: Path, notebook: str) -> dict[str, NDArray]:
    if not path.is_file():
        raise _not_yet(path, notebook)
    return read_arrays(path)


def _not_yet(path: Path, notebook: str) -> StoreError:
    return StoreError(f"{path} does not exist: run {notebook}.ipynb first, with the same run_dir")
