"""One model on a block of bars; whatever goes wrong with it is a result and no exception."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from v8lib.bundle import Bundle
from v8lib.drift import bins
from v8lib.runtime import Prediction
from v8ops.production.at_once import first_fault
from v8ops.production.scored import UNKNOWN, ScoreRows

N_CLASSES = 3
WORDS = 160  # letters of an error that is not ours


@dataclass(frozen=True)
class Scored:
    """What a version says of the bars of a block.

    Attributes
    ----------
    answered : bool, (n,)
        At which bars it has an answer; elsewhere it had no features, or failed before.
    rows : ScoreRows
        One row per bar of the block, meaningless where there is no answer.
    fault : (int, str) or None
        The first bar at which it failed, as a place in the block, and how. There is no answer
        from there on.
    """

    answered: NDArray[np.bool_]
    rows: ScoreRows
    fault: tuple[int, str] | None

    def part(self, start: int, stop: int) -> ScoreRows:
        """Return the rows with an answer from `start` up to `stop`."""
        chosen = np.flatnonzero(self.answered[start:stop]) + start
        return ScoreRows(*(None if a is None else a[chosen] for a in vars(self.rows).values()))


def score(
    bundle: Bundle,
    features: NDArray[np.float32],
    epoch_s: NDArray[np.int64],
    *,
    timer: Callable[[], float],
) -> Scored:
    """Return what a model says of a block of bars.

    Parameters
    ----------
    bundle : Bundle
        The model.
    features : float32 array of shape (n, n_features)
        Of the block's bars, in the bundle's columns; rows that are not finite are not asked for.
    epoch_s : int64 array of shape (n,)
        Opening times of the bars.
    timer : callable
        Returns seconds, for the latency.
    """
    asked = np.flatnonzero(np.isfinite(features).all(axis=1))
    rows = _nothing(epoch_s)
    answered = np.zeros(len(epoch_s), dtype=np.bool_)
    if not len(asked):
        return Scored(answered, rows, None)
    said, fault = _asked(bundle, features[asked], timer)
    answered[asked[: len(said.probs)]] = True
    _fill(rows, answered, said)
    binned = _bins(bundle, features, answered)
    rows = ScoreRows(*(*list(vars(rows).values())[:-1], binned))
    return Scored(answered, rows, None if fault is None else (int(asked[fault[0]]), fault[1]))


def _nothing(epoch_s: NDArray[np.int64]) -> ScoreRows:
    n = len(epoch_s)
    return ScoreRows(
        epoch_s,
        np.full((n, N_CLASSES), np.nan),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.bool_),
        np.full(n, np.nan),
        np.full(n, UNKNOWN, dtype=np.int64),
        None,
    )


def _fill(rows: ScoreRows, answered: NDArray[np.bool_], said: Prediction) -> None:
    rows.probs[answered], rows.decisions[answered] = said.probs, said.decisions
    rows.actionable[answered] = said.actionable
    rows.max_abs_logit[answered] = np.abs(said.logits).max(axis=1)


def _bins(
    bundle: Bundle, features: NDArray[np.float32], answered: NDArray[np.bool_]
) -> NDArray[np.uint8] | None:
    if bundle.reference is None:
        return None
    out = np.zeros(features.shape, dtype=np.uint8)
    out[answered] = bins(bundle.reference, features[answered])
    return out


def _asked(
    bundle: Bundle, features: NDArray[np.float32], timer: Callable[[], float]
) -> tuple[Prediction, tuple[int, str] | None]:
    """Return the answers before the first fault, and the fault."""
    said, raised, seconds = _predicted(bundle, features, timer)
    if raised and len(features) > 1:  # which row it was is found by asking one by one
        return _one_by_one(bundle, features, timer)
    if raised:
        return _first(said, 0), (0, raised)
    fault = first_fault(said, seconds_per_row=seconds / len(features))
    return _first(said, len(features) if fault is None else fault[0]), fault


def _one_by_one(
    bundle: Bundle, features: NDArray[np.float32], timer: Callable[[], float]
) -> tuple[Prediction, tuple[int, str] | None]:
    answers = []
    for k in range(len(features)):
        said, fault = _asked(bundle, features[k : k + 1], timer)
        if fault is not None:
            return _joined([*answers, said]), (k, fault[1])
        answers.append(said)
    return _joined(answers), None


def _predicted(
    bundle: Bundle, features: NDArray[np.float32], timer: Callable[[], float]
) -> tuple[Prediction, str, float]:
    """Return the prediction, what was raised in place of one, and the seconds it took."""
    began = timer()
    try:
        with np.errstate(all="ignore"):  # numbers that are none are looked for by `first_fault`
            said = bundle.runtime.predict(features)
        raised = _shape_words(said, len(features))
    except Exception as error:  # noqa: BLE001 - a model may raise anything, and serving goes on
        raised = f"raised {type(error).__name__}: {' '.join(str(error).split())[:WORDS]}"
    if raised:
        said = _no_answer()
    return said, raised, timer() - began


def _no_answer() -> Prediction:
    none = np.empty((0, N_CLASSES))
    return Prediction(none, none, np.empty(0, np.int64), np.empty(0, np.bool_))


def _shape_words(said: Prediction, n: int) -> str:
    found = [np.shape(array) for array in vars(said).values()]
    right = [(n, N_CLASSES), (n, N_CLASSES), (n,), (n,)]
    return "" if found == right else f"answered in shapes {found} for {n} rows"


def _first(said: Prediction, n: int) -> Prediction:
    return Prediction(*(array[:n] for array in vars(said).values()))


def _joined(answers: list[Prediction]) -> Prediction:
    columns = zip(*(vars(said).values() for said in answers), strict=True)
    return Prediction(*(np.concatenate(parts) for parts in columns))
