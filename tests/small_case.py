"""A small trained pipeline, made once, for the tests of what builds and what judges one."""

from functools import cache
from pathlib import Path

from v8lib import config, recipe

PARAMS = Path(__file__).resolve().parents[1] / "params"
SMALL = {
    "seed": 1,
    "market_model": "garch",
    "market_bars": 12_000,
    "market_interval_s": 900,
    "market_signal": 0.3,
    "n_folds": 2,
    "n_seeds": 2,
    "epochs": 4,
    "bootstrap_reps": 100,
    "shuffle_draws": 2,
    "shift_draws": 4,
}


@cache
def parameters():
    return config.merge_parameters(
        PARAMS, profile="default", symbol="BTC", source="simulated", settings=list(SMALL.items())
    )


@cache
def source():
    return recipe.open_bars(parameters())


@cache
def case():
    return recipe.build_case(source(), parameters())


@cache
def examined():
    return recipe.examine(case(), parameters())
