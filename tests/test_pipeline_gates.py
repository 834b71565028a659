import numpy as np
import pytest
from gate_cases import bars, scaler, served

from v8lib import pipeline_gates
from v8lib.intervals import Interval


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"autocorrelation": -0.31}, "noise over the prices"),
        ({"inconsistent": 2}, "2 bars with a high below"),
        ({"repeated": 0.0101}, "1.0% of paths"),
    ],
)
def test_each_oddity_alone_fails_the_bars_and_is_named(found, why):
    gate = bars(**found)
    assert gate.verdict == "fail"
    assert why in gate.note
    assert ";" not in gate.note, "and nothing else is"


def test_all_oddities_are_named_together():
    assert bars(-0.5, 1, 0.5).note.count(";") == 2


def test_a_healthy_market_may_repeat_a_little_and_trend_a_lot():
    assert bars(autocorrelation=0.9, repeated=0.01).verdict == "pass"


def test_a_class_that_is_rare_in_one_fold_fails_though_the_others_have_it():
    even, rare = np.repeat([0, 1, 2], 30), np.repeat([0, 1, 2], [50, 41, 9])
    gate = pipeline_gates.classes_present([even, rare, even])
    assert (gate.verdict, gate.value, gate.note) == ("fail", 0.09, "rarest: UP")
    assert pipeline_gates.classes_present([even, np.repeat([0, 2], 50)]).value == 0.0


def test_every_wrong_label_is_counted_and_named():
    gate = pipeline_gates.labels_look_ahead(["one", "two"], 12)
    assert (gate.value, gate.note) == (2.0, "one; two")
    assert pipeline_gates.labels_look_ahead([], 12).note == "12 bars tried"


def test_the_rows_that_overlap_are_summed_over_folds():
    assert pipeline_gates.splits_purged([3, 0, 4]).value == 7.0


def test_the_furthest_scaler_of_any_fold_is_named_in_train_deviations():
    gate = served(scaler(mean=(0.0, 5.0, -0.6)), scaler(scale=(1.0, 2.1, 4.0)), scaler())
    assert gate.value == pytest.approx(0.1), "0.4 of a scale of four; 0.1 of a scale of two is less"
    assert (gate.verdict, gate.note) == ("fail", "furthest: c")


def test_the_last_bits_of_a_scaler_do_not_matter():
    assert served(scaler(mean=(0.9e-4, 5.0, -1.0))).verdict == "pass"
    assert served(scaler(mean=(1.1e-4, 5.0, -1.0))).verdict == "fail"


def test_an_inference_path_that_is_the_better_one_passes():
    assert pipeline_gates.inference_path(0.90, 1.10).verdict == "pass"
    assert pipeline_gates.inference_path(1.0199, 1.0).verdict == "pass"
    assert pipeline_gates.inference_path(1.0201, 1.0).verdict == "fail"


def test_labels_of_another_time_may_have_a_skill_below_zero_but_none_above():
    assert pipeline_gates.shifted_labels(Interval(-0.02, -0.03, -0.01)).verdict == "pass"
    assert pipeline_gates.shifted_labels(Interval(0.01, 0.0, 0.02)).verdict == "pass"
    assert pipeline_gates.shifted_labels(Interval(0.01, 1e-9, 0.02)).verdict == "fail"


@pytest.mark.parametrize("judge", [pipeline_gates.direction, pipeline_gates.linear_baseline])
def test_what_need_not_be_there_fails_only_when_it_is_clearly_below_nothing(judge):
    assert judge(Interval(-0.01, -0.02, 0.0)).verdict == "pass"
    assert judge(Interval(-0.01, -0.02, -1e-9)).verdict == "fail"
    assert judge(Interval(0.3, 0.2, 0.4)).verdict == "pass"


def test_a_probe_that_tried_nothing_does_not_pass():
    assert pipeline_gates.labels_look_ahead([], 0).verdict == "fail"
    assert pipeline_gates.splits_purged([]).verdict == "fail"
