"""The models of a symbol on one block of bars: features and answers, each made once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_arrays import BarArrays
from v8lib.bundle import Bundle
from v8ops.production.emission import Answer
from v8ops.production.errors import ProductionError
from v8ops.production.keeper import Keeper
from v8ops.production.scorer import Scored, score


@dataclass
class BlockModels:
    """What every version says of the last bars.

    Attributes
    ----------
    symbol : str
    keeper : Keeper
        Where the bundles come from.
    bars : BarArrays of shape (n_bars,)
        With the history that the features look at.
    n : int
        The last so many are the block.
    interval_s : int
        Length of a bar in seconds.
    timer : callable
        Returns seconds, for the latency of a model.
    """

    symbol: str
    keeper: Keeper
    bars: BarArrays
    n: int
    interval_s: int
    timer: Callable[[], float]
    _features: dict[tuple, NDArray[np.float32]] = field(default_factory=dict)
    _scored: dict[str, Scored] = field(default_factory=dict)
    _bundles: dict[str, Bundle | str] = field(default_factory=dict)  # or why there is none

    @property
    def epoch_s(self) -> NDArray[np.int64]:
        """Opening times of the block's bars, shape (n,)."""
        return self.bars.epoch_s[-self.n :]

    def bundle(self, version: str) -> Bundle:
        """Return a bundle that can be loaded, the same for the whole block."""
        return self._found(version)

    def unloadable(self, version: str) -> str:
        """Return why a version's bundle cannot be loaded; empty if it can."""
        found = self._found(version)
        return found if isinstance(found, str) else ""

    def _found(self, version: str) -> Bundle | str:
        if version not in self._bundles:
            try:
                self._bundles[version] = self.keeper.bundle(self.symbol, version)
            except ProductionError as error:
                self._bundles[version] = str(error)
        return self._bundles[version]

    def wrong_bars(self, version: str) -> str:
        """Return why these bars are not for a version; empty if they are."""
        trained_on = self.bundle(version).manifest["interval_s"]
        if trained_on == self.interval_s:
            return ""
        return f"bars of {self.interval_s} s, the model was trained on {trained_on} s"

    def unusable(self, version: str) -> str:
        """Return why a version says nothing of the whole block; empty if it does."""
        return self.unloadable(version) or self.wrong_bars(version)

    def scored(self, version: str) -> Scored:
        """Return what a usable version says of the block."""
        if version not in self._scored:
            bundle = self.bundle(version)
            features = self._features_of(bundle)
            self._scored[version] = score(bundle, features, self.epoch_s, timer=self.timer)
        return self._scored[version]

    def answer(self, role: str, version: str, row: int) -> Answer:
        """Return what a version says of one bar of the block."""
        why = self.unusable(version)
        if why:
            return Answer(role, version, 0, None, False, why)
        said = self.scored(version)
        if not said.answered[row]:
            return Answer(role, version, 0, None, False, self._why_not(version, said, row))
        rows = said.rows
        probs = tuple(rows.probs[row].tolist())
        decision, actionable = int(rows.decisions[row]), bool(rows.actionable[row])
        return Answer(role, version, decision, probs, actionable, "")

    def _why_not(self, version: str, said: Scored, row: int) -> str:
        if said.fault is not None and row >= said.fault[0]:
            return said.fault[1]
        latest = self.bundle(version).latest
        tail = self.bars.at(slice(None, len(self.bars.close) - self.n + row + 1))
        return latest.complaint(tail, self._features_of(self.bundle(version))[row])

    def _features_of(self, bundle: Bundle) -> NDArray[np.float32]:
        """Return the block's features in a bundle's columns; models that share them share all."""
        key = bundle.latest.names
        if key not in self._features:
            self._features[key] = bundle.latest.block(self.bars, self.n)
        return self._features[key]
