"""Bars from files: read, checked by name, never repaired in silence."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bar_arrays import bar_seconds, epoch_seconds
from v8lib.bar_files import ReadFile, read_file
from v8lib.bar_moment import runs_backwards
from v8lib.bar_schema import check_schema
from v8lib.errors import BarsError
from v8lib.raw_bars import COLUMNS, PRICES, Finding

MIN_YEAR, MAX_YEAR = 2009, 2100  # Bitcoin's first block; a clock past this is a wrong unit


@dataclass(frozen=True)
class LoadedBars:
    """Validated bars, what was found on the way, and the file's fingerprint."""

    bars: pd.DataFrame
    findings: tuple[Finding, ...]
    path: str
    sha256: str


def load_bars(path: Path | str) -> LoadedBars:
    """Return the validated bars of a file that `bar_files.read_bars` understands.

    The bars have columns open, high, low, close, volume (float64) and a UTC index of bar
    OPEN times, increasing and unique. Gaps stay gaps. Rows that stand newest first are turned
    round, and an incomplete last bar is left out; both are reported.

    Raises
    ------
    BarsError
        If the file is missing, empty, no bars, or has a defect that only a person can
        judge. The message names the file and the column or row (the first data row is 1).
    """
    file = read_file(path)
    try:
        bars, findings = _judged(file)
        check_schema(bars)
    except BarsError as error:
        raise BarsError(f"{path}: {error}") from None
    return LoadedBars(bars, (*file.raw.findings, *findings), file.raw.path, file.raw.sha256)


def _judged(file: ReadFile) -> tuple[pd.DataFrame, list[Finding]]:
    table, findings = file.raw.table, []
    _refuse_bad_times(file)
    for column in COLUMNS:
        _refuse_bad_numbers(file, column)
    if runs_backwards(table["timestamp"].array.asi8):
        table = table.iloc[::-1]
        findings.append(Finding("order", "newest first: turned round"))
    rows = table["row"].to_numpy()
    bars = table[list(COLUMNS)].set_axis(pd.DatetimeIndex(table["timestamp"]), axis=0)
    _refuse_disorder(file, bars, rows)
    _refuse_impossible(file, bars, rows)
    bars, noticed = _notice(bars)
    return bars, [*findings, *noticed]


def _fix(file: ReadFile, what: str) -> str:
    """Return the end of a message: the command that lists and drops such rows."""
    return f"{what} with: python -m v8ops check-bars {shlex.quote(file.raw.path)} --fix OUT"


def _refuse_bad_times(file: ReadFile) -> None:
    times = file.raw.table["timestamp"]
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        raise BarsError(
            f"{file.time_label}, row {row + 1}: no time: {file.cell('timestamp', row)}; "
            + _fix(file, "drop such rows")
        )
    wrong = ~times.dt.year.between(MIN_YEAR, MAX_YEAR).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise BarsError(f"{file.time_label}, row {row + 1}: wrong clock: {times.iloc[row]}")


def _refuse_bad_numbers(file: ReadFile, column: str) -> None:
    values = file.raw.table[column].to_numpy()
    good = values > 0.0 if column in PRICES else values >= 0.0
    if not good.all():
        row = int(good.argmin())
        rule = "a positive number" if column in PRICES else "a number of at least 0"
        raise BarsError(
            f"column '{column}', row {row + 1}: {file.cell(column, row)} is not {rule} "
            f"({int((~good).sum())} such rows); " + _fix(file, "drop them")
        )


def _refuse_disorder(file: ReadFile, bars: pd.DataFrame, rows: NDArray[np.int64]) -> None:
    steps = np.diff(epoch_seconds(bars))
    if (steps < 0).any():
        k = int((steps < 0).argmax()) + 1
        raise BarsError(
            f"row {rows[k]}: {bars.index[k]} comes after {bars.index[k - 1]}; "
            + _fix(file, "sort the rows")
        )
    if (steps == 0).any():
        k = int((steps == 0).argmax()) + 1
        raise BarsError(
            f"row {rows[k]}: {bars.index[k]} stands twice "
            f"({int((steps == 0).sum())} duplicated times); " + _fix(file, "drop the duplicates")
        )


def _refuse_impossible(file: ReadFile, bars: pd.DataFrame, rows: NDArray[np.int64]) -> None:
    top, bottom = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    for wrong, what in (
        (bars["high"] < bars["low"], "high below low"),
        (bars["high"] < top, "high below open or close"),
        (bars["low"] > bottom, "low above open or close"),
    ):
        if wrong.any():
            k = int(wrong.to_numpy().argmax())
            raise BarsError(
                f"row {rows[k]} ({bars.index[k]}): {what} ({int(wrong.sum())} such rows); "
                + _fix(file, "drop them")
            )


def _notice(bars: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the bars without an incomplete last one, and the findings."""
    findings = []
    if len(bars) < 3:
        return bars, findings
    interval = bar_seconds(bars)
    last_step = int(epoch_seconds(bars)[-1] - epoch_seconds(bars)[-2])
    if last_step % interval:  # earlier than a whole bar, or off the grid after a gap
        findings.append(Finding("partial_last_bar", f"left out: {bars.index[-1]}"))
        bars = bars.iloc[:-1]
    steps = np.diff(epoch_seconds(bars))
    gaps = steps[steps > interval]
    if len(gaps):
        missing = int((gaps // interval - 1).sum())
        longest = pd.Timedelta(seconds=int(gaps.max() - interval))
        findings.append(Finding("gaps", f"{len(gaps)} gaps, {missing} bars, longest {longest}"))
    off_grid = int((epoch_seconds(bars) % interval != epoch_seconds(bars)[0] % interval).sum())
    if off_grid:
        findings.append(Finding("off_grid", f"{off_grid} bars off the {interval} s grid"))
    still = float((bars["volume"] == 0.0).mean())
    if still > 0.01:
        findings.append(Finding("zero_volume", f"{still:.1%} of bars"))
    return bars, findings


def bars_from(arrays: Mapping[str, Any]) -> pd.DataFrame:
    """Return bars from columns and `epoch_s`, as `epoch_seconds` gives them."""
    times = pd.to_datetime(np.asarray(arrays["epoch_s"]), unit="s", utc=True)
    return pd.DataFrame(
        {c: np.asarray(arrays[c], dtype=np.float64) for c in COLUMNS},
        index=pd.DatetimeIndex(times, name="timestamp"),
    )


def describe_bars(bars: pd.DataFrame) -> dict[str, Any]:
    """Return n_bars, start, end (ISO 8601, UTC) and interval_s, for reports and manifests."""
    return {
        "n_bars": len(bars),
        "start": bars.index[0].isoformat(),
        "end": bars.index[-1].isoformat(),
        "interval_s": bar_seconds(bars),
    }
