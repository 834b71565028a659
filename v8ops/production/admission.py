"""Whether a bundle may be promoted: what its manifest says of its gates."""

from collections.abc import Mapping
from typing import Any

BRIEF = (
    "feature_normalization",
    "logit_range_healthy",
    "confidence_calibrated",
    "class_balanced",
    "no_nan_inf",
)
JUDGED = ("skill", "calibration")  # may be inconclusive, if a person says why that will do


def reasons(manifest: Mapping[str, Any]) -> list[str]:
    """Return why the bundle may not be promoted, whoever asks; empty where it may.

    The brief's five gates must be there and pass. No other gate may have failed, and `skill`
    and `calibration` must have been judged.
    """
    gates = manifest["gates"]
    missing = [f"{name} was not judged" for name in (*BRIEF, *JUDGED) if name not in gates]
    bad = [
        f"{name} {words(gate)}"
        for name, gate in gates.items()
        if gate["verdict"] == "fail" or (gate["verdict"] != "pass" and name not in JUDGED)
    ]
    return missing + bad


def open_questions(manifest: Mapping[str, Any]) -> list[str]:
    """Return which gates are inconclusive, in words: somebody has to accept that."""
    gates = manifest["gates"]
    return [
        f"{name} {words(gates[name])}"
        for name in JUDGED
        if name in gates and gates[name]["verdict"] == "inconclusive"
    ]


def words(gate: Mapping[str, Any]) -> str:
    """Return a verdict with its figure: "failed: 0.72 (every class 15-60 %)"."""
    verdict = {"fail": "failed", "inconclusive": "is inconclusive"}.get(gate["verdict"], "passed")
    value = "no value" if gate["value"] is None else f"{gate['value']:.3g}"
    return f"{verdict}: {value} ({gate['limit']})"
