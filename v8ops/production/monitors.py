"""The monitors that look at a window of rows: each with a bound to watch and one to roll back.

How long a window must be, and where its bounds are, was measured on real markets: moods last
for days, and a window of two hundred bars can hold one class alone with nothing wrong
(decision record 0023).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from v8lib.bundle import Bundle
from v8lib.drift import Reference, psi, reach
from v8lib.label import CLASS_NAMES
from v8ops.production.reading import Reading, state_of
from v8ops.production.realised import confidence_gap, loss_against, mean_and_error
from v8ops.production.scored import UNKNOWN, ScoreRows

EVERY_BARS = 50
SURE = 0.99
SURE_ROWS, SURE_WATCH, SURE_ALARM = 200, 0.05, 0.10
ACTING_ROWS, ACTING_NEEDED, ACTING_WATCH, ACTING_ALARM = 1_000, 50, (0.60, 0.80), (0.60, 0.85)
CLASS_ROWS, CLASS_BOUND, CLASS_GAP, ALONE, UNSEEN = 1_000, (0.15, 0.60), 0.50, 0.97, 0.01
DRIFT_ROWS, DRIFT_LEAST, DRIFT_FACTOR, DRIFT_WATCH = 1_000, 0.3, 2.5, 0.6
REALISED_ROWS, LOSS_ERRORS, GAP_ALARM, GAP_ERRORS = 1_000, 3.0, 0.05, 3.0
NEEDED_BARS = 2 * max(DRIFT_ROWS, CLASS_ROWS)

MONITORS = (
    "sure_share",
    "actionable_confidence",
    "class_shares",
    "drift",
    "realised_loss",
    "realised_calibration",
)


@dataclass(frozen=True)
class ModelFacts:
    """What a bundle says of itself, as far as monitors ask.

    Attributes
    ----------
    version : str
    class_shares : float64, (3,)
        Class frequencies of its train rows.
    horizon_bars : int
        How far its labels look ahead.
    reference : Reference or None
        Its train rows, for drift.
    """

    version: str
    class_shares: NDArray[np.float64]
    horizon_bars: int
    reference: Reference | None


def facts_of(bundle: Bundle) -> ModelFacts:
    """Return the facts of a bundle."""
    manifest = bundle.manifest
    return ModelFacts(
        bundle.version,
        np.array(manifest["class_shares"], np.float64),
        manifest["labels"]["horizon_bars"],
        bundle.reference,
    )


def judge(rows: ScoreRows, facts: ModelFacts) -> list[Reading]:
    """Return every monitor's reading, in the order of `MONITORS`.

    Parameters
    ----------
    rows : ScoreRows
        The newest rows of one model at one symbol; `NEEDED_BARS` of them are looked at.
    facts : ModelFacts
        Of that model.
    """
    known = rows.at(rows.labels != UNKNOWN)
    return [
        _sure_share(rows.last(SURE_ROWS)),
        _actionable_confidence(rows.last(ACTING_ROWS)),
        _class_shares(rows.last(2 * CLASS_ROWS)),
        _drift(rows.last(2 * DRIFT_ROWS), facts.reference),
        _realised_loss(known.last(REALISED_ROWS), facts.class_shares),
        _realised_calibration(known.last(REALISED_ROWS)),
    ]


def _sure_share(rows: ScoreRows) -> Reading:
    bounds = (f"{SURE_WATCH:.0%} or more", f"{SURE_ALARM:.0%} or more")
    if len(rows) < SURE_ROWS:
        return _unknown("sure_share", bounds, len(rows), SURE_ROWS)
    value = float((rows.probs.max(axis=1) > SURE).mean())
    state = state_of(watch=value >= SURE_WATCH, alarm=value >= SURE_ALARM)
    return Reading("sure_share", value, *bounds, state, len(rows), f"share above {SURE}")


def _actionable_confidence(rows: ScoreRows) -> Reading:
    bounds = (_outside(ACTING_WATCH), _outside(ACTING_ALARM))
    acting = rows.at(rows.actionable)
    if len(acting) < ACTING_NEEDED:
        return _unknown(
            "actionable_confidence", bounds, len(acting), ACTING_NEEDED, "actionable rows"
        )
    value = float(acting.probs.max(axis=1).mean())
    state = state_of(watch=_is_outside(value, ACTING_WATCH), alarm=_is_outside(value, ACTING_ALARM))
    note = f"mean of {len(acting)} actionable rows"
    return Reading("actionable_confidence", value, *bounds, state, len(rows), note)


def _class_shares(rows: ScoreRows) -> Reading:
    """Read how often each class was decided.

    A quiet fortnight is HOLD four times out of five, and a model that says so is right; a
    stormy one may hold next to no HOLD. So a share outside the bounds takes a model out only
    where the market does not explain it: the class happened far more or less often, no other
    one is decided, or it is missing in two windows one after the other.
    """
    watch = f"a class {_outside(CLASS_BOUND)}"
    alarm = (
        f"that and {100 * CLASS_GAP:.0f} points from how often it happened, above {ALONE:.0%}, "
        f"or below {UNSEEN:.0%} in two windows"
    )
    if len(rows) < CLASS_ROWS:
        return _unknown("class_shares", (watch, alarm), len(rows), CLASS_ROWS)
    shares, happened = _decided_and_happened(rows.last(CLASS_ROWS))
    outside = np.array([_is_outside(share, CLASS_BOUND) for share in shares])
    unexplained = np.abs(shares - happened) > CLASS_GAP  # never where nothing is known to happen
    missing = np.zeros(3, np.bool_)
    if len(rows) == 2 * CLASS_ROWS:
        before, _ = _decided_and_happened(rows.at(slice(CLASS_ROWS)))
        missing = np.maximum(shares, before) < UNSEEN
    state = state_of(
        watch=bool(outside.any()),
        alarm=bool(((outside & unexplained) | (shares > ALONE) | missing).any()),
    )
    worst = int(np.abs(shares - 1.0 / 3.0).argmax())
    note = f"{CLASS_NAMES[worst]} is furthest from a third; {_in_words(shares)}"
    note += "" if np.isnan(happened).all() else f", happened {_in_words(happened)}"
    return Reading("class_shares", float(shares[worst]), watch, alarm, state, len(rows), note)


def _decided_and_happened(rows: ScoreRows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of each class among decisions, and among outcomes; NaN without any."""
    known = rows.labels[rows.labels != UNKNOWN]
    happened = np.bincount(known, minlength=3) / len(known) if len(known) else np.full(3, np.nan)
    return np.bincount(rows.decisions, minlength=3) / len(rows), happened


def _in_words(shares: NDArray[np.float64]) -> str:
    return " ".join(f"{name} {share:.0%}" for name, share in zip(CLASS_NAMES, shares, strict=True))


def _drift(rows: ScoreRows, reference: Reference | None) -> Reading:
    """Read the worst feature's PSI over the bound that is its own.

    The bound is the largest index of train's own windows, times a factor: features that move
    slowly never look like all of train. The alarm wants two windows one after the other. A
    feature whose bound no window can reach is not judged; the note says how many there are.
    """
    watch, alarm = f"above {DRIFT_WATCH:g}", "above 1 in two windows"
    if reference is None or rows.bins is None:
        note = "the bundle has no drift reference"
        return Reading("drift", None, watch, alarm, "unknown", len(rows), note)
    if len(rows) < DRIFT_ROWS:
        return _unknown("drift", (watch, alarm), len(rows), DRIFT_ROWS)
    bound = np.maximum(DRIFT_LEAST, DRIFT_FACTOR * reference.usual)
    judged = bound < reach(reference)
    now = np.where(judged, psi(reference, rows.bins[-DRIFT_ROWS:]), 0.0)
    out = np.zeros(len(bound), np.bool_)
    if len(rows) == 2 * DRIFT_ROWS:
        out = np.minimum(now, psi(reference, rows.bins[:DRIFT_ROWS])) > bound
    over = now / bound
    worst = int(np.where(out, over + 1e6, over).argmax())
    note = f"{reference.names[worst]}: PSI {now[worst]:.2f}, its bound {bound[worst]:.2f}"
    idle = int((~judged).sum())
    note += f"; {idle} of {len(bound)} features not judged" if idle else ""
    state = state_of(watch=bool((over > DRIFT_WATCH).any()), alarm=bool(out.any()))
    return Reading("drift", float(over[worst]), watch, alarm, state, len(rows), note)


def _realised_loss(known: ScoreRows, shares: NDArray[np.float64]) -> Reading:
    bounds = ("above 0", f"above 0 by {LOSS_ERRORS:g} standard errors")
    if len(known) < REALISED_ROWS:
        return _unknown("realised_loss", bounds, len(known), REALISED_ROWS, "rows with an outcome")
    value, error = mean_and_error(loss_against(known.probs, known.labels, shares))
    state = state_of(watch=value > 0.0, alarm=value > LOSS_ERRORS * error)
    note = f"log loss minus climatology's, standard error {error:.4f}"
    return Reading("realised_loss", value, *bounds, state, len(known), note)


def _realised_calibration(known: ScoreRows) -> Reading:
    watch = f"more than {GAP_ALARM} from 0"
    bounds = (watch, f"{watch} by {GAP_ERRORS:g} standard errors")
    if len(known) < REALISED_ROWS:
        return _unknown(
            "realised_calibration", bounds, len(known), REALISED_ROWS, "rows with an outcome"
        )
    value, error = mean_and_error(confidence_gap(known.probs, known.labels))
    state = state_of(
        watch=abs(value) > GAP_ALARM, alarm=abs(value) > GAP_ALARM + GAP_ERRORS * error
    )
    note = f"confidence minus share right, standard error {error:.4f}"
    return Reading("realised_calibration", value, *bounds, state, len(known), note)


def _unknown(
    name: str, bounds: tuple[str, ...], n: int, needed: int, what: str = "rows"
) -> Reading:
    return Reading(name, None, *bounds, "unknown", n, f"{needed:,} {what} needed")


def _outside(bound: tuple[float, float]) -> str:
    return f"outside {bound[0]:.0%} to {bound[1]:.0%}"


def _is_outside(value: float, bound: tuple[float, float]) -> bool:
    return not bound[0] <= value <= bound[1]
