"""Whole runs: what they leave, that they repeat, resume, and go on when one symbol fails."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import scrapbook
from bs4 import BeautifulSoup

from tests.runs import PROJECT, SMOKE, bars, command, run_all, summary, without_times
from v8lib.bundle import load_bundle
from v8lib.config import merge_parameters
from v8lib.recipe import build_case, examine, open_bars
from v8lib.storage import read_arrays
from v8lib.store import load_splits
from v8ops.run.steps import PARAMS, SYMBOL_STEPS
from v8ops.run.summary import check_summary

SYMBOLS = ("BTC", "ETH")


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("smoke")
    done = run_all(*SMOKE, "--symbols", *SYMBOLS, "--out", out, "--run-id", "one")
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return out / "one", done


@pytest.fixture(scope="session")
def pages(smoke_run):
    found = sorted(smoke_run[0].glob("**/*.html"))
    assert len(found) == 2 * len(SYMBOL_STEPS) + 2
    return {path: BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in found}


def test_the_first_line_says_where_the_bars_came_from(smoke_run):
    assert smoke_run[1].stdout.splitlines()[0].startswith("SIMULATED market, not real prices")


def test_one_line_per_symbol_says_how_it_ended_and_where_to_read_on(smoke_run):
    for symbol in SYMBOLS:
        assert re.search(rf"^{symbol} .*skill .*04_diagnose\.html$", smoke_run[1].stdout, re.M)


def test_the_exit_status_is_the_one_of_the_summary(smoke_run):
    found = summary(smoke_run[0])
    check_summary(found)
    assert found["exit_status"] == smoke_run[1].returncode
    verdicts = [g["verdict"] for s in found["symbols"].values() for g in s["gates"].values()]
    assert (smoke_run[1].returncode == 3) == ("fail" in verdicts)
    assert [s["source"]["kind"] for s in found["symbols"].values()] == ["simulated"] * 2


def test_every_step_is_in_the_manifest_and_latest_points_at_the_run(smoke_run):
    for symbol in SYMBOLS:
        steps = json.loads((smoke_run[0] / symbol / "manifest.json").read_text())["steps"]
        assert {name: step["status"] for name, step in steps.items()} == dict.fromkeys(
            SYMBOL_STEPS, "ok"
        )
    assert (smoke_run[0].parent / "latest").resolve() == smoke_run[0].resolve()


def test_the_bundle_of_a_run_loads_and_gives_single_rows_what_a_batch_gives(smoke_run):
    run_dir = smoke_run[0]
    path = summary(run_dir)["symbols"]["BTC"]["bundle"]
    loaded = load_bundle(run_dir.parent / path)
    features = load_splits(run_dir, "BTC", ["test"])[-1]["test"].features[:1000]
    batch = loaded.runtime.predict(features).probs
    single = np.concatenate([loaded.runtime.predict(row).probs for row in features])
    assert np.abs(batch - single).max() < 1e-6


def test_a_run_writes_its_logistic_baseline_as_a_fallback(smoke_run):
    run_dir = smoke_run[0]
    for symbol in SYMBOLS:
        told = summary(run_dir)["symbols"][symbol]
        net, linear = (load_bundle(run_dir.parent / told[key]) for key in ("bundle", "fallback"))
        assert [net.manifest["kind"], linear.manifest["kind"]] == ["mlp", "linear"]
        assert linear.reference.names == net.reference.names == linear.runtime.names
        test = load_splits(run_dir, symbol, ["test"])[-1]["test"]
        probs = linear.runtime.predict(test.features).probs
        loss = -np.log(probs[np.arange(len(probs)), test.labels]).mean()
        assert abs(loss - told["baselines"]["logistic"]["log_loss"]) < 1e-5


def test_the_same_parameters_give_the_same_summary_with_either_engine(smoke_run, tmp_path):
    other = run_all(
        *SMOKE, "--symbols", *SYMBOLS, "--out", tmp_path, "--run-id", "two", "--engine", "papermill"
    )
    assert other.returncode == smoke_run[1].returncode
    first, second = (
        json.dumps(without_times(summary(d))) for d in (smoke_run[0], tmp_path / "two")
    )
    assert first == second
    names = sorted(
        path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*.ipynb")
    )
    assert len(names) == len(SYMBOLS) * len(SYMBOL_STEPS) + 1
    for name in names:
        ours, theirs = (scraps(run / name) for run in (smoke_run[0], tmp_path / "two"))
        assert ours, name
        assert ours == theirs, name


def scraps(path):
    """Return everything a notebook recorded, without times and paths."""
    return without_times(dict(scrapbook.read_notebook(str(path)).scraps.data_dict))


def test_the_pipeline_in_memory_gives_the_numbers_of_the_notebooks(smoke_run):
    parameters = merge_parameters(
        PARAMS, profile="smoke", symbol="BTC", source="simulated", settings=[("threads", 1)]
    )
    found = examine(build_case(open_bars(parameters), parameters), parameters)
    told = summary(smoke_run[0])["symbols"]["BTC"]
    # The summary keeps eight significant digits.
    assert told["test"]["log_loss_skill"] == pytest.approx(found.skill.value, rel=1e-6)
    assert told["test"]["ece"] == pytest.approx(found.excess.ece, rel=1e-6)
    assert list(told["gates"]) == [gate.name for gate in found.gates]
    for gate in found.gates:
        assert told["gates"][gate.name]["verdict"] == gate.verdict, gate.name
        assert told["gates"][gate.name]["value"] == pytest.approx(gate.value, rel=1e-4, abs=1e-6)


def test_a_run_says_where_its_skill_comes_from_and_how_sure_that_is(smoke_run):
    told = summary(smoke_run[0])["symbols"]["BTC"]
    for reference, parts in told["skill_sources"].items():
        whole = parts["total"]["value"]
        assert whole == pytest.approx(parts["volatility"]["value"] + parts["direction"]["value"])
        if reference == "climatology":
            assert whole == pytest.approx(told["test"]["log_loss_skill"], rel=1e-6)
    assert told["comparisons"]["climatology"]["value"] == pytest.approx(
        told["test"]["log_loss_skill"], rel=1e-6
    )
    assert told["test"]["skill_verdict"] == "skill"
    assert 0.8 < told["conformal"]["coverage"] < 1.0
    assert [row["cost_bps"] for row in told["earnings"]["actionable"]] == [0, 1, 2, 5, 10, 20]
    assert told["bayes"]["excess_log_loss"] > 0.0
    assert told["folds"] == {"n_folds": 1, "n_seeds": 1}


def test_folds_and_seeds_are_judged_together_on_the_same_rows(smoke_run, tmp_path):
    walk = ("--set", "n_folds=2", "--set", "n_seeds=2", "--set", "with_lightgbm=true")
    quick = ("--set", "epochs=1", "--symbols", "BTC", "--out", tmp_path, "--run-id", "walk")
    done = run_all(*SMOKE, *walk, *quick)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    told, single = (summary(d)["symbols"]["BTC"] for d in (tmp_path / "walk", smoke_run[0]))
    assert told["folds"] == {"n_folds": 2, "n_seeds": 2}
    assert told["test"]["n"] == single["test"]["n"]
    assert [row["model"] for row in told["seeds"]] == ["net 1", "net 2", "together"]
    assert "lightgbm" in told["baselines"] and "lightgbm" in told["comparisons"]
    loaded = load_bundle(tmp_path / told["bundle"])
    assert len(loaded.runtime.members) == 2


def test_a_finished_run_is_resumed_without_running_anything(smoke_run, tmp_path):
    shutil.copytree(smoke_run[0].parent, tmp_path / "copy", symlinks=True)
    before = (tmp_path / "copy/one/BTC/02_train.ipynb").stat().st_mtime_ns
    done = run_all("--resume", "one", "--out", tmp_path / "copy")
    assert done.returncode == smoke_run[1].returncode
    assert done.stdout.count(" skipped") == 2 * len(SYMBOL_STEPS)
    assert (tmp_path / "copy/one/BTC/02_train.ipynb").stat().st_mtime_ns == before


def test_a_changed_parameter_runs_its_step_and_those_after_it_again(smoke_run, tmp_path):
    shutil.copytree(smoke_run[0].parent, tmp_path / "copy", symlinks=True)
    arguments = (*SMOKE, "--set", "min_confidence=0.7", "--symbols", "BTC")
    done = run_all("--resume", "one", "--out", tmp_path / "copy", *arguments)
    assert re.findall(r"BTC +(\w+) skipped", done.stdout) == ["01_prepare_data", "02_train"]
    assert re.findall(r"BTC +(\w+) done", done.stdout) == ["03_calibrate", "04_diagnose"]


class TestPages:
    def test_a_page_asks_the_network_for_nothing(self, pages):
        for path, page in pages.items():
            assert page.find_all("script") == []
            for tag in page.find_all(True):
                if tag.name != "a":
                    for name in ("src", "href", "srcset", "data"):
                        value = str(tag.get(name, ""))
                        assert not value.startswith(("http", "//")), (path, tag.name, value)
            assert not re.search(r"(@import|url\()\s*['\"]?(http|//)", str(page))

    def test_a_relative_link_leads_somewhere(self, pages):
        for path, page in pages.items():
            for link in page.find_all("a"):
                target, _, anchor = link["href"].partition("#")
                if target.startswith("http"):
                    continue
                assert (path.parent / target).exists() if target else page.find(id=anchor), link

    def test_every_image_says_what_it_shows(self, pages):
        images = [image for page in pages.values() for image in page.find_all("img")]
        assert len(images) > 20
        assert [i for i in images if len(i.get("alt", "")) < 10] == []

    def test_a_page_is_one_file_of_less_than_three_megabytes(self, pages):
        assert [path for path in pages if path.stat().st_size > 3_000_000] == []

    def test_every_page_says_that_the_market_is_simulated(self, pages):
        for page in pages.values():
            assert page.find(class_="source-banner").text.startswith("SIMULATED")

    def test_the_diagnosis_opens_with_the_verdict(self, pages):
        for path, page in pages.items():
            if path.stem == "04_diagnose":
                main = page.find("main").text
                order = ["may", "Log-loss skill", "From V6 to V8", "Quality gates", "Reliability"]
                positions = [main.index(words) for words in order[:4]]
                assert positions == sorted(positions)
                assert len(page.select(".v8-card")) == 6
                table = page.find("caption", string=re.compile("From V6")).parent
                assert len(table.select("tbody tr")) == 7
                gates = page.find("caption", string=re.compile("Quality gates")).parent
                assert len(gates.select("tbody tr")) == 19

    def test_headings_tables_and_landmarks_are_there_for_screen_readers(self, pages):
        for page in pages.values():
            assert page.html["lang"] == "en"
            assert page.find("main") is not None
            assert page.find("a", class_="skip") is not None
            assert len(page.find_all("h1")) == 1
            assert [t for t in page.find_all("th") if not t.get("scope")] == []


def test_a_symbol_that_fails_does_not_stop_the_others(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    bars(symbol="BTC").to_parquet(folder / "BTC.parquet")
    bars(symbol="ETH").assign(volume=5.0).to_csv(folder / "ETH-USD.csv", index=False)
    arguments = (*SMOKE, "--data", folder, "--out", tmp_path / "out", "--run-id", "r")
    done = run_all(*arguments, "--symbols", *SYMBOLS)
    assert done.returncode == 1, done.stdout + done.stderr
    found, run_dir = summary(tmp_path / "out/r"), tmp_path / "out/r"
    assert found["symbols"]["ETH"]["status"] == "failed"
    assert "constant on train: volume_1" in found["symbols"]["ETH"]["error"]
    assert found["symbols"]["BTC"]["status"] != "failed"
    assert (run_dir / "ETH/01_prepare_data.failed.ipynb").is_file()
    assert not (run_dir / "ETH/01_prepare_data.ipynb").exists()
    assert (run_dir / "BTC/04_diagnose.html").is_file()
    index = (run_dir / "index.html").read_text("utf-8")
    assert "01_prepare_data.failed.ipynb" in index
    assert "Real bars from data/" in index


def test_a_gate_that_fails_ends_in_status_3(tmp_path):
    arguments = (*SMOKE, "--set", "market_signal=0.0", "--symbols", "BTC", "--out", tmp_path)
    done = run_all(*arguments, "--run-id", "r")
    found = summary(tmp_path / "r")["symbols"]["BTC"]
    assert done.returncode == 3, done.stdout + done.stderr
    assert found["status"] == "gates_failed"
    assert found["gates"]["skill"]["verdict"] != "pass"
    assert found["test"]["mean_confidence"] < 0.40


def wait_for(condition, *, timeout_s=120.0):
    """Poll until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def epochs_done(run_dir):
    path = run_dir / "BTC/checkpoint/fold_0_net_0/checkpoint.json"
    return len(json.loads(path.read_text())["history"]) if path.is_file() else 0


def test_killed_in_training_and_resumed_it_ends_in_the_same_weights(tmp_path):
    long = (*SMOKE, "--set", "epochs=12", "--set", "patience_epochs=12")
    arguments = (*long, "--symbols", "BTC", "--out", tmp_path)
    undisturbed = run_all(*arguments, "--run-id", "whole")
    assert undisturbed.returncode in (0, 3), undisturbed.stdout
    with subprocess.Popen(
        command(*arguments, "--run-id", "killed"), stdout=subprocess.DEVNULL, cwd=PROJECT
    ) as process:
        family = psutil.Process(process.pid)
        wait_for(lambda: epochs_done(tmp_path / "killed") >= 2)
        children = family.children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
    assert epochs_done(tmp_path / "killed") < 12
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    resumed = run_all("--resume", "killed", "--out", tmp_path)
    assert resumed.returncode == undisturbed.returncode, resumed.stdout + resumed.stderr
    assert re.findall(r"BTC +(\w+) skipped", resumed.stdout) == ["01_prepare_data"]
    first, second = (
        read_arrays(tmp_path / r / "BTC/model.safetensors") for r in ("whole", "killed")
    )
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].tobytes() == second[name].tobytes(), name


def test_the_runner_needs_neither_torch_nor_the_notebooks_libraries():
    heavy = ["torch", "pandas", "numpy", "papermill", "nbconvert", "matplotlib", "sklearn"]
    code = (
        "import sys, run_all\n"
        "assert run_all.main(['--symbols', 'BTC', '--set', 'horizon_bars=0']) == 2\n"
        "import v8ops.run.supervise, v8ops.run.summary, v8ops.run.progress\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    assert done.stdout.strip() == "[]"


def test_help_answers_without_importing_anything_of_ours():
    code = (
        "import sys, run_all\n"
        "try:\n    run_all.main(['--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print([n for n in sys.modules if n.startswith(('v8lib', 'v8ops', 'yaml', 'rich'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
