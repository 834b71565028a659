"""docs/proof.md, written from what the parts of the proof measured and from nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from v8lib.gates import BRIEF
from v8lib.provenance import library_sha256
from v8ops.proof.checks import Check
from v8ops.proof.matrix import HONEST
from v8ops.proof.zoo import DEFECTS

OPENING = """# Proof

What the suite claims of itself, measured. This page is written by `make proof` from its own
measurements; nobody edits it. `make test` runs a quick form of the same checks.
"""

HEADINGS = {
    "momentum": """## Known answers: the momentum market

The pipeline with the default profile on simulated markets whose exact probabilities are known.
*Possible* is the skill of those probabilities on the same test rows, *distance* the mean
total-variation distance to them.""",
    "garch": """## Known answers: a market as hard as a real one

Clustered volatility with a daily season and weak momentum (`v8lib/garch.py`), 72,000 bars of
fifteen minutes. One net is the default profile, the ensemble the `full` one: five walk-forward
folds of five nets. All models are judged on the same test rows.""",
    "defects": """## Broken models and the gates that catch them

F: fails. i: inconclusive. A dot: passes. In bold the gate that is named for the defect.""",
    "honest": """## Honest models pass

The garch market over many seeds: the honestly trained model and the exact probabilities
themselves, before every gate. The momentum market of signal 0.94 cannot serve for this: there
the truth itself is above 99 % on about a tenth of the rows, the limit of
`confidence_calibrated`.""",
    "ablation": """## Ablation

One part of the method changed at a time, on the same rows with the same seed.""",
    "real": """## Real bars

Skill on test with the `full` profile, fifteen-minute bars that are not part of the project.
Differences are paired on the same rows, with 95 % intervals by block bootstrap.""",
}


def origin(stored: Mapping[str, Any]) -> str:
    """Return where a part's figures come from, as one line."""
    versions = ", ".join(f"{name} {v}" for name, v in stored["versions"].items())
    commit, code = str(stored["git_commit"])[:12], stored["library_sha256"][:12]
    older = "" if stored["library_sha256"] == library_sha256() else ", older than this page's"
    return f"*Measured at commit {commit} (v8lib {code}{older}); {versions}.*"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def checks_table(checks: Sequence[Check]) -> str:
    """Return the checks of a part, one row each."""
    rows = [(c.name, c.measured, c.limit, "held" if c.held else "**missed**") for c in checks]
    return table(("claim", "measured", "limit", ""), rows)


def momentum_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of each momentum market."""
    head = ("signal", "seed", "skill", "possible", "share", "excess log loss", "distance")
    head += ("ECE (null, its 99 %)", "right", "sure", "T", "DOWN / HOLD / UP", "verdict")
    return table(head, (_momentum_row(row) for row in rows))


def _momentum_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = row["skill_ci"]
    temperature = row["temperature"]
    return (
        f"{row['signal']:g}",
        str(row["seed"]),
        f"{row['skill']:.2%} [{low:.2%}, {high:.2%}]",
        f"{row['possible_skill']:.2%}",
        "n/a" if row["share_of_skill"] is None else f"{row['share_of_skill']:.1%}",
        f"{row['excess_log_loss']:.4f}",
        f"{row['total_variation']:.3f}",
        f"{row['ece']:.4f} ({row['ece_null']:.4f}, {row['ece_null_high']:.4f})",
        f"{row['accuracy']:.3f}",
        f"{row['mean_confidence']:.3f}",
        "n/a" if temperature is None else f"{temperature:.2f}",
        " / ".join(f"{share:.0%}" for share in row["decision_shares"]),
        row["verdict"],
    )


def hard_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of each garch market."""
    head = ("seed", "possible", "one net", "its share", "ensemble", "its share")
    head += ("logistic", "trees", "LightGBM", "volatility / direction", "of the possible")
    return table(head, (_hard_row(row) for row in rows))


def _hard_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    one, both, others = row["one net"], row["ensemble"], row["others"]
    sources = both["sources"]
    return (
        str(row["seed"]),
        f"{both['possible_skill']:.2%}",
        f"{one['skill']:.2%}",
        f"{one['share_of_skill']:.1%}",
        f"{both['skill']:.2%}",
        f"{both['share_of_skill']:.1%}",
        *(f"{others[name]:.2%}" for name in ("logistic", "gradient_boosting", "lightgbm")),
        _parts(sources["model"]),
        _parts(sources["best possible"]),
    )


def _parts(source: Mapping[str, float]) -> str:
    return f"{source['volatility']:.2%} / {source['direction']:.2%}"


def matrix_table(matrix: Mapping[str, Mapping[str, str]]) -> str:
    """Return defect by gate: F fails, i inconclusive, a dot passes; the named gate in bold."""
    gates = list(matrix[HONEST])
    head = ("defect", *(f"{name} (brief)" if name in BRIEF else name for name in gates))
    letters = {"fail": "F", "inconclusive": "i", "pass": "."}
    rows = []
    for name, verdicts in matrix.items():
        named = DEFECTS[name].gate if name in DEFECTS else None
        marks = [letters[verdicts[gate]] for gate in gates]
        marked = [f"**{m}**" if g == named else m for g, m in zip(gates, marks, strict=True)]
        rows.append((name.replace("_", " "), *marked))
    return table(head, rows)


def defects_table() -> str:
    """Return what each defect is and which gate is named for it."""
    rows = ((n.replace("_", " "), d.words, f"`{d.gate}`") for n, d in DEFECTS.items())
    return table(("defect", "what it does", "must fail"), rows)


def real_table(summary: Mapping[str, Any]) -> str:
    """Return skill of V8 and of each baseline on real bars."""
    head = ("symbol", "test rows", "V8", "logistic", "trees", "LightGBM", "volatility only")
    head += ("confidence", "right", "gates that did not pass")
    rows = []
    for name, symbol in summary["symbols"].items():
        test, others = symbol["test"], symbol["baselines"]
        low, high = test["log_loss_skill_ci"]
        skills = ("logistic", "gradient_boosting", "lightgbm", "volatility_only")
        open_gates = [g for g, gate in symbol["gates"].items() if gate["verdict"] != "pass"]
        rows.append(
            (
                name,
                f"{test['n']:,}",
                f"{test['log_loss_skill']:.2%} [{low:.2%}, {high:.2%}]",
                *(f"{others[n]['log_loss_skill']:.2%}" for n in skills),
                f"{test['mean_confidence']:.3f}",
                f"{test['accuracy']:.3f}",
                ", ".join(open_gates) or "none",
            )
        )
    return table(head, rows)


def ablation_tables(found: Mapping[str, Any]) -> str:
    """Return log loss and ECE of every combination, and the aids in training, per market."""
    parts = []
    for market, results in found.items():
        head = ("norm", "loss", *results["calibrations"])
        rows = [
            (norm, loss, *(f"{v['log loss']:.4f} ({v['ECE']:.3f})" for v in values))
            for norm, loss, values in results["rows"]
        ]
        aids = ", ".join(f"{aid} {loss:.4f}" for aid, loss in results["aids"].items())
        parts += [f"### {market}", f"Log loss (ECE), {results['judged']}.", table(head, rows)]
        parts += [f"Aids in training, mean log loss over {results['n_seeds']} seeds: {aids}."]
    return "\n\n".join(parts)
