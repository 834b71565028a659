"""Where the rows of a text file begin, what parts their cells, and what the columns are called."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from v8lib.bar_columns import is_known, plain_name, role_of
from v8lib.bar_table import one_line
from v8lib.errors import BarsError
from v8lib.raw_bars import Finding

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_LINES = 60  # a header stands among the first lines or nowhere
CELL = re.compile(r"[+-]?(\d[\d.,]*|\.\d+)([eE][+-]?\d+)?|nan|null|none", re.IGNORECASE)
STARTS_LIKE_TIME = re.compile(r"\d{4}|\d{1,2}[-/.]\d{1,2}[-/.]\d")
SECOND_HEADERS = ("ticker", "price", "symbol")


@dataclass(frozen=True)
class Layout:
    """How the lines of a text file are laid out.

    Attributes
    ----------
    delimiter : str
        What parts the cells.
    first_line : int
        Line of the first data row, counted from 0.
    names : tuple of str
        Column names; None where the file has no header.
    n_columns : int
        Cells of a row.
    words : str
        The header, in words.
    findings : tuple of Finding
        Lines that were skipped.
    """

    delimiter: str
    first_line: int
    names: tuple[str, ...] | None
    n_columns: int
    words: str
    findings: tuple[Finding, ...] = ()


def split_line(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line, without the spaces around them."""
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [""])]
    except csv.Error:
        return [line]


def find_layout(lines: Sequence[str]) -> Layout:
    """Return the layout of a text file.

    Parameters
    ----------
    lines : sequence of str
        Its first lines, without empty ones.

    Raises
    ------
    BarsError
        If data rows stand before the header.
    """
    lines = lines[:SAMPLE_LINES]
    score, _, line, delimiter = max(_header_scores(lines), default=(0, 0, 0, ","))
    if score >= 2:
        return _with_more_headers(lines, _layout(lines, line, delimiter))
    return _without_header(lines) or _layout(lines, 0, _likeliest(lines[0]))


def _header_scores(lines: Sequence[str]) -> Iterator[tuple[int, int, int, str]]:
    """Yield how many known columns a line names under a delimiter; earlier lines win a tie."""
    for number, line in enumerate(lines):
        for delimiter in DELIMITERS:
            if delimiter in line:
                cells = split_line(line, delimiter)
                known = {role_of(cell) or cell for cell in cells if is_known(cell)}
                yield len(known), -number, number, delimiter


def _layout(lines: Sequence[str], line: int, delimiter: str) -> Layout:
    names = tuple(split_line(lines[line], delimiter))
    findings = ()
    if line:
        _refuse_data(lines[:line], delimiter, len(names))
        many = f"{line} line{'s' * (line > 1)} before the header: "
        findings = (Finding("header", many + one_line(" / ".join(lines[:line]))),)
    return Layout(delimiter, line + 1, names, len(names), "one row", findings)


def _refuse_data(before: Sequence[str], delimiter: str, n_columns: int) -> None:
    for number, line in enumerate(before):
        cells = split_line(line, delimiter)
        if len(cells) == n_columns and sum(map(_is_number, cells)) >= min(4, n_columns):
            raise BarsError(
                f"line {number + 1} holds a row, and the header comes after it: move it to the top"
            )


def _with_more_headers(lines: Sequence[str], layout: Layout) -> Layout:
    """Return the layout with the rows "Ticker" and "Datetime" that a finance download adds."""
    head = [layout.names[0]]
    for line in lines[layout.first_line : layout.first_line + 2]:
        cells = split_line(line, layout.delimiter)
        names_time = role_of(cells[0]) == "time" and not any(cells[1:])
        if plain_name(cells[0]) not in SECOND_HEADERS and not names_time:
            break
        head.append(cells[0])
        if names_time:
            layout = replace(layout, names=(cells[0], *layout.names[1:]))
    if len(head) == 1:
        return layout
    words = f"{len(head)} header rows ({', '.join(map(one_line, head))})"
    return replace(
        layout,
        first_line=layout.first_line + len(head) - 1,
        words=words,
        findings=(*layout.findings, Finding("header", words)),
    )


def _without_header(lines: Sequence[str]) -> Layout | None:
    """Return the layout of a file that begins with data, after comments if there are any."""
    first = next((i for i, line in enumerate(lines) if not line.startswith(("#", "http"))), 0)
    for delimiter in DELIMITERS:
        cells = split_line(lines[first], delimiter)
        numbers = sum(map(_is_number, cells[1:]))
        if numbers >= 4 and numbers >= len(cells) - 3 and STARTS_LIKE_TIME.match(cells[0]):
            return Layout(delimiter, first, None, len(cells), "none")
    return None


def _is_number(cell: str) -> bool:
    return bool(CELL.fullmatch(cell))


def _likeliest(line: str) -> str:
    return max(DELIMITERS, key=line.count)
