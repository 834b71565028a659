"""CSV, or text parted by semicolons, tabs or bars, as the columns of a bar file."""

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa

from v8lib.bar_header import SAMPLE_LINES, Layout, find_layout, split_line
from v8lib.bar_table import MAX_COLUMNS, FileTable, row_count
from v8lib.errors import BarsError
from v8lib.raw_bars import Finding

MAX_LINE = 1_000_000  # bytes
MAX_SHORT_ROWS = 1_000
UTF_8, UTF_16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
OPEN_QUOTE = "cannot be read as csv: a quote does not close within its line"
EMPTY_LINES = re.compile(rb"\n[ \n]*\n")
WORDS = {",": "CSV", ";": "CSV with semicolons", "\t": "text with tabs", "|": "text with bars"}


def read_text(data: bytes) -> FileTable:
    """Return the columns of a text file, every cell as text.

    Empty lines are no rows. A row with too few cells has empty ones at its end, with a
    finding.

    Raises
    ------
    BarsError
        If the bytes are no text, a line is absurd, a row has too many cells, or a quote does
        not close within its line.
    """
    data = _lines_of(_utf_8(data))
    if not data:
        raise BarsError("no rows")
    _refuse_long_lines(data)
    lines = list(islice(_each_line(data), SAMPLE_LINES))
    layout = find_layout([line.decode() for line in lines])
    if layout.n_columns > MAX_COLUMNS:
        raise BarsError(f"{layout.n_columns:,} columns: no bar file")
    body = data[sum(len(line) + 1 for line in lines[: layout.first_line]) :]
    if not body:
        raise BarsError("no rows")
    columns, findings = _parse(body, layout)
    return FileTable(
        layout.names,
        columns,
        WORDS[layout.delimiter],
        layout.words,
        (*layout.findings, *findings),
        comma_may_be_decimal=layout.delimiter != ",",
    )


def _utf_8(data: bytes) -> bytes:
    """Return text as UTF-8 without a mark, from UTF-8 or from UTF-16 with one."""
    name = "UTF-16" if data.startswith(UTF_16) else "UTF-8"
    try:
        text = data.decode(name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BarsError(
            f"cannot be read as csv: the byte at {error.start} (0x{data[error.start]:02x}) "
            f"is no {name}: save the file as UTF-8"
        ) from None
    if "\0" in text:
        raise BarsError(f"cannot be read as csv: a zero byte at letter {text.index(chr(0))}")
    return data.removeprefix(UTF_8) if name == "UTF-8" else text.encode("utf-8", "replace")


def _lines_of(data: bytes) -> bytes:
    """Return text with one kind of line end and without empty lines."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data = data.lstrip(b" \n")
    if b"\n\n" in data or b"\n " in data:
        data = EMPTY_LINES.sub(b"\n", data)
    return data.rstrip(b" \n")


def _each_line(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        yield data[start:end]
        start = end + 1


def _refuse_long_lines(data: bytes) -> None:
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(data)) - 1
    if lengths.max() > MAX_LINE:
        raise BarsError(
            f"line {int(lengths.argmax()) + 1} has {int(lengths.max()):,} bytes: no bar file"
        )


def _parse(body: bytes, layout: Layout) -> tuple[tuple[pa.ChunkedArray, ...], tuple[Finding, ...]]:
    """Return the columns of the data rows, and whether rows were short."""
    from pyarrow import csv

    names = [str(k) for k in range(layout.n_columns)]
    odd: list[tuple[int, str]] = []

    def note(row: csv.InvalidRow) -> str:
        odd.append((row.number - 1, row.text))
        return "skip" if len(odd) <= MAX_SHORT_ROWS else "error"

    try:
        table = csv.read_csv(
            pa.BufferReader(body),
            csv.ReadOptions(use_threads=False, column_names=names, block_size=4 * MAX_LINE),
            csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if b'"' in body else False,
                invalid_row_handler=note,
            ),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), check_utf8=False),
        )
    except pa.ArrowInvalid:  # of texts only a quote can be wrong, or `note` has had enough
        _refuse_odd(odd, layout)
        raise BarsError(OPEN_QUOTE) from None
    _refuse_odd(odd, layout)
    if table.num_rows + len(odd) != body.count(b"\n") + 1:
        raise BarsError(OPEN_QUOTE)
    return _with_short_rows(table, odd, layout)


def _refuse_odd(odd: list[tuple[int, str]], layout: Layout) -> None:
    """Refuse rows that are too long, or so many short ones that they are no accident."""
    for row, text in odd:
        n_cells = len(split_line(text, layout.delimiter))
        if n_cells > layout.n_columns or len(odd) > MAX_SHORT_ROWS:
            raise BarsError(
                f"cannot be read as csv: row {row + 1} has {n_cells} cells, the first line has "
                f"{layout.n_columns}"
            )


def _with_short_rows(
    table: pa.Table, odd: list[tuple[int, str]], layout: Layout
) -> tuple[tuple[pa.ChunkedArray, ...], tuple[Finding, ...]]:
    if not odd:
        return tuple(table.itercolumns()), ()
    cells = [split_line(text, layout.delimiter) for _, text in odd]
    padded = [row + [""] * (layout.n_columns - len(row)) for row in cells]
    short = pa.table(
        {
            name: pa.array([row[k] for row in padded], pa.string())
            for k, name in enumerate(table.column_names)
        }
    )
    rows = np.array([row for row, _ in odd])
    n = table.num_rows
    order = np.insert(np.arange(n), rows - np.arange(len(rows)), np.arange(n, n + len(rows)))
    whole = pa.concat_tables([table, short]).take(pa.array(order)).itercolumns()
    many = f"{row_count(len(rows))} with too few cells, first row {rows[0] + 1}"
    return tuple(whole), (Finding("short_rows", many),)
