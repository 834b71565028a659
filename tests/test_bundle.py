import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from v8lib import bundle, bundle_folder, features, probes, storage
from v8lib.errors import BundleError
from v8lib.kinds import MODEL

FILES = (MODEL, bundle_folder.MANIFEST, bundle_folder.GOLDEN)
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


@pytest.fixture(scope="module")
def golden_bars(market_bars, table):
    return probes.last_unbroken(market_bars, features.warmup_bars(table) + 20)


@pytest.fixture(scope="module")
def facts(table):
    return {
        "interval_s": 60,
        "exclude_families": [],
        "warmup_bars": features.warmup_bars(table),
        "labels": {"scheme": "trailing_tercile", "horizon_bars": 4},
        "class_shares": [0.3, 0.4, 0.3],
        "gates": {"skill": {"value": 0.1, "limit": "above 0", "verdict": "pass"}},
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory, make_runtime, facts, golden_bars):
    models = tmp_path_factory.mktemp("models")
    return bundle.write_bundle(models, "BTC", make_runtime(), facts, golden_bars)


@pytest.fixture
def copied(written, tmp_path):
    """A copy of the bundle to do damage to, under its own name."""
    return shutil.copytree(written, tmp_path / "BTC" / written.name)


def rewrite(folder, change):
    """Change the manifest, and give the folder the name that belongs to the change."""
    manifest = json.loads((folder / bundle_folder.MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    storage.write_json(folder / bundle_folder.MANIFEST, manifest)
    return folder.rename(folder.parent / bundle_folder.version_of(manifest))


def test_a_bundle_is_three_files_under_symbol_and_version(written):
    assert written.parent.name == "BTC"
    assert sorted(path.name for path in written.iterdir()) == sorted(FILES)


def test_a_loaded_bundle_predicts_what_was_written(written, make_runtime, market_bars, table):
    loaded = bundle.load_bundle(written)
    row = features.make_features(market_bars, table)[-1:]
    expected = make_runtime().predict(row)
    got = loaded.predict(market_bars)
    assert got.probs.tobytes() == expected.probs.tobytes()
    assert got.decisions.tolist() == expected.decisions.tolist()
    assert loaded.version == written.name


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_every_normalization_survives_the_bundle(
    tmp_path, make_runtime, facts, golden_bars, normalization
):
    made = make_runtime(normalization)
    loaded = bundle.load_bundle(bundle.write_bundle(tmp_path, "BTC", made, facts, golden_bars))
    assert [m.net.normalization for m in loaded.runtime.members] == [normalization]
    row = np.linspace(-1.0, 1.0, 72, dtype=np.float32)[None]
    assert loaded.runtime.predict(row).logits.tobytes() == made.predict(row).logits.tobytes()


def test_every_member_survives_the_bundle(tmp_path, make_runtime, facts, golden_bars):
    made = make_runtime(seeds=(3, 4, 5))
    loaded = bundle.load_bundle(bundle.write_bundle(tmp_path, "BTC", made, facts, golden_bars))
    assert len(loaded.runtime.members) == 3
    row = np.linspace(-1.0, 1.0, 72, dtype=np.float32)[None]
    assert loaded.runtime.predict(row).logits.tobytes() == made.predict(row).logits.tobytes()


def test_the_same_model_written_twice_is_one_bundle(written, make_runtime, facts, golden_bars):
    before = {path.name: path.stat().st_mtime_ns for path in written.iterdir()}
    again = bundle.write_bundle(written.parent.parent, "BTC", make_runtime(), facts, golden_bars)
    assert again == written
    assert {path.name: path.stat().st_mtime_ns for path in written.iterdir()} == before


def test_another_model_or_other_facts_are_another_version(
    written, tmp_path, make_runtime, facts, golden_bars
):
    other_net = bundle.write_bundle(tmp_path, "BTC", make_runtime("layer"), facts, golden_bars)
    changed = facts | {"warmup_bars": facts["warmup_bars"] + 1}
    other_facts = bundle.write_bundle(tmp_path, "BTC", make_runtime(), changed, golden_bars)
    assert len({written.name, other_net.name, other_facts.name}) == 3


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_refused(copied, name):
    path = copied / name
    whole = path.read_bytes()
    rng = np.random.default_rng(17)
    positions = {0, len(whole) - 1, *rng.integers(len(whole), size=58).tolist()}
    for position in sorted(positions):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(BundleError):
            bundle.load_bundle(copied)
    path.write_bytes(whole)
    assert bundle.load_bundle(copied).version == copied.name, "undamaged it loads again"


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_or_with_something_added_is_refused(copied, name):
    path = copied / name
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole + b"{}"):
        path.write_bytes(damaged)
        with pytest.raises(BundleError):
            bundle.load_bundle(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(copied, name):
    (copied / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        bundle.load_bundle(copied)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        bundle.load_bundle(tmp_path / "BTC" / "v8-000000000000")


@pytest.mark.parametrize("version", [0, 2, 4, "3", None, True, 3.0])
def test_another_schema_is_refused_by_both_numbers(copied, version):
    folder = rewrite(copied, lambda manifest: manifest.update(schema_version=version))
    with pytest.raises(BundleError, match=rf"schema version {version}, this code reads 3"):
        bundle.load_bundle(folder)


def test_a_renamed_folder_is_refused(copied):
    renamed = copied.rename(copied.parent / "v8-0123456789ab")
    with pytest.raises(BundleError, match="it is not version v8-0123456789ab"):
        bundle.load_bundle(renamed)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["model"]["calibrations"][0].update(inverse_temperature=1.31),
        lambda m: m["model"].update(decision_offsets=[0.0, 0.0, 0.0]),
        lambda m: m["model"].update(min_confidence=0.5),
        lambda m: m["gates"]["skill"].update(verdict="fail"),
        lambda m: m["files"].update({bundle_folder.GOLDEN: "0" * 64}),
        lambda m: m.update(symbol="ETH"),
        lambda m: m.update(extra=1),
        lambda m: m.pop("gates"),
    ],
)
def test_a_manifest_that_was_tampered_with_is_refused(copied, change):
    manifest = json.loads((copied / bundle_folder.MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    storage.write_json(copied / bundle_folder.MANIFEST, manifest)
    with pytest.raises(BundleError, match="has been altered"):
        bundle.load_bundle(copied)


@pytest.mark.parametrize("content", ["[]", "null", "3", '"text"', "{}"])
def test_a_manifest_that_is_json_but_no_manifest_is_refused(copied, content):
    (copied / bundle_folder.MANIFEST).write_text(content)
    with pytest.raises(BundleError):
        bundle.load_bundle(copied)


@pytest.mark.parametrize("word", ["NaN", "Infinity"])
def test_a_manifest_with_a_number_that_is_none_is_refused(copied, word):
    path = copied / bundle_folder.MANIFEST
    text = path.read_text(encoding="utf-8")
    assert '"min_confidence": 0.6' in text
    path.write_text(text.replace('"min_confidence": 0.6', f'"min_confidence": {word}'))
    with pytest.raises(BundleError):
        bundle.load_bundle(copied)


def test_a_manifest_written_otherwise_is_refused_even_if_it_means_the_same(copied):
    """A flipped bit in a float's last digit can leave its value as it is, and must not pass."""
    path = copied / bundle_folder.MANIFEST
    text = path.read_text(encoding="utf-8")
    assert '"min_confidence": 0.6' in text
    path.write_text(text.replace('"min_confidence": 0.6', '"min_confidence": 0.60'))
    with pytest.raises(BundleError, match="has been altered"):
        bundle.load_bundle(copied)


def test_golden_probabilities_that_do_not_come_out_are_refused(copied):
    """The whole bundle is consistent, but this code computes something else from it."""
    folder = rewrite(
        copied, lambda m: m["model"]["calibrations"][0].update(inverse_temperature=1.4)
    )
    with pytest.raises(BundleError, match="golden bars give other probabilities"):
        bundle.load_bundle(folder)


def test_features_this_code_does_not_compute_are_refused(copied):
    def rename(manifest):
        manifest["model"]["scaler"]["names"][3] = "return_9"

    with pytest.raises(BundleError, match="not the ones this code computes"):
        bundle.load_bundle(rewrite(copied, rename))


def test_bars_that_are_too_few_or_end_after_a_gap_are_refused(written, market_bars, facts):
    loaded = bundle.load_bundle(written)
    needed = facts["warmup_bars"]
    assert np.isfinite(loaded.predict(market_bars.iloc[-needed:]).probs).all()
    for bars in (market_bars.iloc[1 - needed :], market_bars.drop(market_bars.index[-10])):
        with pytest.raises(BundleError, match=rf"no features: {needed} unbroken bars needed"):
            loaded.predict(bars)


def test_golden_bars_without_features_are_refused_when_writing(
    tmp_path, make_runtime, facts, golden_bars
):
    with pytest.raises(BundleError, match="golden bars do not end in a bar with features"):
        bundle.write_bundle(tmp_path, "BTC", make_runtime(), facts, golden_bars.iloc[-50:])
    assert not (tmp_path / "BTC").exists()


@pytest.mark.parametrize("written_before", [0, 1, 2])
@pytest.mark.parametrize("within", [False, True])
def test_a_write_that_stopped_half_way_is_no_bundle_and_is_completed_by_the_next(
    tmp_path, monkeypatch, make_runtime, facts, golden_bars, written_before, within
):
    """Killed between two files or in the middle of one: a temporary file is then left."""
    done = []

    def dies(path, content):
        if len(done) == written_before:
            if within:
                (path.parent / f".{path.name}.x1y2z3").write_bytes(content[:100])
            raise KeyboardInterrupt
        done.append(path.name)
        return storage.write_bytes(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(bundle_folder, "write_bytes", dies)
        with pytest.raises(KeyboardInterrupt):
            bundle.write_bundle(tmp_path, "BTC", make_runtime(), facts, golden_bars)
    (half,) = (tmp_path / "BTC").iterdir()
    assert len(list(half.iterdir())) == written_before + within
    with pytest.raises(BundleError, match="is no bundle"):
        bundle.load_bundle(half)
    folder = bundle.write_bundle(tmp_path, "BTC", make_runtime(), facts, golden_bars)
    assert folder == half
    assert sorted(path.name for path in half.iterdir()) == sorted(FILES)


def test_no_file_of_a_bundle_is_a_pickle_or_an_archive(written):
    for name in FILES:
        content = (written / name).read_bytes()
        assert not content.startswith(PICKLE_STARTS)
    assert set(storage.read_arrays(written / MODEL)) >= {"0.layers.0.weight"}
    for name in (bundle_folder.MANIFEST, bundle_folder.GOLDEN):
        assert isinstance(storage.read_json(written / name), dict)


def test_production_imports_neither_torch_nor_scikit_learn_nor_matplotlib(repo):
    code = (
        "import sys\n"
        "import v8lib.bundle, v8lib.decision, v8lib.features\n"
        "assert {'v8lib.runtime', 'v8lib.numpy_net'} <= set(sys.modules)\n"
        "heavy = {'torch', 'sklearn', 'matplotlib', 'lightgbm'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
