"""serve is killed at random moments: the log stays readable, no bar is lost or doubled.

`V8_KILLS=200 pytest tests/test_serve_kills.py` is the long form.
"""

import os
import subprocess
import threading
import time

import numpy as np
import pytest
import serving_case as sc
import serving_models as sm

from v8ops.production.rollout_file import read_rollout
from v8ops.production.signal_log import SignalReader

KILLS = int(os.environ.get("V8_KILLS", "6"))
NEW_BARS = 300  # that come in between two starts: more than one block
FIRST = 3_100


@pytest.fixture(scope="module")
def bars():
    return sm.long_bars(FIRST + NEW_BARS * (KILLS + 1))


@pytest.fixture(scope="module")
def models(tmp_path_factory, market_bars, table, make_runtime):
    folder = tmp_path_factory.mktemp("killed") / "models"
    sm.write_models(folder, market_bars, table, [make_runtime(), make_runtime(seeds=(5, 6))])
    return folder


def prepared(folder, models, bars):
    """A folder in which the first bar is served."""
    (folder / "data").mkdir(parents=True)
    (folder / "models").symlink_to(models)
    sc.write_bars(folder / "data" / "BTC.parquet", bars.at(slice(0, FIRST)))
    return folder


def once(folder, repo):
    log = ("--log", str(folder / "signals.sqlite"))
    began = time.perf_counter()
    done = subprocess.run(
        sm.command(folder, *log, "--once"), cwd=repo, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return time.perf_counter() - began


def killed(folder, repo, after_s):
    """Start serve, kill it after a time, and return whether it was still alive."""
    log = ("--log", str(folder / "signals.sqlite"), "--every", "600")
    try:
        subprocess.run(
            sm.command(folder, *log), cwd=repo, capture_output=True, timeout=after_s, check=False
        )
    except subprocess.TimeoutExpired:  # raised after SIGKILL
        return True
    return False


def check(folder, bars):
    """The log is whole, and holds every bar from the first to the last once, with its scores."""
    with SignalReader(folder / "signals.sqlite") as reader:
        assert reader._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        epochs = [row.epoch_s for row in reader.signals("BTC")]
        assert epochs == bars.epoch_s[FIRST - 1 : FIRST - 1 + len(epochs)].tolist()
        for version in reader.versions("BTC"):
            assert reader.scores("BTC", version).epoch_s.tolist() == epochs
        return len(epochs)


def test_killed_at_random_moments_it_loses_and_doubles_nothing(tmp_path, repo, models, bars):
    rng = np.random.default_rng(KILLS)
    whole = prepared(tmp_path / "whole", models, bars)
    starting = once(whole, repo)
    sc.write_bars(whole / "data" / "BTC.parquet", bars)
    once(whole, repo)
    assert check(whole, bars) == NEW_BARS * (KILLS + 1) + 1

    folder = prepared(tmp_path / "killed", models, bars)
    once(folder, repo)
    seen, moved = [1], 0
    for k in range(KILLS):
        there = FIRST + NEW_BARS * (k + 1)
        sc.write_bars(folder / "data" / "BTC.parquet", bars.at(slice(0, there)))
        # From while it is still starting to when it has nothing more to do.
        assert killed(folder, repo, starting * rng.uniform(0.5, 1.6))
        seen.append(check(folder, bars))
        moved += seen[-1] > seen[-2]
    assert seen == sorted(seen)
    assert moved > 0
    sc.write_bars(folder / "data" / "BTC.parquet", bars)
    once(folder, repo)
    assert check(folder, bars) == NEW_BARS * (KILLS + 1) + 1
    same(folder, whole)
    assert not read_rollout(models).symbols["BTC"].blocked


def same(folder, whole):
    """Two logs say the same, but for the last bits that a matrix of another shape may change."""
    with SignalReader(folder / "signals.sqlite") as a, SignalReader(whole / "signals.sqlite") as b:
        assert a.versions("BTC") == b.versions("BTC") != []
        for one, other in zip(a.signals(), b.signals(), strict=True):
            facts = [(s.epoch_s, s.version, s.role, s.decision, s.reason) for s in (one, other)]
            assert facts[0] == facts[1]
        for version in a.versions("BTC"):
            one, other = a.scores("BTC", version), b.scores("BTC", version)
            np.testing.assert_array_equal(one.labels, other.labels)
            assert (one.labels[:-4] >= 0).all()
            np.testing.assert_allclose(one.probs, other.probs, rtol=0.0, atol=1e-9)


def read_as_monitors_do(path, stop, rounds, errors, last):
    try:
        while not stop.is_set():
            with SignalReader(path) as reader:
                for version in reader.versions("BTC"):
                    rows = reader.scores("BTC", version, last=last)
                    if (np.diff(rows.epoch_s) <= 0).any():
                        raise AssertionError("rows out of order")
                reader.events(last=50), reader.signals("BTC", last=50), reader.last_bar("BTC")
            rounds.append(last)
    except Exception as error:  # whatever it is belongs to the test, not to the thread
        errors.append(error)
        raise


def test_ten_readers_and_a_monitor_read_while_it_writes(tmp_path, repo, models, bars, monkeypatch):
    """A reader that has to wait for a lock for a second has an error."""
    monkeypatch.setattr("v8ops.production.log_schema.WAIT_S", 1.0)
    folder = prepared(tmp_path / "read", models, bars)
    once(folder, repo)
    sc.write_bars(folder / "data" / "BTC.parquet", bars)
    path, stop, rounds, errors = folder / "signals.sqlite", threading.Event(), [], []
    readers = [
        threading.Thread(target=read_as_monitors_do, args=(path, stop, rounds, errors, last))
        for last in [20] * 10 + [1_000]
    ]
    for thread in readers:
        thread.start()
    try:
        once(folder, repo)
    finally:
        stop.set()
        for thread in readers:
            thread.join()
    assert errors == []
    assert {20, 1_000} == set(rounds)
    assert len(rounds) > len(readers)
    assert check(folder, bars) == NEW_BARS * (KILLS + 1) + 1
