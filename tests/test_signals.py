import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from v8lib import bundle, features, latest, probes, signals
from v8lib.bar_arrays import BarArrays, bar_arrays
from v8lib.errors import FeatureError, ParameterError
from v8lib.label import Label

COLD = """
import json, sys
from v8lib.bundle import load_bundle
from v8lib.bar_arrays import BarArrays
from v8lib.signals import make_signal, make_signals
import numpy as np
loaded = load_bundle(sys.argv[1])
golden = json.loads(open(sys.argv[1] + "/golden.json").read())
columns = ("open", "high", "low", "close", "volume", "epoch_s")
bars = BarArrays(*(np.array(golden[name]) for name in columns))
signal = make_signal(loaded.latest, loaded.runtime, bars)
both = BarArrays(*(np.stack([array, array]) for array in bars))
make_signals(loaded.latest, [loaded.runtime] * 2, both)
heavy = {"torch", "pandas", "scipy", "pydantic", "sklearn", "pyarrow", "matplotlib", "lightgbm"}
print(json.dumps({"probs": signal.probs.tolist(), "heavy": sorted(heavy & set(sys.modules))}))
"""


@pytest.fixture(scope="module")
def last(table):
    return latest.LatestFeatures(table, 60)


@pytest.fixture(scope="module")
def arrays(market_bars):
    return bar_arrays(market_bars)


@pytest.fixture(scope="module")
def models(make_runtime):
    made = make_runtime()
    return [
        made,
        replace(made, min_confidence=0.999),
        make_runtime(seeds=(4, 5)),
        make_runtime(seeds=(6,)),
    ]


def test_a_signal_is_what_the_model_says_of_the_last_row(
    last, arrays, market_features, market_bars, models
):
    for model in models[:3]:
        said = model.predict(market_features[-1])
        signal = signals.make_signal(last, model, arrays)
        assert signal.probs.tobytes() == said.probs[0].tobytes()
        assert signal.confidence == said.probs.max()
        assert signal.decision is Label(said.decisions[0])
        assert signal.actionable is bool(said.actionable[0])
        assert signal.epoch_s == market_bars.index[-1].timestamp()
    assert [signals.make_signal(last, m, arrays).actionable for m in models[:2]] == [True, False]


def test_bars_without_features_are_refused_with_what_is_missing(last, arrays, models):
    with pytest.raises(FeatureError, match="1441 unbroken bars needed, 99 there"):
        signals.make_signal(last, models[0], arrays.at(slice(0, 99)))


def several(arrays):
    """Four symbols: two whole, one with a gap, one that never moved."""
    tails = [arrays.at(slice(k, 5_000 + k)) for k in range(4)]
    tails[1] = tails[1]._replace(epoch_s=tails[1].epoch_s + 60 * (np.arange(5_000) >= 4_900))
    still = np.full(5_000, 3.0)
    tails[2] = BarArrays(still, still, still, still, tails[2].volume, tails[2].epoch_s)
    return tails, BarArrays(*(np.stack(columns) for columns in zip(*tails, strict=True)))


def test_signals_of_several_symbols_are_those_of_each(last, arrays, models):
    tails, bars = several(arrays)
    got = signals.make_signals(last, models, bars)
    assert got.epoch_s.tolist() == [int(tail.epoch_s[-1]) for tail in tails]
    for k in (0, 3):
        alone = signals.make_signal(last, models[k], tails[k])
        np.testing.assert_allclose(got.probs[k], alone.probs, rtol=0.0, atol=1e-12)
        assert got.confidence[k] == pytest.approx(alone.confidence, abs=1e-12)
        assert got.decisions[k] == alone.decision
        assert got.actionable[k] == alone.actionable
        assert got.complaints[k] == ""


@pytest.mark.parametrize("threads", [2, 3, 9])
@pytest.mark.parametrize("one_clock", [True, False])
def test_symbols_divided_among_threads_get_the_same_signals(
    last, arrays, models, threads, one_clock
):
    _, bars = several(arrays)
    if one_clock:
        bars = bars._replace(epoch_s=bars.epoch_s[0])
    alone, got = (signals.make_signals(last, models, bars, threads=n) for n in (1, threads))
    for name in ("probs", "confidence"):
        there, here = getattr(alone, name), getattr(got, name)
        np.testing.assert_allclose(here, there, rtol=0.0, atol=1e-12)
    for name in ("epoch_s", "decisions", "actionable", "complaints"):
        np.testing.assert_array_equal(getattr(got, name), getattr(alone, name))
    assert type(got.complaints) is tuple


def test_a_symbol_without_features_has_a_complaint_and_no_signal(last, arrays, models):
    _, bars = several(arrays)
    got = signals.make_signals(last, models, bars)
    assert "1441 unbroken bars needed, 100 there" in got.complaints[1]
    assert "the price did not move in 2889 bars" in got.complaints[2]
    for k in (1, 2):
        assert np.isnan(got.probs[k]).all()
        assert np.isnan(got.confidence[k])
        assert got.decisions[k] == signals.NO_DECISION
        assert not got.actionable[k]


def test_symbols_none_of_which_has_features_have_complaints_only(last, arrays, models):
    short = BarArrays(*(np.stack([array[:50]] * 4) for array in arrays))
    got = signals.make_signals(last, models, short)
    assert all("50 there" in line for line in got.complaints)
    assert np.isnan(got.probs).all()


@pytest.mark.parametrize("threads", [0, -1])
def test_symbols_are_not_divided_among_no_threads(last, arrays, models, threads):
    with pytest.raises(ParameterError, match=f"threads = {threads}: at least one is needed"):
        signals.make_signals(last, models, several(arrays)[1], threads=threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_model_per_symbol_is_needed(last, arrays, models, threads):
    _, bars = several(arrays)
    with pytest.raises(FeatureError, match=r"3 models for features of shape \(4, 72\)"):
        signals.make_signals(last, models[:3], bars, threads=threads)
    with pytest.raises(FeatureError, match=r"4 models for features of shape \(72,\)"):
        signals.make_signals(last, models, arrays, threads=threads)
    with pytest.raises(FeatureError, match=r"bars of \(n_bars,\) or \(n_symbols, n_bars\) needed"):
        signals.make_signals(last, [], BarArrays(*(a[:0] for a in bars)), threads=threads)


@pytest.mark.parametrize("seeds", [(3,), (3, 4)], ids=["one net", "two nets"])
def test_production_imports_numpy_and_nothing_heavier(
    tmp_path, repo, make_runtime, market_bars, table, seeds
):
    """From a bundle on disk to a signal: the imports are most of a cold start."""
    warmup = features.warmup_bars(table)
    golden = probes.last_unbroken(market_bars, warmup + 64)
    facts = {
        "interval_s": 60,
        "exclude_families": [],
        "warmup_bars": warmup,
        "labels": {"horizon_bars": 4},
        "class_shares": [0.3, 0.4, 0.3],
        "gates": {},
    }
    made = make_runtime(seeds=seeds)
    folder = bundle.write_bundle(tmp_path, "BTC", made, facts, golden)
    done = subprocess.run(
        [sys.executable, "-c", COLD, str(folder)],
        cwd=repo,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["heavy"] == []
    expected = made.predict(features.make_features(golden, table)[-1]).probs[0]
    np.testing.assert_allclose(said["probs"], expected, rtol=0.0, atol=1e-12)
