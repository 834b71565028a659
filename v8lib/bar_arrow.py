"""Parquet and Feather as the columns of a bar file."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from v8lib.bar_table import MAX_COLUMNS, MAX_ROWS, FileTable, one_line
from v8lib.errors import BarsError

# What damaged bytes can raise inside pyarrow; its own errors derive from these.
DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError)


def read_arrow(kind: str, data: bytes) -> FileTable:
    """Return the columns of a Parquet ("parquet") or Feather ("feather") file.

    Raises
    ------
    BarsError
        If the bytes cannot be read, or say that they hold an absurd number of cells.
    """
    read = {"parquet": _parquet, "feather": _feather}[kind]
    table = _guarded(kind, lambda: _checked(read(data)))
    columns = tuple(_guarded(kind, lambda c=c: _plain(c)) for c in table.itercolumns())
    names = tuple(_outer_name(name) for name in table.column_names)
    words = "Parquet" if kind == "parquet" else "Feather"
    return FileTable(names, columns, words, header="column names of the file")


def _guarded(kind: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except BarsError:
        raise
    except DAMAGE as error:
        raise BarsError(f"cannot be read as {kind}: {one_line(error, 120)}") from None


def _parquet(data: bytes) -> pa.Table:
    from pyarrow import parquet

    with parquet.ParquetFile(io.BytesIO(data)) as file:
        _refuse_absurd(file.metadata.num_rows, file.metadata.num_columns)
        return file.read(use_threads=False)


def _feather(data: bytes) -> pa.Table:
    from pyarrow import feather

    with warnings.catch_warnings():
        # Version 1 is deprecated in Arrow, and files of it are still about.
        warnings.simplefilter("ignore", DeprecationWarning)
        return feather.read_table(io.BytesIO(data), memory_map=False, use_threads=False)


def _checked(table: pa.Table) -> pa.Table:
    _refuse_absurd(table.num_rows, table.num_columns)
    table.validate(full=True)
    return table


def _refuse_absurd(n_rows: int, n_columns: int) -> None:
    if n_columns > MAX_COLUMNS or n_rows > MAX_ROWS:
        raise BarsError(f"{n_columns:,} columns of {n_rows:,} rows: no bar file")


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as texts, float64, int64 or microseconds, where it is one of these."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    for is_kind, target in (
        (pa.types.is_null, pa.string()),
        (pa.types.is_large_string, pa.string()),
        (pa.types.is_string_view, pa.string()),
        (pa.types.is_time, pa.string()),
        (pa.types.is_uint64, pa.float64()),
        (pa.types.is_integer, pa.int64()),
        (pa.types.is_floating, pa.float64()),
        (pa.types.is_decimal, pa.string()),  # the numbers are parsed exactly, casts are not
        (pa.types.is_date, pa.timestamp("us")),
    ):
        if is_kind(kind):
            return column.cast(target)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    return column


def _outer_name(name: str) -> str:
    """Return "Close" for "('Close', 'SOL-USD')", as pandas writes a column of two levels."""
    if name.startswith("('") and name.endswith("')"):
        return name[2:].split("'")[0]
    return "" if name.startswith("__index_level_") else name
