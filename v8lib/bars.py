"""Bars from Parquet and CSV: read, checked by name, never repaired in silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.errors import BarsError
from v8lib.raw_bars import COLUMNS, PRICES, Finding
from v8lib.storage import sha256_file

TIME_NAMES = ("timestamp", "time", "datetime", "date", "open time", "open_time")
MIN_YEAR, MAX_YEAR = 2009, 2100  # Bitcoin's first block; a clock past this is a wrong unit


@dataclass(frozen=True)
class LoadedBars:
    """Validated bars, what was found on the way, and the file's fingerprint."""

    bars: pd.DataFrame
    findings: tuple[Finding, ...]
    path: str
    sha256: str


def bar_seconds(bars: pd.DataFrame) -> int:
    """Return the bar length in seconds: the most frequent step of the index."""
    steps = np.diff(epoch_seconds(bars))
    if not len(steps):
        raise BarsError("one bar has no interval: at least two are needed")
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def epoch_seconds(bars: pd.DataFrame) -> NDArray[np.int64]:
    """Return bar open times in whole seconds since 1970-01-01 UTC, shape (n_bars,)."""
    return bars.index.as_unit("s").asi8


def load_bars(path: Path | str) -> LoadedBars:
    """Return the validated bars of a Parquet or CSV file.

    The bars have columns open, high, low, close, volume (float64) and a UTC index of bar
    OPEN times, increasing and unique. Gaps stay gaps; an incomplete last bar is left out
    and reported.

    Raises
    ------
    BarsError
        If the file is missing, empty, no bars, or has a defect that only a person can
        judge. The message names the file and the column or row (the first data row is 1).
    """
    path = Path(path)
    table = _read(path)
    if table.empty:
        raise BarsError(f"{path}: no rows")
    table.columns = [str(c).strip().lower() for c in table.columns]
    for column in COLUMNS:
        if list(table.columns).count(column) > 1:
            raise BarsError(f"{path}: column '{column}' stands there more than once")
        if column not in table.columns:
            raise BarsError(f"{path}: no column '{column}' (found: {', '.join(table.columns)})")
    times = _times(path, table)
    bars = pd.DataFrame({c: _numbers(path, table, c) for c in COLUMNS})
    bars.index = pd.DatetimeIndex(times, name="timestamp")
    _refuse_disorder(path, bars)
    _refuse_impossible(path, bars)
    bars, findings = _notice(bars)
    return LoadedBars(bars, tuple(findings), str(path), sha256_file(path))


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise BarsError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise BarsError(f"{path}: the file is empty")
    if head.startswith(b"version https://git-lfs"):
        raise BarsError(f"{path}: not bars: a Git LFS pointer, fetch the real file")
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            return table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
        return pd.read_csv(path)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        reason = str(error).splitlines()[0]
        raise BarsError(f"{path}: cannot be read as {path.suffix[1:]}: {reason}") from None


def _times(path: Path, table: pd.DataFrame) -> pd.Series:
    """Return the UTC open times, from text, datetimes or epoch numbers of any usual unit."""
    column = next((c for c in TIME_NAMES if c in table.columns), None)
    if list(table.columns).count(column) > 1:
        raise BarsError(f"{path}: column '{column}' stands there more than once")
    if column is None:
        raise BarsError(
            f"{path}: no time column (one of {', '.join(TIME_NAMES)}; "
            f"found: {', '.join(table.columns)})"
        )
    raw = table[column]
    if pd.api.types.is_numeric_dtype(raw):
        # Seconds now are 1.8e9; each finer unit is a thousand times more.
        first = float(raw.iloc[0])
        digits = int(np.log10(first)) if 1.0 <= first < np.inf else 0
        unit = {9: "s", 12: "ms", 15: "us", 18: "ns"}.get(digits // 3 * 3)
        if unit is None:
            raise BarsError(f"{path}: column '{column}': {raw.iloc[0]} is no epoch time")
        times = pd.to_datetime(raw, unit=unit, utc=True, errors="coerce")
    else:
        times = pd.to_datetime(raw, utc=True, errors="coerce", format="ISO8601")
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        raise BarsError(
            f"{path}: column '{column}', row {row + 1}: no time: {_shown(raw.iloc[row])}"
        )
    wrong = ~times.dt.year.between(MIN_YEAR, MAX_YEAR).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise BarsError(f"{path}: column '{column}', row {row + 1}: wrong clock: {times.iloc[row]}")
    return times


def _numbers(path: Path, table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    floor_broken = values <= 0.0 if column in PRICES else values < 0.0
    wrong = ~np.isfinite(values) | floor_broken
    if wrong.any():
        row = int(wrong.argmax())
        rule = "a positive number" if column in PRICES else "a number of at least 0"
        raise BarsError(
            f"{path}: column '{column}', row {row + 1}: "
            f"{_shown(table[column].iloc[row])} is not {rule} ({int(wrong.sum())} such rows)"
        )
    return values


def _shown(value: Any) -> str:
    """Return a cell as a person would write it."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _refuse_disorder(path: Path, bars: pd.DataFrame) -> None:
    steps = np.diff(epoch_seconds(bars))
    if (steps < 0).any():
        row = int((steps < 0).argmax()) + 1
        raise BarsError(
            f"{path}: row {row + 1}: {bars.index[row]} comes after {bars.index[row - 1]}: "
            "sort the rows by time"
        )
    if (steps == 0).any():
        row = int((steps == 0).argmax()) + 1
        raise BarsError(
            f"{path}: row {row + 1}: {bars.index[row]} stands twice "
            f"({int((steps == 0).sum())} duplicated times): drop the duplicates"
        )


def _refuse_impossible(path: Path, bars: pd.DataFrame) -> None:
    top, bottom = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    for wrong, what in (
        (bars["high"] < bars["low"], "high below low"),
        (bars["high"] < top, "high below open or close"),
        (bars["low"] > bottom, "low above open or close"),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise BarsError(
                f"{path}: row {row + 1} ({bars.index[row]}): {what} ({int(wrong.sum())} such rows)"
            )


def _notice(bars: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the bars without an incomplete last one, and the findings."""
    findings = []
    if len(bars) < 3:
        return bars, findings
    interval = bar_seconds(bars)
    last_step = int(epoch_seconds(bars)[-1] - epoch_seconds(bars)[-2])
    if last_step < interval:
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
