"""The file of a symbol and its parts: what is missing, what counts, what survives."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feed_server import START_S, history
from v8lib.bars import load_bars
from v8ops.feeds.bar_file import Origin, Stored, merge, read_stored, write_stored
from v8ops.feeds.bar_store import BarStore, missing_ranges
from v8ops.feeds.patience import FeedError

ORIGIN = Origin("coinbase", "BTC/USD", "15m", "test 1")
BAR_S = 900


def store_of(folder, origin=ORIGIN, pieces_per_part=2):
    return BarStore(folder, "BTC", origin, BAR_S, pieces_per_part)


def at(bars):
    return START_S + bars * BAR_S


def fill(store, rows, edges):
    """Add the rows in pieces with these edges, given in bars."""
    for first, last in itertools.pairwise(edges):
        inside = rows[(rows[:, 0] >= at(first)) & (rows[:, 0] < at(last))]
        store.add(at(first), at(last), inside)


ranges = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1]))


@given(wanted=ranges, covered=st.lists(ranges, max_size=8))
def test_missing_ranges_are_what_is_wanted_and_not_covered(wanted, covered):
    missing = missing_ranges(wanted, covered)
    seconds = [second for first, last in missing for second in range(first, last)]
    held = {second for first, last in covered for second in range(first, last)}
    assert seconds == [second for second in range(*wanted) if second not in held]
    assert all(first < last for first, last in missing)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(missing))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=6).map(
            lambda cells: dict(cells)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_of_a_time_in_several_parts_the_last_counts(parts):
    tables = [
        np.array([[t, v, v, v, v, v] for t, v in sorted(part.items())], float).reshape(-1, 6)
        for part in parts
    ]
    rows, changed = merge(tables)
    expected, n_changed = {}, 0
    for part in parts:
        n_changed += sum(t in expected and expected[t] != v for t, v in part.items())
        expected |= part
    assert [(int(r[0]), int(r[1])) for r in rows] == sorted(expected.items())
    assert changed == n_changed


def test_a_file_written_twice_is_the_same_bytes_and_reads_as_it_was(tmp_path):
    rows = history(500)
    stored = Stored(ORIGIN, at(0), at(600), rows)
    for name in ("a", "b"):
        write_stored(tmp_path / name, stored)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = read_stored(tmp_path / "a")
    assert (back.origin, back.start, back.stop) == (ORIGIN, at(0), at(600))
    assert np.array_equal(back.rows, rows)


def test_a_part_without_bars_is_kept_as_such(tmp_path):
    write_stored(tmp_path / "a", Stored(ORIGIN, at(0), at(600), np.empty((0, 6))))
    assert read_stored(tmp_path / "a").rows.shape == (0, 6)


def test_parts_become_the_file_and_are_gone(tmp_path):
    rows = history(90, at=np.setdiff1d(np.arange(100), np.arange(40, 50)))
    store = store_of(tmp_path)
    with store.opened():
        assert store.to_fetch((at(0), at(100)), 5) == [(at(0), at(100))]
        fill(store, rows, [0, 10, 20, 30, 40, 50, 100])
        assert len(list(store.parts.glob("*.parquet"))) == 3
        fetched = store.finish((at(0), at(100)))
    assert (fetched.n_bars, fetched.n_gaps, fetched.n_missing) == (90, 1, 10)
    assert (fetched.first, fetched.last) == (at(0), at(99))
    assert (fetched.n_new, fetched.n_changed) == (90, 0)
    assert not store.parts.exists()
    loaded = load_bars(tmp_path / "BTC.parquet")
    assert np.array_equal(loaded.bars.to_numpy(), rows[:, 1:])
    assert [finding.name for finding in loaded.findings] == ["gaps"]


@pytest.mark.parametrize("cut", range(1, 6))
def test_whatever_parts_an_end_leaves_the_next_fetch_makes_the_same_file(cut, tmp_path):
    rows, edges = history(100), [0, 10, 20, 30, 40, 50, 100]
    whole = store_of(tmp_path / "whole")
    with whole.opened():
        fill(whole, rows, edges)
        whole.finish((at(0), at(100)))

    torn = store_of(tmp_path / "torn")
    with torn.opened():
        fill(torn, rows, edges[: cut + 1])
    again = store_of(tmp_path / "torn")
    with again.opened():
        kept = cut // 2 * 2  # pieces that were not written yet are lost
        missing = again.to_fetch((at(0), at(100)), 3)
        assert missing == [(max(at(0), at(kept * 10 - 3)) if kept else at(0), at(100))]
        start = (missing[0][0] - START_S) // BAR_S
        fill(again, rows, [start, 60, 100])
        again.finish((at(0), at(100)))
    assert again.path.read_bytes() == whole.path.read_bytes()


def test_an_end_between_the_file_and_the_removal_of_its_parts_does_no_harm(tmp_path, monkeypatch):
    rows = history(100)
    store = store_of(tmp_path)
    with store.opened(), monkeypatch.context() as patch:
        fill(store, rows, [0, 50, 100])
        patch.setattr("v8ops.feeds.bar_store.shutil.rmtree", lambda path: None)
        store.finish((at(0), at(100)))
    before = store.path.read_bytes()
    assert store.parts.exists()
    again = store_of(tmp_path)
    with again.opened():
        assert again.to_fetch((at(0), at(100)), 5) == []
        fetched = again.finish((at(0), at(100)))
    assert (fetched.n_new, fetched.n_changed) == (0, 0)
    assert again.path.read_bytes() == before
    assert not again.parts.exists()


def test_what_lies_between_two_pieces_is_not_taken_for_fetched(tmp_path):
    rows = history(40)
    store = store_of(tmp_path, pieces_per_part=9)
    with store.opened():
        fill(store, rows, [0, 10])
        fill(store, rows, [20, 30])
        store.flush()
        assert store.to_fetch((at(0), at(40)), 0) == [(at(10), at(20)), (at(30), at(40))]


def test_a_write_that_was_killed_is_swept_away(tmp_path):
    store = store_of(tmp_path)
    store.parts.mkdir(parents=True)
    (store.parts / ".000001.parquet.x7").write_bytes(b"half")
    with store.opened():
        assert list(store.parts.iterdir()) == []


def test_a_file_is_extended_at_both_ends(tmp_path):
    rows = history(100)
    store = store_of(tmp_path)
    with store.opened():
        fill(store, rows, [40, 60])
        store.finish((at(40), at(60)))
    store = store_of(tmp_path)
    with store.opened():
        span = store.span((at(10), at(90)))
        assert span == (at(10), at(90))
        assert store.to_fetch(span, 5) == [(at(10), at(40)), (at(55), at(90))]
        fill(store, rows, [10, 40])
        fill(store, rows, [55, 90])
        fetched = store.finish(span)
    assert (fetched.n_bars, fetched.n_new, fetched.n_changed) == (80, 60, 0)
    assert np.array_equal(read_stored(store.path).rows, rows[10:90])


def test_nothing_new_leaves_the_file_untouched(tmp_path):
    store = store_of(tmp_path)
    with store.opened():
        fill(store, history(20), [0, 20])
        store.finish((at(0), at(20)))
    before = store.path.stat().st_mtime_ns
    other = Origin("coinbase", "BTC/USD", "15m", "test 2")
    store = store_of(tmp_path, other)
    with store.opened():
        assert store.to_fetch((at(5), at(20)), 5) == []
        assert store.finish(store.span((at(5), at(20)))).n_bars == 20
    assert store.path.stat().st_mtime_ns == before


def test_parts_of_another_market_are_refused(tmp_path):
    store = store_of(tmp_path)
    with store.opened():
        fill(store, history(40), [0, 10, 40])
    other = store_of(tmp_path, Origin("coinbase", "BTC/EUR", "15m", "test 1"))
    with pytest.raises(FeedError, match="holds parts of another market: remove it"), other.opened():
        pass


def test_a_file_with_other_columns_is_refused(tmp_path):
    write_stored(tmp_path / "BTC.parquet", Stored(ORIGIN, at(0), at(5), history(5)))
    table = pq.read_table(tmp_path / "BTC.parquet").append_column("more", pa.array(range(5)))
    pq.write_table(table, tmp_path / "BTC.parquet")
    with pytest.raises(FeedError, match="the columns are not those that fetch writes"):
        read_stored(tmp_path / "BTC.parquet")


def test_what_breaks_the_schema_is_never_written(tmp_path):
    rows = history(20)
    rows[7, 2] = 1.0
    store = store_of(tmp_path)
    with pytest.raises(Exception, match="high"), store.opened():
        fill(store, rows, [0, 20])
        store.finish((at(0), at(20)))
    assert not store.path.exists()


def test_times_are_written_to_the_microsecond(tmp_path):
    write_stored(tmp_path / "a.parquet", Stored(ORIGIN, at(0), at(5), history(5)))
    times = pd.read_parquet(tmp_path / "a.parquet")["timestamp"]
    assert str(times.dtype) == "datetime64[us, UTC]"
    assert times.iloc[1] == pd.Timestamp("2024-01-01 00:15", tz="UTC")
