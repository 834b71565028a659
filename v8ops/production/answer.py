"""What a model says of the last of some bars, as JSON values."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from v8lib.bar_arrays import BarArrays
from v8lib.bundle import Bundle
from v8lib.label import CLASS_NAMES
from v8ops.production.at_once import first_fault


def answer_of(
    bundle: Bundle, bars: BarArrays, *, symbol: str, role: str, now: float
) -> dict[str, Any]:
    """Return the signal of the last bar, or why there is none.

    Parameters
    ----------
    bundle : Bundle
        The model.
    bars : BarArrays of shape (n_bars,)
        Complete bars of its length.
    symbol, role : str
        Whose they are, and why this model answers.
    now : float
        Seconds since 1970-01-01 UTC, for a note where the last bar is old.

    Returns
    -------
    dict
        symbol, version, kind, role, interval_s, bar_open, bar_close, epoch_s, probs,
        confidence, decision, actionable, min_confidence, reason (why there is no signal, or
        why it is not actionable; None where it is), note. Strict JSON.
    """
    interval_s, epoch_s = bundle.manifest["interval_s"], int(bars.epoch_s[-1])
    answer = {
        "symbol": symbol,
        "version": bundle.version,
        "kind": bundle.manifest["kind"],
        "role": role,
        "interval_s": interval_s,
        "bar_open": _iso(epoch_s),
        "bar_close": _iso(epoch_s + interval_s),
        "epoch_s": epoch_s,
        "probs": None,
        "confidence": None,
        "decision": None,
        "actionable": False,
        "min_confidence": bundle.runtime.min_confidence,
        "reason": None,
        "note": _age(now - epoch_s - interval_s, interval_s),
    }
    row = bundle.latest.features(bars)
    if not np.isfinite(row).all():
        return answer | {"reason": bundle.latest.complaint(bars, row)}
    said = bundle.runtime.predict(row)
    if fault := first_fault(said, seconds_per_row=0.0):
        return answer | {"reason": fault[1]}
    confidence, acting = float(said.probs[0].max()), bool(said.actionable[0])
    bar = bundle.runtime.min_confidence
    return answer | {
        "probs": dict(zip(CLASS_NAMES, said.probs[0].tolist(), strict=True)),
        "confidence": confidence,
        "decision": CLASS_NAMES[int(said.decisions[0])],
        "actionable": acting,
        "reason": None if acting else f"confidence {confidence:.1%} is below {bar:.1%}",
    }


def _iso(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat()


def _age(seconds: float, interval_s: int) -> str | None:
    """Return words where a newer bar than the last should have been there."""
    missing = int(seconds // interval_s)
    return f"{missing} newer bars are complete and not in the file" if missing >= 1 else None
