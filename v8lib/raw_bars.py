"""What a bar file holds before anyone has judged it: the interface between reading and judging."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the names of the columns are wanted where no frame is
    import pandas as pd

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")


@dataclass(frozen=True)
class Finding:
    """Something a reader should know about a file that is usable all the same."""

    name: str
    detail: str


@dataclass(frozen=True)
class RawBars:
    """The rows of a file in the order of the file, columns and times understood, nothing dropped.

    Attributes
    ----------
    path, sha256 : str
        The file, and the hash of its bytes.
    table : DataFrame of n_rows rows
        timestamp (UTC, bar OPEN time as the file has it, NaT where there is none), open, high,
        low, close, volume (float64, NaN where the cell is no finite number), and row (int64,
        number of the data row in the file, the first is 1).
    dialect : mapping of str to str
        How the file was read, in words for people: format ("CSV, gzip"), header, time (which
        column, which unit or zone), order, columns not used.
    findings : tuple of Finding
        What reading noticed: times without a zone, mixed offsets, an epoch column that was
        ignored and why, header rows that were skipped, unused columns with holes.
    """

    path: str
    sha256: str
    table: "pd.DataFrame"
    dialect: Mapping[str, str]
    findings: tuple[Finding, ...]
