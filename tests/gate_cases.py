"""An input of every gate that must pass, one that must fail, and those that are no numbers."""

import numpy as np

from v8lib import gates, inversion, pipeline_gates
from v8lib.intervals import CalibrationExcess, Interval
from v8lib.oddities import Oddities
from v8lib.scaling import Scaler

NAN = float("nan")
AGREEMENT = Interval(0.01, -0.01, 0.03)
ALTERNATING = np.tile(np.array([[1.0], [-1.0]], dtype=np.float32), (20, 2))
LOGITS = np.array([[1.0, 0.0, -1.0], [0.5, -0.5, 0.0]])
PROBS = inversion.softmax(LOGITS)


def excess(value, low, high):
    return CalibrationExcess(0.03, 0.02, 0.04, Interval(value, low, high))


def normalization(test, *train):
    return gates.feature_normalization(train, test, ["calm", "wild"])


def broken(array, value=NAN):
    out = np.array(array)
    out.flat[1] = value
    return out


def parity(batch=PROBS, one_by_one=PROBS, torch_batch=PROBS):
    return gates.single_row_parity(batch, one_by_one, torch_batch)


def bars(autocorrelation=-0.05, inconsistent=0, repeated=0.0):
    return pipeline_gates.bars_plausible(Oddities(autocorrelation, inconsistent, repeated))


def scaler(mean=(0.0, 5.0, -1.0), scale=(1.0, 2.0, 4.0)):
    return Scaler(("a", "b", "c"), np.array(mean), np.array(scale), 8.0)


def served(*scalers):
    """Judge what folds use, against train scalers that are all the same."""
    return pipeline_gates.scaler_from_train(scalers, [scaler()] * len(scalers))


GATES = {
    "feature_normalization": (
        lambda: normalization(ALTERNATING, ALTERNATING, ALTERNATING),
        lambda: normalization(ALTERNATING, ALTERNATING, ALTERNATING + np.float32(0.2)),
    ),
    "logit_range_healthy": (
        lambda: gates.logit_range_healthy(LOGITS),
        lambda: gates.logit_range_healthy(np.array([[0.0, 0.0, -15.0]])),
    ),
    "confidence_calibrated": (
        lambda: gates.confidence_calibrated(PROBS),
        lambda: gates.confidence_calibrated(
            np.repeat([[0.995, 0.005, 0.0], [0.4, 0.3, 0.3]], [1, 9], axis=0)
        ),
    ),
    "class_balanced": (
        lambda: gates.class_balanced(np.repeat([0, 1, 2], [15, 25, 60])),
        lambda: gates.class_balanced(np.repeat([0, 1, 2], [14, 30, 56])),
    ),
    "no_nan_inf": (
        lambda: gates.no_nan_inf({}, features=ALTERNATING, logits=LOGITS),
        lambda: gates.no_nan_inf({}, features=ALTERNATING, logits=broken(LOGITS, np.inf)),
    ),
    "skill": (
        lambda: gates.skill(Interval(0.02, 0.001, 0.04)),
        lambda: gates.skill(Interval(-0.02, -0.04, -0.001)),
    ),
    "calibration": (
        lambda: gates.calibration(excess(0.005, -0.01, 0.019)),
        lambda: gates.calibration(excess(0.04, 0.021, 0.06)),
    ),
    "single_row_parity": (parity, lambda: parity(one_by_one=PROBS + 2e-5)),
    "no_lookahead": (
        lambda: gates.no_lookahead([], True),
        lambda: gates.no_lookahead(["return_1"], True),
    ),
    "shuffled_labels": (
        lambda: gates.shuffled_labels(Interval(0.001, -0.01, 0.012), AGREEMENT),
        lambda: gates.shuffled_labels(Interval(0.02, 0.001, 0.04), AGREEMENT),
    ),
    "shifted_labels": (
        lambda: pipeline_gates.shifted_labels(Interval(0.001, -0.01, 0.012)),
        lambda: pipeline_gates.shifted_labels(Interval(0.02, 0.001, 0.04)),
    ),
    "direction": (
        lambda: pipeline_gates.direction(Interval(-0.001, -0.01, 0.001)),
        lambda: pipeline_gates.direction(Interval(-0.02, -0.04, -0.001)),
    ),
    "linear_baseline": (
        lambda: pipeline_gates.linear_baseline(Interval(-0.001, -0.01, 0.001)),
        lambda: pipeline_gates.linear_baseline(Interval(-0.02, -0.04, -0.001)),
    ),
    "bars_plausible": (bars, lambda: bars(autocorrelation=-0.3)),
    "classes_present": (
        lambda: pipeline_gates.classes_present([np.repeat([0, 1, 2], [10, 45, 45])]),
        lambda: pipeline_gates.classes_present([np.repeat([0, 1, 2], [9, 45, 46])]),
    ),
    "labels_look_ahead": (
        lambda: pipeline_gates.labels_look_ahead([], 12),
        lambda: pipeline_gates.labels_look_ahead(["a threshold is not known at its bar"], 12),
    ),
    "splits_purged": (
        lambda: pipeline_gates.splits_purged([0, 0]),
        lambda: pipeline_gates.splits_purged([0, 1]),
    ),
    "scaler_from_train": (
        lambda: served(scaler(), scaler()),
        lambda: served(scaler(), scaler(mean=(0.0, 5.001, -1.0))),
    ),
    "inference_path": (
        lambda: pipeline_gates.inference_path(0.97, 0.96),
        lambda: pipeline_gates.inference_path(0.99, 0.96),
    ),
}

NAN_INPUTS = {
    "feature_normalization on train": lambda: normalization(ALTERNATING, broken(ALTERNATING)),
    "feature_normalization on train of a later fold": lambda: normalization(
        ALTERNATING, ALTERNATING, broken(ALTERNATING)
    ),
    "feature_normalization on test": lambda: normalization(broken(ALTERNATING), ALTERNATING),
    "logit_range_healthy": lambda: gates.logit_range_healthy(broken(LOGITS)),
    "confidence_calibrated": lambda: gates.confidence_calibrated(broken(PROBS)),
    "no_nan_inf": lambda: gates.no_nan_inf({}, probs=broken(PROBS)),
    "skill": lambda: gates.skill(Interval(NAN, NAN, NAN)),
    "skill, value alone": lambda: gates.skill(Interval(NAN, 0.01, 0.02)),
    "calibration": lambda: gates.calibration(excess(NAN, NAN, NAN)),
    "calibration, value alone": lambda: gates.calibration(excess(NAN, 0.0, 0.01)),
    "single_row_parity in the batch": lambda: parity(batch=broken(PROBS)),
    "single_row_parity of one row": lambda: parity(one_by_one=broken(PROBS)),
    "single_row_parity under torch": lambda: parity(torch_batch=broken(PROBS)),
    "single_row_parity everywhere": lambda: parity(*[broken(PROBS)] * 3),
    "shuffled_labels": lambda: gates.shuffled_labels(Interval(NAN, NAN, NAN), AGREEMENT),
    "shuffled_labels, agreement alone": lambda: gates.shuffled_labels(
        Interval(0.0, -0.01, 0.01), Interval(NAN, NAN, NAN)
    ),
    "shifted_labels": lambda: pipeline_gates.shifted_labels(Interval(NAN, NAN, NAN)),
    "shifted_labels, value alone": lambda: pipeline_gates.shifted_labels(
        Interval(NAN, -0.01, 0.01)
    ),
    "direction": lambda: pipeline_gates.direction(Interval(NAN, NAN, NAN)),
    "direction, value alone": lambda: pipeline_gates.direction(Interval(NAN, 0.0, 0.1)),
    "linear_baseline": lambda: pipeline_gates.linear_baseline(Interval(NAN, NAN, NAN)),
    "linear_baseline, high alone": lambda: pipeline_gates.linear_baseline(Interval(0.1, 0.0, NAN)),
    "bars_plausible, autocorrelation": lambda: bars(autocorrelation=NAN),
    "bars_plausible, repeated": lambda: bars(repeated=NAN),
    "scaler_from_train, first mean": lambda: served(scaler(mean=(NAN, 5.0, -1.0))),
    "scaler_from_train, last mean": lambda: served(scaler(mean=(0.0, 5.0, NAN))),
    "scaler_from_train, last scale": lambda: served(scaler(scale=(1.0, 2.0, NAN))),
    "scaler_from_train, in an earlier fold": lambda: served(
        scaler(mean=(NAN, 5.0, -1.0)), scaler()
    ),
    "inference_path, inference": lambda: pipeline_gates.inference_path(NAN, 0.96),
    "inference_path, training": lambda: pipeline_gates.inference_path(0.96, NAN),
}
