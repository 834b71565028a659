"""Sound bars with defects put in by hand, to show and to test what an audit finds."""

import numpy as np
import pandas as pd

from v8lib.raw_bars import COLUMNS, PRICES, RawBars
from v8lib.storage import arrays_bytes, sha256_bytes

MIN_BARS = 200


def raw_from(bars: pd.DataFrame, path: str = "memory") -> RawBars:
    """Return bars as if they had been read from a file, one row each, in their order."""
    table = bars[list(COLUMNS)].astype(np.float64).reset_index(drop=True)
    table.insert(0, "timestamp", bars.index)
    return _raw(table, path, "rows in memory")


def damaged_bars(bars: pd.DataFrame, path: str = "memory") -> RawBars:
    """Return bars with one defect of each usual kind, at fixed places.

    What is put in: a gap of 12 bars; 30 bars that stand still; two prints that come back at
    once; a volume of zero; an identical and a conflicting copy; two rows out of order; a close
    that is no number, an open of zero, a negative volume; a high below its body; a row without
    a time, one off the grid, and a partial last bar.

    Parameters
    ----------
    bars : DataFrame of 200 rows or more
        Sound bars without gaps.
    path : str
        The name of the file it pretends to be.

    Raises
    ------
    ValueError
        If there are fewer than 200.
    """
    if len(bars) < MIN_BARS:
        raise ValueError(f"{len(bars)} bars: the defects need {MIN_BARS}")
    table = raw_from(bars).table.drop(columns="row")
    step = table["timestamp"].iloc[1] - table["timestamp"].iloc[0]
    at = [int(share * len(bars)) for share in np.linspace(0.05, 0.95, 14)]
    table.loc[at[0], "close"] = np.nan
    table.loc[at[1], "open"] = 0.0
    table.loc[at[2], "volume"] = -1.0
    table.loc[at[3], "high"] = table.loc[at[3], "low"] * 0.999
    table.loc[at[4], "timestamp"] = pd.NaT
    table.loc[at[5], "timestamp"] += step / 4
    table.loc[at[6], ["high", "close"]] = table.loc[at[6], "high"] * 1.2
    table.loc[at[7], "low"] *= 0.8
    table.loc[at[8], "volume"] = 0.0
    table.loc[at[9] : at[9] + 29, list(PRICES)] = table.loc[at[9] - 1, "close"]
    partial = table.iloc[[-1]].assign(timestamp=table["timestamp"].iloc[-1] + step / 3)
    other = table.loc[[at[11]]].assign(volume=lambda row: row["volume"] + 1.0)
    pieces = [
        table.loc[: at[10]],
        table.loc[[at[10]]],
        table.loc[at[10] + 1 : at[11]],
        other,
        table.loc[at[11] + 1 : at[12] - 1],
        table.loc[[at[12] + 2, at[12] + 1, at[12]]],
        table.loc[at[12] + 3 : at[13]],
        table.loc[at[13] + 13 :],
        partial,
    ]
    return _raw(pd.concat(pieces, ignore_index=True), path, "rows in memory, defects put in")


def _raw(table: pd.DataFrame, path: str, words: str) -> RawBars:
    table["row"] = np.arange(1, len(table) + 1)
    columns = {name: table[name].to_numpy() for name in COLUMNS}
    return RawBars(path, sha256_bytes(arrays_bytes(columns)), table, {"format": words}, ())
