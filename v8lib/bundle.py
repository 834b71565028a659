"""Bundles: an immutable folder of safetensors and JSON that proves itself when it is loaded.

A bundle's version is made from its content: the same model, written twice, is one bundle, and
a folder whose files no longer give its name has been altered.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from v8lib.bar_arrays import BarArrays, bar_arrays, step_seconds
from v8lib.errors import BundleError, StoreError
from v8lib.features import feature_table
from v8lib.latest import LatestFeatures
from v8lib.raw_bars import COLUMNS
from v8lib.runtime import Prediction, Runtime, model_facts, model_weights, runtime_from
from v8lib.storage import (
    arrays_bytes,
    json_bytes,
    read_arrays,
    read_json,
    sha256_bytes,
    sha256_file,
    write_bytes,
    write_json,
)

if TYPE_CHECKING:  # production computes signals from arrays and does without pandas
    import pandas as pd

SCHEMA_VERSION = 2
GOLDEN_TOLERANCE = 1e-6
MODEL, MANIFEST, GOLDEN = "model.safetensors", "manifest.json", "golden.json"


@dataclass(frozen=True)
class Bundle:
    """A loaded, verified bundle."""

    version: str
    manifest: Mapping[str, Any]
    runtime: Runtime

    @cached_property
    def latest(self) -> LatestFeatures:
        """What computes the features of a last bar for this model."""
        return _latest(self.manifest, self.manifest["model"]["scaler"]["names"])

    def predict(self, bars: "pd.DataFrame | BarArrays") -> Prediction:
        """Return the prediction for the last bar of `bars`, a frame or arrays of one symbol.

        Raises
        ------
        BundleError
            If the bars are of another length, or fewer than `warmup_bars` stand unbroken at the
            end. With fewer than the longest look-back the answer depends on the history given.
        """
        arrays = bars if isinstance(bars, BarArrays) else bar_arrays(bars)
        interval_s = step_seconds(arrays.epoch_s)
        if interval_s != self.manifest["interval_s"]:
            raise BundleError(
                f"bars of {interval_s} s, the model was trained on {self.manifest['interval_s']} s"
            )
        row = self.latest.features(arrays)
        if not np.isfinite(row).all():
            raise BundleError(self.latest.complaint(arrays, row))
        return self.runtime.predict(row)


def write_bundle(
    models_dir: Path | str,
    symbol: str,
    runtime: Runtime,
    facts: Mapping[str, Any],
    golden_bars: "pd.DataFrame",
) -> Path:
    """Write a bundle and return its folder `models_dir/symbol/version`.

    Parameters
    ----------
    models_dir : path
        The models folder.
    symbol : str
        Whose model it is.
    runtime : Runtime
        The model and all steps round it.
    facts : mapping
        JSON values for the manifest: interval_s, exclude_families, warmup_bars, feature
        look-backs, label definition, training window, data hash, git commit, versions, gates.
    golden_bars : DataFrame
        Bars that end in a bar with features; their prediction is stored and checked at load.
    """
    golden = _golden(runtime, facts, golden_bars)
    files = {
        MODEL: arrays_bytes(model_weights(runtime)),
        GOLDEN: (json.dumps(golden, allow_nan=False) + "\n").encode(),
    }
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": "mlp",
        "symbol": symbol,
        **facts,
        "model": model_facts(runtime),
        "files": {name: sha256_bytes(content) for name, content in files.items()},
    }
    folder = Path(models_dir) / symbol / _version(manifest)
    if not (folder / MANIFEST).is_file():
        for name, content in files.items():
            write_bytes(folder / name, content)
        write_json(folder / MANIFEST, manifest)  # last: a folder without it is no bundle
    load_bundle(folder)
    return folder


def load_bundle(folder: Path | str) -> Bundle:
    """Return a bundle after checking everything that can be checked.

    Raises
    ------
    BundleError
        If a file is missing or altered, the schema is not this code's, the folder's name is
        not its content's, or the golden bars do not give the golden probabilities.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            f"{folder}: schema version {manifest.get('schema_version')}, "
            f"this code reads {SCHEMA_VERSION}"
        )
    if _version(manifest) != folder.name:
        raise BundleError(f"{folder}: {MANIFEST} has been altered: it is not version {folder.name}")
    if manifest.get("symbol") != folder.parent.name:
        raise BundleError(f"{folder}: this is a bundle of {manifest.get('symbol')}")
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing")
        if sha256_file(path) != expected:
            raise BundleError(f"{folder}: {name} has been altered: its hash is not the manifest's")
    runtime = runtime_from(read_arrays(folder / MODEL), manifest["model"])
    bundle = Bundle(folder.name, manifest, runtime)
    _check_golden(bundle, read_json(folder / GOLDEN), folder)
    return bundle


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder, down to the byte as this code writes it."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
        as_written = json_bytes(manifest)
    except (StoreError, ValueError) as error:
        raise BundleError(f"{folder} is no bundle: {error}") from None
    if not isinstance(manifest, dict):
        raise BundleError(f"{folder} is no bundle: {MANIFEST} holds no names")
    if path.read_bytes() != as_written:
        raise BundleError(f"{folder}: {MANIFEST} has been altered: it is not as it was written")
    return manifest


def _version(manifest: Mapping[str, Any]) -> str:
    """Return the name that belongs to a manifest, and through its hashes to every file."""
    canonical = json.dumps(manifest, sort_keys=True, allow_nan=False).encode()
    return f"v8-{sha256_bytes(canonical)[:12]}"


def _latest(facts: Mapping[str, Any], names: Sequence[str]) -> LatestFeatures:
    table = feature_table(facts["interval_s"], facts["exclude_families"])
    if [f.name for f in table] != list(names):
        raise BundleError("the bundle's features are not the ones this code computes")
    return LatestFeatures(table, facts["interval_s"])


def _golden(
    runtime: Runtime, facts: Mapping[str, Any], golden_bars: "pd.DataFrame"
) -> dict[str, Any]:
    bars = bar_arrays(golden_bars)
    row = _latest(facts, runtime.scaler.names).features(bars)
    if not np.isfinite(row).all():
        raise BundleError("the golden bars do not end in a bar with features")
    return {
        "epoch_s": bars.epoch_s.tolist(),
        **{name: array.tolist() for name, array in zip(COLUMNS, bars, strict=False)},
        "probs": runtime.predict(row).probs[0].tolist(),
    }


def _check_golden(bundle: Bundle, golden: Mapping[str, Any], folder: Path) -> None:
    bars = BarArrays(*(np.array(golden[name]) for name in (*COLUMNS, "epoch_s")))
    gap = float(np.abs(bundle.predict(bars).probs[0] - np.array(golden["probs"])).max())
    if not gap <= GOLDEN_TOLERANCE:  # a NaN fails too
        raise BundleError(f"{folder}: the golden bars give other probabilities (off by {gap:.2g})")
