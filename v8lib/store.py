"""What one notebook leaves for the next, under `<run_dir>/<SYMBOL>/`, and the words for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import COLUMNS, bars_from, epoch_seconds
from v8lib.errors import StoreError
from v8lib.scaling import Scaler, scaler_from, scaler_numbers
from v8lib.storage import read_arrays, read_json, write_arrays, write_json

SPLITS = ("train", "valid", "calib", "test")


@dataclass(frozen=True)
class Split:
    """The rows of one split, in order of time.

    Attributes
    ----------
    features : float32, (n_rows, n_features), unscaled
    labels : int64, (n_rows,)
    epoch_s : int64, (n_rows,), bar open times
    posterior : float64, (n_rows, 3), exact on the simulated market, else (0, 3)
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    epoch_s: NDArray[np.int64]
    posterior: NDArray[np.float64]


def symbol_dir(run_dir: Path | str, symbol: str) -> Path:
    """Return the folder of a symbol in a run."""
    return Path(run_dir) / symbol


def save_split(run_dir: Path | str, symbol: str, name: str, split: Split) -> Path:
    """Write one split, named train, valid, calib or test, and return its path."""
    return write_arrays(_path(run_dir, symbol, name), vars(split))


def load_split(run_dir: Path | str, symbol: str, name: str) -> Split:
    """Return one split as notebook 01 left it. Only notebook 04 may ask for test.

    Raises
    ------
    StoreError
        If notebook 01 has not run for this symbol.
    """
    return Split(**_read(_path(run_dir, symbol, name), "01_prepare_data"))


def save_scaler(run_dir: Path | str, symbol: str, scaler: Scaler) -> Path:
    """Write the scaler as plain numbers."""
    return write_json(symbol_dir(run_dir, symbol) / "scaler.json", scaler_numbers(scaler))


def load_scaler(run_dir: Path | str, symbol: str) -> Scaler:
    """Return the scaler notebook 01 fitted."""
    return scaler_from(load_facts(run_dir, symbol, "scaler", "01_prepare_data"))


def save_facts(run_dir: Path | str, symbol: str, name: str, facts: dict[str, Any]) -> Path:
    """Write what a notebook found out, as `<name>.json` in the symbol's folder."""
    return write_json(symbol_dir(run_dir, symbol) / f"{name}.json", facts)


def load_facts(run_dir: Path | str, symbol: str, name: str, notebook: str) -> dict[str, Any]:
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


def save_weights(run_dir: Path | str, symbol: str, weights: dict[str, NDArray]) -> Path:
    """Write the weights of a trained net."""
    return write_arrays(symbol_dir(run_dir, symbol) / "model.safetensors", weights)


def load_weights(run_dir: Path | str, symbol: str) -> dict[str, NDArray]:
    """Return the weights notebook 02 trained."""
    return _read(symbol_dir(run_dir, symbol) / "model.safetensors", "02_train")


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


def _path(run_dir: Path | str, symbol: str, name: str) -> Path:
    if name not in SPLITS:
        raise StoreError(f"no split '{name}': one of {', '.join(SPLITS)}")
    return symbol_dir(run_dir, symbol) / "splits" / f"{name}.safetensors"


def _read(path: Path, notebook: str) -> dict[str, NDArray]:
    if not path.is_file():
        raise _not_yet(path, notebook)
    return read_arrays(path)


def _not_yet(path: Path, notebook: str) -> StoreError:
    return StoreError(f"{path} does not exist: run {notebook}.ipynb first, with the same run_dir")
