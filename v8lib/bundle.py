"""Bundles: an immutable folder that proves itself when it is loaded, for models of every kind.

A bundle's version is made from its content: the same model, written twice, is one bundle, and
a folder whose files no longer give its name has been altered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from v8lib.bar_arrays import BarArrays, bar_arrays, step_seconds
from v8lib.bundle_folder import (
    GOLDEN,
    MANIFEST,
    REFERENCE,
    SCHEMA_VERSION,
    Contents,
    folder_of,
    json_object,
    read_folder,
    write_folder,
)
from v8lib.drift import Reference, reference_from, reference_numbers
from v8lib.errors import BarsError, BundleError, FeatureError
from v8lib.golden import check_golden, compact, golden_figures, latest_features
from v8lib.json_values import Values
from v8lib.kinds import KINDS, AnyRuntime, kind_of
from v8lib.latest import LatestFeatures
from v8lib.manifest import check_manifest
from v8lib.runtime import Prediction
from v8lib.storage import json_bytes, sha256_bytes

if TYPE_CHECKING:  # production computes signals from arrays and does without pandas
    import pandas as pd

RUN_NAME = "v8"  # what the version of a run's model begins with


@dataclass(frozen=True)
class Bundle:
    """A loaded, verified bundle.

    Attributes
    ----------
    version : str
        Name of its folder.
    manifest : mapping
        Everything that is known about the model, as JSON values.
    runtime : Runtime, LinearRuntime or OnnxRuntime
        The model.
    reference : drift.Reference or None
        What drift is measured against, where it was stored.
    """

    version: str
    manifest: Mapping[str, Any]
    runtime: AnyRuntime
    reference: Reference | None = None

    @cached_property
    def latest(self) -> LatestFeatures:
        """What computes the features of the last bars for this model, its columns in order."""
        return latest_features(self.manifest, self.runtime)

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
    runtime: AnyRuntime,
    facts: Mapping[str, Any],
    golden_bars: "pd.DataFrame",
    *,
    reference: Reference | None = None,
    name: str = RUN_NAME,
) -> Path:
    """Write a bundle and return its folder `models_dir/symbol/version`.

    Nothing is written unless it loads; an interrupted write is completed by the next.

    Parameters
    ----------
    models_dir : path
        The models folder.
    symbol : str
        Whose model it is.
    runtime : Runtime, LinearRuntime or OnnxRuntime
        The model and all steps round it.
    facts : mapping
        JSON values for the manifest: interval_s, exclude_families, warmup_bars, labels
        (horizon_bars), class_shares (of train) and gates; feature look-backs, training window,
        data hash, git commit, versions where they are known.
    golden_bars : DataFrame
        Bars that end in a bar with features; their prediction is stored and checked at load.
    reference : drift.Reference, optional
        Of the train rows, of the model's columns.
    name : str
        What the version begins with.

    Raises
    ------
    BundleError
        If a fact is missing or of another type, or the golden bars have no features.
    """
    kind = KINDS[kind_of(runtime)]
    golden = golden_figures(runtime, facts, golden_bars)
    files = {kind.file: kind.content(runtime), GOLDEN: golden}
    if reference is not None:
        files[REFERENCE] = compact(reference_numbers(reference))
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "kind": kind_of(runtime),
        "symbol": symbol,
        **facts,
        "model": kind.facts(runtime),
        "files": {file: sha256_bytes(content) for file, content in files.items()},
    }
    try:
        json_bytes(manifest)
    except (TypeError, ValueError) as error:
        raise BundleError(f"the facts are no JSON values: {error}") from None
    folder = folder_of(models_dir, manifest)
    _assembled(folder, Contents(manifest, files))
    write_folder(folder, files, manifest)
    load_bundle(folder)
    return folder


def load_bundle(folder: Path | str) -> Bundle:
    """Return a bundle after checking everything that can be checked.

    Raises
    ------
    BundleError
        If a file is missing, altered, foreign or a link, the schema is not this code's, the
        folder's name is not its content's, a value has the wrong type, a weight is not finite,
        the features are not the ones this code computes, or the golden bars do not give the
        golden probabilities.
    """
    folder = Path(folder).absolute()
    return _assembled(folder, read_folder(folder))


def _assembled(folder: Path, contents: Contents) -> Bundle:
    """Return the bundle that some contents make, all of it checked."""
    manifest, files = contents.manifest, contents.files
    where = f"{folder}: {MANIFEST}"
    kind = check_manifest(manifest, where)
    facts = Values.of(manifest["model"], f"{where}: 'model'")
    try:
        runtime = kind.read(files[kind.file], facts)
        latest_features(manifest, runtime)  # before anything that compares columns
        reference = _reference(files.get(REFERENCE), runtime, str(folder))
        bundle = Bundle(folder.name, manifest, runtime, reference)
        check_golden(bundle.predict, files[GOLDEN], kind.golden_tolerance)
    except (BundleError, FeatureError, BarsError) as error:
        message = str(error)
        whole = message.startswith(str(folder))
        raise BundleError(message if whole else f"{folder}: {message}") from None
    return bundle


def _reference(content: bytes | None, runtime: AnyRuntime, where: str) -> Reference | None:
    if content is None:
        return None
    try:
        reference = reference_from(json_object(content, f"{where}: {REFERENCE}"))
    except ValueError as error:
        raise BundleError(f"{REFERENCE}: {error}") from None
    if list(reference.names) != list(runtime.names):
        raise BundleError(f"{REFERENCE}: its columns are not the model's")
    return reference
