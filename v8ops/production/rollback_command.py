"""`rollback`: take the candidate out, or the stable one where there is no candidate."""

import argparse
import sys

from v8ops.production.change import add_common, said, user_name
from v8ops.production.errors import ProductionError
from v8ops.production.names import check_symbol, check_version
from v8ops.production.rollback import take_back
from v8ops.production.rollout_file import read_rollout
from v8ops.production.rollout_state import SymbolState
from v8ops.production.words import in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add_common(parser)
    parser.add_argument("--version", help="which one, if not the candidate or the stable one")
    parser.add_argument("--why", required=True, help="kept in the history and shown by status")


def main(options: argparse.Namespace) -> int:
    """Roll back and say what serves now."""
    symbol, why = check_symbol(options.symbol), said(options.why, "--why")
    version = _meant(symbol, read_rollout(options.models).of(symbol), options.version)
    after = take_back(options.models, symbol, version, who=user_name(options), why=why)
    sys.stdout.write(f"{version} is out and blocked. {in_one_line(symbol, after)}\n")
    return 0


def _meant(symbol: str, state: SymbolState, version: str | None) -> str:
    if version is not None:
        if check_version(version) not in state.roles.values():
            raise ProductionError(f"{symbol}: {version} is not in use; see status")
        return version
    meant = state.candidate or state.stable
    if meant is None:
        raise ProductionError(f"{symbol}: no model is in use, there is nothing to roll back")
    return meant
