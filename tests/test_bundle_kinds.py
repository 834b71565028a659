"""Bundles of every kind: what comes back, and what is refused in one clear line."""

import itertools
import json
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from model_kit import COLUMNS, facts_of, linear_runtime, onnx_content, onnx_runtime

from v8lib import bundle, bundle_folder, features, kinds, probes, storage
from v8lib.errors import BundleError, V8Error
from v8lib.runtime import model_weights
from v8lib.train_reference import drift_reference

KINDS = ("mlp", "linear", "onnx")
N_FLIPS = 50  # of each file; 12 files over three kinds


@pytest.fixture(scope="module")
def golden_bars(market_bars, table):
    return probes.last_unbroken(market_bars, features.warmup_bars(table) + 20)


@pytest.fixture(scope="module")
def runtimes(make_runtime, scaler):
    return {"mlp": make_runtime(), "linear": linear_runtime(scaler), "onnx": onnx_runtime()}


@pytest.fixture(scope="module")
def references(market_features, split, names):
    train = market_features[split.train]
    picked = train[:, [names.index(name) for name in COLUMNS]]
    whole = drift_reference(train, names)
    return {"mlp": whole, "linear": whole, "onnx": drift_reference(picked, COLUMNS)}


@pytest.fixture(scope="module")
def written(tmp_path_factory, runtimes, references, table, golden_bars):
    """The folder of a bundle of each kind."""
    models = tmp_path_factory.mktemp("models")
    return {
        kind: bundle.write_bundle(
            models,
            "BTC",
            runtimes[kind],
            facts_of(table),
            golden_bars,
            reference=references[kind],
            name="v5" if kind == "onnx" else "v8",
        )
        for kind in KINDS
    }


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def copied(written, kind, tmp_path):
    """A copy of the bundle to do damage to, under its own name."""
    return shutil.copytree(written[kind], tmp_path / "BTC" / written[kind].name)


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def consistent(folder, change=lambda manifest: None, **files):
    """Change manifest and files so that every hash and the folder's name agree again."""
    manifest = manifest_of(folder)
    change(manifest)
    for name, content in files.items():
        name = name.replace("_", ".")
        (folder / name).write_bytes(content)
        manifest["files"][name] = storage.sha256_bytes(content)
    storage.write_json(folder / "manifest.json", manifest)
    return folder.rename(folder.parent / bundle_folder.version_of(manifest))


def refused(folder):
    """The one line with which a folder is refused."""
    with pytest.raises(BundleError) as caught:
        bundle.load_bundle(folder)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def columns_of(runtime, names, rows):
    return rows[:, [list(names).index(name) for name in runtime.names]]


def test_a_bundle_of_each_kind_says_what_was_written(
    written, runtimes, kind, market_features, names
):
    loaded = bundle.load_bundle(written[kind])
    assert loaded.manifest["kind"] == kind
    assert loaded.version.startswith("v5-" if kind == "onnx" else "v8-")
    assert tuple(loaded.runtime.names) == tuple(runtimes[kind].names)
    assert loaded.latest.names == tuple(runtimes[kind].names)
    assert loaded.runtime.min_confidence == 0.6
    rows = columns_of(runtimes[kind], names, market_features[-50:])
    said, expected = loaded.runtime.predict(rows), runtimes[kind].predict(rows)
    for name, array in vars(expected).items():
        assert getattr(said, name).tobytes() == array.tobytes()
    assert said.logits.shape == said.probs.shape == (50, 3)
    assert said.decisions.shape == said.actionable.shape == (50,)
    assert said.actionable.dtype == np.bool_


def test_a_bundle_predicts_from_bars_what_the_model_says_of_the_last_row(
    written, runtimes, kind, market_bars, market_features, names
):
    row = columns_of(runtimes[kind], names, market_features[-1:])
    got = bundle.load_bundle(written[kind]).predict(market_bars)
    np.testing.assert_allclose(got.probs, runtimes[kind].predict(row).probs, rtol=0, atol=1e-9)


def test_the_reference_comes_back_and_may_be_left_out(
    written, references, kind, tmp_path, runtimes, table, golden_bars
):
    loaded = bundle.load_bundle(written[kind]).reference
    assert loaded.names == tuple(references[kind].names)
    assert loaded.edges.tobytes() == references[kind].edges.tobytes()
    without = bundle.write_bundle(tmp_path, "BTC", runtimes[kind], facts_of(table), golden_bars)
    assert not (without / "reference.json").exists()
    assert bundle.load_bundle(without).reference is None


def test_a_flipped_byte_anywhere_is_refused(copied):
    """600 flips over all files of all kinds."""
    rng = np.random.default_rng(23)
    files = sorted(copied.iterdir())
    assert len(files) == 4
    for path in files:
        whole = path.read_bytes()
        positions = {0, len(whole) - 1, *rng.integers(len(whole), size=N_FLIPS).tolist()}
        for position in sorted(positions):
            damaged = bytearray(whole)
            damaged[position] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            refused(copied)
        path.write_bytes(whole)
    assert bundle.load_bundle(copied).version == copied.name, "undamaged it loads again"


@pytest.mark.parametrize("what", ["cut", "empty", "longer", "missing"])
def test_a_file_that_is_not_whole_is_refused_by_name(copied, what):
    for path in sorted(copied.iterdir()):
        whole = path.read_bytes()
        if what == "missing":
            path.unlink()
        else:
            path.write_bytes({"cut": whole[:-9], "empty": b"", "longer": whole + b"\n"}[what])
        assert path.name in refused(copied)
        path.write_bytes(whole)


def test_links_are_refused(copied, tmp_path):
    for path in sorted(copied.iterdir()):
        elsewhere = tmp_path / path.name
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        assert f"{path.name} is a symbolic link" in refused(copied)
        path.unlink()
        elsewhere.rename(path)
    moved = copied.rename(tmp_path / "moved")
    copied.symlink_to(moved)
    assert "is a symbolic link" in refused(copied)
    copied.unlink()
    moved.rename(copied)
    assert bundle.load_bundle(copied).version == copied.name
    symbol_folder = copied.parent.rename(tmp_path / "elsewhere")
    (tmp_path / "BTC").symlink_to(symbol_folder)
    assert "BTC is a symbolic link" in refused(copied)


def test_a_file_that_is_none_is_refused_and_not_waited_for(copied):
    for make in (os.mkfifo, os.mkdir):
        path = copied / "golden.json"
        shutil.move(path, copied.parent / "kept")
        make(path)
        assert "golden.json is no plain file" in refused(copied)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.move(copied.parent / "kept", path)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "model.pkl", "folder/"])
def test_foreign_files_are_refused_by_name(copied, name):
    path = copied / name.rstrip("/")
    path.mkdir() if name.endswith("/") else path.write_text("")
    assert f"{path.name} does not belong to this bundle" in refused(copied)


@pytest.mark.parametrize("name", ["../outside", "a/b", "manifest.json"])
def test_a_manifest_cannot_name_files_elsewhere(copied, name):
    (copied.parent.parent / "outside").write_bytes(b"x")
    folder = consistent(copied, lambda m: m["files"].update({name: storage.sha256_bytes(b"x")}))
    assert "does not say which files" in refused(folder)


@pytest.mark.parametrize(("version", "what"), [(2, "run the model again"), (4, "update the code")])
def test_another_schema_is_refused_with_what_to_do(copied, version, what):
    line = refused(consistent(copied, lambda m: m.update(schema_version=version)))
    assert f"schema version {version}, this code reads 3: {what}" in line


def paths_in(content, above=()):
    """Every place in nested JSON objects and lists: the keys that lead there."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    n = len(content) if isinstance(content, dict) and len(content) < 40 else 2
    for key, value in itertools.islice(items, n):
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from paths_in(value, (*above, key))


HOSTILE = (None, True, -1, 1e300, "x", [], {}, "gone")


def changed_at(content, path, value):
    """Return a copy with one value replaced, or gone."""
    copy = json.loads(json.dumps(content))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value == "gone":
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


def test_hostile_manifests_give_one_clear_line_and_no_other_error(copied):
    """Every value in turn becomes each other JSON type, or goes; hashes and name agree."""
    whole, tried, refusals, folder = manifest_of(copied), 0, 0, copied
    for path, value in itertools.product(paths_in(whole), HOSTILE):
        manifest = changed_at(whole, path, value)
        try:
            name, text = bundle_folder.version_of(manifest), storage.json_bytes(manifest)
        except ValueError:  # no strict JSON can hold it
            continue
        if "/" in name:
            continue
        (folder / "manifest.json").write_bytes(text)
        folder = folder.rename(folder.parent / name)
        tried += 1
        try:
            bundle.load_bundle(folder)
        except BundleError as error:
            refusals += 1
            assert str(error).startswith(str(folder))
            assert "\n" not in str(error)
    assert tried > 300
    assert refusals > 0.7 * tried


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["model"].update(min_confidence="0.6"),
        lambda m: m["model"].update(min_confidence=True),
        lambda m: m["model"].update(min_confidence=1.0),
        lambda m: m["model"].update(decision_offsets=[0.0, 0.0]),
        lambda m: m["model"].update(decision_offsets=[0.0, 0.0, None]),
        lambda m: m["model"].update(classes=["UP", "HOLD", "DOWN"]),
        lambda m: m.pop("model"),
        lambda m: m.update(model=[]),
        lambda m: m.update(kind="pickle"),
        lambda m: m.update(kind=["mlp"]),
        lambda m: m.update(interval_s="60"),
        lambda m: m.update(interval_s=0),
        lambda m: m.update(interval_s=60.0),
        lambda m: m.update(exclude_families="volume"),
        lambda m: m.update(exclude_families=["no such family"]),
        lambda m: m.update(class_shares={"train": [0.3, 0.4, 0.3]}),
        lambda m: m.update(class_shares=[0.3, 0.4, 0.4]),
        lambda m: m.update(labels={}),
        lambda m: m.update(labels={"horizon_bars": 10**400}),
        lambda m: m.update(gates=[]),
        lambda m: m.update(gates={"skill": {"value": 1, "limit": "x", "verdict": "passed"}}),
        lambda m: m.update(gates={"skill": {"verdict": "pass"}}),
        lambda m: m.update(files=[]),
        lambda m: m.update(files={}),
        lambda m: m["files"].update({"golden.json": 3}),
    ],
)
def test_wrong_values_are_refused(copied, change):
    refused(consistent(copied, change))


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"a": NaN}', b"9" * 10_000, b'{"a": 1, "a": 2}'],
)
def test_a_manifest_that_is_no_json_of_ours_is_refused(copied, text):
    (copied / "manifest.json").write_bytes(text)
    refused(copied)


def test_golden_figures_that_are_none_are_refused(copied):
    golden = json.loads((copied / "golden.json").read_text(encoding="utf-8"))
    n = len(golden["close"])
    for change in (
        {"probs": [0.3, 0.3, 0.4]},
        {"probs": [0.3, "0.3", 0.4]},
        {"probs": None},
        {"close": golden["close"][:-1]},
        {"close": [0.0] * n},
        {"close": [-1.0] * n},
        {"epoch_s": "now"},
        {"epoch_s": [1e300] * n},
        {"epoch_s": []},
        {"epoch_s": golden["epoch_s"][::-1]},
    ):
        content = json.dumps(golden | change).encode()
        copied = consistent(copied, golden_json=content)
        refused(copied)
    broken = json.dumps(golden).replace(str(golden["probs"][0]), "NaN").encode()
    assert "not JSON" in refused(consistent(copied, golden_json=broken))


def test_a_reference_of_other_columns_or_nonsense_is_refused(copied):
    numbers = json.loads((copied / "reference.json").read_text(encoding="utf-8"))
    others = ["x" + name for name in numbers["names"]]
    for change in ({"names": others}, {"edges": "x"}, {"window_rows": None}, {"shares": [[1]]}):
        content = json.dumps(numbers | change).encode()
        copied = consistent(copied, reference_json=content)
        assert "reference.json" in refused(copied)


def weights_of(runtime, change):
    weights = {name: array.copy() for name, array in model_weights(runtime).items()}
    change(weights)
    return storage.arrays_bytes(weights)


def put(name, value):
    def change(weights):
        weights[name].flat[0] = value

    return change


@pytest.mark.parametrize("what", ["nan", "infinite", "missing", "extra", "shape", "type", "member"])
def test_weights_that_are_not_a_net_are_refused(written, runtimes, tmp_path, what):
    name = "0.layers.4.weight"
    change = {
        "nan": put(name, np.nan),
        "infinite": put("0.layers.5.batch.running_var", np.inf),
        "missing": lambda w: w.pop("0.layers.5.layer.bias"),
        "extra": lambda w: w.update({"0.layers.99.weight": w[name]}),
        "shape": lambda w: w.update({name: w[name][:, :-1]}),
        "type": lambda w: w.update({name: w[name].astype(np.int64)}),
        "member": lambda w: w.update({"1.layers.0.weight": w[name]}),
    }[what]
    folder = shutil.copytree(written["mlp"], tmp_path / "BTC" / written["mlp"].name)
    content = weights_of(runtimes["mlp"], change)
    folder = consistent(folder, model_safetensors=content)
    line = refused(folder)
    assert "golden" not in line, "refused for what it is, before anything is computed"


@pytest.mark.parametrize("what", ["nan", "missing", "shape", "float32"])
def test_weights_that_are_no_linear_model_are_refused(written, runtimes, tmp_path, what):
    weights = {
        "coefficients": runtimes["linear"].coefficients.copy(),
        "intercepts": runtimes["linear"].intercepts.copy(),
    }
    if what == "nan":
        weights["intercepts"][1] = np.nan
    elif what == "missing":
        del weights["intercepts"]
    elif what == "shape":
        weights["coefficients"] = weights["coefficients"].T.copy()
    else:
        weights["coefficients"] = weights["coefficients"].astype(np.float32)
    folder = shutil.copytree(written["linear"], tmp_path / "BTC" / written["linear"].name)
    content = storage.arrays_bytes(weights)
    assert "golden" not in refused(consistent(folder, model_safetensors=content))


@pytest.mark.parametrize("kind", ["mlp", "linear"], indirect=True)
def test_features_missing_or_in_another_order_are_refused(copied):
    """The scaler and the weights agree with one another, and not with this code's table."""

    def swap(manifest):
        names = manifest["model"]["scaler"]["names"]
        names[3], names[4] = names[4], names[3]

    assert "the ones this code computes, in order" in refused(consistent(copied, swap))


@pytest.mark.parametrize("kind", ["onnx"], indirect=True)
def test_an_onnx_model_of_a_column_nobody_computes_is_refused(copied):
    folder = consistent(copied, lambda m: m["model"]["columns"].__setitem__(1, "return_9"))
    (folder / "reference.json").unlink()
    folder = consistent(folder, lambda m: m["files"].pop("reference.json"))
    assert "'return_9' is not one this code computes" in refused(folder)


@pytest.mark.parametrize("kind", ["onnx"], indirect=True)
def test_an_onnx_file_that_refers_to_another_is_refused(copied):
    (copied.parent.parent / "weights.bin").write_bytes(bytes(1_000))
    content = onnx_content(3, external=True)
    assert "stand in another file" in refused(consistent(copied, model_onnx=content))


def test_without_the_extra_an_onnx_bundle_is_refused_by_its_name(written, monkeypatch):
    for name in ("onnxruntime", "onnx"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            assert "install the extra" in refused(written["onnx"])


def test_what_cannot_be_a_bundle_is_not_written(tmp_path, runtimes, kind, table, golden_bars):
    facts = facts_of(table)
    for broken in (
        facts | {"class_shares": [1.0, 2.0, 3.0]},
        facts | {"gates": {"skill": {"verdict": "pass"}}},
        {k: v for k, v in facts.items() if k != "labels"},
        facts | {"labels": {"horizon_bars": float("nan")}},
        facts | {"data_sha256": object()},
    ):
        with pytest.raises(BundleError):
            bundle.write_bundle(tmp_path, "BTC", runtimes[kind], broken, golden_bars)
    for symbol, name in (("../BTC", "v8"), ("BTC/..", "v8"), ("BTC", "../v8"), ("BTC", "v8/..")):
        with pytest.raises(BundleError):
            bundle.write_bundle(tmp_path, symbol, runtimes[kind], facts, golden_bars, name=name)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BundleError, match="cannot hold a dict"):
        kinds.kind_of({})


def test_a_model_that_says_no_numbers_is_not_written(tmp_path, scaler, table, golden_bars):
    broken = replace(linear_runtime(scaler), intercepts=np.array([0.0, np.nan, 0.0]))
    with pytest.raises(V8Error, match="not finite"):
        bundle.write_bundle(tmp_path, "BTC", broken, facts_of(table), golden_bars)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_links_elsewhere_is_not_written_into(
    tmp_path, runtimes, kind, table, golden_bars
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "BTC").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="symbolic link"):
        bundle.write_bundle(
            tmp_path / "models", "BTC", runtimes[kind], facts_of(table), golden_bars
        )
    assert list((tmp_path / "elsewhere").iterdir()) == []
