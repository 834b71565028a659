"""Follows the bar file of a symbol, which others extend, replace and sometimes damage."""

import os
from pathlib import Path

import numpy as np

from v8lib.bar_arrays import BarArrays, bar_arrays, step_seconds
from v8lib.bars import load_bars
from v8lib.config import read_yaml
from v8lib.errors import BarsError, ParameterError
from v8ops.production.notes import Notes, utc_words

PROJECT = Path(__file__).resolve().parents[2]
PARAMS = PROJECT / "params"
FORMATS = ("parquet", "feather", "csv", "csv.gz", "zip")  # as a run looks for them


def market_name(symbol: str, params: Path = PARAMS) -> str:
    """Return what an exchange calls a symbol's market, as the parameters have it."""
    found = "{symbol}-USD"
    for path in (params / "default.yaml", params / "symbols" / f"{symbol}.yaml"):
        try:
            found = str(read_yaml(path).get("market_name") or found)
        except ParameterError:
            continue  # a symbol may do without a file of its own
    return found.replace("{symbol}", symbol)


def bar_file(folder: Path, symbol: str, market: str) -> Path | None:
    """Return the bar file of a symbol, or None; the first of the names a run looks for."""
    names = [f"{stem}.{end}" for end in FORMATS for stem in (symbol, market)]
    return next((folder / name for name in names if (folder / name).is_file()), None)


class BarSource:
    """The bars of a symbol, read again whenever their file has changed.

    Parameters
    ----------
    folder : path
        The data folder.
    symbol : str
        Whose bars.
    notes : Notes
        Where troubles with the file are said, each once.
    market : str, optional
        The other name its file may have; that of the parameters if left out.

    Attributes
    ----------
    bars : BarArrays or None
        As they were last read.
    interval_s : int
        Length of a bar in seconds, 0 before the first reading.
    """

    def __init__(
        self, folder: Path | str, symbol: str, notes: Notes, market: str | None = None
    ) -> None:
        self.folder, self.symbol, self.notes = Path(folder), symbol, notes
        self.market = market_name(symbol) if market is None else market
        self.interval_s = 0
        self.bars: BarArrays | None = None
        self._seen: tuple | None = None

    def read(self) -> BarArrays | None:
        """Return the bars of the file as it is now, or None if it cannot be used just now.

        All rows are returned, also bars that are not complete. A file that cannot be read is
        read again at the next call.
        """
        path = bar_file(self.folder, self.symbol, self.market)
        try:
            if path is None:
                names = f"{self.symbol} or {self.market}"
                raise BarsError(f"no bars in {self.folder} (looked for {names})")
            seen = _fingerprint(path)
            if seen != self._seen:
                self._take(_bars_of(path))
                self._seen = seen
        except (BarsError, OSError) as error:
            self._seen = None
            self.notes.once("data", f"{error}; it will be read again", symbol=self.symbol)
            return None
        self.notes.over("data", "the bar file can be used again", symbol=self.symbol)
        return self.bars

    def _take(self, bars: BarArrays) -> None:
        interval_s = step_seconds(bars.epoch_s)
        if self.interval_s and interval_s != self.interval_s:
            raise BarsError(
                f"the bars are of {interval_s} s now and were of {self.interval_s} s: "
                "bring the old file back, or restart serve"
            )
        if self.bars is not None:
            self._compare(self.bars, bars)
        self.bars, self.interval_s = bars, interval_s

    def _compare(self, old: BarArrays, new: BarArrays) -> None:
        """Say what happened to bars that were there, or should have been."""
        added = np.setdiff1d(new.epoch_s, old.epoch_s, assume_unique=True)
        late = added[added < old.epoch_s[-1]]
        if len(late):
            self._say(f"{len(late)} bars came late, the first {utc_words(late[0])}: no signals")
        gone = np.setdiff1d(old.epoch_s, new.epoch_s, assume_unique=True)
        inside = gone[gone >= new.epoch_s[0]]
        if len(inside):
            self._say(f"{len(inside)} bars are gone from the file, from {utc_words(inside[0])} on")
        _, mine, theirs = np.intersect1d(
            old.epoch_s, new.epoch_s, assume_unique=True, return_indices=True
        )
        pairs = zip(old[:5], new[:5], strict=True)
        changed = np.any([a[mine] != b[theirs] for a, b in pairs], axis=0)
        if changed.any():
            first = utc_words(old.epoch_s[mine[changed.argmax()]])
            self._say(f"{int(changed.sum())} old bars changed, the first {first}: signals stay")

    def _say(self, message: str) -> None:
        self.notes.say("data", message, symbol=self.symbol)


def _bars_of(path: Path) -> BarArrays:
    return bar_arrays(load_bars(path).bars)


def _fingerprint(path: Path) -> tuple:
    found: os.stat_result = path.stat()
    return str(path), found.st_size, found.st_mtime_ns, found.st_ino
