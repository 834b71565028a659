"""Faults to rehearse: what can go wrong with a model or a file, switched on at a bar.

A fault of a model stands between the bundle and its runtime, so that everything else is the
real thing: loading, routing, log, monitors.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_arrays import BarArrays
from v8lib.bundle import Bundle
from v8lib.inversion import softmax
from v8lib.runtime import Prediction

Change = Callable[[NDArray[np.float32], Callable[[NDArray[np.float32]], Prediction]], Prediction]

SHIFTED_FEATURE, SHIFT_SIGMAS = "rsi_14", 1.0
FACTOR = 100.0  # of exploded logits
ONE_CLASS = np.array([0.45, 0.30, 0.25])  # plausible in every row, and always DOWN
OVERSURE = 8.0  # logits of this size give a confidence above 0.999


class Switch:
    """Whether a fault is on. The rehearsal turns it at its bar."""

    def __init__(self) -> None:
        self.on = False


@dataclass(frozen=True)
class FaultyRuntime:
    """A runtime that answers as the true one does until its switch is on.

    Attributes
    ----------
    true : a runtime
        Of the bundle.
    change : callable
        Takes features and the true `predict` and returns what the broken model says.
    switch : Switch
    """

    true: Any
    change: Change
    switch: Switch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction for unscaled features, shape (n_rows, n_features)."""
        if not self.switch.on:
            return self.true.predict(features)
        return self.change(features, self.true.predict)


def broken(bundle: Bundle, change: Change, switch: Switch) -> Bundle:
    """Return a bundle whose model breaks when the switch is turned."""
    made = replace(bundle, runtime=FaultyRuntime(bundle.runtime, change, switch))
    made.__dict__["latest"] = bundle.latest  # its features are those of the true model
    return made


def nan_output(features: NDArray[np.float32], predict: Callable) -> Prediction:
    """Say NaN of every row."""
    said = predict(features)
    nothing = np.full_like(said.logits, np.nan)
    return replace(said, logits=nothing, probs=nothing)


def exploded_logits(features: NDArray[np.float32], predict: Callable) -> Prediction:
    """Multiply the logits, as V6's unscaled prices did."""
    said = predict(features)
    logits = said.logits * FACTOR
    return replace(said, logits=logits, probs=softmax(logits))


def one_class(features: NDArray[np.float32], predict: Callable) -> Prediction:
    """Say the same plausible probabilities of every row."""
    said = predict(features)
    probs = np.tile(ONE_CLASS, (len(said.probs), 1))
    logits = np.log(probs) - np.log(ONE_CLASS).mean()
    return Prediction(logits, probs, np.zeros_like(said.decisions), np.zeros_like(said.actionable))


def oversure(features: NDArray[np.float32], predict: Callable) -> Prediction:
    """Keep every likeliest class and be more than 99 % sure of it."""
    said = predict(features)
    likeliest = said.probs.argmax(axis=1)
    logits = np.where(np.arange(3) == likeliest[:, None], OVERSURE, -OVERSURE / 2.0)
    return Prediction(logits, softmax(logits), said.decisions, np.ones_like(said.actionable))


def raising(features: NDArray[np.float32], predict: Callable) -> Prediction:
    """Fail as a program does that has a mistake."""
    raise ZeroDivisionError("a mistake, put in on purpose")


MODEL_FAULTS: dict[str, Change] = {
    "nan_output": nan_output,
    "exploded_logits": exploded_logits,
    "one_class": one_class,
    "oversure": oversure,
    "exception": raising,
}


class ShiftedFeatures:
    """A bundle's features with one of them moved, as a feed that changed would leave it."""

    def __init__(self, bundle: Bundle, switch: Switch) -> None:
        self._true, self._switch = bundle.latest, switch
        scaler = bundle.runtime.scaler
        self._column = scaler.names.index(SHIFTED_FEATURE)
        self._shift = SHIFT_SIGMAS * float(scaler.scale[self._column])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)

    def block(self, bars: BarArrays, n: int) -> NDArray[np.float32]:
        """Return the features of the last `n` bars, shape (n, n_features)."""
        features = self._true.block(bars, n)
        if self._switch.on:
            features[:, self._column] += self._shift
        return features


def drifting(bundle: Bundle, switch: Switch) -> Bundle:
    """Return a bundle one of whose features moves by a sigma when the switch is turned.

    Models with the same columns are given the same features, so all of them see it.
    """
    made = replace(bundle)
    made.__dict__["latest"] = ShiftedFeatures(bundle, switch)  # in place of the cached one
    return made


def spoil(path: Path) -> None:
    """Cut a file in half, as a full disk or an editor that died leaves it."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
