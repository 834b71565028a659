"""The V6 -> V8 table: what was broken, what was asked for, what was measured, and why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from IPython.display import HTML

from v8lib.labels import CLASS_NAMES
from v8lib.report import badge, html_table, number, with_interval

TARGET_SHARE = (0.30, 0.35)
TARGET_CONFIDENCE = (0.70, 0.75)
TARGET_LOGIT = 10.0
TARGET_SURE = 0.10
# Quoted from the brief that described the broken models; nothing here measured them.
V6 = {
    "over 99 % confident": "99-100 % of rows",
    "DOWN predictions": "97-100 %",
    "UP predictions": "0-3 %, UP and HOLD together",
    "HOLD predictions": "0-3 %, UP and HOLD together",
    "logit range": "16,000 to 52,000",
    "mean confidence": "99-100 %",
    "feature scaling": "none, raw prices",
}


@dataclass(frozen=True)
class Row:
    """One line of the table; `why` is empty where the target was met."""

    name: str
    target: str
    measured: str
    met: bool
    why: str = ""


def comparison_rows(
    test: Mapping[str, Any], label_shares: Sequence[float], normalization: Mapping[str, Any]
) -> list[Row]:
    """Return the seven rows.

    Parameters
    ----------
    test : mapping
        The `test` block of the summary.
    label_shares : sequence of float
        What happened on test: shares of DOWN, HOLD, UP.
    normalization : mapping
        Record of the gate feature_normalization.
    """
    pairs = zip(test["decision_shares"], label_shares, strict=True)
    shares = dict(zip(CLASS_NAMES, pairs, strict=True))
    logit, sure = test["max_abs_logit"], test["share_confidence_over_99"]
    return [
        Row("over 99 % confident", "below 10 % of rows", f"{sure:.1%}", sure < TARGET_SURE),
        *(_share_row(name, *shares[name]) for name in ("DOWN", "UP", "HOLD")),
        Row(
            "logit range",
            "within +-10",
            f"up to {logit:.1f}",
            logit < TARGET_LOGIT,
            "" if logit < TARGET_LOGIT else "The net claims more than ten nats between classes.",
        ),
        _confidence_row(test),
        Row(
            "feature scaling",
            "mean 0, deviation 1",
            f"off by at most {normalization['value']:.3f}"
            if normalization["value"] is not None
            else "not finite",
            normalization["verdict"] == "pass",
            "" if normalization["verdict"] == "pass" else str(normalization["note"]),
        ),
    ]


def _share_row(name: str, decided: float, happened: float) -> Row:
    low, high = TARGET_SHARE
    met = low <= decided <= high
    why = (
        f"{name} happened on {happened:.1%} of the test bars. The decision follows what the "
        f"probabilities were before them, and these bars had others."
    )
    return Row(f"{name} predictions", "30-35 %", f"{decided:.1%}", met, "" if met else why)


def _confidence_row(test: Mapping[str, Any]) -> Row:
    low, high = TARGET_CONFIDENCE
    confidence, right = test["mean_confidence"], test["accuracy"]
    met = low <= confidence <= high
    why = (
        f"A calibrated model is as sure as it is right, and this market lets it be right on "
        f"{right:.1%}; claiming more would be false."
    )
    if confidence > high:
        why = (
            f"The model was right on {right:.1%} of these bars: being less sure than that would "
            f"be as wrong as being surer."
        )
    return Row("mean confidence", "70-75 %", f"{confidence:.1%}", met, "" if met else why)


def comparison_html(rows: Sequence[Row], measured: Mapping[str, str] | None = None) -> HTML:
    """Return the table with a verdict per row.

    Parameters
    ----------
    rows : sequence of Row
        From `comparison_rows`.
    measured : mapping of row name to text, optional
        What the old recipe does here, from `postmortem.facts_in_words`; a column beside
        what is quoted of it.
    """
    here = {"V6 measured here": [measured[row.name] for row in rows]} if measured else {}
    table = pd.DataFrame(
        {
            "": [row.name for row in rows],
            "V6 broken (quoted)": [V6[row.name] for row in rows],
            **here,
            "V8 target": [row.target for row in rows],
            "V8 measured": [row.measured for row in rows],
            "verdict": [badge("met" if row.met else "missed") for row in rows],
            "why missed": [row.why for row in rows],
        }
    ).set_index("")
    return html_table(table, caption="From V6 to V8, on the test split", raw=["verdict"])


def symbol_rows(verdicts: Mapping[str, Mapping[str, Any] | None]) -> list[dict[str, str]]:
    """Return one row per symbol for the table of notebook 05; None means it failed."""
    rows = []
    for name, verdict in verdicts.items():
        if verdict is None:
            rows.append({"symbol": name, "verdict": badge("failed")})
            continue
        test = verdict["test"]
        rows.append(
            {
                "symbol": name,
                "verdict": badge(verdict["verdict"]),
                "skill": f"{test['log_loss_skill']:.2%}",
                "log loss": f"{test['log_loss']:.4f}",
                "knowing nothing": f"{test['log_loss_climatology']:.4f}",
                "accuracy": f"{test['accuracy']:.1%}",
                "mean confidence": f"{test['mean_confidence']:.1%}",
                "ECE excess": with_interval(test["ece_excess"], test["ece_excess_ci"]),
                "temperature": number(verdict["temperature"], ".2f"),
                "actionable": f"{test['actionable_share']:.1%}",
            }
        )
    return rows


def skill_table(verdicts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return skill with interval of each symbol's model and its best baseline, for a plot."""
    rows = []
    for name, verdict in verdicts.items():
        best = max(verdict["baselines"], key=lambda b: verdict["baselines"][b]["log_loss_skill"])
        for label, scores in (("V8", verdict["test"]), (best, verdict["baselines"][best])):
            low, high = scores["log_loss_skill_ci"]
            words = f"{label.replace('_', ' ')}, {name}"
            rows.append((words, scores["log_loss_skill"], low, high))
    return pd.DataFrame(rows, columns=["model", "value", "low", "high"]).set_index("model")


def gate_badges(gates: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the verdict of each gate as a badge."""
    return {name: badge(gate["verdict"]) for name, gate in gates.items()}
