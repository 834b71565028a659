"""The signal log: one transaction per block, one signal per bar, readable at any time."""

import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from v8ops.production.errors import ProductionError
from v8ops.production.log_rows import NEVER, EventRow, Failure, LogBlock, Outcome, SignalRow
from v8ops.production.log_schema import LogError
from v8ops.production.log_writer import SignalLog
from v8ops.production.scored import UNKNOWN, ScoreRows
from v8ops.production.signal_log import SignalReader

BARS = np.arange(10, dtype=np.int64) * 900


def score_rows(epoch_s=BARS, *, bins=True, seed=3):
    rng = np.random.default_rng(seed)
    n = len(epoch_s)
    return ScoreRows(
        np.asarray(epoch_s, dtype=np.int64),
        rng.dirichlet(np.ones(3), n),
        rng.integers(0, 3, n),
        rng.random(n) > 0.5,
        rng.random(n) * 10.0,
        np.full(n, UNKNOWN, dtype=np.int64),
        rng.integers(0, 10, (n, 5)).astype(np.uint8) if bins else None,
    )


def signal(epoch_s, symbol="BTC", version="v5"):
    return SignalRow(symbol, epoch_s, version, "stable", 2, 0.7, (0.1, 0.2, 0.7), True, "")


def hold(epoch_s, symbol="BTC"):
    return SignalRow(symbol, epoch_s, None, "none", 1, None, None, False, "no model")


def block(epoch_s=BARS, symbol="BTC", version="v5", **more):
    signals = [signal(epoch, symbol) for epoch in np.asarray(epoch_s).tolist()]
    return LogBlock(symbol, [(version, score_rows(epoch_s))], signals=signals, **more)


@pytest.fixture
def log(tmp_path):
    with SignalLog(tmp_path / "signals.sqlite", wait_s=0.05) as opened:
        yield opened


def same(a, b):
    for name, value in vars(a).items():
        other = getattr(b, name)
        if value is None:
            assert other is None
        else:
            np.testing.assert_array_equal(value, other)
            assert value.dtype == other.dtype


def test_what_is_written_is_read(log):
    rows, events = score_rows(), [EventRow("2024-01-01T00:00:00Z", "BTC", 900, "data", None, "x")]
    signals = [*(signal(epoch) for epoch in BARS[:9].tolist()), hold(8_100)]
    log.append(LogBlock("BTC", [("v5", rows)], signals=signals, events=events))
    with SignalReader(log.path) as reader:
        same(reader.scores("BTC", "v5"), rows)
        same(reader.scores("BTC", "v5", last=3), rows.last(3))
        same(reader.scores("BTC", "v5", since=2_700), rows.at(slice(3, None)))
        same(reader.scores("BTC", "v5", last=2, since=900), rows.last(2))
        assert reader.signals() == signals
        assert reader.signals("BTC", last=2) == signals[-2:]
        assert reader.signals("BTC", since=6_300) == signals[7:]
        assert reader.events() == reader.events("BTC", kind="data", last=1) == events
        assert reader.events(kind="clock") == []
        assert reader.versions("BTC") == ["v5"]
        assert reader.symbols() == ["BTC"]
        assert reader.last_bar("BTC") == 8_100
        assert (reader.count("BTC", "v5"), reader.count("BTC", "v5", 8_100)) == (10, 1)


def test_of_what_is_not_there_there_is_nothing(log):
    reader = log.reader
    assert len(reader.scores("BTC", "v5")) == 0
    assert reader.scores("BTC", "v5").probs.shape == (0, 3)
    assert reader.signals() == reader.events() == reader.versions("BTC") == []
    assert reader.last_bar("BTC") is None
    assert reader.count("BTC", "v5") == 0


def test_rows_without_bins_are_read_without_bins(log):
    rows = score_rows(bins=False)
    log.append(LogBlock("BTC", [("v5", rows)]))
    same(log.reader.scores("BTC", "v5"), rows)


def test_symbols_and_versions_are_kept_apart(log):
    for symbol in ("BTC", "ETH"):
        for version in ("v5", "v8-1"):
            rows = [(version, score_rows(seed=len(symbol + version)))]
            log.append(LogBlock(symbol, rows))
    assert log.reader.versions("ETH") == ["v5", "v8-1"]
    same(log.reader.scores("BTC", "v8-1"), score_rows(seed=7))
    assert log.reader.versions("SOL") == []


def test_a_failure_is_recorded_and_counts_as_no_score(log):
    rows = score_rows(BARS[:5])
    log.append(LogBlock("BTC", [("v5", rows)], failures=[Failure("v5", 4_500, "logit of 23.1")]))
    same(log.reader.scores("BTC", "v5"), rows)
    assert log.reader.count("BTC", "v5") == 5
    assert log.reader.failures("BTC", "v5") == [(4_500, "logit of 23.1")]


def test_labels_come_later_and_the_first_one_stays(log):
    log.append(block())
    outcomes = [Outcome("v5", 0, 2), Outcome("v5", 900, NEVER), Outcome("v5", 1_800, 0)]
    log.append(LogBlock("BTC", outcomes=outcomes))
    log.append(LogBlock("BTC", outcomes=[Outcome("v5", 0, 1)]))
    labels = log.reader.scores("BTC", "v5").labels
    assert labels.tolist() == [2, UNKNOWN, 0, *[UNKNOWN] * 7]
    assert log.reader.open_bars("BTC", "v5", 100) == BARS[3:].tolist()
    assert log.reader.open_bars("BTC", "v5", 2) == BARS[8:].tolist()


def test_a_bar_that_has_a_signal_gets_no_second_one_and_the_block_is_left_out_whole(log):
    log.append(block(BARS[:5]))
    with pytest.raises(LogError, match=r"signals\.sqlite.*UNIQUE"):
        log.append(LogBlock("BTC", [("v8", score_rows())], signals=[signal(4_500), signal(3_600)]))
    assert log.reader.last_bar("BTC") == 3_600
    assert log.reader.versions("BTC") == ["v5"]
    log.append(block(BARS[5:]))
    assert len(log.reader.signals()) == 10


def test_a_bar_and_a_version_have_one_score(log):
    log.append(LogBlock("BTC", [("v5", score_rows())]))
    with pytest.raises(LogError, match="UNIQUE"):
        log.append(LogBlock("BTC", [("v5", score_rows(BARS[:1]))]))


def test_the_log_is_a_write_ahead_log_that_is_synced(log):
    connection = log._connection
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_lock_of_somebody_else_is_an_error_and_passes(log):
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogError, match="locked"):
        log.append(block())
    with pytest.raises(LogError, match="locked"):
        log.note([EventRow("t", None, None, "clock", None, "x")])
    assert log.reader.signals() == []
    other.execute("ROLLBACK")
    other.close()
    log.append(block())
    assert len(log.reader.signals()) == 10


def test_a_full_disk_is_an_error_and_leaves_what_was_there(log):
    """SQLite's own limit of pages raises what a full disk raises."""
    log.append(block(BARS[:2]))
    used = log._connection.execute("PRAGMA page_count").fetchone()[0]
    log._connection.execute(f"PRAGMA max_page_count = {used}")
    many = np.arange(2, 2_000) * 900
    with pytest.raises(LogError, match="full"):
        log.append(block(many))
    assert len(log.reader.signals()) == 2
    log._connection.execute("PRAGMA max_page_count = 1000000")
    log.append(block(many))
    assert len(log.reader.signals()) == 2_000


def test_a_log_that_is_taken_away_is_noticed_before_anything_goes_into_nowhere(log):
    log.append(block(BARS[:5]))
    log.path.rename(log.path.with_name("elsewhere"))
    with pytest.raises(LogError, match="removed or replaced while in use"):
        log.append(block(BARS[5:]))
    log.append(block(BARS[5:]))
    assert log.reader.signals() == [signal(epoch) for epoch in BARS[5:].tolist()]


def test_a_second_writer_is_refused_for_as_long_as_the_first_one_lives(tmp_path):
    path = tmp_path / "signals.sqlite"
    with SignalLog(path):
        with pytest.raises(ProductionError, match="another serve writes this log"):
            SignalLog(path)
    with SignalLog(path) as log:
        log.append(block())


def test_the_lock_goes_with_a_process_that_is_killed(repo, tmp_path):
    path = tmp_path / "signals.sqlite"
    code = (
        "import os, signal, sys\n"
        "from v8ops.production.log_writer import SignalLog\n"
        "log = SignalLog(sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=repo, check=False)
    assert done.returncode == -9
    with SignalLog(path) as log:
        log.append(block())
        assert len(log.reader.signals()) == 10


@pytest.mark.parametrize("content", [b"", b"text that is no database" * 100])
def test_a_file_that_is_no_log_is_refused_by_name(tmp_path, content):
    path = tmp_path / "signals.sqlite"
    path.write_bytes(content)
    with pytest.raises(LogError, match=r"signals\.sqlite"):
        SignalReader(path)
    if content:
        with pytest.raises(LogError, match=r"signals\.sqlite"):
            SignalLog(path)
        assert path.read_bytes() == content


def test_another_database_and_another_schema_are_refused(tmp_path):
    path = tmp_path / "signals.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    with pytest.raises(LogError, match="no signal log"):
        SignalLog(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    for opened in (SignalLog, SignalReader):
        with pytest.raises(LogError, match="schema 7, this code reads 1"):
            opened(path)


def test_reading_where_there_is_no_log_says_so_and_makes_none(tmp_path):
    with pytest.raises(LogError, match="no signal log"):
        SignalReader(tmp_path / "signals.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="file: cannot be made"):
        SignalLog(tmp_path / "file" / "signals.sqlite")


def test_a_reader_cannot_write(log):
    log.append(block())
    with (
        SignalReader(log.path) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader._connection.execute("DELETE FROM signals")


def read_for_ever(path, stop, rounds, errors):
    try:
        while not stop.is_set():
            with SignalReader(path) as reader:
                n_signals = len(reader.signals("BTC"))
                n_scores = reader.count("BTC", "v5")
                rows = reader.scores("BTC", "v5", last=1_000)
                reader.events()
            if n_scores < n_signals or n_scores % 20 or len(rows) < min(1_000, n_scores):
                raise AssertionError(f"{n_signals} signals, {n_scores} scores, {len(rows)} rows")
            rounds.append(n_scores)
    except Exception as error:  # whatever it is belongs to the test, not to the thread
        errors.append(error)
        raise


def test_ten_readers_see_whole_blocks_and_nobody_waits_for_a_second(tmp_path, monkeypatch):
    """Whoever has to wait for a lock for a second has an error, the writer too."""
    monkeypatch.setattr("v8ops.production.log_schema.WAIT_S", 1.0)
    path = tmp_path / "signals.sqlite"
    stop, rounds, errors = threading.Event(), [], []
    with SignalLog(path, wait_s=1.0) as log:
        readers = [
            threading.Thread(target=read_for_ever, args=(path, stop, rounds, errors))
            for _ in range(10)
        ]
        for thread in readers:
            thread.start()
        try:
            for k in range(60):
                epochs = (np.arange(20) + 20 * k) * 900
                log.append(block(epochs, outcomes=[Outcome("v5", int(e), 1) for e in epochs]))
        finally:
            stop.set()
            for thread in readers:
                thread.join()
        assert len(log.reader.signals()) == 1_200
    assert errors == []
    assert len(rounds) >= 10


def test_the_folder_of_the_log_is_made(tmp_path):
    with SignalLog(tmp_path / "a" / "b" / "signals.sqlite") as log:
        log.append(block())
    with SignalReader(tmp_path / "a" / "b" / "signals.sqlite") as reader:
        assert len(reader.signals()) == 10
