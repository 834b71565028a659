"""What the old recipe does on given bars: the measured column of the V6 to V8 table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bars import PRICES
from v8lib.baselines import climatology
from v8lib.case import Case
from v8lib.config import Parameters
from v8lib.gates import SURE
from v8lib.labels import CLASS_NAMES
from v8lib.metrics import accuracy, class_shares, log_loss
from v8lib.predecessor import SHARE_KEYS, fit_predecessors, old_steps
from v8lib.preparation import SPLIT_KEYS, default_steps, label_settings, prepare
from v8lib.rows import Rows
from v8lib.runtime import Prediction
from v8lib.scaling import column_moments

Array = NDArray[np.float64]
EPOCHS, BATCH_SIZE = 3, 1_024  # of a measurement beside a report: about a second
MIN_CONFIDENCE = 0.6
PRICE_FACTOR = {"simulated": 1_000.0, "files": 1.0}  # by kind of source, for `at_price_level`
ONE_CLASS = 0.97  # "97-100 % DOWN", as quoted of V6


def at_price_level(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Return the bars with every price times `factor`: same returns, same volume, other level.

    The simulated market begins at 100 and V6 was fed Bitcoin's prices near 100,000. To a model
    that looks at returns both are the same market.
    """
    return bars.assign(**{name: bars[name] * factor for name in PRICES})


def measurement_settings(parameters: Parameters) -> dict[str, Any]:
    """Return the keyword arguments of `measure_predecessor` that parameters hold."""
    values = parameters.model_dump()
    return {
        "labels": label_settings(values),
        "splits": {key: values[key] for key in SPLIT_KEYS},
        **{key: values[key] for key in ("symbol", "seed", "epochs", "batch_size")},
    }


def measure_predecessor(
    bars: pd.DataFrame,
    *,
    symbol: str,
    seed: int,
    labels: Mapping[str, Any],
    splits: Mapping[str, Any],
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    chronological: bool = False,
) -> dict[str, Any]:
    """Return the facts of the old recipe, trained and tested on these bars.

    Parameters
    ----------
    bars : DataFrame
        Validated bars, at the price level V6 is to be fed.
    symbol, seed : str, int
        Where the random streams begin.
    labels, splits : mapping
        Keyword arguments of `labels.make_labels` and of `splits.walk_forward`; of the
        latter one fold is made.
    epochs, batch_size : int
        How long V6 is trained. How long it really was is not known.
    chronological : bool
        Whether to split in order of time and with a purge, which V6 did not.

    Returns
    -------
    dict
        As `predecessor_facts` has it.

    Raises
    ------
    SplitError
        If the bars are too few for the splits.
    """
    own = default_steps(
        exclude_families=(), clip_sigma=1.0, labels=labels, splits={**splits, "n_folds": 1}
    )
    shares = {key: splits[key] for key in SHARE_KEYS}
    steps = old_steps(own, symbol=symbol, seed=seed, shares=shares, chronological=chronological)
    prepared = prepare(bars, steps)
    (model,) = fit_predecessors(
        prepared,
        symbol=symbol,
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        min_confidence=MIN_CONFIDENCE,
    )
    (train,), (test,) = prepared.split("train"), prepared.split("test")
    reference = np.tile(climatology(train.labels), (len(test.labels), 1))
    trained = {"epochs": epochs, "batch_size": batch_size}
    return _facts(bars, model.predict(test.features), test, reference) | trained


def predecessor_facts(case: Case) -> dict[str, Any]:
    """Return what is measured of V6, on the test rows of a case made with its steps.

    Returns
    -------
    dict
        n (rows), price_level (median close), share_confidence_over_99, decision_shares (of
        DOWN, HOLD, UP), max_abs_logit, mean_confidence, accuracy, log_loss, log_loss_skill
        (against class frequencies of train), and of the unscaled test columns the smallest
        and largest mean (feature_means) and standard deviation (feature_deviations); epochs
        and batch_size, how it was trained.
    """
    trained = {"epochs": case.settings.epochs, "batch_size": case.settings.batch_size}
    return _facts(case.prepared.bars, case.prediction, case.test, case.climatology) | trained


def _facts(bars: pd.DataFrame, said: Prediction, test: Rows, reference: Array) -> dict[str, Any]:
    confidence, loss = said.probs.max(axis=1), log_loss(said.probs, test.labels)
    means, deviations = column_moments(test.features)
    return {
        "n": len(test.labels),
        "price_level": float(bars["close"].median()),
        "share_confidence_over_99": float((confidence > SURE).mean()),
        "decision_shares": class_shares(said.decisions),
        "max_abs_logit": float(np.abs(said.logits).max()),
        "mean_confidence": float(confidence.mean()),
        "accuracy": accuracy(said.decisions, test.labels),
        "log_loss": loss,
        "log_loss_skill": 1.0 - loss / log_loss(reference, test.labels),
        "feature_means": [float(means.min()), float(means.max())],
        "feature_deviations": [float(deviations.min()), float(deviations.max())],
    }


def facts_in_words(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts as text, keyed by the rows of the V6 to V8 table."""
    shares = zip(CLASS_NAMES, facts["decision_shares"], strict=True)
    low, high = facts["feature_deviations"]
    return {
        "over 99 % confident": f"{facts['share_confidence_over_99']:.1%} of rows",
        **{f"{name} predictions": f"{share:.1%}" for name, share in shares},
        "logit range": f"up to {facts['max_abs_logit']:,.1f}",
        "mean confidence": f"{facts['mean_confidence']:.1%}, right on {facts['accuracy']:.1%}",
        "feature scaling": f"none: prices near {_short(facts['price_level'])}, "
        f"deviations {_short(low)} to {_short(high)}",
    }


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.3g}"


def facts_table(measured: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per measurement: what it decided, how sure it was, how good it is.

    Parameters
    ----------
    measured : mapping of a name to facts
        From `measure_predecessor` or `predecessor_facts`.
    """
    rows = {
        name: {
            **dict(zip(CLASS_NAMES, facts["decision_shares"], strict=True)),
            "over 99 %": facts["share_confidence_over_99"],
            "mean confidence": facts["mean_confidence"],
            "accuracy": facts["accuracy"],
            "largest |logit|": facts["max_abs_logit"],
            "skill": facts["log_loss_skill"],
            "one class": max(facts["decision_shares"]) >= ONE_CLASS,
        }
        for name, facts in measured.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
