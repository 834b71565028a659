"""Every defect before every gate, and honest models before the same gates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from v8lib.case import Case
from v8lib.config import Parameters
from v8lib.experiments import hard_market
from v8lib.gates import MAY_BE_INCONCLUSIVE
from v8lib.recipe import examine
from v8ops.proof.broken_models import best_possible
from v8ops.proof.checks import Check, side_by_side, true
from v8ops.proof.honest import build_honest
from v8ops.proof.zoo import DEFECTS

HONEST, BEST = "honestly trained", "best possible"
MAX_INCONCLUSIVE = 1


def verdicts(case: Case, parameters: Parameters) -> dict[str, str]:
    """Return the verdict of every gate by name."""
    return {gate.name: gate.verdict for gate in examine(case, parameters).gates}


def defect_matrix(parameters: Parameters, *, jobs: int) -> dict[str, dict[str, str]]:
    """Return the verdicts of every gate on the honest pipeline and on each defect."""
    names = [HONEST, *DEFECTS]
    halves = [(parameters, names[k::jobs]) for k in range(jobs)]
    found: dict[str, dict[str, str]] = {}
    for part in side_by_side(_rows, halves, jobs):
        found |= part
    return {name: found[name] for name in names}


def _rows(work: tuple[Parameters, list[str]]) -> dict[str, dict[str, str]]:
    parameters, names = work
    honest = build_honest(parameters)
    cases = {n: honest.case if n == HONEST else DEFECTS[n].build(honest) for n in names}
    return {name: verdicts(case, parameters) for name, case in cases.items()}


def honest_verdicts(
    parameters: Parameters, *, seeds: Sequence[int], jobs: int
) -> list[dict[str, Any]]:
    """Return the verdicts of the trained and of the best possible model on each seed's market.

    The market is the garch one. On the momentum market of signal 0.94 the truth itself is
    above 99 % on about a tenth of the rows, which is the limit of `confidence_calibrated`.
    """
    markets = [hard_market(parameters, seed=seed) for seed in seeds]
    rows = side_by_side(_honest_row, markets, jobs)
    return [{"seed": seed} | row for seed, row in zip(seeds, rows, strict=True)]


def _honest_row(parameters: Parameters) -> dict[str, dict[str, str]]:
    case = build_honest(parameters).case
    prepared = case.prepared
    exact = replace(case, models=best_possible(prepared.scalers, prepared.rows, case.calib))
    return {HONEST: verdicts(case, parameters), BEST: verdicts(exact, parameters)}


def matrix_checks(matrix: Mapping[str, Mapping[str, str]]) -> list[Check]:
    """Return one check per defect: its named gate must fail it."""
    checks = [
        true(
            f"{HONEST} passes",
            _others(matrix[HONEST]),
            "no gate fails",
            "fail" not in matrix[HONEST].values(),
        )
    ]
    return checks + [
        true(name, f"{d.gate}: {matrix[name][d.gate]}", "fail", matrix[name][d.gate] == "fail")
        for name, d in DEFECTS.items()
    ]


def honest_checks(rows: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Return whether both models pass every gate, with at most one inconclusive verdict."""
    return [
        true(
            f"{who}, {len(rows)} markets",
            "; ".join(
                f"seed {r['seed']}: {w}" for r in rows if (w := _others(r[who])) != "all pass"
            )
            or "all pass",
            f"no gate fails, at most {MAX_INCONCLUSIVE} verdict inconclusive",
            _passes([row[who] for row in rows]),
        )
        for who in (HONEST, BEST)
    ]


def _passes(found: Sequence[Mapping[str, str]]) -> bool:
    open_gates = [name for row in found for name, v in row.items() if v == "inconclusive"]
    no_failure = all("fail" not in row.values() for row in found)
    few = len(open_gates) <= MAX_INCONCLUSIVE and set(open_gates) <= set(MAY_BE_INCONCLUSIVE)
    return no_failure and few


def _others(row: Mapping[str, str]) -> str:
    """Return the gates that did not pass, in words."""
    return ", ".join(f"{n} {v}" for n, v in row.items() if v != "pass") or "all pass"
