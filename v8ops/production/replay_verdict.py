"""What a replay claims: figures, limits, and whether they held."""

import re
from collections.abc import Mapping
from typing import Any

from v8ops.production.fault_replays import FAULTS, Fault
from v8ops.production.rehearsal import share_errors
from v8ops.production.replays import pooled

MIN_SPEED = 2_000.0  # bars a second, two models and the log, on one core
MAX_SHARE_ERROR = 1.0  # points


def verdicts(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the checks of clean replays and of every fault."""
    clean = found["clean"]
    checks = [*_clean(clean)] if clean else []
    return checks + [_fault(FAULTS[f["fault"]], f) for f in found["faults"]]


def _clean(clean: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    bars = sum(replay["bars"] for replay in clean)
    lost, doubled = (sum(replay[key] for replay in clean) for key in ("lost", "doubled"))
    rollbacks = sum(len(replay["rollbacks"]) for replay in clean)
    slowest = min(replay["bars_per_second"] for replay in clean)
    arrived = sum(replay["became_stable"] for replay in clean)
    errors = share_errors(pooled(clean))
    words = ", ".join(f"{stage}: {error:+.2f}" for stage, error in errors.items())
    n = len(clean)
    return [
        _check("bars lost", f"{lost} of {bars:,}", "none", lost == 0),
        _check("bars with two signals", f"{doubled} of {bars:,}", "none", doubled == 0),
        _check("false rollbacks", f"{rollbacks} in {n} clean replays", "none", rollbacks == 0),
        _check("candidates that became stable", f"{arrived} of {n}", "all", arrived == n),
        _check(
            "the candidate's share against its target, points, by stage, all clean replays",
            words,
            f"within {MAX_SHARE_ERROR:g}",
            all(abs(error) <= MAX_SHARE_ERROR for error in errors.values()),
        ),
        _check(
            "bars a second, slowest clean replay",
            f"{slowest:,.0f}",
            f"at least {MIN_SPEED:,.0f}",
            slowest >= MIN_SPEED,
        ),
    ]


def _fault(fault: Fault, found: Mapping[str, Any]) -> dict[str, Any]:
    after = found["reacted_after"]
    in_time = after is not None and after <= fault.within
    whole = found["lost"] == 0 and found["doubled"] == 0
    right = re.search(fault.reason, found["reason"]) is not None
    if fault.must == "HOLD":
        in_time = in_time and set(found["then"]) == {"none"}
    measured = "no reaction" if after is None else f"after {after} bars"
    measured += f", {found['lost']} lost, {found['doubled']} doubled"
    limit = f"{fault.must} within {fault.within} bars"
    return _check(fault.words, measured, limit, in_time and whole and right)


def _check(name: str, measured: str, limit: str, held: bool) -> dict[str, Any]:
    return {"name": name, "measured": measured, "limit": limit, "held": bool(held)}
