"""Shared by all tests, made once: a simulated market and what each step makes of it."""

import os
import sys

sys.modules.setdefault("rfc3987_syntax", None)
for library in ("OMP", "MKL", "OPENBLAS"):  # as a run does; threads that wait for cores take ages
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# The lines above must run before anything imports jsonschema or numpy, hence the late imports.
# ruff: noqa: E402
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

from v8lib import (
    calibration,
    features,
    labels,
    market,
    model,
    numpy_net,
    preparation,
    runtime,
    scaling,
    seeds,
    splits,
)

settings.register_profile(
    "suite", deadline=None, max_examples=40, derandomize=True, database=None, print_blob=False
)
settings.load_profile("suite")
torch.set_num_threads(1)

HORIZON_BARS = 4
INTERVAL_S = 60


@pytest.fixture(scope="session")
def repo() -> Path:
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def simulated():
    return market.simulate_market(
        6_000,
        signal=0.94,
        decay=0.7,
        volatility=1e-4,
        interval_s=INTERVAL_S,
        rng=seeds.stream(7, "BTC", "market"),
    )


@pytest.fixture(scope="session")
def market_bars(simulated):
    return simulated.bars


@pytest.fixture(scope="session")
def table():
    return features.feature_table(INTERVAL_S)


@pytest.fixture(scope="session")
def names(table):
    return [feature.name for feature in table]


@pytest.fixture(scope="session")
def market_features(market_bars, table):
    made = features.make_features(market_bars, table)
    made.setflags(write=False)
    return made


@pytest.fixture(scope="session")
def market_labels(market_bars):
    return labels.make_labels(
        market_bars,
        scheme="trailing_tercile",
        horizon_bars=HORIZON_BARS,
        window_bars=2_880,
        threshold_bps=10.0,
        sigmas=0.43,
    )


@pytest.fixture(scope="session")
def usable(market_features, market_labels):
    return np.isfinite(market_features).all(axis=1) & (market_labels.labels != labels.MISSING)


@pytest.fixture(scope="session")
def split(usable):
    return splits.split_by_time(
        usable, horizon_bars=HORIZON_BARS, train_share=0.6, valid_share=0.1, calib_share=0.1
    )


@pytest.fixture(scope="session")
def scaler(market_features, split, names):
    return scaling.fit_scaler(market_features[split.train], names, clip_sigma=8.0)


@pytest.fixture(scope="session")
def bars_from():
    """Bars with these closes; `at` places them on the grid, so that a left-out number is a gap."""

    def build(closes, *, at=None, interval_s=INTERVAL_S):
        close = np.asarray(closes, dtype=np.float64)
        positions = np.arange(len(close)) if at is None else np.asarray(at)
        start = pd.Timestamp("2024-01-01", tz="UTC")
        index = pd.DatetimeIndex(start + pd.to_timedelta(positions * interval_s, unit="s"))
        return pd.DataFrame(
            {"open": close, "high": close, "low": close, "close": close, "volume": 1.0},
            index=index.rename("timestamp"),
        )

    return build


@pytest.fixture(scope="session")
def random_net():
    """A net whose norms have statistics and weights of their own, as after training."""

    def build(n_features, normalization, seed=3):
        torch.manual_seed(seed)
        net = model.V8TradingNet(n_features, dropout=0.3, normalization=normalization)
        with torch.no_grad():
            for name, tensor in net.state_dict().items():
                if name.endswith("running_var"):
                    tensor.uniform_(0.5, 2.0)
                elif name.endswith("num_batches_tracked"):
                    tensor.fill_(11)
                elif tensor.ndim == 1:
                    tensor.add_(0.3 * torch.randn_like(tensor))
        return net.eval()

    return build


@pytest.fixture(scope="session")
def make_runtime(random_net, scaler):
    """A model of one net per seed, each with its own inverse temperature."""

    def build(normalization="adaptive", inverse_temperature=1.3, seeds=(3,)):
        members = []
        for k, seed in enumerate(seeds):
            net = random_net(len(scaler.names), normalization, seed)
            weights = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
            fitted = calibration.Calibration(
                2.0,
                0.1,
                np.array([1.1, 0.9, 1.0]),
                inverse_temperature * (1.0 + 0.1 * k),
                np.array([0.3, 0.4, 0.3]),
            )
            members.append(runtime.Member(numpy_net.NumpyNet(weights, normalization), fitted))
        return runtime.Runtime(tuple(members), scaler, np.array([0.05, -0.1, 0.05]), 0.6)

    return build


@pytest.fixture(scope="session")
def steps():
    """The suite's own steps, with two test folds."""
    return preparation.default_steps(
        exclude_families=(),
        clip_sigma=8.0,
        labels={
            "scheme": "trailing_tercile",
            "horizon_bars": HORIZON_BARS,
            "window_bars": 2_880,
            "threshold_bps": 10.0,
            "sigmas": 0.43,
        },
        splits={
            "horizon_bars": HORIZON_BARS,
            "train_share": 0.6,
            "valid_share": 0.1,
            "calib_share": 0.1,
            "n_folds": 2,
        },
    )


@pytest.fixture(scope="session")
def prepared(simulated, steps):
    return preparation.prepare(
        simulated.bars, steps, lambda cut: market.posterior(simulated, cut, HORIZON_BARS)
    )
