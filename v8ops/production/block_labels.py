"""Realised labels of the open bars of a symbol, settled as a block goes on."""

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_arrays import BarArrays
from v8ops.production.errors import ProductionError
from v8ops.production.keeper import Keeper
from v8ops.production.log_rows import NEVER, Outcome
from v8ops.production.outcomes import Definition, definition_from, realised
from v8ops.production.recent import Recent


class BlockLabels:
    """Settles labels; definitions are read from the bundles and kept.

    Parameters
    ----------
    symbol : str
    keeper : Keeper
        Where the definitions come from.
    recent : Recent
        Which bars are open, and who wants to know.
    interval_s : int
        Length of a bar in seconds.
    """

    def __init__(self, symbol: str, keeper: Keeper, recent: Recent, interval_s: int) -> None:
        self.symbol, self.keeper, self.recent = symbol, keeper, recent
        self.interval_s = interval_s
        self._definitions: dict[str, Definition | None] = {}

    def definition(self, version: str) -> Definition | None:
        """Return the label definition of a version, None where its bundle has or gives none."""
        if version not in self._definitions:
            try:
                manifest = self.keeper.bundle(self.symbol, version).manifest
                self._definitions[version] = definition_from(manifest)
            except ProductionError as error:
                self._definitions[version] = None
                self.keeper.notes.once("labels", f"{version}: no labels: {error}")
        return self._definitions[version]

    def settle(self, bars: BarArrays) -> list[Outcome]:
        """Return the labels that these bars, up to the last of them, settle."""
        wanted: dict[Definition | None, list[str]] = {}
        for version in self.recent.open_versions():
            wanted.setdefault(self.definition(version), []).append(version)
        out: list[Outcome] = []
        for definition, versions in wanted.items():
            open_bars = [self.recent.open_bars(version) for version in versions]
            epoch_s = np.unique(np.concatenate(open_bars))
            labels = self._labels(bars, epoch_s, definition)
            for version, mine in zip(versions, open_bars, strict=True):
                out += self.recent.learn(version, mine, labels[np.searchsorted(epoch_s, mine)])
        return out

    def _labels(
        self, bars: BarArrays, epoch_s: NDArray[np.int64], definition: Definition | None
    ) -> NDArray[np.int64]:
        """Return the labels at these opening times; `NEVER` for bars that are not there."""
        labels = np.full(len(epoch_s), NEVER, dtype=np.int64)
        if definition is None:
            return labels
        places = np.searchsorted(bars.epoch_s, epoch_s)
        there = places < len(bars.epoch_s)
        there[there] = bars.epoch_s[places[there]] == epoch_s[there]
        labels[there] = realised(bars, places[there], definition, self.interval_s)
        return labels
