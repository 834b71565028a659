"""Models that are broken in one way each, made from an honest one or from nothing."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from v8lib import ablation
from v8lib.calibration import Calibration
from v8lib.decision import actionable, decide, fit_offsets
from v8lib.inversion import softmax
from v8lib.model import V8TradingNet
from v8lib.numpy_net import NumpyNet
from v8lib.rows import Rows
from v8lib.runtime import Member, Prediction, Runtime
from v8lib.scaling import Scaler

Array = NDArray[np.float64]
NOISE = 0.15  # nats, on the logits of the noisy prior
SURE = 0.6


def concluded(logits: Array, offsets: Array | None = None) -> Prediction:
    """Return the prediction that follows from logits."""
    centred = logits - logits.mean(axis=1, keepdims=True)
    probs = softmax(centred)
    decisions = decide(probs, np.zeros(3) if offsets is None else offsets)
    return Prediction(centred, probs, decisions, actionable(probs, min_confidence=SURE))


def untrained(model: Runtime, *, seed: int) -> Runtime:
    """Return a runtime with the weights a net begins with, and no calibration."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = V8TradingNet(len(model.scaler.names), dropout=0.0, normalization="adaptive")
    weights = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    plain = Calibration(0.0, 0.0, np.ones(3), 1.0, np.full(3, 1 / 3))
    return replace(model, members=(Member(NumpyNet(weights, "adaptive"), plain),))


def scaled_logits(model: Runtime, *, factor: float) -> Runtime:
    """Return a runtime whose temperature is divided by `factor`."""
    members = [
        replace(
            member,
            calibration=replace(
                member.calibration,
                inverse_temperature=member.calibration.inverse_temperature * factor,
            ),
        )
        for member in model.members
    ]
    return replace(model, members=tuple(members))


def with_fresh_layer_norm(model: Runtime) -> Runtime:
    """Return a BatchNorm-trained runtime that infers through a LayerNorm as it was made."""
    members = [
        replace(m, net=NumpyNet(ablation.with_fresh_layer_norm(m.net.weights), "adaptive"))
        for m in model.members
    ]
    return replace(model, members=tuple(members))


@dataclass(frozen=True)
class NoisyPrior:
    """Class frequencies with noise that depends on the row's features and on nothing real."""

    scaler: Scaler
    prior: Array

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prior, shaken: the same row is always shaken the same way."""
        rows = np.atleast_2d(features)
        noise = np.array([_row_generator(row).standard_normal(3) for row in rows])
        return concluded(np.log(self.prior) + NOISE * noise)


def _row_generator(row: NDArray[np.float32]) -> np.random.Generator:
    return np.random.default_rng(np.frombuffer(row.tobytes(), dtype=np.uint8))


@dataclass(frozen=True)
class Constant:
    """One class on every row."""

    scaler: Scaler
    label: int

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the class, rather surely."""
        logits = np.zeros((len(np.atleast_2d(features)), 3))
        logits[:, self.label] = 0.5
        return concluded(logits)


@dataclass(frozen=True)
class Wrapped:
    """A model around another."""

    model: Runtime

    @property
    def scaler(self) -> Scaler:
        """The scaler of the model inside."""
        return self.model.scaler


class Swapped(Wrapped):
    """UP for DOWN and DOWN for UP."""

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the inner prediction with both directions exchanged."""
        return concluded(self.model.predict(features).logits[:, ::-1])


class BatchDependent(Wrapped):
    """Logits shifted by the batch's own mean, as a BatchNorm in training mode would."""

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the inner prediction, less the mean of the rows it stands among."""
        logits = self.model.predict(features).logits
        return concluded(logits - logits.mean(axis=0))


@dataclass(frozen=True)
class BestPossible:
    """The exact posterior, looked up by the bits of a row's features."""

    scaler: Scaler
    rows: Rows
    calib: Rows

    @cached_property
    def _known(self) -> dict[bytes, Array]:
        pairs = zip(self.rows.features, self.rows.posterior, strict=True)
        return {row.tobytes(): exact for row, exact in pairs}

    @cached_property
    def _offsets(self) -> Array:
        return fit_offsets(self.calib.posterior, rule="balanced")

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the exact probabilities of rows that are among the known ones."""
        exact = np.array([self._known[row.tobytes()] for row in np.atleast_2d(features)])
        return concluded(np.log(np.maximum(exact, 1e-12)), self._offsets)


def best_possible(scalers: Sequence[Scaler], rows: Rows, calibs: Sequence[Rows]) -> list:
    """Return the best possible model of every fold of a simulated market."""
    return [BestPossible(s, rows, c) for s, c in zip(scalers, calibs, strict=True)]


class Silent(Wrapped):
    """NaN on about one row in fifty, chosen by its features."""

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the inner prediction, without numbers for the chosen rows."""
        rows = np.atleast_2d(features)
        said = self.model.predict(rows)
        silent = np.array([zlib.crc32(row.tobytes()) % 50 == 0 for row in rows])
        holes = np.where(silent[:, None], np.nan, 1.0)
        return replace(said, logits=said.logits * holes, probs=said.probs * holes)
