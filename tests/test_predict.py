"""`predict`: the signal of the last complete bar, or why there is none."""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import psutil
import pytest
from model_kit import facts_of, linear_runtime, onnx_runtime

from v8lib import bundle, features, probes
from v8lib.bar_arrays import bar_arrays
from v8ops.__main__ import main
from v8ops.production.answer import answer_of
from v8ops.production.rollout_file import change_rollout
from v8ops.production.rollout_state import SymbolState
from v8ops.production.routing import to_candidate


@pytest.fixture(scope="module")
def models(tmp_path_factory, make_runtime, scaler, table, market_bars):
    """A folder with a net and a linear model; each decides in its own way."""
    folder = tmp_path_factory.mktemp("models")
    golden = probes.last_unbroken(market_bars, features.warmup_bars(table) + 20)
    for runtime in (make_runtime(), linear_runtime(scaler), onnx_runtime()):
        bundle.write_bundle(folder, "BTC", runtime, facts_of(table), golden)
    return folder


@pytest.fixture(scope="module")
def versions(models):
    found = [bundle.load_bundle(path) for path in (models / "BTC").iterdir()]
    return {one.manifest["kind"]: one.version for one in found}


@pytest.fixture(scope="module")
def bars_file(tmp_path_factory, market_bars):
    path = tmp_path_factory.mktemp("bars") / "BTC.parquet"
    market_bars.to_parquet(path)
    return path


@pytest.fixture
def predict(models, bars_file, capsys):
    """A function that predicts and returns status, output and errors."""

    def run(*arguments, bars=bars_file, symbol="BTC", folder=models):
        common = ["--symbol", symbol, "--bars", str(bars), "--models", str(folder)]
        status = main(["predict", *common, *arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def answer(result):
    status, out, err = result
    assert (status, err) == (0, "")

    def refuse(word):
        raise AssertionError(f"{word} is not strict JSON")

    return json.loads(out, parse_constant=refuse)


@pytest.mark.parametrize("kind", ["mlp", "linear", "onnx"])
def test_the_answer_is_what_the_model_says_of_the_last_bar(
    predict, models, versions, kind, market_bars
):
    told = answer(predict("--version", versions[kind], "--json"))
    loaded = bundle.load_bundle(models / "BTC" / versions[kind])
    said = loaded.predict(market_bars)
    assert list(told["probs"].values()) == said.probs[0].tolist()
    assert list(told["probs"]) == ["DOWN", "HOLD", "UP"]
    assert told["decision"] == ("DOWN", "HOLD", "UP")[said.decisions[0]]
    assert told["confidence"] == said.probs[0].max()
    assert told["actionable"] is bool(said.actionable[0])
    assert told["version"] == versions[kind]
    assert told["kind"] == kind
    assert told["role"] == "named"
    assert told["epoch_s"] == market_bars.index[-1].timestamp()
    assert told["bar_open"] == market_bars.index[-1].isoformat()
    assert (told["reason"] is None) == told["actionable"]
    assert "newer bars are complete" in told["note"], "the bars are of 2024"


def test_the_words_say_the_same(predict, versions):
    told = answer(predict("--version", versions["mlp"], "--json"))
    status, out, _ = predict("--version", versions["mlp"])
    assert status == 0
    for words in (told["version"], told["decision"], f"{told['confidence']:.1%}", "UP "):
        assert words in out
    assert ("not actionable" in out) is not told["actionable"]


@pytest.mark.parametrize(
    ("seconds_after_open", "left_out"), [(0, 1), (59, 1), (60, 0), (61, 0), (-60, 2)]
)
def test_a_bar_that_is_still_open_is_left_out(
    predict, versions, market_bars, models, seconds_after_open, left_out
):
    at = market_bars.index[-1].timestamp() + seconds_after_open
    whole = market_bars.iloc[: len(market_bars) - left_out]
    for text in (str(int(at)), np.datetime64(int(at), "s").item().isoformat()):
        told = answer(predict("--version", versions["mlp"], "--json", "--at", text))
        assert told["bar_open"] == whole.index[-1].isoformat()
        expected = bundle.load_bundle(models / "BTC" / versions["mlp"]).predict(whole)
        np.testing.assert_allclose(list(told["probs"].values()), expected.probs[0], atol=1e-9)
        assert told["note"] is None


def test_a_file_that_ends_in_an_open_bar_is_answered_by_the_clock(
    predict, versions, market_bars, tmp_path, monkeypatch
):
    monkeypatch.setattr("time.time", lambda: market_bars.index[-1].timestamp() + 30.0)
    told = answer(predict("--version", versions["mlp"], "--json"))
    assert told["epoch_s"] == market_bars.index[-2].timestamp()


def test_bars_that_are_too_few_give_no_signal_and_say_why(predict, versions, market_bars, tmp_path):
    gap = market_bars.drop(market_bars.index[-30])
    for bars, words in ((market_bars.iloc[-50:], "50 there"), (gap, "29 there")):
        bars.to_csv(tmp_path / "bars.csv")
        arguments = ("--version", versions["mlp"])
        told = answer(predict(*arguments, "--json", bars=tmp_path / "bars.csv"))
        assert told["decision"] is told["probs"] is told["confidence"] is None
        assert told["actionable"] is False
        assert words in told["reason"]
        status, out, _ = predict(*arguments, bars=tmp_path / "bars.csv")
        assert status == 0
        assert "no signal: " in out


def test_a_model_that_says_nonsense_gives_no_signal(models, versions, market_bars):
    loaded = bundle.load_bundle(models / "BTC" / versions["linear"])
    for coefficients, words in ((np.nan, "NaN or infinity"), (1e3, "logit of")):
        loaded.runtime.coefficients[:] = np.array([[coefficients], [0.0], [0.0]])
        told = answer_of(loaded, bar_arrays(market_bars), symbol="BTC", role="named", now=0.0)
        assert told["decision"] is None
        assert words in told["reason"]


def roll_out(folder, **state):
    change_rollout(folder, lambda r: r.having("BTC", SymbolState(**state)))


def test_without_a_version_the_rollout_decides(predict, models, versions, market_bars):
    status, out, err = predict()
    assert (status, out) == (2, "")
    assert "no model of BTC is rolled out" in err
    assert "--version" in err
    stable, candidate = versions["linear"], versions["mlp"]
    roll_out(models, stable=stable)
    assert answer(predict("--json"))["version"] == stable
    for stage in ("shadow", "10", "50", "100"):
        roll_out(models, stable=stable, candidate=candidate, stage=stage, salt="s")
        state = SymbolState(stable=stable, candidate=candidate, stage=stage, salt="s")
        for at in market_bars.index[-20:-10]:
            told = answer(predict("--json", "--at", str(int(at.timestamp()) + 60)))
            routed = to_candidate(state, "BTC", int(at.timestamp()))
            expected = (candidate, "candidate") if routed else (stable, "stable")
            assert (told["version"], told["role"]) == expected
    (models / "rollout.json").write_text("{")
    status, out, err = predict("--json")
    assert (status, out) == (2, "")
    assert "rollout.json" in err
    (models / "rollout.json").unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"symbol": "../BTC"}, "is no symbol"),
        ({"symbol": "ETH"}, "no bundle of this version"),
        ({"version": "../../etc"}, "is no version"),
        ({"version": ".."}, "is no version"),
        ({"version": "v8-000000000000"}, "no bundle of this version"),
        ({"at": "yesterday"}, "--at yesterday: no time"),
        ({"at": "9" * 30}, "no time"),
        ({"at": "2001-01-01"}, "no bar is complete at"),
        ({"bars": "missing.csv"}, "missing.csv"),
    ],
)
def test_bad_input_is_refused_in_one_line(predict, versions, arguments, words, tmp_path):
    named = {key: value for key, value in arguments.items() if key == "symbol"}
    if "bars" in arguments:
        named["bars"] = tmp_path / arguments["bars"]
    options = ["--version", arguments.get("version", versions["mlp"])]
    options += ["--at", arguments["at"]] if "at" in arguments else []
    status, out, err = predict(*options, **named)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_bars_of_another_length_are_refused(predict, versions, market_bars, tmp_path):
    market_bars.iloc[::5].to_parquet(tmp_path / "bars.parquet")
    status, _, err = predict("--version", versions["mlp"], bars=tmp_path / "bars.parquet")
    assert status == 2
    assert "bars of 300 s" in err
    assert "is for bars of 60 s" in err


COMMAND = """
import sys
from v8ops.__main__ import main
status = main(sys.argv[1:])
heavy = {"torch", "sklearn", "scipy", "matplotlib", "lightgbm", "papermill"} & set(sys.modules)
sys.exit(f"imported {sorted(heavy)}" if heavy else status)
"""


@pytest.mark.parametrize("kind", ["mlp", "linear", "onnx"])
def test_a_prediction_imports_neither_torch_nor_scikit_learn(
    repo, models, versions, bars_file, kind
):
    arguments = ["predict", "--symbol", "BTC", "--bars", str(bars_file), "--json"]
    arguments += ["--models", str(models), "--version", versions[kind]]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=repo,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["kind"] == kind


@pytest.mark.parametrize("kind", ["mlp", "linear", "onnx"])
def test_ten_thousand_single_rows_in_a_row_take_no_memory(
    models, versions, market_features, names, kind
):
    runtime = bundle.load_bundle(models / "BTC" / versions[kind]).runtime
    rows = market_features[-1_000:][:, [names.index(name) for name in runtime.names]]
    process, n = psutil.Process(), len(rows)
    for k in range(1_000):  # what is made once is made here
        runtime.predict(rows[k % n])
    resident = process.memory_info().rss
    for k in range(8_000):
        assert runtime.predict(rows[k % n]).probs.shape == (1, 3)
    # Allocations that are not Python's too; a kilobyte kept at each row would be 8 MB.
    assert process.memory_info().rss - resident < 8_000_000
    tracemalloc.start()
    held = tracemalloc.get_traced_memory()[0]
    for k in range(1_000):
        runtime.predict(rows[k % n])
    grown = tracemalloc.get_traced_memory()[0] - held
    tracemalloc.stop()
    assert grown < 50_000, "50 bytes of Python's kept at each row"
