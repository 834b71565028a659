"""Exported ONNX files say what the bundle says, on real features."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from model_kit import COLUMNS, facts_of, linear_runtime, onnx_content, onnx_runtime
from onnx import TensorProto

from v8lib import bundle, features, probes
from v8lib.bundle import Bundle
from v8lib.calibration import Calibration
from v8lib.inversion import softmax
from v8lib.scaling import Scaler
from v8ops.__main__ import main
from v8ops.production import export

PARITY = 1e-5


def said_by(content, rows):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = ["logits", "probs", "decision", "actionable"]
    assert [o.name for o in session.get_outputs()] == names
    return session.run(names, {"features": rows}), session.get_modelmeta()


def compare(runtime, rows):
    """Export a model and compare it with itself on these rows, alone and together."""
    made = Bundle("v8-0123456789ab", {"symbol": "BTC", "kind": "x"}, runtime)
    content = export.exported(made)
    expected = runtime.predict(rows)
    (logits, probs, decision, actionable), meta = said_by(content, rows)
    np.testing.assert_allclose(logits, expected.logits, rtol=0.0, atol=PARITY)
    np.testing.assert_allclose(probs, expected.probs, rtol=0.0, atol=PARITY)
    scores = np.sort(np.log(np.maximum(expected.probs, 1e-15)) + runtime.offsets, axis=1)
    clear = scores[:, 2] - scores[:, 1] > 1e-4
    assert clear.mean() > 0.9
    assert decision.dtype == np.int64
    np.testing.assert_array_equal(decision[clear], expected.decisions[clear])
    sure = np.abs(expected.probs.max(axis=1) - runtime.min_confidence) > 1e-4
    np.testing.assert_array_equal(actionable[sure], expected.actionable[sure])
    assert meta.custom_metadata_map["symbol"] == "BTC"
    (alone, *_), _ = said_by(content, rows[:1])
    np.testing.assert_allclose(alone, logits[:1], rtol=0.0, atol=1e-9)
    return content


@pytest.fixture(scope="module")
def rows(market_features, split):
    """Real features: test rows of the simulated market."""
    return np.ascontiguousarray(market_features[split.test])


@pytest.fixture(scope="module")
def few(rows, names):
    return np.ascontiguousarray(rows[:, [names.index(name) for name in COLUMNS]])


@pytest.mark.parametrize("normalization", ["adaptive", "batch", "layer"])
@pytest.mark.parametrize("seeds", [(3,), (3, 4, 5)], ids=["one net", "three nets"])
def test_nets_of_every_norm_and_ensembles(make_runtime, rows, normalization, seeds):
    compare(make_runtime(normalization, seeds=seeds), rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"gamma": 0.0, "smoothing": 0.0, "class_weights": np.ones(3)},
        {"gamma": 1.0, "smoothing": 0.2},
        {"gamma": 3.5},
        {"inverse_temperature": 0.0},
        {"inverse_temperature": 6.0},
    ],
)
def test_every_calibration(make_runtime, rows, changed):
    made = make_runtime()
    member = made.members[0]
    calibration = Calibration(**(vars(member.calibration) | changed))
    compare(replace(made, members=(replace(member, calibration=calibration),)), rows)


def test_rows_that_meet_the_floor_of_the_inversion(make_runtime, rows):
    """Scores so sure that smoothing inverts them to less than the smallest probability."""
    made = make_runtime()
    member = made.members[0]
    weights = {
        name: array * np.float32(12.0) if name.startswith("layers.12.") else array
        for name, array in member.net.weights.items()
    }
    sure = replace(made, members=(replace(member, net=replace(member.net, weights=weights)),))
    eta = softmax(sure.predict(rows).logits / member.calibration.inverse_temperature)
    assert (eta.min(axis=1) < 1.01e-3).mean() > 0.2
    compare(sure, rows)


def test_values_beyond_the_clip_are_cut_as_in_the_runtime(make_runtime, scaler):
    far = (scaler.mean + scaler.scale * np.linspace(-50, 50, 40)[:, None]).astype(np.float32)
    compare(make_runtime(), far)


@pytest.mark.parametrize("inverse_temperature", [1.2, 0.0])
def test_linear_models(scaler, rows, inverse_temperature):
    compare(linear_runtime(scaler, inverse_temperature=inverse_temperature), rows)


@pytest.mark.parametrize(
    ("output", "ends"),
    [("logits", ()), ("probs", ("Softmax",)), ("log_probs", ("LogSoftmax",))],
)
@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE])
@pytest.mark.parametrize("opset", [13, 17, 21])
def test_foreign_models_with_their_steps(few, output, ends, dtype, opset):
    content = onnx_content(3, ends=ends, dtype=dtype, opset=opset)
    scaler = Scaler(COLUMNS, np.array([0.1, 0.0, -0.1]), np.array([0.5, 2.0, 1.0]), 3.0)
    for used in (scaler, None):
        compare(onnx_runtime(used, content=content, output=output, order=(2, 0, 1)), few)


def test_a_foreign_model_that_cannot_be_wrapped_is_refused_with_what_to_do():
    for content, words in (
        (onnx_content(3, opset=11), "operator set 11: export it again with 13 or newer"),
        (onnx_content(3, rows=1), "one row at a time"),
    ):
        made = Bundle("v5-0123456789ab", {"symbol": "BTC"}, onnx_runtime(content=content))
        with pytest.raises(export.ProductionError, match=words):
            export.exported(made)


@pytest.fixture(scope="module")
def models(tmp_path_factory, make_runtime, table, market_bars):
    folder = tmp_path_factory.mktemp("models")
    golden = probes.last_unbroken(market_bars, features.warmup_bars(table) + 20)
    return bundle.write_bundle(folder, "BTC", make_runtime(), facts_of(table), golden)


def run(models, *arguments):
    folder = ["--models", str(models.parent.parent)]
    return main(["export", "--symbol", "BTC", "--version", models.name, *folder, *arguments])


def test_the_command_writes_one_file(models, tmp_path, rows, capsys):
    out = tmp_path / "out" / "model.onnx"
    assert run(models, "--onnx", str(out)) == 0
    assert f"BTC {models.name}, 72 columns" in capsys.readouterr().out
    expected = bundle.load_bundle(models).runtime.predict(rows)
    (logits, *_), _ = said_by(out.read_bytes(), rows)
    np.testing.assert_allclose(logits, expected.logits, rtol=0.0, atol=PARITY)
    assert [path.name for path in out.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--onnx", "model.txt"], "name it .onnx"),
        (["--onnx", "FOLDER/BTC/x.onnx"], "bundles are never changed"),
        (["--onnx", "OUT.onnx", "--version", "v8-000000000000"], "no bundle of this version"),
        (["--onnx", "OUT.onnx", "--version", "../v8"], "is no version"),
        (["--onnx", "OUT.onnx", "--symbol", "../BTC"], "is no symbol"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(models, tmp_path, arguments, words, capsys):
    places = {"FOLDER": str(models.parent.parent), "OUT": str(tmp_path / "out")}
    for name, place in places.items():
        arguments = [text.replace(name, place) for text in arguments]
    assert run(models, *arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_says_something_else_is_not_written(models, tmp_path, monkeypatch, capsys):
    from v8ops.production import onnx_graph

    monkeypatch.setattr(onnx_graph, "NORM_EPSILON", 0.1)
    assert run(models, "--onnx", str(tmp_path / "out.onnx")) == 2
    assert "the exported logits are off by" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
