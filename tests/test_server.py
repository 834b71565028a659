"""The loop round the engine: files, clocks and logs that misbehave, and no signal lost."""

import sqlite3

import numpy as np
import pytest
import serving_case as sc

from v8ops.production.bar_source import BarSource
from v8ops.production.catch_up import blocks, complete, new_bars
from v8ops.production.keeper import Keeper
from v8ops.production.log_schema import LogError
from v8ops.production.log_writer import SignalLog
from v8ops.production.notes import Notes
from v8ops.production.server import Server

BARS = sc.make_bars(400)


class Serving(sc.Case):
    """A server over a data folder, one round at a time."""

    def __init__(self, folder, symbols=("BTC",)):
        self.symbols, self.stop, self.poll = symbols, False, None
        self.data = folder / "data"
        self.data.mkdir()
        super().__init__(folder)
        self.add("v5-stable")
        self.use(stable="v5-stable")

    def start(self):
        self.notes = Notes(lambda: self.now, self.lines.append)
        self.log = SignalLog(self.path, wait_s=0.02)
        self.server = Server(
            [BarSource(self.data, symbol, self.notes) for symbol in self.symbols],
            Keeper(self.models, self.notes, load=self.load),
            self.log,
            self.notes,
            lambda: self.now,
            lambda: self.stop,
            timer=lambda: self.seconds,
            poll=self.poll,
        )

    def until(self, n_bars):
        """Let time pass until so many bars have closed."""
        passed = sc.START_S + n_bars * sc.INTERVAL_S + 1.0 - self.now
        self.now += passed
        self.seconds += passed

    def write(self, bars, symbol="BTC"):
        sc.write_bars(self.data / f"{symbol}.parquet", bars)

    def round(self, n_bars, bars=None):
        """Serve when so many bars have closed and the file holds them, or other bars."""
        self.until(n_bars)
        self.write(BARS.at(slice(0, n_bars)) if bars is None else bars)
        return self.server.round()

    def places(self, symbol="BTC"):
        return [int(sc.place(row.epoch_s)) for row in self.log.reader.signals(symbol)]

    def said(self, words):
        return sum(words in line for line in self.lines)


@pytest.fixture
def serving(tmp_path):
    made = Serving(tmp_path)
    yield made
    made.log.close()


def test_a_bar_is_complete_when_its_interval_has_passed():
    opened = float(BARS.epoch_s[10])
    for now, n in ((opened + 899.9, 10), (opened + 900.0, 11), (0.0, 0), (1e12, 400)):
        assert len(complete(BARS, now, 900).close) == n


def test_without_a_signal_yet_the_last_bar_alone_is_new():
    assert new_bars(BARS, None) == 1
    assert new_bars(BARS.at(slice(0, 0)), None) == 0
    assert new_bars(BARS, int(BARS.epoch_s[-1])) == 0
    assert new_bars(BARS, int(BARS.epoch_s[-3])) == 2
    assert new_bars(BARS, int(BARS.epoch_s[-3]) + 1) == 2
    assert new_bars(BARS, 10**12) == 0


@pytest.mark.parametrize(("n_new", "size"), [(0, 10), (1, 10), (10, 10), (11, 10), (400, 256)])
def test_blocks_hold_every_new_bar_once_and_its_history(n_new, size):
    seen = []
    for bars, n in blocks(BARS, n_new, 30, size):
        assert 1 <= n <= size
        first = len(BARS.close) - n_new + len(seen)
        assert len(bars.close) == n + min(30, first)
        seen += bars.epoch_s[-n:].tolist()
    assert seen == BARS.epoch_s[400 - n_new :].tolist()


def test_the_first_round_emits_the_last_bar_and_each_later_one_what_is_new(serving):
    for n in (100, 100, 101, 103, 120):
        assert serving.round(n)
    assert serving.places() == list(range(99, 120))
    lines = [line for line in serving.lines if "stable v5-stable" in line and "BTC  " in line]
    assert len(lines) == 21
    assert lines[0].startswith("2024-01-02T00:45:00Z  BTC  ")


def test_a_bar_that_is_still_open_waits(serving):
    serving.round(100)
    assert serving.round(100, BARS.at(slice(0, 103)))
    assert serving.places() == [99]
    serving.round(103)
    assert serving.places() == [99, 100, 101, 102]


def test_a_restart_goes_on_after_the_last_bar_and_marks_what_it_missed_as_late(serving):
    serving.round(100)
    serving.restart()
    serving.round(300)
    rows = serving.log.reader.signals("BTC")
    assert serving.places() == list(range(99, 300))
    assert [row.reason for row in rows[1:-2]] == ["late"] * 198
    assert not any(row.actionable for row in rows[1:-2])
    assert [row.reason for row in rows[-2:]] == [""] * 2


def test_missing_bars_have_no_signal_and_those_after_them_hold(serving):
    serving.round(100)
    serving.round(120, sc.without(BARS.at(slice(0, 120)), [105, 106]))
    rows = serving.log.reader.signals("BTC")
    assert serving.places() == [99, *range(100, 105), *range(107, 120)]
    assert [row.version for row in rows].count(None) == sc.WARMUP_BARS - 1
    assert "unbroken bars needed" in rows[6].reason


def test_bars_that_come_late_are_said_and_have_no_signal(serving):
    serving.round(120, sc.without(BARS.at(slice(0, 120)), [105]))
    serving.round(121)
    assert serving.places() == [119, 120]
    assert serving.said("1 bars came late") == 1


def test_a_changed_old_bar_leaves_its_signal(serving):
    serving.round(100)
    before = serving.log.reader.signals()
    close = BARS.close.copy()
    close[99] *= 1.0001
    changed = BARS._replace(close=close, high=BARS.high * 1.01).at(slice(0, 101))
    serving.round(101, changed)
    assert serving.log.reader.signals()[:1] == before
    assert serving.places() == [99, 100]
    assert serving.said("old bars changed") == 1


def test_a_corrupt_file_is_said_once_and_the_other_symbol_goes_on(tmp_path):
    serving = Serving(tmp_path, ("BTC", "ETH"))
    serving.write(BARS.at(slice(0, 100)), "ETH")
    serving.round(100)
    (serving.data / "BTC.parquet").write_bytes(b"PAR1 damaged")
    for n in (101, 102, 103):
        serving.until(n)
        serving.write(BARS.at(slice(0, n)), "ETH")
        assert not serving.server.round()
    assert serving.said("BTC.parquet") == 1
    assert serving.places("ETH") == [99, 100, 101, 102]
    assert serving.round(104)
    assert serving.places() == list(range(99, 104))
    assert serving.said("can be used again") == 1
    serving.log.close()


def test_a_file_that_shrinks_gives_nothing_until_it_has_grown_again(serving):
    serving.round(120)
    for n in (121, 122):
        serving.until(n)
        serving.write(BARS.at(slice(0, 60)))
        assert serving.server.round()
    assert serving.places() == [119]
    assert serving.said("signals are out up to 2024-01-02T05:45:00Z") == 1
    serving.round(123)
    assert serving.places() == [119, 120, 121, 122]
    assert serving.said("caught up with the signals") == 1


def test_a_clock_that_goes_back_gives_no_signal_twice_and_none_too_early(serving):
    serving.round(120)
    serving.now -= 50 * sc.INTERVAL_S
    serving.server.round()
    serving.server.round()
    assert serving.places() == [119]
    assert serving.said(f"the clock went back by {50 * sc.INTERVAL_S} s") == 1
    assert serving.said("waiting") == 1
    serving.now += 50 * sc.INTERVAL_S
    serving.round(122)
    assert serving.places() == [119, 120, 121]


def test_a_clock_that_jumps_ahead_is_said_and_its_signals_are_late(serving):
    serving.round(120)
    serving.now += 5_000 * sc.INTERVAL_S
    serving.write(BARS.at(slice(0, 123)))
    serving.server.round()
    rows = serving.log.reader.signals()
    assert serving.places() == [119, 120, 121, 122]
    assert [row.reason for row in rows[1:]] == ["late"] * 3
    assert not any(row.actionable for row in rows[1:])
    assert serving.said("the clock jumped ahead by 4500000 s") == 1


def test_a_clock_that_is_moved_a_little_is_nobody_s_news(serving):
    serving.round(120)
    serving.now += 20.0
    serving.server.round()
    assert serving.said("the clock") == 0


def test_bars_that_stay_away_are_said_once(serving):
    serving.round(120)
    for n in (122, 124, 126):
        serving.until(n)
        assert serving.server.round()
    assert serving.said("no new bar since that of 2024-01-02T05:45:00Z") == 1
    serving.round(127)
    assert serving.said("new bars come again") == 1


def test_a_log_that_is_locked_is_said_once_and_nothing_is_lost(serving):
    serving.round(100)
    other = sqlite3.connect(serving.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    emitted = serving.said("  BTC  ")
    for n in (105, 106):
        assert not serving.round(n)
    assert serving.said("  BTC  ") == emitted
    assert serving.said("nothing is emitted until it works again") == 1
    other.execute("ROLLBACK")
    other.close()
    assert serving.round(110)
    assert serving.places() == list(range(99, 110))
    assert serving.said("the signal log works again") == 1


def test_a_full_disk_is_said_and_nothing_is_lost(serving, monkeypatch):
    serving.round(100)

    def full(*_):
        raise LogError("signals.sqlite: the signal log cannot be used: disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(serving.log, "append", full)
        patch.setattr(serving.log, "note", full)
        assert not serving.round(110)
        assert not serving.round(120)
    assert serving.said("disk is full") == 1
    assert serving.round(121)
    assert serving.places() == list(range(99, 121))
    assert "log" in [event.kind for event in serving.log.reader.events()]


def test_a_log_that_is_taken_away_is_made_anew_and_no_bar_is_emitted_twice(serving):
    serving.round(100)
    serving.path.unlink()
    assert not serving.round(101)
    assert serving.round(103)
    assert serving.places() == [100, 101, 102]
    assert serving.said("removed or replaced while in use") == 1


def test_what_was_said_is_in_the_log(serving):
    serving.round(100)
    (serving.data / "BTC.parquet").write_bytes(b"")
    serving.server.round()
    kinds = [event.kind for event in serving.log.reader.events()]
    assert kinds == ["models", "data"]
    assert not serving.notes.waiting


def test_being_told_to_stop_ends_after_the_block(serving, monkeypatch):
    serving.round(100)
    monkeypatch.setattr("v8ops.production.catch_up.BLOCK_BARS", 10)
    monkeypatch.setattr("v8ops.production.server.blocks", lambda b, n, h: blocks(b, n, h, size=10))
    append = serving.log.append

    def stop_after(block):
        append(block)
        serving.stop = True

    monkeypatch.setattr(serving.log, "append", stop_after)
    serving.round(150)
    assert serving.places() == list(range(99, 110))


def test_the_loop_waits_between_rounds_and_ends_when_told(serving):
    serving.write(BARS.at(slice(0, 100)))
    serving.until(100)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        serving.until(100 + len(waits))
        serving.write(BARS.at(slice(0, 100 + len(waits))))
        serving.stop = len(waits) == 4

    serving.server.run(5.0, wait)
    assert waits == [5.0] * 4
    assert serving.places() == [99, 100, 101, 102]


class StubPoll:
    def __init__(self):
        self.asked = []

    def fetch(self, due):
        self.asked.append(due)


def test_polling_is_for_symbols_whose_next_bar_should_have_closed(tmp_path):
    serving = Serving(tmp_path, ("BTC", "ETH"))
    serving.log.close()
    serving.poll = StubPoll()
    serving.start()
    serving.write(BARS.at(slice(0, 100)), "ETH")
    serving.until(100)
    serving.server.round()  # nothing is known yet
    serving.write(BARS.at(slice(0, 100)))
    serving.server.round()
    serving.server.round()
    serving.until(101)
    serving.server.round()
    # The model tells the interval of a symbol that has no bars yet; ETH has no model.
    assert serving.poll.asked == [
        {"BTC": 900, "ETH": 0},
        {"BTC": 900},
        {},
        {"BTC": 900, "ETH": 900},
    ]
    serving.log.close()


def test_labels_are_filled_in_while_serving(serving):
    for n in range(100, 130):
        serving.round(n)
    scores = serving.log.reader.scores("BTC", "v5-stable")
    assert np.count_nonzero(scores.labels >= 0) == len(scores) - 4
