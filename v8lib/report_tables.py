"""The tables of notebook 04: results in, words and HTML out, nothing computed."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from v8lib.labels import CLASS_NAMES
from v8lib.report import NONE, facts_html, html_table, number, with_interval


def paragraph(text: str) -> HTML:
    """Return a sentence as a paragraph of its own."""
    return HTML(f"<p>{escape(text)}</p>")


def comparisons_html(comparisons: Mapping[str, Mapping[str, Any]]) -> HTML:
    """Return the differences in skill of `paired.compare`, one row per baseline."""
    table = pd.DataFrame(
        {
            "baseline": [name.replace("_", " ") for name in comparisons],
            "skill of V8 minus its skill": [
                with_interval(c["value"], c["ci"], ".2%") for c in comparisons.values()
            ],
            "V8 is": [c["verdict"] for c in comparisons.values()],
        }
    )
    return html_table(table.set_index("baseline"), caption="V8 against each baseline")


def decisions_html(test: Mapping[str, Any]) -> HTML:
    """Return MCC, balanced accuracy and F1 by class, from the `test` block."""
    facts = {
        "decision accuracy": f"{test['decision_accuracy']:.1%}",
        "balanced accuracy": f"{test['balanced_accuracy']:.1%}",
        "MCC": f"{test['mcc']:.3f}",
        "direction accuracy, given a move": number(test["direction_accuracy"], ".1%"),
    }
    scores = zip(CLASS_NAMES, test["f1"], strict=True)
    facts |= {f"F1 of {name}": f"{score:.3f}" for name, score in scores}
    return facts_html(facts, caption="Decisions on test")


def signals_html(signals: pd.DataFrame, test: Mapping[str, Any], min_confidence: float) -> HTML:
    """Return the actionable signals by emitted class, from `selective.signal_table`."""
    shown = pd.DataFrame(
        {
            "n": signals["n"].map("{:,.0f}".format),
            "share": signals["share"].map(_percent),
            "right": signals["accuracy"].map(_percent),
            "probability said": signals["mean_probability"].map(_percent),
        },
        index=signals.index.rename("class"),
    )
    right = with_interval(test["actionable_accuracy"], test["actionable_accuracy_ci"], ".1%")
    caption = (
        f"Confidence of {min_confidence:.0%} or more: {test['actionable_share']:.1%} of rows, "
        f"likeliest class right on {right}"
    )
    return html_table(shown, caption=caption)


def conformal_html(summary: Mapping[str, Any], error_rate: float) -> HTML:
    """Return what the prediction sets held, from `conformal.coverage_summary`."""
    facts = {
        "target coverage": f"{1.0 - error_rate:.0%}",
        "coverage": number(summary["coverage"], ".1%"),
        "classes in a set, on average": number(summary["mean_set_size"], ".2f"),
        "sets of one class": number(summary["share_single"], ".1%"),
        "right where a set has one class": number(summary["single_accuracy"], ".1%"),
        "empty sets": number(summary["share_empty"], ".1%"),
    }
    by_class = summary["coverage_by_class"].items()
    facts |= {f"coverage of {name}": number(value, ".1%") for name, value in by_class}
    return facts_html(facts, caption="Prediction sets on test")


def earnings_html(table: pd.DataFrame, *, rule: str) -> HTML:
    """Return what a rule would have earned, from `earnings.earnings_table`."""
    n = int(table["n"].iloc[0])
    shown = pd.DataFrame(
        {
            "cost of a round trip, bp": table["cost_bps"].map("{:g}".format),
            "mean per trade, bp": [
                _bps(value, low, high)
                for value, low, high in table[["mean_net_bps", "low", "high"]].to_numpy()
            ],
            "sum, log return": table["sum_net"].map("{:.3f}".format),
            "Sharpe ratio a year": table["sharpe"].map(_two),
            "deflated Sharpe": table["deflated_sharpe"].map(_two),
        }
    )
    trials = int(table["n_trials"].iloc[0])
    caption = f"Rule: {rule}; {n:,} trades, {trials} rules tried"
    return html_table(shown, caption=caption, index=False)


def known_answer_html(found: Mapping[str, Any] | None, test: Mapping[str, Any]) -> HTML:
    """Return model and best possible model side by side; a sentence on real bars."""
    if found is None:
        return paragraph("These are real bars: nobody knows the exact probabilities.")
    sources = found["sources"]
    rows = {
        "log loss": (f"{test['log_loss']:.4f}", f"{found['log_loss']:.4f}"),
        "log-loss skill": (f"{test['log_loss_skill']:.2%}", f"{found['log_loss_skill']:.2%}"),
        "of it volatility": _pair(sources, "volatility"),
        "of it direction": _pair(sources, "direction"),
        "accuracy": (f"{test['accuracy']:.1%}", f"{found['accuracy']:.1%}"),
        "mean confidence": (f"{test['mean_confidence']:.1%}", f"{found['mean_confidence']:.1%}"),
        "excess log loss": (f"{found['excess_log_loss']:.4f}", "0"),
        "total-variation distance": (f"{found['total_variation']:.3f}", "0"),
        "share of the possible skill": (number(found["share_of_skill"], ".1%"), "100 %"),
    }
    table = pd.DataFrame(rows, index=["V8", "best possible"]).T.rename_axis("")
    return html_table(table, caption="Against the exact probabilities, on test")


def _pair(sources: Mapping[str, Mapping[str, float]], name: str) -> tuple[str, str]:
    return f"{sources['model'][name]:.2%}", f"{sources['best possible'][name]:.2%}"


def _percent(value: float | None) -> str:
    return NONE if value is None or np.isnan(value) else f"{value:.1%}"


def _two(value: float | None) -> str:
    return NONE if value is None or np.isnan(value) else f"{value:.2f}"


def _bps(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return NONE
    return f"{value:.2f}" if np.isnan(low) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
