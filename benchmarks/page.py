"""RESULTS.md and RESULTS.json, written from what the parts measured and from nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import features, latency_report, suite, symbols, training_report
from benchmarks.figures import NEVER_S, Comparison, behind
from benchmarks.words import megabytes
from v8lib.provenance import library_sha256
from v8lib.storage import write_bytes, write_json
from v8ops.proof.checks import Check
from v8ops.proof.page import checks_table, table

OPENING = """# Benchmark results

Written by `make bench` from its own measurements; nobody edits it. Each figure is the median over
repeats with the range behind it. Ratios are taken between things measured in the same round on
the same machine, and above 1 the suite is ahead. Seconds belong to the machine named below,
at the pace it had.
"""
QUICK = "**Quick sizes: these figures show that everything runs, not how fast it is.**"
BUSY = 0.1  # share of the cores in use by others above which a part is said to be disturbed
CLOSE = 0.02  # ratios this near to 1 get a digit more


class Part(NamedTuple):
    """A part's heading and what it says of its measurements."""

    heading: str
    checks: Callable[[Any], list[Check]]
    comparisons: Callable[[Any], list[Comparison]]
    tables: Callable[[Any], str]


PARTS = {
    name: Part(heading, module.checks, module.comparisons, module.tables)
    for name, heading, module in (
        ("training", "Training", training_report),
        ("suite", "Whole runs", suite),
        ("features", "Features and memory", features),
        ("latency", "Signals", latency_report),
        ("symbols", "Many symbols", symbols),
    )
}
Stored = Mapping[str, Mapping[str, Any]]


def write_results(folder: Path, parts: Stored) -> Path:
    """Write both files from the parts that are there, and return the page's path."""
    known = {name: parts[name] for name in PARTS if name in parts}
    everything = {
        "parts": known,
        "limits": [vars(check) for check in limits(known)],
        "not_ahead": behind(all_comparisons(known)),
    }
    write_json(folder / "RESULTS.json", everything)
    return write_bytes(folder / "RESULTS.md", page(known).encode())


def limits(parts: Stored) -> list[Check]:
    """Return the checks of all parts; what a disturbed part measured is marked as such."""
    made = []
    for name, part in parts.items():
        mark = " (disturbed)" if disturbed(part) else ""
        checks = PARTS[name].checks(part["found"])
        made += [replace(check, measured=check.measured + mark) for check in checks]
    return made


def disturbed(part: Mapping[str, Any]) -> bool:
    """Return whether others used the machine before or after a part.

    Whoever has fewer threads then looks better than it is.
    """
    return max(part["others_busy"]) > BUSY


def all_comparisons(parts: Stored) -> list[Comparison]:
    """Return the comparisons of all parts."""
    return [c for name, part in parts.items() for c in PARTS[name].comparisons(part["found"])]


def page(parts: Stored) -> str:
    """Return the page of these parts."""
    blocks = [OPENING.strip()]
    blocks += [QUICK] if any(part["quick"] for part in parts.values()) else []
    blocks += ["## Limits", checks_table(limits(parts)), not_ahead(all_comparisons(parts))]
    for name, part in parts.items():
        own = PARTS[name]
        blocks += [f"## {own.heading}", own.tables(part["found"])]
        compared = own.comparisons(part["found"])
        blocks += [comparison_table(compared)] if compared else []
        blocks.append(origin(part))
    return "\n\n".join(blocks) + "\n"


def not_ahead(comparisons: Sequence[Comparison]) -> str:
    """Return every comparison in which something else is better, worst first."""
    lost = behind(comparisons)
    words = f"{len(lost)} of {len(comparisons)} comparisons, furthest behind first."
    body = comparison_table(lost) if lost else ""
    return "\n\n".join(filter(None, ["## Where it is not ahead", words, body]))


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Return ours beside the peers, one row each."""
    head = ("what", "ours", "peer", "ours measured", "peer measured", "ratio")
    rows = (
        (
            c["what"],
            c["ours"]["name"],
            c["peer"]["name"],
            _value(c["ours"]["median"], c["unit"]),
            _value(c["peer"]["median"], c["unit"]),
            _range(c["ratio"]),
        )
        for c in comparisons
    )
    return table(head, rows)


def _value(number: float, unit: str) -> str:
    if number >= NEVER_S / 2:  # in half of the rounds at least
        return "never"
    return f"{number:,.0f} {unit}" if abs(number) >= 1_000 else f"{number:.4g} {unit}"


def _range(spread: Mapping[str, float]) -> str:
    form = ".3f" if abs(spread["median"] - 1.0) < CLOSE else ".2f"
    middle, low, high = (format(spread[name], form) for name in ("median", "min", "max"))
    return middle if spread["n"] == 1 else f"{middle} ({low} to {high})"


def origin(part: Mapping[str, Any]) -> str:
    """Return where a part's figures come from."""
    commit, code = str(part["git_commit"])[:12], part["library_sha256"][:12]
    older = "" if part["library_sha256"] == library_sha256() else ", older than this page's"
    machine = part["machine"]
    sets = ", ".join(machine["instruction sets"])
    versions = ", ".join(f"{name} {v}" for name, v in part["versions"].items())
    others = f"others used {max(part['others_busy']):.0%} of the cores"
    warning = f" **Disturbed: {others}.**" if disturbed(part) else ""
    paces = " and ".join(f"{pace / 1e6:.1f}" for pace in part["paces"])
    return (
        f"*Measured at commit {commit} (v8lib {code}{older}) in {part['seconds']:,.0f} s on "
        f"{machine['cpu']} ({sets}), {machine['cores']} cores, "
        f"{megabytes(machine['memory_bytes'])}, {machine['os']}, Python {machine['python']}; "
        f"{versions}; a plain Python loop: {paces} million steps/s before and after"
        f"{patience(part)}.*{warning}"
    )


def patience(part: Mapping[str, Any]) -> str:
    """Return what a part's rounds waited for; nothing where they did not."""
    told = part.get("patience")
    if not told:
        return ""
    late = f", and {told['slow_rounds']} began slower" if told["slow_rounds"] else ""
    return (
        f"; its {told['rounds']} rounds waited {told['waited_s']:.0f} s in all for "
        f"{told['steps_per_second'] / 1e6:.1f}{late}"
    )
