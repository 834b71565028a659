"""The case of a run, read back from what notebooks 01 to 03 left. Only notebook 04 asks for it."""

from pathlib import Path

import numpy as np

from v8lib.bars import bar_seconds
from v8lib.case import Case
from v8lib.features import feature_table
from v8lib.preparation import Prepared, default_steps
from v8lib.runtime import runtime_from
from v8lib.store import (
    SPLITS,
    load_facts,
    load_folds,
    load_rows,
    load_saved_bars,
    load_scalers,
    load_weights,
)
from v8lib.training import TrainingSettings


def load_case(run_dir: Path | str, symbol: str) -> Case:
    """Return everything a judgement looks at, test included.

    Raises
    ------
    StoreError
        If one of the notebooks before has not run for this symbol; the message says which.
    """
    facts = load_facts(run_dir, symbol, "prepare", "01_prepare_data")
    trained = load_facts(run_dir, symbol, "train", "02_train")
    models = load_facts(run_dir, symbol, "models", "03_calibrate")
    weights = load_weights(run_dir, symbol)
    bars = load_saved_bars(run_dir, symbol)
    steps = default_steps(
        exclude_families=facts["exclude_families"],
        clip_sigma=facts["clip_sigma"],
        labels=facts["labels"],
        splits=facts["splits"],
    )
    prepared = Prepared(
        bars,
        feature_table(bar_seconds(bars), facts["exclude_families"]),
        steps,
        load_rows(run_dir, symbol),
        load_folds(run_dir, symbol),
        load_scalers(run_dir, symbol),
        facts["missing"],
    )
    runtimes = [
        runtime_from({f"{k}.{n}": a for k, net in enumerate(nets) for n, a in net.items()}, model)
        for nets, model in zip(weights, models, strict=True)
    ]
    settings = TrainingSettings(**trained["settings"])
    return Case(prepared, runtimes, settings, symbol, facts["seed"])


def split_sizes(case: Case) -> dict[str, int]:
    """Return the rows of each split: of the last fold, and for test those of all folds."""
    last = {name: len(getattr(case.prepared.folds[-1], name)) for name in SPLITS[:-1]}
    return last | {"test": int(np.sum([len(fold.test) for fold in case.prepared.folds]))}
