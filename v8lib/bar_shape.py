"""Bars against their neighbours: bad prints, bars that stand still, bars without volume."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.audit_finding import AuditFinding, counted

Array = NDArray[np.float64]

OUTLIER_MOVES = 20.0  # usual moves by which a bad print departs from both its neighbours
BLOCK_BARS = 64  # bars over which a usual move is measured
RUN_BARS = 10  # bars standing still that are worth a note
LONG_RUN_BARS = 60  # and that are worth a look
MAX_STILL = 0.05  # share of bars standing still, likewise
MAX_ZERO_VOLUME = 0.01  # as `bars.load_bars` reports it


def outlier_table(bars: pd.DataFrame, interval_s: int) -> pd.DataFrame:
    """Return bars that depart from both neighbours and come back, as bad prints do.

    A close counts if it lies `OUTLIER_MOVES` usual moves above (or below) the close before
    and the close after; a high if it lies that far above the body of its bar and the highs
    of both neighbours; a low likewise. The usual move is the median absolute return, zeros
    left out, of the 64-bar block round the bar, of the block before or after, or of all
    bars, whichever is largest: in a wild hour bars may be wilder.

    A crash or a rise that stays is no outlier, however large: its close departs from one
    neighbour only. Two bad prints in a row hide each other. Bars beside a gap are not judged.

    Parameters
    ----------
    bars : DataFrame of n_bars rows
        Sound bars on one grid, increasing.
    interval_s : int
        Length of a bar in seconds.

    Returns
    -------
    DataFrame
        timestamp, what (close, high or low), value, before and after (of the neighbours),
        moves (by how many usual moves it departs), worst first.
    """
    if len(bars) < 3:
        return _outliers(bars, np.empty(0, np.int64), "close", np.empty(0))
    logs = {name: np.log(bars[name].to_numpy(np.float64)) for name in ("open", "high", "low")}
    close = np.log(bars["close"].to_numpy(np.float64))
    steps = np.diff(bars.index.as_unit("s").asi8)
    judged = (steps[:-1] == interval_s) & (steps[1:] == interval_s)
    moves = usual_moves(np.diff(close))[:-1]
    top, bottom = np.maximum(logs["open"], close), np.minimum(logs["open"], close)
    departures = {
        "close": np.maximum(_above(close), _above(-close)),
        "high": np.minimum(_above(logs["high"]), (logs["high"] - top)[1:-1]),
        "low": np.minimum(_above(-logs["low"]), (bottom - logs["low"])[1:-1]),
    }
    found = []
    for name, departure in departures.items():
        at = np.flatnonzero(judged & (departure > OUTLIER_MOVES * moves))
        multiples = departure[at] / np.maximum(moves[at], np.finfo(np.float64).tiny)
        found.append(_outliers(bars, at + 1, name, multiples))
    return pd.concat(found).sort_values("moves", ascending=False, ignore_index=True)


def _above(values: Array) -> Array:
    """Return by how much each value but the ends lies above the higher of its neighbours."""
    return values[1:-1] - np.maximum(values[:-2], values[2:])


def _outliers(bars: pd.DataFrame, at: NDArray[np.int64], name: str, moves: Array) -> pd.DataFrame:
    values = bars[name].to_numpy(np.float64)
    columns = {"timestamp": bars.index[at], "what": name, "value": values[at]}
    columns |= {"before": values[at - 1], "after": values[at + 1], "moves": moves}
    return pd.DataFrame(columns)


def usual_moves(returns: Array) -> Array:
    """Return the usual size of a move at each return, shape (n,); see `outlier_table`."""
    sizes = np.abs(returns)
    overall = float(np.median(sizes[sizes > 0.0])) if (sizes > 0.0).any() else 0.0
    whole = -(-len(sizes) // BLOCK_BARS) * BLOCK_BARS
    padded = np.full(whole, np.nan)
    padded[: len(sizes)] = np.where(sizes > 0.0, sizes, np.nan)
    blocks = _row_medians(padded.reshape(-1, BLOCK_BARS), overall)
    edged = np.concatenate([blocks[:1], np.maximum(blocks, overall), blocks[-1:]])
    widest = np.maximum(np.maximum(edged[:-2], edged[1:-1]), edged[2:])
    return np.repeat(widest, BLOCK_BARS)[: len(sizes)]


def _row_medians(rows: Array, otherwise: float) -> Array:
    """Return the median of the numbers of each row; `otherwise` where it has none."""
    ordered = np.sort(rows, axis=1)  # NaN at the end
    n = np.isfinite(ordered).sum(axis=1)
    each = np.arange(len(rows))
    middle = (ordered[each, np.maximum(n - 1, 0) // 2] + ordered[each, n // 2 % BLOCK_BARS]) / 2.0
    return np.where(n > 0, middle, otherwise)


def shape_findings(
    bars: pd.DataFrame, outliers: pd.DataFrame, interval_s: int
) -> Iterator[AuditFinding]:
    """Yield what stands out in sound bars of one grid: bad prints, standing still, no volume."""
    if len(outliers):
        worst = outliers.iloc[0]
        yield AuditFinding(
            "outliers",
            "warning",
            f"{counted(len(outliers), 'print')} apart from both neighbours, the furthest a "
            f"{worst['what']} at {worst['timestamp']}: {worst['value']:g} after "
            f"{worst['before']:g}, {worst['moves']:.0f} usual moves; they are kept",
        )
    yield from _standing_still(bars, interval_s)
    empty = float((bars["volume"] == 0.0).mean()) if len(bars) else 0.0
    if empty:
        grave = "warning" if empty > MAX_ZERO_VOLUME else "note"
        yield AuditFinding("zero_volume", grave, f"volume is 0 in {empty:.2%} of bars")


def _standing_still(bars: pd.DataFrame, interval_s: int) -> Iterator[AuditFinding]:
    """Yield how long and how often four equal prices repeat those of the bar before."""
    prices = bars[["open", "high", "low", "close"]].to_numpy(np.float64)
    follows = np.diff(bars.index.as_unit("s").asi8) == interval_s
    still = follows & (prices[1:] == prices[:-1, 3:]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]])))
    lengths = edges[1::2] - edges[::2]
    if not len(lengths) or lengths.max() < RUN_BARS:
        return
    longest = int(lengths.argmax())
    first = bars.index[edges[2 * longest] + 1]  # `still` begins at the second bar
    share = float(still.mean())
    grave = lengths[longest] >= LONG_RUN_BARS or share > MAX_STILL
    yield AuditFinding(
        "standing_still",
        "warning" if grave else "note",
        f"prices do not move for {lengths[longest]} bars from {first}; "
        f"{share:.2%} of bars repeat the one before",
    )
