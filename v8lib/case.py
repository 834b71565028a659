"""Everything a judgement looks at: the rows of every fold and the model that predicts its test."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from v8lib.baselines import Splits, climatology, fit_linear
from v8lib.ensemble import joined_rows
from v8lib.preparation import Prepared
from v8lib.rows import Rows
from v8lib.runtime import Prediction, joined
from v8lib.scaling import Scaler, apply_scaler
from v8lib.training import TrainingSettings

Array = NDArray[np.float64]


class Model(Protocol):
    """What predicts: `runtime.Runtime`, or anything that is to be judged like one."""

    scaler: Scaler

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction of unscaled features, (n_rows, n_features)."""


@dataclass(frozen=True)
class Case:
    """A trained pipeline that is to be judged.

    Attributes
    ----------
    prepared : Prepared
        Bars, rows, folds and scalers.
    models : sequence of Model
        The model of each fold, oldest first; each has predicted nothing it was fitted on.
    settings : TrainingSettings
        How the nets were trained, for the control that trains on shuffled labels.
    symbol, seed : str, int
        Whose it is, and where random streams begin.
    """

    prepared: Prepared
    models: Sequence[Model]
    settings: TrainingSettings
    symbol: str
    seed: int

    @cached_property
    def train(self) -> list[Rows]:
        """Train rows of each fold."""
        return self.prepared.split("train")

    @cached_property
    def valid(self) -> list[Rows]:
        """Valid rows of each fold."""
        return self.prepared.split("valid")

    @cached_property
    def calib(self) -> list[Rows]:
        """Calib rows of each fold."""
        return self.prepared.split("calib")

    @cached_property
    def tests(self) -> list[Rows]:
        """Test rows of each fold."""
        return self.prepared.split("test")

    @cached_property
    def test(self) -> Rows:
        """Test rows of all folds, in order of time."""
        return joined_rows(self.tests)

    @cached_property
    def prediction(self) -> Prediction:
        """What each fold's model says of its test rows, all folds in order of time."""
        predicted = [m.predict(t.features) for m, t in zip(self.models, self.tests, strict=True)]
        return joined(predicted)

    @cached_property
    def climatology(self) -> Array:
        """Class frequencies of each fold's train for its test rows, shape (n_test, 3)."""
        pairs = zip(self.train, self.tests, strict=True)
        parts = [np.tile(climatology(a.labels), (len(b.labels), 1)) for a, b in pairs]
        return np.concatenate(parts)

    @property
    def has_every_class(self) -> bool:
        """Whether each class occurs in the train rows of every fold."""
        return all(np.bincount(rows.labels, minlength=3).all() for rows in self.train)

    @cached_property
    def linear(self) -> Array:
        """What a logistic regression of all features says of test, shape (n_test, 3)."""
        return fit_linear(self.scaled)

    @cached_property
    def scaled(self) -> list[Splits]:
        """Scaled features and labels of every fold, as the baselines want them."""
        parts = zip(self.models, self.train, self.valid, self.calib, self.tests, strict=True)
        return [_scaled(model.scaler, *rows) for model, *rows in parts]


def _scaled(scaler: Scaler, *rows: Rows) -> Splits:
    train, valid, calib, test = ((apply_scaler(scaler, r.features), r.labels) for r in rows)
    return Splits(train, valid, calib, test[0])
