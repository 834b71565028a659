"""What a report says in words and tables: HTML fragments made from results, nothing else."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML, display

from v8lib.bar_interval import interval_word
from v8lib.gates import Gate, overall, promotion_reasons
from v8lib.looks import stylesheet

BADGES = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE"}
NONE = "n/a"


def use_style() -> None:
    """Give the fragments of this notebook their looks."""
    display(HTML(f"<style>{stylesheet()}</style>"))


def number(value: float | None, form: str = ".3f") -> str:
    """Return a number as text, or "n/a"."""
    return NONE if value is None else format(value, form)


def with_interval(value: float | None, ci: Sequence[float] | None, form: str = ".3f") -> str:
    """Return "value [low, high]", or the value alone where there is no interval."""
    if value is None or ci is None:
        return number(value, form)
    return f"{value:{form}} [{ci[0]:{form}}, {ci[1]:{form}}]"


def badge(verdict: str) -> str:
    """Return a verdict as a coloured word."""
    text = BADGES.get(verdict, verdict.upper())
    return f'<span class="v8-badge v8-{escape(verdict)}">{escape(text)}</span>'


def source_words(source: Mapping[str, Any]) -> str:
    """Return one phrase on where the bars came from; simulated bars say so in capitals."""
    if source["kind"] == "simulated":
        return "SIMULATED market with known answers, not real prices"
    return f"real bars from {Path(source['path']).name}"


def banner(symbol: str, source: Mapping[str, Any], gates: Sequence[Gate]) -> HTML:
    """Return the verdict: symbol, source, period, PASS / FAIL / INCONCLUSIVE, promotable or not."""
    verdict, reasons = overall(gates), promotion_reasons(gates)
    promotion = "This model may be promoted: every gate passed."
    if reasons:
        promotion = f"This model may not be promoted as it is: {'; '.join(reasons)}."
    found = "; ".join(f"{f['name'].replace('_', ' ')}: {f['detail']}" for f in source["findings"])
    length = interval_word(source["interval_s"])
    start, end = (source[key][:16].replace("T", " ") for key in ("start", "end"))
    return HTML(
        f'<section class="v8-banner v8-{verdict}" aria-label="Verdict">'
        f"<p class='v8-verdict'>{escape(symbol)} {badge(verdict)}</p>"
        f"<p>{escape(promotion)}</p>"
        f"<p class='v8-source'>{escape(source_words(source))}; "
        f"{source['n_bars']:,} bars of {length}, {start} to {end} UTC</p>"
        f"<p class='v8-source'>Found in the bars: {escape(found or 'nothing amiss')}</p></section>"
    )


def six_cards(test: Mapping[str, Any]) -> HTML:
    """Return the six figures that matter, each with what to compare it with."""
    shares = " / ".join(f"{share:.0%}" for share in test["decision_shares"])
    low, high = test["log_loss_skill_ci"]
    acting = "none was sure enough"
    if test["actionable_accuracy"] is not None:
        acting = f"{test['actionable_accuracy']:.1%} of them right"
    excess = with_interval(test["ece_excess"], test["ece_excess_ci"])
    items = [
        (
            "Log-loss skill",
            f"{test['log_loss_skill']:.2%}",
            f"95 % interval {low:.2%} to {high:.2%}; knowing nothing is 0",
        ),
        (
            "Mean confidence",
            f"{test['mean_confidence']:.1%}",
            f"right on {test['accuracy']:.1%}: calibrated means equal",
        ),
        (
            "Calibration error",
            number(test["ece"]),
            f"a perfect model shows {number(test['ece_null'])}; excess {excess}",
        ),
        ("DOWN / HOLD / UP", shares, "of decisions; 15-60 % each allowed"),
        ("Largest |logit|", f"{test['max_abs_logit']:.1f}", "limit 15, target 10"),
        ("Actionable signals", f"{test['actionable_share']:.1%}", acting),
    ]
    inner = "".join(
        f"<div class='v8-card'><dt>{escape(label)}</dt>"
        f"<dd><strong>{escape(value)}</strong><span>{escape(note)}</span></dd></div>"
        for label, value, note in items
    )
    return HTML(f"<dl class='v8-cards'>{inner}</dl>")


def html_table(
    table: pd.DataFrame, *, caption: str, raw: Sequence[str] = (), index: bool = True
) -> HTML:
    """Return a table with a caption and header scopes, for eyes and screen readers.

    Parameters
    ----------
    table : DataFrame
        Text or formatted numbers.
    caption : str
        What the table shows.
    raw : sequence of str
        Columns that already hold HTML, such as badges.
    index : bool
        Whether the index is the row heading.
    """
    shown = table.reset_index() if index else table
    head = "".join(f'<th scope="col">{escape(str(c))}</th>' for c in shown.columns)
    rows = "".join(_row(row, shown.columns, raw, index) for row in shown.to_numpy().tolist())
    return HTML(
        f"<table class='v8-table'><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(values: Sequence[Any], columns: Sequence[str], raw: Sequence[str], index: bool) -> str:
    cells = []
    for position, (value, column) in enumerate(zip(values, columns, strict=True)):
        text = str(value) if column in raw else escape(str(value))
        head = index and position == 0
        cells.append(f'<th scope="row">{text}</th>' if head else f"<td>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def gates_html(gates: Sequence[Gate]) -> HTML:
    """Return the gate table: value with interval, limit, verdict, and what stands behind it."""
    table = pd.DataFrame(
        {
            "gate": [gate.name for gate in gates],
            "value": [with_interval(gate.value, gate.ci, ".4g") for gate in gates],
            "limit": [gate.limit for gate in gates],
            "verdict": [badge(gate.verdict) for gate in gates],
            "note": [gate.note for gate in gates],
        }
    ).set_index("gate")
    return html_table(table, caption="Quality gates on the test split", raw=["verdict"])


def facts_html(facts: Mapping[str, Any], *, caption: str) -> HTML:
    """Return names and values as a two-column table."""
    table = pd.DataFrame({"": list(facts), "value": [str(value) for value in facts.values()]})
    return html_table(table.set_index(""), caption=caption)


def folded(content: HTML, *, summary: str) -> HTML:
    """Return a fragment that opens on a click, for long tables."""
    return HTML(f"<details><summary>{escape(summary)}</summary>{content.data}</details>")


def stacked(*fragments: HTML) -> HTML:
    """Return fragments one under the other as one."""
    return HTML("".join(fragment.data for fragment in fragments))
