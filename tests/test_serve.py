"""The command: serving from real bundles, its exit status, and its end."""

import argparse
import json
import signal
import subprocess
import sys
import threading

import pytest
import serving_case as sc
import serving_models as sm

from v8ops.production import serve
from v8ops.production.errors import ProductionError
from v8ops.production.rollout_file import read_rollout
from v8ops.production.signal_log import SignalReader


@pytest.fixture(scope="module")
def models(tmp_path_factory, market_bars, table, make_runtime):
    folder = tmp_path_factory.mktemp("served")
    runtimes = [make_runtime(), make_runtime("batch", seeds=(5,))]
    sm.write_models(folder / "models", market_bars, table, runtimes)
    return folder / "models"


@pytest.fixture
def place(tmp_path, models):
    """A folder with models and bars, and nothing served yet."""
    (tmp_path / "models").symlink_to(models)
    (tmp_path / "data").mkdir()
    sc.write_bars(tmp_path / "data" / "BTC.parquet", sm.long_bars(3_100))
    return tmp_path


def run(place, repo, *more, **options):
    log = ("--log", str(place / "signals.sqlite"), *more)
    return subprocess.run(
        sm.command(place, *log, **options), cwd=repo, capture_output=True, text=True, check=False
    )


def test_once_serves_what_is_there_and_ends(place, repo):
    done = run(place, repo, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = [line for line in done.stdout.splitlines() if "  BTC  " in line]
    with SignalReader(place / "signals.sqlite") as reader:
        (row,) = reader.signals()
        versions = reader.versions("BTC")
    state = read_rollout(place / "models").symbols["BTC"]
    assert row.version in (state.stable, state.candidate)
    assert sorted(versions) == sorted([state.stable, state.candidate])
    assert row.version in line
    assert row.reason == "late"
    again = run(place, repo, "--once")
    assert "  BTC  " not in again.stdout
    assert again.returncode == 0


def test_the_log_stands_in_the_models_folder_unless_told_otherwise(place, repo, models):
    done = subprocess.run(
        sm.command(place, "--once"), cwd=repo, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (models / "signals.sqlite").is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(place, repo, number):
    command = sm.command(place, "--log", str(place / "signals.sqlite"), "--every", "600")
    with subprocess.Popen(
        command, cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while "  BTC  " not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    with SignalReader(place / "signals.sqlite") as reader:
        assert len(reader.signals()) == 1


def test_once_with_a_symbol_that_has_no_bars_ends_with_one_and_serves_the_others(place, repo):
    done = run(place, repo, "--once", symbols=("ETH", "BTC"))
    assert done.returncode == 1
    assert "no bars in" in done.stdout
    with SignalReader(place / "signals.sqlite") as reader:
        assert [row.symbol for row in reader.signals()] == ["BTC"]


@pytest.mark.parametrize(
    ("more", "symbols", "words"),
    [
        ((), ("BTC", "BTC"), "--symbols: BTC is named twice"),
        ((), ("../BTC",), "'../BTC' is no symbol"),
        (("--every", "0"), ("BTC",), "--every 0.0: a number of seconds above 0"),
        (("--every", "nan"), ("BTC",), "--every nan: a number of seconds above 0"),
        (("--data", "/nowhere"), ("BTC",), "--data /nowhere: no such folder"),
    ],
)
def test_options_that_cannot_be_followed_are_refused_in_one_line(place, repo, more, symbols, words):
    done = run(place, repo, *more, symbols=symbols)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert words in line
    assert not (place / "signals.sqlite").exists()


def options(place, *more):
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    given = ["--symbols", "BTC", "--data", str(place / "data"), "--models", str(place / "models")]
    return parser.parse_args([*given, "--log", str(place / "signals.sqlite"), *more])


def test_a_second_serve_on_the_same_log_is_refused(place):
    with serve.SignalLog(place / "signals.sqlite"), pytest.raises(ProductionError, match="another"):
        serve.main(options(place, "--once"))


def test_the_clock_says_what_is_complete_and_in_time(place, capsys):
    bars = sm.long_bars(3_100)
    now = float(bars.epoch_s[3_000]) + sm.INTERVAL_S
    assert serve.main(options(place, "--once"), clock=lambda: now) == 0
    with SignalReader(place / "signals.sqlite") as reader:
        (row,) = reader.signals()
    assert (row.epoch_s, row.reason) == (int(bars.epoch_s[3_000]), "")
    assert "  BTC  " in capsys.readouterr().out


def test_an_event_that_is_set_ends_it_and_the_handlers_are_put_back(place):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    stop = threading.Event()
    stop.set()
    assert serve.main(options(place), stop=stop) == 0
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before
    with SignalReader(place / "signals.sqlite") as reader:
        assert reader.signals() == []


def test_polling_lets_fetch_bring_the_first_bars(place, monkeypatch):
    """The program that stands for fetch puts a file into the data folder."""
    source = place / "held.parquet"
    (place / "data" / "BTC.parquet").rename(source)
    code = (
        "import json, shutil, sys\n"
        "folder = sys.argv[sys.argv.index('--data') + 1]\n"
        f"shutil.copy({str(source)!r}, folder + '/BTC.parquet')\n"
        f"json.dump(sys.argv[1:], open({str(place / 'asked.json')!r}, 'w'))\n"
    )
    program = (sys.executable, "-c", code)
    original = serve.Poll
    monkeypatch.setattr(serve, "Poll", lambda *a, **k: original(*a, **k, program=program))
    assert serve.main(options(place, "--once", "--poll", "coinbase")) == 0
    with SignalReader(place / "signals.sqlite") as reader:
        assert len(reader.signals("BTC")) == 1
    asked = json.loads((place / "asked.json").read_text())
    assert asked[:6] == ["--exchange", "coinbase", "--symbols", "BTC", "--interval", "1m"]


def test_serving_imports_neither_torch_nor_other_heavy_packages(repo):
    code = (
        "import sys\n"
        "import v8ops.production.serve\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'matplotlib', 'lightgbm'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
