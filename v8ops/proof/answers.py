"""Known answers: the pipeline on simulated markets against the exact posterior."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from v8lib.baselines import fit_baselines
from v8lib.config import Parameters
from v8lib.experiments import case_row, hard_market, known_answer_row, momentum_market
from v8lib.metrics import log_loss
from v8lib.recipe import build_case, open_bars
from v8ops.proof.checks import Check, at_least, at_most, side_by_side, true

SIGNALS = (0.0, 0.3, 0.6, 0.9, 0.94)
STRONG = 0.94
SHARES = {0.3: 0.75, 0.6: 0.85}  # of the possible skill, at least
ONE_NET, ENSEMBLE = 0.90, 0.93  # of the possible skill on the hard market
SPLIT_TOLERANCE = 0.20


def momentum_answers(parameters: Parameters, *, seeds: Sequence[int], jobs: int) -> list[dict]:
    """Return one row per signal and seed, each with its `signal` and `seed`."""
    pairs = [(signal, seed) for signal in SIGNALS for seed in seeds]
    markets = [momentum_market(parameters, signal=signal, seed=seed) for signal, seed in pairs]
    rows = side_by_side(known_answer_row, markets, jobs)
    return [
        {"signal": signal, "seed": seed} | row
        for (signal, seed), row in zip(pairs, rows, strict=True)
    ]


def hard_answers(
    parameters: Parameters, full: Parameters, *, seeds: Sequence[int], jobs: int
) -> list[dict]:
    """Return one row per garch market: one net, the ensemble of `full`, and LightGBM."""
    chosen = [(hard_market(parameters, seed=s), hard_market(full, seed=s)) for s in seeds]
    rows = side_by_side(_hard_row, chosen, jobs)
    return [{"seed": seed} | row for seed, row in zip(seeds, rows, strict=True)]


def _hard_row(chosen: tuple[Parameters, Parameters]) -> dict[str, Any]:
    one, full = chosen
    case = build_case(open_bars(full), full)
    columns = [(feature.name, feature.family) for feature in case.prepared.table]
    others = fit_baselines(
        case.scaled,
        columns,
        trees=full.boosting_trees,
        tree_rate=full.boosting_rate,
        seed=full.seed,
        with_lightgbm=True,
    )
    nothing = log_loss(others["climatology"], case.test.labels)
    skills = {n: 1.0 - log_loss(p, case.test.labels) / nothing for n, p in others.items()}
    return {"one net": known_answer_row(one), "ensemble": case_row(case, full), "others": skills}


def momentum_checks(rows: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Return what the momentum market must show."""
    by_signal = {s: [row for row in rows if row["signal"] == s] for s in SIGNALS}
    strong = by_signal[STRONG]
    checks = [
        at_most("signal 0.94, excess log loss", _most(strong, "excess_log_loss"), 0.010),
        at_most(
            "signal 0.94, |mean confidence - accuracy|",
            max(abs(row["mean_confidence"] - row["accuracy"]) for row in strong),
            0.015,
        ),
        true(
            "signal 0.94, ECE",
            "; ".join(f"{r['ece']:.4f} (99 % of nulls {r['ece_null_high']:.4f})" for r in strong),
            "inside the 99 % null band, or 0.01 above the null's mean at most",
            all(r["ece"] <= max(r["ece_null_high"], r["ece_null"] + 0.01) for r in strong),
        ),
    ]
    checks += [_share_check(by_signal[signal], signal, least) for signal, least in SHARES.items()]
    return checks + _no_skill_checks(by_signal[0.0])


def _share_check(rows: Sequence[Mapping[str, Any]], signal: float, least: float) -> Check:
    """Return whether the seeds' mean share of the possible skill is large enough."""
    shares = [row["share_of_skill"] for row in rows]
    mean = float(np.mean(shares))
    return true(
        f"signal {signal:g}, share of the possible skill",
        f"{mean:.1%} on average ({', '.join(f'{share:.1%}' for share in shares)})",
        f"at least {least:.0%} on average over the seeds",
        mean >= least,
    )


def _no_skill_checks(none: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Return what must be said of a market without structure, for every seed."""
    return [
        true(
            "signal 0, skill interval",
            "; ".join(f"[{r['skill_ci'][0]:.2%}, {r['skill_ci'][1]:.2%}]" for r in none),
            "contains 0 or less, for every seed",
            all(row["skill_ci"][0] <= 0.0 for row in none),
        ),
        at_most("signal 0, mean confidence", _most(none, "mean_confidence"), 0.36, ".3f"),
        at_most("signal 0, actionable share", _most(none, "actionable_share"), 0.01, ".2%"),
        true(
            "signal 0, verdict",
            "; ".join(row["verdict"] for row in none),
            "no skill, for every seed",
            all(row["verdict"] == "no skill" for row in none),
        ),
    ]


def hard_checks(rows: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Return what the garch market must show, on the mean over its seeds."""
    one = np.mean([row["one net"]["share_of_skill"] for row in rows])
    together = np.mean([row["ensemble"]["share_of_skill"] for row in rows])
    skill = np.mean([row["ensemble"]["skill"] for row in rows])
    lightgbm = np.mean([row["others"]["lightgbm"] for row in rows])
    return [
        at_least("garch, one net, share of the possible skill", float(one), ONE_NET),
        at_least("garch, ensemble, share of the possible skill", float(together), ENSEMBLE),
        true(
            "garch, ensemble against LightGBM",
            f"{skill:.3%} against {lightgbm:.3%}",
            "not below",
            skill >= lightgbm,
        ),
        *(_split_check(rows, part) for part in ("volatility", "direction")),
    ]


def _split_check(rows: Sequence[Mapping[str, Any]], part: str) -> Check:
    """Compare a part's share of the skill: what the model found, and what there was."""
    shares = []
    for who in ("model", "best possible"):
        sources = [row["ensemble"]["sources"][who] for row in rows]
        whole = sum(sum(source.values()) for source in sources)
        shares.append(sum(source[part] for source in sources) / whole)
    own, exact = shares
    return true(
        f"garch, share of the skill that is {part}",
        f"{own:.1%} against {exact:.1%}",
        f"within {SPLIT_TOLERANCE:.0%} of it",
        abs(own - exact) <= SPLIT_TOLERANCE * exact,
    )


def _most(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return max(row[name] for row in rows)
