import numpy as np
import pytest

from v8lib import scaling
from v8lib.errors import FeatureError

NAMES = ("calm", "wild")


def fit(rows, names=NAMES, clip_sigma=8.0):
    return scaling.fit_scaler(np.array(rows, dtype=np.float32), names, clip_sigma=clip_sigma)


def test_mean_and_scale_by_hand():
    scaler = fit([[1.0, 10.0], [2.0, 30.0], [3.0, 50.0]])
    assert scaler.mean.tolist() == [2.0, 30.0]
    assert scaler.scale.tolist() == pytest.approx([(2 / 3) ** 0.5, 20 * (2 / 3) ** 0.5])


def test_three_rows_scaled_by_hand():
    scaler = scaling.Scaler(NAMES, np.array([2.0, 30.0]), np.array([2.0, 10.0]), 8.0)
    rows = np.array([[2.0, 30.0], [4.0, 20.0], [0.0, 35.0]], dtype=np.float32)
    assert scaling.apply_scaler(scaler, rows).tolist() == [[0.0, 0.0], [1.0, -1.0], [-1.0, 0.5]]


def test_scaled_train_has_mean_zero_and_deviation_one(market_features, split, scaler):
    scaled = scaling.apply_scaler(scaler, market_features[split.train]).astype(np.float64)
    # Clipping at eight deviations moves a mean by less than this.
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=0.01)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, atol=0.02)


def test_values_are_cut_at_the_clip_on_both_sides():
    scaler = fit([[1.0, 10.0], [2.0, 30.0], [3.0, 50.0]], clip_sigma=2.5)
    scaled = scaling.apply_scaler(scaler, np.array([[1e9, -1e9]], dtype=np.float32))
    assert scaled.tolist() == [[2.5, -2.5]]


def test_the_statistics_come_from_the_rows_given_and_no_others(market_features, split, names):
    """Changing every row outside train must not move the scaler."""
    changed = market_features.copy()
    changed[split.valid[0] :] += 100.0
    first, second = (
        scaling.fit_scaler(matrix[split.train], names, clip_sigma=8.0)
        for matrix in (market_features, changed)
    )
    assert first.mean.tobytes() == second.mean.tobytes()
    assert first.scale.tobytes() == second.scale.tobytes()


def test_scaled_features_are_float32_whatever_comes_in():
    scaler = fit([[1.0, 10.0], [2.0, 30.0]])
    assert scaling.apply_scaler(scaler, np.ones((4, 2))).dtype == np.float32


def test_a_constant_column_is_refused_by_name():
    with pytest.raises(FeatureError, match=r"constant on train: calm; .*exclude_families"):
        fit([[7.0, 1.0], [7.0, 2.0], [7.0, 3.0]])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_column_that_is_not_finite_is_refused_by_name(broken):
    with pytest.raises(FeatureError, match="not finite on train: wild"):
        fit([[1.0, 1.0], [2.0, broken], [3.0, 3.0]])


def test_another_number_of_columns_is_refused():
    scaler = fit([[1.0, 10.0], [2.0, 30.0]])
    with pytest.raises(FeatureError, match="3 feature columns, the scaler was fitted on 2"):
        scaling.apply_scaler(scaler, np.ones((4, 3), dtype=np.float32))


@pytest.mark.parametrize("n_rows", [1, 7, 8, 9, 40])
def test_parts_change_no_bit_of_what_is_scaled_and_nothing_of_the_moments(n_rows, monkeypatch):
    values = (5.0 + 3.0 * np.random.default_rng(n_rows).standard_normal((n_rows, 4))).astype("f4")
    scaler = scaling.Scaler(tuple("abcd"), np.full(4, 4.9), np.full(4, 2.7), 1.5)
    whole = scaling.apply_scaler(scaler, values)
    monkeypatch.setattr(scaling, "ROWS_AT_A_TIME", 8)
    np.testing.assert_array_equal(scaling.apply_scaler(scaler, values), whole)
    mean, std = scaling.column_moments(values)
    np.testing.assert_allclose(mean, values.mean(axis=0, dtype=np.float64), rtol=1e-13)
    np.testing.assert_allclose(std, values.std(axis=0, dtype=np.float64), rtol=1e-12, atol=1e-13)
    if n_rows > 1:
        fitted = scaling.fit_scaler(values, "abcd", clip_sigma=1.0)
        np.testing.assert_allclose(fitted.mean, mean, rtol=1e-12)
        np.testing.assert_allclose(fitted.scale, std, rtol=1e-12)


def test_the_drift_table_is_the_normalization_table_of_scaled_rows(scaler, market_features, split):
    train, test = market_features[split.train], market_features[split.test]
    expected = scaling.normalization_table(
        scaler.names, *(scaling.apply_scaler(scaler, part) for part in (train, test))
    )
    assert scaling.drift_table(scaler, train, test).equals(expected)
