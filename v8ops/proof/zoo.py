"""Models and pipelines that are broken on purpose, each with the gate that must catch it.

A defect is one small function from an honest pipeline to a broken one. What it changes is
what its first line says and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from v8lib.baselines import climatology
from v8lib.case import Case
from v8lib.labels import Label
from v8lib.recipe import build_case
from v8ops.proof import broken_models as models
from v8ops.proof import broken_pipelines as pipelines
from v8ops.proof.honest import Honest


@dataclass(frozen=True)
class Defect:
    """A broken case: the gate that must fail it, and what is wrong in words."""

    gate: str
    words: str
    build: Callable[[Honest], Case]


def untrained_net(honest: Honest) -> Case:
    """Take the weights a net begins with."""
    return honest.with_models(partial(models.untrained, seed=honest.parameters.seed))


def prior_with_noise(honest: Honest) -> Case:
    """Say the class frequencies with a little noise: what passes every gate of the brief."""
    prior = climatology(honest.case.train[-1].labels)
    return honest.with_models(lambda model: models.NoisyPrior(model.scaler, prior))


def all_down(honest: Honest) -> Case:
    """Decide DOWN on every bar."""
    return honest.with_models(lambda model: models.Constant(model.scaler, Label.DOWN))


def hand_set_temperature(honest: Honest) -> Case:
    """Set a temperature of 8 by hand, as the predecessor's was."""
    return honest.with_models(partial(models.scaled_logits, factor=1.0 / 8.0))


def overconfident(honest: Honest) -> Case:
    """Multiply the logits by five."""
    return honest.with_models(partial(models.scaled_logits, factor=5.0))


def saturated(honest: Honest) -> Case:
    """Multiply the logits by fifty: most rows are then above 99 %."""
    return honest.with_models(partial(models.scaled_logits, factor=50.0))


def exploding_logits(honest: Honest) -> Case:
    """Multiply the logits by a thousand, to the size of the predecessor's."""
    return honest.with_models(partial(models.scaled_logits, factor=1_000.0))


def untrained_layer_norm(honest: Honest) -> Case:
    """Train with BatchNorm and infer through a LayerNorm that never saw a gradient."""
    batch = honest.parameters.model_copy(update={"normalization": "batch"})
    trained = build_case(honest.source, batch)
    return replace(trained, models=[models.with_fresh_layer_norm(m) for m in trained.models])


def batch_dependent(honest: Honest) -> Case:
    """Leave BatchNorm in training mode: a row's answer depends on the rows beside it."""
    return honest.with_models(models.BatchDependent)


def swapped_classes(honest: Honest) -> Case:
    """Name UP and DOWN the wrong way round."""
    return honest.with_models(models.Swapped)


def missing_answers(honest: Honest) -> Case:
    """Say NaN on about one bar in fifty."""
    return honest.with_models(models.Silent)


MUST_FAIL: dict[Callable[[Honest], Case], str] = {
    untrained_net: "linear_baseline",
    prior_with_noise: "skill",
    swapped_classes: "direction",
    all_down: "class_balanced",
    pipelines.old_recipe: "feature_normalization",
    pipelines.shuffled_scaler_columns: "feature_normalization",
    hand_set_temperature: "calibration",
    overconfident: "calibration",
    saturated: "confidence_calibrated",
    exploding_logits: "logit_range_healthy",
    untrained_layer_norm: "inference_path",
    pipelines.scaler_of_all_rows: "scaler_from_train",
    pipelines.stale_scaler: "scaler_from_train",
    pipelines.planted_future: "no_lookahead",
    pipelines.labels_backwards: "labels_look_ahead",
    pipelines.augmented_bars: "bars_plausible",
    pipelines.missing_feature_values: "no_nan_inf",
    missing_answers: "no_nan_inf",
    pipelines.class_missing: "classes_present",
    pipelines.random_split: "splits_purged",
    pipelines.unpurged_split: "splits_purged",
    batch_dependent: "single_row_parity",
}
DEFECTS: dict[str, Defect] = {
    build.__name__: Defect(gate, str(build.__doc__).splitlines()[0], build)
    for build, gate in MUST_FAIL.items()
}
