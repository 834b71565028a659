"""The page of a replay, in Markdown, from its figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from v8ops.production.fault_replays import AFTER, BEFORE, FAULTS
from v8ops.production.monitors import EVERY_BARS
from v8ops.production.notes import utc_words
from v8ops.production.replays import STAGES, STATES, pooled
from v8ops.production.rollout_state import SHARES

HEAD = """# Replays

Written by `python -m v8ops replay` from its own figures; nobody edits it. Rollouts are rehearsed
on recorded bars, with real bundles, the real commands, log and monitors; only the clock is the
bars'. The models had never seen these bars.
"""


def page(found: Mapping[str, Any]) -> str:
    """Return the page."""
    parts = [HEAD, "## Claims\n", _checks(found["checks"])]
    if found["clean"]:
        parts += ["## Without a fault\n", _clean_words(), _clean(found["clean"])]
        parts += ["Bars by stage, all replays together:\n", _shares(found["clean"])]
        parts += [_reading_words(), _readings(found["clean"])]
    if found["faults"]:
        parts += ["## With a fault\n", _fault_words(found), _faults(found["faults"])]
    if found["not_rehearsed"]:
        parts += ["## Not rehearsed\n", _refused(found["not_rehearsed"])]
    made = f"*Commit {(found['git_commit'] or 'none')[:12]}, v8lib {found['library_sha256'][:12]}, "
    return "\n".join([*parts, made + f"{found['cores']} cores, one in use.*\n"])


def _checks(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (c["name"], c["measured"], c["limit"], "held" if c["held"] else "**missed**")
        for c in checks
    ]
    return table(("claim", "measured", "limit", ""), rows)


def _clean_words() -> str:
    stages = ", ".join(
        f"{n:,} bars {'in shadow' if stage == 'shadow' else f'at {stage} %'}"
        for stage, n in STAGES.items()
    )
    return (
        f"{stages}, then as the stable model. The stable model before it is the logistic\n"
        "baseline of a run. Each stage was left by the command `advance`, which wants 500 bars and "
        "no alarm.\n"
    )


def _clean(clean: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            r["symbol"],
            f"`{r['candidate']}`",
            f"{r['bars']:,}",
            f"{utc_words(r['first_bar'])[:10]} to {utc_words(r['last_bar'])[:10]}",
            str(r["lost"]),
            str(r["doubled"]),
            f"{r['without_model']:,}",
            "; ".join(r["rollbacks"]) or "none",
            f"{r['bars_per_second']:,.0f}",
        )
        for r in clean
    ]
    names = ("symbol", "candidate", "bars", "days", "lost", "doubled", "HOLD without a model")
    return table((*names, "rollbacks", "bars/s"), rows) + (
        "\nBars without a model's signal are those behind a gap, where features have no value "
        "yet.\n"
    )


def _shares(clean: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (stage, f"{SHARES[stage]:.0%}", f"{bars:,}", f"{mine / bars:.2%}")
        for stage, (bars, mine) in pooled(list(clean)).items()
    ]
    return table(("stage", "target", "bars", "the candidate's"), rows)


def _reading_words() -> str:
    return (
        f"What the monitors read of the candidates, every {EVERY_BARS} bars of all clean replays. "
        "Nothing is wrong with\nthese models: an alarm here is a false one, and a watch is the "
        "market's.\n"
    )


def _readings(clean: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for name in clean[0]["readings"]:
        counts = {s: sum(r["readings"][name][s] for r in clean) for s in STATES}
        n = sum(counts.values()) - counts["unknown"]
        shares = [f"{counts[s] / n:.1%}" if n else "-" for s in ("watch", "alarm")]
        rows.append((name, f"{n:,}", *shares))
    return table(("monitor", "readings", "watch", "alarm"), rows)


def _fault_words(found: Mapping[str, Any]) -> str:
    before = ", ".join(f"{n} bars at {stage}" for stage, n in BEFORE.items())
    return (
        f"{found['fault_symbol']}, {before}; then the fault, and {AFTER:,} bars more. Counted are\n"
        "bars from the first with the fault to the one at which the model was taken back: 0 is "
        "that bar itself.\n"
    )


def _faults(faults: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for found in faults:
        fault, after = FAULTS[found["fault"]], found["reacted_after"]
        rows.append(
            (
                fault.words,
                "never" if after is None else f"{after:,}",
                f"{fault.within:,}",
                found["reason"].replace("|", "\\|"),
                _then(found["then"]),
                f"{found['lost']} / {found['doubled']}",
            )
        )
    return table(
        ("fault", "reaction after", "limit", "what was said", "signals then", "lost / doubled"),
        rows,
    )


def _then(then: Mapping[str, Any]) -> str:
    """Return whose signals followed: "stable 2,149", or that in three states."""
    if any(isinstance(value, dict) for value in then.values()):
        return "; ".join(f"{name}: {_then(part)}" for name, part in then.items())
    names = {"none": "HOLD"}
    return ", ".join(f"{names.get(role, role)} {n:,}" for role, n in then.items())


def _refused(refused: Mapping[str, str]) -> str:
    return table(("bundle", "why"), [(f"`{name}`", why) for name, why in refused.items()])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
