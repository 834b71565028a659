from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from test_training import SETTINGS

from v8lib import features, labels, mirror, scaling, training
from v8lib.errors import TrainingError

NAMES = [feature.name for feature in features.feature_table(60)]


def upside_down(bars):
    """The same market with every log price negated: its highs are lows."""
    turned = 1e4 / bars[["open", "low", "high", "close"]]
    turned.columns = ["open", "high", "low", "close"]
    return turned.assign(volume=bars["volume"])


@pytest.fixture(scope="module")
def turned_bars(market_bars):
    return upside_down(market_bars)


def test_every_column_of_the_mirrored_market_is_the_mirrored_column(
    market_bars, market_features, turned_bars, table
):
    expected = market_features * mirror.signs(NAMES)
    found = features.make_features(turned_bars, table)
    known = np.isfinite(expected).all(axis=1)
    assert known.sum() > 1_000
    for j, name in enumerate(NAMES):
        np.testing.assert_allclose(
            found[known, j], expected[known, j], rtol=2e-3, atol=2e-3, err_msg=name
        )


def test_columns_of_both_kinds_are_there_and_an_unknown_one_does_not_change():
    found = dict(zip(NAMES, mirror.signs(NAMES), strict=True))
    assert found["return_4"] == found["rsi_14"] == found["wick_balance"] == -1.0
    assert found["volatility_32"] == found["volume_1"] == found["day_sin"] == 1.0
    assert mirror.signs(["no such column"]).tolist() == [1.0]


def test_labels_of_the_mirrored_market_are_the_mirrored_labels(market_bars, turned_bars):
    """UP for DOWN: what training does to the labels of the rows it turns."""
    how = {"scheme": "trailing_tercile", "horizon_bars": 4, "window_bars": 500}
    how |= {"threshold_bps": 10.0, "sigmas": 0.43}
    own, turned = (labels.make_labels(b, **how).labels for b in (market_bars, turned_bars))
    known = own != labels.MISSING
    assert (turned[known] == 2 - own[known]).mean() > 0.999  # ties at a threshold are rounding


def test_the_mirror_of_scaled_features_is_the_scaled_mirror(market_features, table):
    rows = market_features[np.isfinite(market_features).all(axis=1)]
    scaler = scaling.fit_scaler(rows, NAMES, clip_sigma=100.0)
    found = mirror.mirror_of(scaler)
    turned = scaling.apply_scaler(scaler, rows * mirror.signs(NAMES).astype(np.float32))
    own = scaling.apply_scaler(scaler, rows)
    np.testing.assert_allclose(own * found.sign + found.shift, turned, rtol=1e-3, atol=1e-4)


def one_sided(n, seed):
    """Rows whose first column is a sign that means nothing, while two of three labels are UP."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return x, rng.choice(3, size=n, p=[0.1, 0.2, 0.7])


def shares_of(net_weights, x):
    net = training.build_two_heads(4, dropout=0.0, normalization="layer").net
    net.load_state_dict({name: torch.from_numpy(array) for name, array in net_weights.items()})
    net.eval()
    with torch.no_grad():
        return torch.softmax(net(torch.from_numpy(x)), dim=1).numpy()


def test_a_net_that_saw_half_its_rows_upside_down_prefers_no_direction():
    train, valid = one_sided(4_000, 1), one_sided(500, 2)
    seen = mirror.Mirror(-np.ones(4, dtype=np.float32), np.zeros(4, dtype=np.float32))
    settings = replace(SETTINGS, normalization="layer", epochs=4, focal_gamma=0.0)
    gaps = []
    for share in (0.0, 0.5):
        own = replace(settings, mirror_share=share)
        result = training.train_model(train, valid, own, mirror=seen)
        said = shares_of(result.weights, valid[0]) / result.class_weights
        said /= said.sum(axis=1, keepdims=True)
        gaps.append(abs(said[:, 2].mean() - said[:, 0].mean()))
    assert gaps[0] > 0.4, "as they are, rows teach that UP is likelier"
    assert gaps[1] < 0.1, "upside down as well, they do not"


def test_a_mirror_that_is_missing_is_asked_for():
    train, valid = one_sided(200, 1), one_sided(100, 2)
    with pytest.raises(TrainingError, match="mirror_share above 0 needs the mirror"):
        training.train_model(train, valid, replace(SETTINGS, mirror_share=0.5))


def test_the_bars_turned_upside_down_are_bars(turned_bars):
    assert isinstance(turned_bars, pd.DataFrame)
    assert (turned_bars["high"] >= turned_bars[["open", "close"]].max(axis=1) - 1e-9).all()
    assert (turned_bars["low"] <= turned_bars[["open", "close"]].min(axis=1) + 1e-9).all()
