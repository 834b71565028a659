"""Bar files of every usual kind, understood and not yet judged."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from v8lib import bar_container
from v8lib.bar_arrow import read_arrow
from v8lib.bar_columns import find_columns, unused
from v8lib.bar_headerless import name_columns
from v8lib.bar_moment import NAT, runs_backwards
from v8lib.bar_numbers import numbers_of
from v8lib.bar_table import FileTable, counts, holes, name_list, one_line, shown
from v8lib.bar_text import read_text
from v8lib.bar_times import find_times
from v8lib.errors import BarsError
from v8lib.raw_bars import COLUMNS, Finding, RawBars


@dataclass(frozen=True)
class ReadFile:
    """Raw bars, and the cells behind them for messages that name one."""

    raw: RawBars
    columns: Mapping[str, tuple[pa.ChunkedArray, ...]]
    time_label: str

    def cell(self, column: str, row: int) -> str:
        """Return what stands in a column ("timestamp", "open", ...) at a row, counted from 0."""
        cells = [part[row].as_py() for part in self.columns[column]]
        return shown(cells[0] if len(cells) == 1 else " ".join(map(str, cells)))


def read_bars(path: Path | str) -> RawBars:
    """Return what a bar file holds: every row, in the order of the file, nothing judged.

    Read are Parquet, Feather and text parted by commas, semicolons, tabs or bars, also inside
    gzip or zip; the kind is told by the content. Column names, times and numbers are
    understood in the spellings of `bar_columns`, `bar_dates`, `bar_epochs` and `bar_numbers`.

    Raises
    ------
    BarsError
        If the file is missing, is no table, or its columns or times cannot be told without
        doubt. The message is one line and names the file.
    """
    return read_file(path).raw


def read_file(path: Path | str) -> ReadFile:
    """Return the raw bars of a file, and its cells. Raises as `read_bars` does."""
    path = Path(path)
    try:
        data = _bytes(path)
        payload = bar_container.open_container(data)
        table = (
            read_text(payload.data)
            if payload.kind == "csv"
            else read_arrow(payload.kind, payload.data)
        )
        sha256 = hashlib.sha256(data).hexdigest()
        return _understood(str(path), sha256, table, payload.wrapping)
    except BarsError as error:
        raise BarsError(f"{path}: {error}") from None


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise BarsError("a folder: name a file in it")
    if not path.is_file():
        raise BarsError("no such file")
    try:
        if path.stat().st_size > bar_container.MAX_BYTES:
            raise BarsError(f"it {bar_container.TOO_MUCH}")
        return path.read_bytes()
    except OSError as error:
        raise BarsError(f"cannot be read: {error.strerror}") from None


def _understood(path: str, sha256: str, table: FileTable, wrapping: str) -> ReadFile:
    if not table.n_rows:
        raise BarsError("no rows")
    if table.names is None:
        table = name_columns(table)
    positions = find_columns(table)
    times = find_times(table)
    values = numbers_of(
        {name: table.columns[positions[name]] for name in COLUMNS},
        comma_may_be_decimal=table.comma_may_be_decimal,
    )
    left = unused(table, [*positions.values(), *times.columns])
    dialect = {
        "format": f"{table.format}, {wrapping}" if wrapping else table.format,
        "header": table.header,
        "time": f"{times.label}: {times.words}",
        "order": _order(times.us),
        "volume": f"column '{one_line(table.names[positions['volume']])}'",
        "not used": name_list(tuple(left)) if left else "none",
    }
    raw = RawBars(
        path,
        sha256,
        _table(times.us, values),
        dialect,
        (*table.findings, *times.findings, *_holes(left)),
    )
    cells = {name: (table.columns[positions[name]],) for name in COLUMNS}
    cells["timestamp"] = tuple(table.columns[k] for k in times.columns)
    return ReadFile(raw, cells, times.label)


def _table(us: NDArray[np.int64], values: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    times = pd.DatetimeIndex(us.view("datetime64[us]")).tz_localize("UTC")
    rows = np.arange(1, len(us) + 1, dtype=np.int64)
    return pd.DataFrame({"timestamp": times, **{c: values[c] for c in COLUMNS}, "row": rows})


def _order(us: NDArray[np.int64]) -> str:
    known = us[us != NAT]
    steps = np.diff(known[::-1] if runs_backwards(known) else known)
    if (steps < 0).any():
        return "not in order"
    return "newest first" if runs_backwards(known) else "oldest first"


def _holes(left: Mapping[str, pa.ChunkedArray]) -> tuple[Finding, ...]:
    empty = {name: holes(column) for name, column in left.items()}
    empty = {name: n for name, n in empty.items() if n}
    if not empty:
        return ()
    listed = counts(dict(list(empty.items())[:12]))
    return (Finding("holes_in_unused_columns", f"{listed}: not needed"),)
