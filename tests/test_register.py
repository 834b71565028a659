"""A model from elsewhere becomes a bundle, or is refused in one line and nothing is written."""

import json

import numpy as np
import onnx
import pytest
from model_kit import COLUMNS, onnx_content, spec_of, write_spec
from onnx import TensorProto, helper, numpy_helper

from v8lib import bundle, foreign, gates
from v8lib.metrics import class_shares
from v8ops.__main__ import main
from v8ops.production import spec
from v8ops.production.admission import reasons
from v8ops.production.export import exported


@pytest.fixture(scope="module")
def bars_file(tmp_path_factory, market_bars):
    path = tmp_path_factory.mktemp("bars") / "BTC.parquet"
    market_bars.to_parquet(path)
    return path


@pytest.fixture
def case(tmp_path, bars_file):
    """A function that registers, with some of what it takes replaced."""

    def register(*, model=None, bars=None, symbol="BTC", version="v5", spec_text=None, **changed):
        model = model if isinstance(model, bytes) else onnx_content(3)
        (tmp_path / "v5.onnx").write_bytes(model)
        write_spec(tmp_path / "spec.json", **changed)
        if spec_text is not None:
            (tmp_path / "spec.json").write_text(spec_text)
        places = {
            "--onnx": tmp_path / "v5.onnx",
            "--spec": tmp_path / "spec.json",
            "--bars": bars or bars_file,
            "--models": tmp_path / "models",
        }
        options = [str(x) for pair in places.items() for x in pair]
        return main(["register", "--symbol", symbol, "--version", version, *options])

    register.models = tmp_path / "models"
    return register


def registered(case):
    (folder,) = (case.models / "BTC").iterdir()
    return folder


def test_a_registered_model_loads_and_says_what_its_file_says(
    case, market_bars, market_features, names, capsys
):
    assert case(classes=["UP", "DOWN", "HOLD"]) == 0
    folder = registered(case)
    assert folder.name.startswith("v5-")
    told = capsys.readouterr().out
    assert f"{folder}: registered" in told
    loaded = bundle.load_bundle(folder)
    rows = market_features[-40:][:, [names.index(name) for name in COLUMNS]]
    model = onnx.load_model_from_string(onnx_content(3))
    weights, bias = (numpy_helper.to_array(t) for t in model.graph.initializer)
    raw = (rows.clip(-8, 8) @ weights + bias)[:, [1, 2, 0]]  # DOWN, HOLD, UP
    expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loaded.runtime.predict(rows).probs, expected, atol=1e-6)
    got = loaded.predict(market_bars).probs
    np.testing.assert_allclose(got, expected[-1:], atol=1e-6)


def test_the_manifest_holds_what_production_needs(case, market_labels, market_bars):
    assert case() == 0
    manifest = bundle.load_bundle(registered(case)).manifest
    assert manifest["kind"] == "onnx"
    assert manifest["interval_s"] == 60
    assert manifest["labels"]["horizon_bars"] == 4
    assert set(manifest["lookbacks"]) == set(COLUMNS)
    expected = {*gates.BRIEF, "skill", "calibration", "single_row_parity"}
    assert set(manifest["gates"]) == expected
    early = market_labels.labels[: int(0.8 * len(market_bars)) - 4]
    shares = class_shares(early[early >= 0])
    np.testing.assert_allclose(manifest["class_shares"], shares, atol=0.01)
    cut = market_bars.index[int(0.8 * len(market_bars))].timestamp()
    assert manifest["tried_on"][0] == cut
    reference = bundle.load_bundle(registered(case)).reference
    assert reference.names == COLUMNS
    failed = [name for name, gate in manifest["gates"].items() if gate["verdict"] == "fail"]
    assert failed, "random weights do not pass"
    assert all(name in " ".join(reasons(manifest)) for name in failed)


def test_the_trial_looks_at_the_last_fifth_alone(case, market_bars, tmp_path):
    """Other bars long before the trial leave its gates but for what is compared with them."""
    changed = market_bars.copy()
    changed.iloc[:1_000] = changed.iloc[:1_000] * 1.01  # the trial's features do not reach here
    changed.to_parquet(tmp_path / "early.parquet")
    late = market_bars.copy()
    late.iloc[-500:] = late.iloc[-500:] * 1.01
    late.to_parquet(tmp_path / "late.parquet")
    values = []
    for bars in (None, tmp_path / "early.parquet", tmp_path / "late.parquet"):
        before = set(case.models.glob("BTC/*"))
        assert case(bars=bars) == 0
        (new,) = set(case.models.glob("BTC/*")) - before
        judged = bundle.load_bundle(new).manifest["gates"]
        alone = ("logit_range_healthy", "class_balanced", "feature_normalization")
        values.append([judged[name]["value"] for name in alone])
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_a_model_registered_twice_is_one_bundle(case):
    assert case() == 0
    assert case() == 0
    assert len(list((case.models / "BTC").iterdir())) == 1


def test_one_row_at_a_time_and_double_precision_and_no_scaler_work(case):
    assert case(model=onnx_content(3, rows=1)) == 0
    model = onnx_content(3, dtype=TensorProto.DOUBLE, ends=("Softmax",))
    assert case(model=model, output_is="probs", mean=None, scale=None, clip_sigma=None) == 0
    offsets = [0.1, 0.0, -0.1]
    assert case(version="v5.1", decision_offsets=offsets, clip_sigma=None) == 0
    names = {folder.name.rpartition("-")[0] for folder in (case.models / "BTC").iterdir()}
    assert names == {"v5", "v5.1"}


def whole_batch():
    """Subtracts the mean over the rows: a norm left in training mode."""
    mean = helper.make_node("ReduceMean", ["m0"], ["m1"], axes=[0], keepdims=1)
    centre = helper.make_node("Sub", ["m0", "m1"], ["m2"])
    model = onnx.load_model_from_string(onnx_content(3))
    first = model.graph.node[0]
    first.input[0] = "m2"
    nodes = [helper.make_node("Identity", ["in"], ["m0"]), mean, centre, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def other_input(change):
    model = onnx.load_model_from_string(onnx_content(3))
    change(model)
    return model.SerializeToString()


def open_columns(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "columns"


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["rows", 3]))


def hidden_outside(model):
    """Weights of another file inside a node's attribute, where a list of weights misses them."""
    tensor = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=tensor))


def test_a_net_of_this_suite_survives_export_and_register(
    case, make_runtime, market_features, names
):
    """Out as an ONNX file and in again as a model from elsewhere: the same answers."""
    runtime = make_runtime(seeds=(3, 4))
    content = exported(bundle.Bundle("v8-0123456789ab", {"symbol": "BTC"}, runtime))
    changed = {"input": "features", "output": "logits", "columns": list(names)}
    changed |= {"mean": None, "scale": None, "clip_sigma": None}
    assert case(model=content, **changed) == 0
    rows = market_features[-200:]
    got = bundle.load_bundle(registered(case)).runtime.predict(rows)
    np.testing.assert_allclose(got.probs, runtime.predict(rows).probs, rtol=0.0, atol=1e-5)


REFUSED_MODELS = {
    "not a model": (b"nonsense" * 20, "is no|not a|cannot be read as one"),
    "empty": (b"", "its inputs are|not a usable"),
    "external": (onnx_content(3, external=True), "weights 'W' stand in another file"),
    "hidden outside": (other_input(hidden_outside), "weights 'hidden' stand in another file"),
    "columns": (onnx_content(5), "takes 5 columns, the spec names 3"),
    "open columns": (other_input(open_columns), "leaves the number of columns open"),
    "four rows": (onnx_content(3, rows=4), "takes 4 rows at a time"),
    "two inputs": (other_input(second_input), "'in' alone is wanted"),
    "four classes": (onnx_content(3, n_out=4), r"\(rows, 3\) is wanted"),
    "integers": (
        other_input(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 7)),
        "not a usable|is of tensor",
    ),
    "NaN": (onnx_content(3, ends=("Neg", "Exp", "Neg", "Log")), "NaN or infinity in"),
    "batch": (whole_batch(), "alone than inside a batch"),
    "operator": (onnx_content(3, ends=("NoSuchOperator",)), "not a usable"),
}


@pytest.mark.parametrize("name", REFUSED_MODELS)
def test_a_file_that_will_not_do_is_refused_in_one_line(case, name, capsys):
    model, words = REFUSED_MODELS[name]
    assert case(model=model) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "v5.onnx" in told
    assert any(word in told for word in words.replace("\\", "").split("|")), told
    assert not case.models.exists()


REFUSED_SPECS = {
    "unknown column": ({"columns": ["rsi_14", "return_1", "retrun_4"]}, "did you mean 'return_4'"),
    "twice": ({"columns": ["rsi_14", "return_1", "return_1"]}, "'return_1' stands there twice"),
    "no columns": ({"columns": []}, "columns: "),
    "missing": ({"columns": None}, "'columns' is missing"),
    "extra": ({"min_confidance": 0.6}, "did you mean 'min_confidence'"),
    "mean too short": ({"mean": [0.0]}, "mean: 1 numbers for 3 columns"),
    "scale alone": ({"mean": None, "clip_sigma": None}, "both or neither"),
    "clip alone": ({"mean": None, "scale": None}, "clip_sigma"),
    "scale of 0": ({"scale": [1.0, 0.0, 1.0]}, "scale.1"),
    "text": ({"mean": ["0", "0", "0"]}, "mean.0"),
    "output kind": ({"output_is": "scores"}, "output_is"),
    "output name": ({"output": "other"}, "no output 'other'"),
    "input name": ({"input": "other"}, "'other' alone is wanted"),
    "classes": ({"classes": ["DOWN", "UP", "UP"]}, "classes: DOWN, HOLD and UP"),
    "class names": ({"classes": ["SELL", "HOLD", "BUY"]}, "classes.0"),
    "labels": ({"labels": {"scheme": "fixed", "horizon_bars": 4}}, "needs threshold_bps"),
    "scheme": ({"labels": {"scheme": "tercile", "horizon_bars": 4}}, "labels.scheme"),
    "horizon": ({"labels": {"scheme": "fixed", "threshold_bps": 1.0}}, "'labels.horizon_bars'"),
    "confidence": ({"min_confidence": 60}, "min_confidence"),
    "offsets": ({"decision_offsets": [0.0, 0.0]}, "decision_offsets"),
    "interval": ({"interval_s": 900}, "bars of 60 s, the model is said to be for bars of 900 s"),
    "probs that are logits": ({"output_is": "probs"}, "probabilities sum to"),
}


@pytest.mark.parametrize("name", REFUSED_SPECS)
def test_a_spec_that_will_not_do_is_refused_in_one_line(case, name, capsys):
    changed, words = REFUSED_SPECS[name]
    assert case(**changed) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert words in told
    assert not case.models.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', "\x00", json.dumps(spec_of()).replace("8.0", "NaN")]
)
def test_a_spec_that_is_no_object_is_refused(case, text, capsys):
    assert case(spec_text=text) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not case.models.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"symbol": "../BTC"},
        {"symbol": "btc"},
        {"version": "../v5"},
        {"version": "V5"},
        {"version": "v5/../../x"},
        {"version": "v" * 40},
        {"version": ""},
    ],
)
def test_names_that_could_lead_elsewhere_are_refused(case, changed, capsys):
    assert case(**changed) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not case.models.exists()


@pytest.mark.parametrize("missing", ["v5.onnx", "spec.json", "bars"])
def test_a_file_that_is_missing_is_named(case, tmp_path, missing, capsys, bars_file):
    assert case() == 0
    capsys.readouterr()
    options = {"--onnx": "v5.onnx", "--spec": "spec.json", "--bars": str(bars_file)}
    places = [str(tmp_path / ("no" if name == missing else name)) for name in options.values()]
    if missing == "bars":
        places[2] = str(tmp_path / "no")
    arguments = [x for pair in zip(options, places, strict=True) for x in pair]
    folder = ["--models", str(tmp_path / "models")]
    assert main(["register", "--symbol", "BTC", "--version", "v5", *arguments, *folder]) == 2
    assert "no" in capsys.readouterr().err


def test_too_few_bars_for_a_trial_are_refused(case, market_bars, tmp_path, capsys):
    market_bars.iloc[:2_000].to_csv(tmp_path / "few.csv")
    assert case(bars=tmp_path / "few.csv") == 2
    assert "too few bars for a trial" in capsys.readouterr().err
    assert not case.models.exists()


def test_a_models_folder_that_cannot_be_written_is_said(case, tmp_path, capsys):
    (tmp_path / "models").write_text("a file")
    assert case() == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_rows_before_the_trial_are_purged_by_the_horizon():
    seen = []

    class Rows:
        def __init__(self, position):
            self.position, self.labels = position, position

        def at(self, chosen):
            seen.append(chosen)
            return Rows(chosen)

    foreign._parts(Rows(np.arange(10_000)), 10_000, 7)
    assert seen[0].max() + 7 < 8_000 <= seen[1].min() == 8_000


def test_the_page_on_registering_shows_a_spec_that_is_one_and_names_every_key(repo, tmp_path):
    page = (repo / "docs" / "registering.md").read_text(encoding="utf-8")
    example = page.split("```json")[1].split("```")[0]
    (tmp_path / "spec.json").write_text(example)
    read = spec.read_spec(tmp_path / "spec.json")
    assert set(json.loads(example)) == set(spec.Spec.model_fields)
    table = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("|"))
    assert all(f"`{key}`" in table for key in spec.Spec.model_fields)
    assert read.runtime(b"").names == tuple(read.columns)
