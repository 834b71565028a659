"""Where, when and for whom a model is good: the parts of a case behind the single figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import bar_seconds
from v8lib.case import Case
from v8lib.conditions import regimes
from v8lib.conformal import rolling_conformal_sets
from v8lib.earnings import earnings_table, trades
from v8lib.ensemble import predict_members
from v8lib.features import feature_table, make_features
from v8lib.inversion import softmax
from v8lib.metrics import accuracy, log_loss

Array = NDArray[np.float64]
CONDITIONS = ("volatility_96", "return_96")  # what bars are sorted by: both known at the bar
DAY_S, YEAR_S = 86_400, 365 * 86_400


def regimes_of_test(case: Case) -> dict[str, NDArray]:
    """Return the regime of every test row: volatility, trend and hour, each (n_test,)."""
    bars = case.prepared.bars
    table = [f for f in feature_table(bar_seconds(bars)) if f.name in CONDITIONS]
    columns = make_features(bars, table)[case.test.position]
    found = {feature.name: columns[:, j] for j, feature in enumerate(table)}
    volatility, trend = (found[name].astype(np.float64) for name in CONDITIONS)
    return regimes(case.test.epoch_s, volatility, trend)


def conformal_folds(case: Case, *, error_rate: float, horizon_bars: int) -> NDArray[np.bool_]:
    """Return the conformal prediction sets of all test rows, shape (n_test, 3).

    Each fold's sets come from its own model, begin with its calib split and renew themselves
    once a day from the labels settled by then.
    """
    refit_rows = max(1, DAY_S // bar_seconds(case.prepared.bars))
    parts = zip(case.models, case.calib, case.said_by_fold, case.tests, strict=True)
    return np.concatenate(
        [
            rolling_conformal_sets(
                model.predict(calib.features).probs,
                calib.labels,
                said.probs,
                test.labels,
                error_rate=error_rate,
                horizon_bars=horizon_bars,
                window_rows=len(calib.labels),
                refit_rows=refit_rows,
            )
            for model, calib, said, test in parts
        ]
    )


def signal_earnings(case: Case, *, horizon_bars: int) -> dict[str, pd.DataFrame]:
    """Return what signals would have earned at several costs, by rule.

    "actionable" opens a position where the decision is UP or DOWN and the confidence reaches
    the bar; "every decision" wherever the decision is UP or DOWN. One position at a time.
    """
    test, said = case.test, case.prediction
    years = (test.epoch_s[-1] - test.epoch_s[0]) / YEAR_S
    rules = {"actionable": said.actionable, "every decision": np.ones(len(test.labels), bool)}
    tables = {}
    for name, take in rules.items():
        made = trades(
            said.decisions, take, test.forward_return, test.position, horizon_bars=horizon_bars
        )
        tables[name] = earnings_table(
            made, trades_per_year=max(len(made), 1) / years, n_trials=len(rules)
        )
    return tables


def seed_table(case: Case) -> pd.DataFrame:
    """Return log loss, skill and accuracy on test of each net alone, and of all together.

    One row per seed, and "together" last. What is between the rows is chance: the nets differ
    in their random numbers and in nothing else.
    """
    single = all(len(model.members) == 1 for model in case.models)
    predictions = [case.said] if single else predict_members(case.models, case.tests)
    named = {f"net {k + 1}": p for k, p in enumerate(predictions)} | {"together": case.prediction}
    nothing = log_loss(case.climatology, case.test.labels)
    rows = {name: _scores(p.probs, case.test.labels, nothing) for name, p in named.items()}
    return pd.DataFrame(rows).T.rename_axis("model")


def _scores(probs: Array, labels: NDArray[np.integer], nothing: float) -> dict[str, float]:
    loss = log_loss(probs, labels)
    return {
        "log loss": loss,
        "skill": 1.0 - loss / nothing,
        "accuracy": accuracy(probs.argmax(axis=1), labels),
        "mean confidence": float(probs.max(axis=1).mean()),
    }


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as JSON values, index included; a missing number becomes None."""
    flat = table.reset_index()
    plain = flat.astype(object).where(flat.notna(), None)
    rows = plain.to_dict(orient="records")
    return [{str(k): _value(v) for k, v in row.items()} for row in rows]


def _value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, pd.Timestamp) else value


def nested(table: pd.DataFrame) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return a table of value, low, high with two index levels as nested JSON values."""
    out: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (outer, inner), row in table.iterrows():
        ci = [float(row["low"]), float(row["high"])]
        out.setdefault(outer, {})[inner] = {"value": float(row["value"]), "ci": ci}
    return out


def uncalibrated(case: Case) -> Array:
    """Return what the nets said of test before calibration, averaged, shape (n_test, 3)."""
    return np.concatenate([np.mean(softmax(raw), axis=0) for raw in case.raw_by_fold])
