"""The last rows in memory are the last rows of the log, however they came there."""

import numpy as np
import pytest
from test_signal_log import score_rows

from v8ops.production.log_rows import NEVER, EventRow, LogBlock, Outcome
from v8ops.production.log_writer import SignalLog
from v8ops.production.recent import Recent
from v8ops.production.scored import UNKNOWN


@pytest.fixture
def log(tmp_path):
    with SignalLog(tmp_path / "signals.sqlite") as opened:
        yield opened


def same(a, b):
    for one, other in zip(vars(a).values(), vars(b).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def grown(log, n_blocks, needed=25):
    """A log and what is kept of it, after blocks of ten rows."""
    recent = Recent(log, "BTC", needed)
    for k in range(n_blocks):
        epochs = (np.arange(10) + 10 * k) * 900
        rows = score_rows(epochs, seed=k)
        recent.add("v5", rows)
        outcomes = recent.learn("v5", epochs[:8], np.array([0, 1, 2, NEVER, 0, 1, 2, UNKNOWN]))
        log.append(LogBlock("BTC", [("v5", rows)], outcomes=outcomes))
    return recent


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 6])
def test_memory_and_log_agree(log, n_blocks):
    recent = grown(log, n_blocks)
    fresh = Recent(log, "BTC", 25)
    same(recent.rows("v5"), fresh.rows("v5"))
    same(recent.rows("v5"), log.reader.scores("BTC", "v5", last=25))
    assert len(recent.rows("v5")) == min(25, 10 * n_blocks)
    mine, theirs = recent.open_bars("v5").tolist(), fresh.open_bars("v5").tolist()
    assert theirs == mine[len(mine) - len(theirs) :]
    assert len(theirs) > 0


def test_forgetting_reads_the_log_again(log):
    recent = grown(log, 2)
    lost = score_rows(np.arange(20, 25) * 900)
    recent.add("v5", lost)
    assert len(recent.rows("v5")) == 25
    recent.forget()
    same(recent.rows("v5"), log.reader.scores("BTC", "v5"))
    assert recent.open_bars("v5")[-1] == 19 * 900


def test_labels_settle_once_and_never_is_no_label(log):
    recent = Recent(log, "BTC", 25)
    rows = score_rows()
    recent.add("v5", rows)
    epochs = rows.epoch_s[:4]
    settled = recent.learn("v5", epochs, np.array([2, NEVER, UNKNOWN, 0]))
    assert settled == [
        Outcome("v5", 0, 2),
        Outcome("v5", 900, NEVER),
        Outcome("v5", 2_700, 0),
    ]
    assert recent.rows("v5").labels.tolist() == [2, UNKNOWN, UNKNOWN, 0, *[UNKNOWN] * 6]
    assert recent.open_bars("v5").tolist() == [1_800, *rows.epoch_s[4:].tolist()]
    assert recent.open_versions() == ["v5"]
    assert rows.labels.tolist() == [UNKNOWN] * 10


def test_rows_before_a_rollback_are_not_kept_against_a_version(log):
    log.append(LogBlock("BTC", [("v5", score_rows())]))
    recent = Recent(log, "BTC", 25)
    assert len(recent.rows("v5")) == 10
    recent.restart("v5")
    assert len(recent.rows("v5")) == 0
    log.note([EventRow("t", "BTC", 4_500, "rollback", "v5", "x")])
    log.note([EventRow("t", "BTC", 8_100, "rollback", "other", "x")])
    log.note([EventRow("t", "ETH", 8_100, "rollback", "v5", "x")])
    fresh = Recent(log, "BTC", 25)
    assert fresh.rows("v5").epoch_s.tolist() == [5_400, 6_300, 7_200, 8_100]
    assert len(fresh.open_bars("v5")) == 10


def test_the_last_bar_outlives_a_log_that_is_lost(log):
    recent = Recent(log, "BTC", 25)
    assert recent.last_bar is None
    recent.reached(9_000)
    recent.forget()
    assert recent.last_bar == 9_000
