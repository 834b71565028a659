"""Damaged files of every dialect: bars that keep the schema, or one clear line, and no hang.

`python -m tests.test_bar_fuzz 20000 1` runs the long form and prints what came of it.
"""

import gzip
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests import dirty_bars
from v8lib.bar_schema import check_schema
from v8lib.bars import COLUMNS, load_bars
from v8lib.errors import BarsError

CASES = 2_000
MAX_SECONDS = 5.0  # for one small file, however busy the machine is
CELLS = (
    "", " ", "nan", "inf", "-inf", "null", "0", "-1", "-0.0", "1e999", "1e-400", "1,234.5",
    "1.234,5", '"', '""', '"a', "now", "today", "2024-13-45", "2024-02-30T00:00:00Z", "EST",
    "2024-01-29 05:00:00 CET", "99999999999999999999", "9" * 400, "-", "1_000", "0x10", "\u0663",
    "1970-01-01", "9999-12-31T23:59:59Z", "0001-01-01", "1e18", "1706486400", "1706486400000000",
    "05/06/2024", "05/06/24 07:00", "24:00:00", "12-AM", "+99:99", "x" * 3_000, "\n", "\r", "#",
    "=1+1", "timestamp", "open", "Close time", "\u2212" + "5", "1" + "\u00a0" + "234", "True",
)  # fmt: skip


def flip(data, rng):
    """Change one to eight bytes."""
    changed = bytearray(data)
    for at in rng.integers(0, len(data), rng.integers(1, 9)):
        changed[at] = rng.integers(0, 256)
    return bytes(changed)


def truncate(data, rng):
    return data[: rng.integers(0, len(data))]


def cut_out(data, rng):
    first, last = np.sort(rng.integers(0, len(data), 2))
    return data[:first] + data[last:]


def repeat_part(data, rng):
    first, last = np.sort(rng.integers(0, len(data), 2))
    return data[:last] + data[first:]


def insert(data, rng):
    at = rng.integers(0, len(data))
    return data[:at] + rng.bytes(int(rng.integers(1, 40))) + data[at:]


def lines_of(data):
    return data.split(b"\n")


def swap_lines(data, rng):
    lines = lines_of(data)
    a, b = rng.integers(0, len(lines), 2)
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


def drop_lines(data, rng):
    lines = lines_of(data)
    gone = set(rng.integers(0, len(lines), rng.integers(1, 4)).tolist())
    return b"\n".join(line for k, line in enumerate(lines) if k not in gone)


def drop_first_line(data, rng):
    return b"\n".join(lines_of(data)[int(rng.integers(1, 4)) :])


def repeat_line(data, rng):
    lines = lines_of(data)
    a, b = rng.integers(0, len(lines), 2)
    return b"\n".join([*lines[:a], lines[b], *lines[a:]])


def shuffle_lines(data, rng):
    return b"\n".join(rng.permutation(np.array(lines_of(data), dtype=object)).tolist())


def reverse_lines(data, rng):
    lines = lines_of(data)
    first = int(rng.integers(0, 2))
    return b"\n".join([*lines[:first], *lines[first:][::-1]])


def join_lines(data, rng):
    at = rng.integers(0, len(lines_of(data)))
    lines = lines_of(data)
    return b"\n".join(lines[:at]) + b"\n".join(lines[at:])


def delimiter_of(data):
    return max((b",", b";", b"\t", b"|"), key=data.count)


def edit_cells(data, rng):
    """Replace up to three cells with what no one expects there."""
    lines, delimiter = lines_of(data), delimiter_of(data)
    for _ in range(rng.integers(1, 4)):
        row = rng.integers(0, len(lines))
        cells = lines[row].split(delimiter)
        cells[rng.integers(0, len(cells))] = CELLS[rng.integers(0, len(CELLS))].encode()
        lines[row] = delimiter.join(cells)
    return b"\n".join(lines)


def edit_digits(data, rng):
    """Change digits: the smallest slips, which leave everything plausible."""
    changed = bytearray(data)
    digits = [k for k, byte in enumerate(data) if byte in b"0123456789.-:"]
    for at in rng.choice(digits, min(len(digits), int(rng.integers(1, 4)))) if digits else ():
        changed[at] = rng.choice(list(b"0123456789.-: eE,"))
    return bytes(changed)


def columns_of(data, change):
    delimiter = delimiter_of(data)
    return b"\n".join(delimiter.join(change(r.split(delimiter))) for r in lines_of(data))


def drop_column(data, rng):
    gone = int(rng.integers(0, 7))
    return columns_of(data, lambda cells: cells[:gone] + cells[gone + 1 :])


def repeat_column(data, rng):
    again = int(rng.integers(0, 7))
    return columns_of(data, lambda cells: cells + cells[again : again + 1])


def swap_columns(data, rng):
    a, b = rng.integers(0, 6, 2)

    def change(cells):
        if max(a, b) < len(cells):
            cells[a], cells[b] = cells[b], cells[a]
        return cells

    return columns_of(data, change)


def spoil_column(data, rng):
    """Replace a whole column, header and all, with one cell."""
    at, cell = int(rng.integers(0, 7)), CELLS[rng.integers(0, len(CELLS))].encode()
    return columns_of(data, lambda cells: [*cells[:at], cell, *cells[at + 1 :]])


def other_delimiter(data, rng):
    marks = [b",", b";", b"\t", b"|", b" ", b":", b"."]
    old, new = rng.choice(len(marks), 2, replace=False)
    return data.replace(marks[old], marks[new])


def other_encoding(data, rng):
    name = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7")[rng.integers(0, 6)]
    return data.decode("latin-1").encode(name)


def other_line_ends(data, rng):
    ends = (b"\r\n", b"\r", b"\n\n", b" \n", b"\n\r\n", b"\x0b", b"\x85")
    return data.replace(b"\n", ends[rng.integers(0, len(ends))])


def wrap(data, rng):
    """Put a damaged file into a container, and sometimes damage the container as well."""
    data = (data, flip(data, rng), truncate(data, rng))[rng.integers(0, 3)]
    wrapped = (
        gzip.compress(data, mtime=0),
        dirty_bars.zipped(None, members={"a.csv": data}),
        dirty_bars.zipped(None, members={"a.csv": data, "b.csv": data}),
        gzip.compress(gzip.compress(data, mtime=0), mtime=0),
    )[rng.integers(0, 4)]
    return (wrapped, flip(wrapped, rng), truncate(wrapped, rng))[rng.integers(0, 3)]


def leave(data, rng):
    return data


ANYTHING = (flip, truncate, cut_out, repeat_part, insert, wrap)
TEXT = (
    swap_lines, drop_lines, drop_first_line, repeat_line, shuffle_lines, reverse_lines, join_lines,
    edit_cells, edit_cells, edit_cells, edit_digits, edit_digits, drop_column, repeat_column,
    swap_columns, spoil_column, other_delimiter, other_encoding, other_line_ends, leave,
)  # fmt: skip
BINARY = ("gzipped", "zipped", "parquet", "parquet_index", "parquet_texts", "feather")


# These move and drop rows and columns: what is read must be bars that were in the file.
MOVING = frozenset(
    change.__name__
    for change in (
        swap_lines, drop_lines, drop_first_line, repeat_line, shuffle_lines, reverse_lines,
        other_encoding, other_line_ends, leave,
    )
)  # fmt: skip
MOVING_COLUMNS = frozenset(("drop_column", "repeat_column", "swap_columns", "leave"))


def originals(seed):
    """Return bars that change from seed to seed, and their bytes in every dialect."""
    bars = dirty_bars.clean_bars(24, seed=seed, interval_s=(60, 900, 3_600, 86_400)[seed % 4])
    return bars, {name: made(bars) for name, made in dirty_bars.DIALECTS.items()}


def only_moved(name, done):
    """Return whether a file still holds no cell that was not there before."""
    if name in BINARY:
        return set(done) <= {"leave"}
    # Without a header nobody can tell that columns were moved.
    named = not name.endswith("without_header") and set(done) <= MOVING_COLUMNS
    return named or set(done) <= MOVING


def damage(name, files, rng):
    """Return one damaged file and what was done to it."""
    data = files[name]
    if rng.random() < 0.05:
        other = files[list(files)[rng.integers(0, len(files))]]
        return data + other, ["append"]
    changes = ANYTHING if name in BINARY else (*TEXT, *ANYTHING)
    chosen = [changes[k] for k in rng.integers(0, len(changes), rng.choice([1, 1, 1, 2, 3]))]
    for change in chosen:
        data = change(data, rng) if data else data
    return data, [change.__name__ for change in chosen]


def broken_rule(bars):
    """Return the rule of the schema that bars break, seen without the schema's own code."""
    index, values = bars.index, bars.to_numpy()
    open_, high, low, close, volume = values.T
    rules = {
        "columns": list(bars.columns) == list(COLUMNS) and values.dtype == np.float64,
        "rows": len(bars) > 0,
        "utc": str(index.tz) == "UTC",
        "increasing": bool((np.diff(index.as_unit("s").asi8) > 0).all()),
        "years": bool(((index.year >= 2009) & (index.year <= 2100)).all()),
        "finite": bool(np.isfinite(values).all()),
        "positive": bool((values[:, :4] > 0.0).all() and (volume >= 0.0).all()),
        "range": bool(
            (high >= np.maximum(open_, close)).all() and (low <= np.minimum(open_, close)).all()
        ),
    }
    return next((rule for rule, kept in rules.items() if not kept), None)


def kind_of(text):
    """Return a refusal without what it quotes, so that the same refusals count together."""
    if text.startswith("cannot be read as ") and not text.startswith("cannot be read as csv"):
        return text.split(":")[0]
    text = re.sub(r"\(.*?\)|'.*?'|\".*?\"|\d[\d:+. -]*", "..", text.split("; ")[0])
    return " ".join(text.split())[:70]


def outcome(path, rows=None):
    """Return "accepted" or the kind of refusal; anything else is an AssertionError.

    With `rows` every accepted bar must be one of them: (time, five values).
    """
    started = time.monotonic()
    try:
        bars = load_bars(path).bars
    except BarsError as error:
        text = str(error)
        assert text.startswith(f"{path}: "), text
        assert len(text.splitlines()) == 1, text
        assert text.isprintable(), text
        assert len(text) < 1_200, text
        return "refused: " + kind_of(text.removeprefix(f"{path}: "))
    finally:
        assert time.monotonic() - started < MAX_SECONDS
    assert broken_rule(bars) is None
    check_schema(bars)
    strange = rows_of(bars) - rows if rows is not None else None
    assert not strange, strange
    return "accepted"


def rows_of(bars):
    return set(zip(bars.index.asi8.tolist(), *bars.to_numpy().T.tolist(), strict=True))


def fuzz(n, seed, folder=None):
    """Damage `n` files and load each.

    Returns
    -------
    dict
        How many ended how: "accepted", or "refused: " and the beginning of the line. What
        else could happen is an AssertionError that names the file, which is kept.
    """
    rng, counts = np.random.default_rng(seed), Counter()
    folder = Path(folder or tempfile.mkdtemp(prefix="bar_fuzz_"))
    path, files = folder / "bars", {}
    for case in range(n):
        if case % 500 == 0:
            bars, files = originals(seed + case // 500)
            rows = rows_of(bars)
        name = list(files)[rng.integers(0, len(files))]
        data, done = damage(name, files, rng)
        path.write_bytes(data)
        try:
            counts[outcome(path, rows if only_moved(name, done) else None)] += 1
        except Exception as error:
            kept = path.rename(folder / f"case_{seed}_{case}")
            raise AssertionError(f"{kept} ({name}: {', '.join(done)}): {error!r}") from error
    return dict(counts.most_common())


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_are_bars_or_one_line(tmp_path, seed):
    counts = fuzz(CASES // 2, seed, tmp_path)
    assert sum(counts.values()) == CASES // 2
    # A fuzz that never gets past the first check, or never hits one, would prove nothing.
    assert 0.1 < counts["accepted"] / (CASES // 2) < 0.7
    assert len(counts) > 25


def test_the_fuzz_sees_each_broken_rule():
    bars = dirty_bars.clean_bars(5)
    assert broken_rule(bars) is None
    assert broken_rule(bars.iloc[:0]) == "rows"
    assert broken_rule(bars[["high", "open", "low", "close", "volume"]]) == "columns"
    assert broken_rule(bars.iloc[[0, 1, 1]]) == "increasing"
    assert broken_rule(bars.tz_convert("Etc/GMT-1")) == "utc"
    assert broken_rule(dirty_bars.at(bars, 2, close=np.inf)) == "finite"
    assert broken_rule(dirty_bars.zero_price(bars)) == "positive"
    assert broken_rule(dirty_bars.at(bars, 3, high=1.0)) == "range"


if __name__ == "__main__":
    for what, number in fuzz(int(sys.argv[1]), int(sys.argv[2])).items():
        sys.stdout.write(f"{number:7,} {what}\n")
