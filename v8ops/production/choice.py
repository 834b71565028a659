"""Which version answers where none was named: the one that the rollout gives a bar to."""

import argparse

from v8ops.production.errors import ProductionError
from v8ops.production.rollout_file import read_rollout
from v8ops.production.routing import to_candidate


def chosen_version(options: argparse.Namespace, symbol: str, epoch_s: int) -> tuple[str, str]:
    """Return the version that is to answer for a bar, and its role.

    Parameters
    ----------
    options : Namespace
        With `models` and `version`, the latter None where the rollout is to decide.
    symbol : str
        Whose bar.
    epoch_s : int
        Opening time of the bar.

    Raises
    ------
    ProductionError
        If no model is rolled out for the symbol, or the state cannot be read.
    """
    if options.version is not None:
        return options.version, "named"
    state = read_rollout(options.models).of(symbol)
    if state.candidate is not None and to_candidate(state, symbol, epoch_s):
        return state.candidate, "candidate"
    if state.stable is not None:
        return state.stable, "stable"
    raise ProductionError(
        f"no model of {symbol} is rolled out in {options.models}: name one with --version, or "
        f"make one stable (python -m v8ops promote --symbol {symbol} --version V --stable WHY)"
    )
