"""Everything a judgement looks at: the rows of every fold and the model that predicts its test."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from v8lib.bars import bar_seconds
from v8lib.baselines import Data, LogisticOnce, climatology, fit_linear
from v8lib.ensemble import joined_rows
from v8lib.labels import Label
from v8lib.preparation import Prepared
from v8lib.rows import Rows
from v8lib.runtime import Prediction, Runtime, joined
from v8lib.scaling import Scaler, apply_scaler
from v8lib.storage import release
from v8lib.training import TrainingSettings
from v8lib.windows import run_lengths

Array = NDArray[np.float64]
RELEASED_ROWS = 65_536  # read from their file, scaled, and let go of at a time


class Model(Protocol):
    """What predicts: `runtime.Runtime`, or anything that is to be judged like one."""

    scaler: Scaler

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction of unscaled features, (n_rows, n_features)."""


class ScaledSplits(LogisticOnce):
    """The splits of a fold, scaled, as `baselines.Splits` has them.

    Train, by far the largest, is made anew whenever it is asked for: what needs most memory can
    then let go of it.
    """

    def __init__(self, scaler: Scaler, train: Rows, *others: Rows) -> None:
        self._scaler, self._train = scaler, train
        self.valid, self.calib, test = (_scaled(scaler, rows) for rows in others)
        self.train_labels, self.test_features = train.labels, test[0]

    @property
    def train(self) -> Data:
        """Scaled features and labels of the train rows."""
        return _scaled(self._scaler, self._train)


def _scaled(scaler: Scaler, rows: Rows) -> Data:
    scaled = np.empty(rows.features.shape, dtype=np.float32)
    for k in range(0, len(scaled), RELEASED_ROWS):
        part = slice(k, k + RELEASED_ROWS)
        scaled[part] = apply_scaler(scaler, rows.features[part])
        release(rows.features)  # all of it would be as large as what is made of it
    return scaled, rows.labels


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

    @property
    def test_runs(self) -> list[int]:
        """How many rows each unbroken run of test rows has, for the bootstrap."""
        return run_lengths(self.test.epoch_s, bar_seconds(self.prepared.bars))

    @cached_property
    def raw_by_fold(self) -> list[list[Array] | None]:
        """What each fold's nets say of its test rows before calibration; None of another model."""
        return [
            m.raw_logits(t.features) if isinstance(m, Runtime) else None
            for m, t in zip(self.models, self.tests, strict=True)
        ]

    @cached_property
    def said_by_fold(self) -> list[Prediction]:
        """What each fold's model says of its test rows."""
        return [
            m.predict(t.features) if raw is None else m.conclude(raw)
            for m, t, raw in zip(self.models, self.tests, self.raw_by_fold, strict=True)
        ]

    @cached_property
    def said(self) -> Prediction:
        """What the models say of their test rows, all folds in order of time."""
        return joined(self.said_by_fold)

    @cached_property
    def prediction(self) -> Prediction:
        """What was said, with climatology for rows of which the model said no number.

        The gate no_nan_inf counts those rows in `said` and fails. Here they know nothing, so
        that every other gate can still be judged.
        """
        said = self.said
        known = np.isfinite(said.logits).all(axis=1) & np.isfinite(said.probs).all(axis=1)
        if known.all():
            return said
        centred = np.log(self.climatology) - np.log(self.climatology).mean(axis=1, keepdims=True)
        return Prediction(
            np.where(known[:, None], said.logits, centred),
            np.where(known[:, None], said.probs, self.climatology),
            np.where(known, said.decisions, Label.HOLD),
            said.actionable & known,
        )

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
    def scaled(self) -> list[ScaledSplits]:
        """Scaled features and labels of every fold, as the baselines want them."""
        parts = zip(self.models, self.train, self.valid, self.calib, self.tests, strict=True)
        return [ScaledSplits(model.scaler, *rows) for model, *rows in parts]
