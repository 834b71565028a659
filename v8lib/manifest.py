"""What a manifest must say, checked value by value before anything is made of it."""

from collections.abc import Mapping
from typing import Any

from v8lib.bundle_folder import GOLDEN, REFERENCE
from v8lib.errors import BundleError
from v8lib.json_values import Values
from v8lib.kinds import KINDS, Kind
from v8lib.label import CLASS_NAMES

VERDICTS = ("pass", "fail", "inconclusive")


def check_manifest(manifest: Mapping[str, Any], where: str) -> Kind:
    """Return the kind of a manifest whose values all have the type that must stand there.

    Raises
    ------
    BundleError
        One line that names the first value that is missing or another.
    """
    values = Values.of(manifest, where)
    kind = KINDS[values.one_of("kind", tuple(KINDS))]
    values.text("symbol")
    values.integer("interval_s", at_least=1)
    values.texts("exclude_families")
    values.integer("warmup_bars", at_least=1)
    labels = values.below("labels")
    labels.integer("horizon_bars", at_least=1)
    if "scheme" in labels.content:
        labels.text("scheme")
    values.shares("class_shares")
    _check_optional(values)
    _check_gates(values.below("gates"))
    files = values.below("files")
    if set(files.content) - {REFERENCE} != {kind.file, GOLDEN}:
        raise values.wrong("files", f"{kind.file}, {GOLDEN} and perhaps {REFERENCE}")
    for name in files.content:
        files.text(name)
    if values.below("model").value("classes") != list(CLASS_NAMES):
        raise BundleError(f"{where}: the model's classes are not {', '.join(CLASS_NAMES)}")
    return kind


def _check_optional(values: Values) -> None:
    if "lookbacks" in values.content:
        lookbacks = values.below("lookbacks")
        for name in lookbacks.content:
            lookbacks.integer(name, at_least=1)
    if "trained_on" in values.content:
        first, last = values.numbers("trained_on", 2)
        if first > last:
            raise values.wrong("trained_on", "the first and the last bar of train")
    if "data_sha256" in values.content:
        values.text("data_sha256")


def _check_gates(gates: Values) -> None:
    for name in gates.content:
        gate = gates.below(name)
        gate.one_of("verdict", VERDICTS)
        if gate.value("value") is not None:
            gate.number("value")
        gate.text("limit")
        if gate.content.get("ci") is not None:
            gate.numbers("ci", 2)
        if not isinstance(gate.content.get("note", ""), str):
            raise gate.wrong("note", "text")
