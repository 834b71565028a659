"""The whole pipeline in memory: the notebooks' steps from bars to gates, as three functions.

For what runs the method many times: the known-answer proof, the ablation and the defect zoo.
A test holds this against a run of the notebooks: same parameters, same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.case import Case, Model
from v8lib.config import Parameters
from v8lib.ensemble import fit_runtime, train_folds
from v8lib.examination import judge, probe
from v8lib.gates import Gate
from v8lib.intervals import CalibrationExcess, Interval, calibration_excess, skill_interval
from v8lib.metrics import row_log_loss
from v8lib.numpy_net import NumpyNet
from v8lib.paired import paired_skill
from v8lib.pipeline_gates import LINEAR_SHARE
from v8lib.preparation import Prepared, Steps, prepare, steps_of
from v8lib.seeds import stream
from v8lib.skill_sources import skill_sources
from v8lib.sources import Source, market_settings, open_source
from v8lib.training import TrainingSettings

TRAINING_KEYS = (
    "normalization",
    "dropout",
    "focal_gamma",
    "focal_alpha",
    "label_smoothing",
    "aux_volatility_weight",
    "aux_return_weight",
    "mirror_share",
    "epochs",
    "patience_epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "gradient_clip",
    "precision",
    "device",
    "seed",
    "symbol",
)
Array = NDArray[np.float64]
Train = Callable[[Prepared, Parameters], list[Model]]


@dataclass(frozen=True)
class Examination:
    """What test says of a case: skill, excess calibration error, and every gate."""

    skill: Interval
    excess: CalibrationExcess
    gates: list[Gate]


def training_settings(parameters: Parameters) -> TrainingSettings:
    """Return how to train, of all parameters."""
    return TrainingSettings(**{key: getattr(parameters, key) for key in TRAINING_KEYS})


def open_bars(parameters: Parameters, *, data_path: str = "") -> Source:
    """Return the bars that parameters ask for, as notebook 01 opens them."""
    return open_source(
        parameters.source,
        parameters.symbol,
        data_path=data_path,
        seed=parameters.seed,
        market=market_settings(parameters),
        bar_interval=parameters.bar_interval,
    )


def exact_probabilities(source: Source, parameters: Parameters) -> Callable[[Array], Array]:
    """Return what gives the exact class probabilities, where known, from label thresholds."""
    return partial(
        source.posterior, horizon_bars=parameters.horizon_bars, scheme=parameters.label_scheme
    )


def train_models(prepared: Prepared, parameters: Parameters) -> list[Model]:
    """Return the calibrated model of each fold: notebooks 02 and 03."""
    splits = [prepared.split(name) for name in ("train", "valid", "calib")]
    train, valid, calib = splits
    folds = list(zip(prepared.scalers, train, valid, strict=True))
    trained = train_folds(folds, training_settings(parameters), n_seeds=parameters.n_seeds)
    return [
        fit_runtime(
            [NumpyNet(result.weights, parameters.normalization) for result in results],
            scaler,
            calib_rows,
            train_rows.labels,
            gamma=parameters.focal_gamma,
            smoothing=parameters.label_smoothing,
            class_weights=results[0].class_weights,
            rule=parameters.decision_rule,
            min_confidence=parameters.min_confidence,
        )
        for results, scaler, train_rows, calib_rows in zip(
            trained, prepared.scalers, train, calib, strict=True
        )
    ]


def build_case(
    source: Source,
    parameters: Parameters,
    *,
    steps: Steps | None = None,
    train: Train = train_models,
) -> Case:
    """Return the trained pipeline of some bars.

    Parameters
    ----------
    source : Source
        Bars, and the market behind them if they are simulated.
    parameters : Parameters
        Everything else.
    steps, train : optional
        What to do instead of the suite's own steps and training.
    """
    exact = exact_probabilities(source, parameters)
    prepared = prepare(source.bars, steps or steps_of(parameters), exact)
    models = train(prepared, parameters)
    return Case(prepared, models, training_settings(parameters), parameters.symbol, parameters.seed)


def examine(case: Case, parameters: Parameters) -> Examination:
    """Return the judgement of a case: the gates of notebook 04."""
    labels, probs = case.test.labels, case.prediction.probs
    losses = row_log_loss(probs, labels)
    nothing = row_log_loss(case.climatology, labels)
    draws: dict[str, Any] = {
        "horizon_bars": parameters.horizon_bars,
        "reps": parameters.bootstrap_reps,
        "runs": case.test_runs,
    }
    skill = skill_interval(losses, nothing, rng=stream(case.seed, case.symbol, "skill"), **draws)
    excess = calibration_excess(
        probs,
        labels,
        n_bins=parameters.n_bins,
        rng=stream(case.seed, case.symbol, "ece"),
        **draws,
    )
    found = probe(
        case,
        horizon_bars=parameters.horizon_bars,
        window_bars=parameters.label_window_bars,
        shuffle_draws=parameters.shuffle_draws,
        shuffle_epochs=parameters.shuffle_epochs,
        shift_draws=parameters.shift_draws,
    )
    against_linear = None
    if case.has_every_class:
        against_linear = paired_skill(
            losses,
            row_log_loss(case.linear, labels),
            nothing,
            share=LINEAR_SHARE,
            rng=stream(case.seed, case.symbol, "linear"),
            **draws,
        )
    rng = stream(case.seed, case.symbol, "direction")
    direction = skill_sources(probs, case.climatology, labels, rng=rng, **draws)["direction"]
    judged = judge(case, found, skill, excess, direction, against_linear)
    return Examination(skill, excess, judged)
