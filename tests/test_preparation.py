from dataclasses import replace

import numpy as np
import pytest

from v8lib import config, features, labels, preparation, scaling
from v8lib.errors import FeatureError, SplitError


@pytest.fixture(scope="module")
def parameters(repo):
    def build(**changed):
        return config.merge_parameters(
            repo / "params",
            profile="default",
            symbol="BTC",
            source="simulated",
            settings=list(changed.items()),
        )

    return build


def test_the_steps_one_by_one_give_the_same_rows_and_splits(
    prepared, market_features, market_labels, usable, split, names
):
    """The fixtures take each step by hand, as notebook 01 does."""
    assert prepared.names == names
    assert prepared.rows.position.tolist() == np.flatnonzero(usable).tolist()
    np.testing.assert_array_equal(prepared.rows.features, market_features[usable])
    np.testing.assert_array_equal(prepared.rows.labels, market_labels.labels[usable])
    tests = np.concatenate([fold.test for fold in prepared.folds])
    assert tests.tolist() == split.test.tolist()
    assert prepared.missing == {}


def test_each_fold_has_the_scaler_of_its_own_train(prepared, market_features, names):
    assert len(prepared.scalers) == len(prepared.folds) == 2
    for fold, made in zip(prepared.folds, prepared.scalers, strict=True):
        expected = scaling.fit_scaler(market_features[fold.train], names, clip_sigma=8.0)
        np.testing.assert_array_equal(made.mean, expected.mean)
        np.testing.assert_array_equal(made.scale, expected.scale)
    assert (prepared.scalers[0].mean != prepared.scalers[1].mean).all()


@pytest.mark.parametrize("name", ["train", "valid", "calib", "test"])
def test_a_split_is_the_rows_of_each_fold(prepared, name):
    parts = prepared.split(name)
    assert [p.position.tolist() for p in parts] == [
        getattr(fold, name).tolist() for fold in prepared.folds
    ]
    whole = prepared.rows
    for part in parts:
        where = np.searchsorted(whole.position, part.position)
        np.testing.assert_array_equal(part.features, whole.features[where])
        np.testing.assert_array_equal(part.posterior, whole.posterior[where])


def test_the_posterior_is_asked_for_the_threshold_of_every_bar(market_bars, steps, market_labels):
    asked = []

    def posterior(threshold):
        asked.append(threshold)
        return np.tile(np.arange(len(threshold))[:, None], (1, 3))

    made = preparation.prepare(market_bars, steps, posterior)
    np.testing.assert_array_equal(asked[0], market_labels.threshold)
    assert made.rows.posterior[:, 0].tolist() == made.rows.position.tolist()


def test_a_real_market_has_no_posterior(market_bars, steps):
    made = preparation.prepare(market_bars, steps)
    assert made.rows.posterior.shape == (len(made.rows.labels), 0)


def test_parameters_and_plain_settings_ask_for_the_same_steps(parameters, market_bars, prepared):
    """Every step, on the same bars: the conftest's plain settings are the default parameters."""
    made = preparation.prepare(market_bars, preparation.steps_of(parameters(n_folds=2)))
    np.testing.assert_array_equal(made.rows.features, prepared.rows.features)
    np.testing.assert_array_equal(made.rows.threshold, prepared.rows.threshold)
    for first, second in zip(made.scalers, prepared.scalers, strict=True):
        np.testing.assert_array_equal(first.mean, second.mean)
        assert first.clip_sigma == second.clip_sigma == 8.0


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"exclude_families": "volume"}, lambda p: len(p.table)),
        ({"clip_sigma": 5.0}, lambda p: p.scalers[0].clip_sigma),
        ({"label_scheme": "fixed"}, lambda p: p.rows.threshold[-1]),
        ({"label_scheme": "fixed", "label_threshold_bps": 3.0}, lambda p: p.rows.threshold[-1]),
        ({"label_scheme": "vol_scaled"}, lambda p: p.rows.threshold[-1]),
        ({"label_scheme": "vol_scaled", "label_sigmas": 0.6}, lambda p: p.rows.threshold[-1]),
        ({"label_window_bars": 800}, lambda p: p.rows.threshold[-1]),
        ({"horizon_bars": 6}, lambda p: int(p.folds[0].valid.min() - p.folds[0].train.max())),
        ({"train_share": 0.5}, lambda p: len(p.folds[0].train)),
        ({"valid_share": 0.12}, lambda p: len(p.folds[0].valid)),
        ({"calib_share": 0.12}, lambda p: len(p.folds[0].calib)),
        ({"n_folds": 1}, lambda p: len(p.folds)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "differs",
)
def test_every_parameter_of_a_step_reaches_it(parameters, market_bars, prepared, changed, differs):
    asked = parameters(**({"n_folds": 2} | changed))
    made = preparation.prepare(market_bars, preparation.steps_of(asked))
    assert differs(made) != differs(prepared)


def test_label_settings_are_the_arguments_of_make_labels(parameters, market_bars, market_labels):
    settings = preparation.label_settings(parameters().model_dump())
    made = labels.make_labels(market_bars, **settings)
    np.testing.assert_array_equal(made.labels, market_labels.labels)


def test_a_step_that_is_replaced_is_the_only_one_that_changes(market_bars, steps, prepared):
    def of_all(rows, split, names):
        return scaling.fit_scaler(rows.features, names, clip_sigma=8.0)

    made = preparation.prepare(market_bars, replace(steps, scaler=of_all))
    np.testing.assert_array_equal(made.rows.features, prepared.rows.features)
    assert made.folds[0].train.tolist() == prepared.folds[0].train.tolist()
    assert (made.scalers[0].mean == made.scalers[1].mean).all()
    assert (made.scalers[0].mean != prepared.scalers[0].mean).all()


def test_values_missing_after_the_warm_up_are_counted_though_no_row_has_them(
    market_bars, steps, table, prepared
):
    def with_hole(segment):
        column = table[3].function(segment).copy()
        column[3_000:3_007] = np.nan
        return column

    holed = [replace(f, function=with_hole) if f is table[3] else f for f in table]
    made = preparation.prepare(market_bars, replace(steps, table=lambda _: holed))
    assert made.missing == {table[3].name: 7}
    assert len(made.rows.labels) == len(prepared.rows.labels) - 7


def test_too_few_bars_and_a_constant_feature_are_refused(market_bars, steps, table):
    with pytest.raises(SplitError, match="rows, at least 200 are needed"):
        preparation.prepare(market_bars.iloc[: features.warmup_bars(table) + 900], steps)
    with pytest.raises(FeatureError, match="constant on train"):
        preparation.prepare(market_bars.assign(volume=1.0), steps)
