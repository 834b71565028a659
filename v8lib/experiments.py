"""The pipeline on markets with a known answer, one row of figures per market."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from v8lib.calibration import Calibration
from v8lib.case import Case
from v8lib.config import Parameters
from v8lib.errors import ParameterError
from v8lib.insight import seed_table
from v8lib.intervals import calibration_excess, skill_interval
from v8lib.known_answer import score_against_posterior
from v8lib.metrics import class_shares, row_log_loss
from v8lib.power import skill_words
from v8lib.recipe import build_case, open_bars
from v8lib.runtime import Runtime
from v8lib.seeds import stream

HARD_MARKET = {  # about as hard as real bars of fifteen minutes
    "market_model": "garch",
    "market_signal": 0.1,
    "market_decay": 0.8,
    "market_interval_s": 900,
    "market_volatility": 0.001,
}


def momentum_market(parameters: Parameters, *, signal: float, seed: int) -> Parameters:
    """Return the parameters on a momentum market of this signal and seed."""
    return parameters.model_copy(update={"market_signal": signal, "seed": seed})


def hard_market(parameters: Parameters, *, seed: int) -> Parameters:
    """Return the parameters on a garch market of this seed."""
    return parameters.model_copy(update=HARD_MARKET | {"seed": seed})


def known_answer_row(parameters: Parameters) -> dict[str, Any]:
    """Return what the pipeline makes of one simulated market, beside the best possible.

    Parameters
    ----------
    parameters : Parameters
        With `source` "simulated"; market, seed and everything else.

    Returns
    -------
    dict
        skill and its interval, verdict ("skill" or "no skill"), the best possible skill,
        share_of_skill, excess_log_loss, total_variation, ece, its null and the null's 99th
        percentile, accuracy, mean_confidence, actionable_share, temperature, decision_shares
        (DOWN, HOLD, UP), `sources` of both skills, and single_share: the mean share of the
        possible skill that one net of an ensemble reaches alone.

    Raises
    ------
    ParameterError
        If the bars are real ones.
    """
    return case_row(build_case(open_bars(parameters), parameters), parameters)


def case_row(case: Case, parameters: Parameters) -> dict[str, Any]:
    """Return the figures of `known_answer_row` for a case that is already trained."""
    said, labels = case.prediction, case.test.labels
    draws: dict[str, Any] = {
        "horizon_bars": parameters.horizon_bars,
        "reps": parameters.bootstrap_reps,
        "runs": case.test_runs,
    }
    skill = skill_interval(
        row_log_loss(said.probs, labels),
        row_log_loss(case.climatology, labels),
        rng=stream(case.seed, case.symbol, "skill"),
        **draws,
    )
    excess = calibration_excess(
        said.probs,
        labels,
        n_bins=parameters.n_bins,
        rng=stream(case.seed, case.symbol, "ece"),
        **draws,
    )
    against = score_against_posterior(said.probs, case.test.posterior, case.climatology, labels)
    if against is None:
        raise ParameterError("source must be 'simulated': real bars have no known answer")
    alone = seed_table(case).iloc[:-1]["skill"].mean()
    possible = against["log_loss_skill"]
    return {
        "skill": skill.value,
        "skill_ci": skill.ci,
        "verdict": skill_words(skill),
        "possible_skill": possible,
        "share_of_skill": against["share_of_skill"],
        "single_share": alone / possible if against["share_of_skill"] is not None else None,
        "excess_log_loss": against["excess_log_loss"],
        "total_variation": against["total_variation"],
        "ece": excess.ece,
        "ece_null": excess.null,
        "ece_null_high": excess.null_high,
        "accuracy": float((said.probs.argmax(axis=1) == labels).mean()),
        "mean_confidence": float(said.probs.max(axis=1).mean()),
        "actionable_share": float(said.actionable.mean()),
        "temperature": _temperature(case.models[-1]),
        "decision_shares": class_shares(said.decisions),
        "sources": against["sources"],
    }


def known_answer_table(markets: Mapping[str, Parameters]) -> pd.DataFrame:
    """Return one row per named market: the figures of `known_answer_row` that are numbers."""
    rows = {name: known_answer_row(parameters) for name, parameters in markets.items()}
    table = pd.DataFrame(rows).T.rename_axis("market")
    return table.drop(columns=["skill_ci", "sources", "decision_shares"])


def _temperature(model: Any) -> float | None:
    if not isinstance(model, Runtime):
        return None
    calibration: Calibration = model.members[0].calibration
    return calibration.temperature
