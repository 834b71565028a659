"""`advance`: the candidate gets its next share of the bars, and in the end is stable."""

import argparse
import sys

from v8ops.production.change import (
    add_common,
    log_path,
    said,
    user_name,
    verified_bundle,
)
from v8ops.production.errors import ProductionError
from v8ops.production.evidence import gather, last_logged_bar
from v8ops.production.names import check_symbol
from v8ops.production.record import event
from v8ops.production.rollout_file import change_rollout, read_rollout
from v8ops.production.rollout_state import Rollout
from v8ops.production.transitions import advance
from v8ops.production.words import in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add_common(parser)
    parser.add_argument(
        "--force", metavar="REASON", help="go on without the evidence; kept in the history"
    )


def main(options: argparse.Namespace) -> int:
    """Advance and say what that means."""
    symbol = check_symbol(options.symbol)
    before = read_rollout(options.models)
    state = before.of(symbol)
    if state.candidate is None:
        raise ProductionError(f"{symbol} has no candidate to advance: promote one first")
    verified_bundle(options.models, symbol, state.candidate)
    log = log_path(options)
    objections = gather(log, symbol, state).objections
    if objections and options.force is None:
        raise ProductionError(
            f"{state.candidate} stays at stage {state.stage}: {'; '.join(objections)}"
        )
    why = ""
    if options.force is not None:
        why = f"forced: {said(options.force, '--force')}"
        why += f" (against: {'; '.join(objections)})" if objections else ""
    told = event(user_name(options), "advance", state.candidate, why)
    since_bar = last_logged_bar(log, symbol)

    def change(rollout: Rollout) -> Rollout:
        moved = advance(rollout.of(symbol), since_bar=since_bar, event=told)
        return rollout.having(symbol, moved)

    # The evidence is about the state that was read: if somebody rolls back meanwhile, say so.
    after = change_rollout(options.models, change, expected_revision=before.revision)
    sys.stdout.write(in_one_line(symbol, after) + "\n")
    return 0
