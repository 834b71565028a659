"""`promote`: a bundle becomes the candidate, in shadow, or a symbol's first stable."""

import argparse
import secrets
import sys

from v8lib.bundle import Bundle
from v8ops.production.admission import open_questions, reasons
from v8ops.production.change import (
    add_common,
    log_path,
    said,
    user_name,
    verified_bundle,
)
from v8ops.production.errors import ProductionError
from v8ops.production.evidence import last_logged_bar
from v8ops.production.names import check_symbol, check_version
from v8ops.production.record import event
from v8ops.production.rollout_file import change_rollout
from v8ops.production.rollout_state import Rollout
from v8ops.production.transitions import install, promote
from v8ops.production.words import in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add_common(parser)
    parser.add_argument("--version", required=True, help="name of its folder in models/SYMBOL/")
    parser.add_argument(
        "--accept-inconclusive",
        metavar="REASON",
        help="why an inconclusive skill or calibration will do; kept in the history",
    )
    parser.add_argument(
        "--stable",
        metavar="REASON",
        help="make it stable at once; only where the symbol has no stable model yet",
    )
    parser.add_argument(
        "--expect-revision", type=int, metavar="N", help="refuse if status has moved on from N"
    )


def main(options: argparse.Namespace) -> int:
    """Promote and say what that means."""
    symbol, version = check_symbol(options.symbol), check_version(options.version)
    why = admitted(verified_bundle(options.models, symbol, version), options.accept_inconclusive)
    if options.stable is not None:
        why = "; ".join([said(options.stable, "--stable"), *([why] if why else [])])
    told = event(user_name(options), "promote", version, why)
    since_bar = last_logged_bar(log_path(options), symbol)

    def change(rollout: Rollout) -> Rollout:
        state = rollout.of(symbol)
        if options.stable is not None:
            return rollout.having(symbol, install(state, version, event=told))
        salt = secrets.token_hex(8)
        return rollout.having(
            symbol, promote(state, version, salt=salt, since_bar=since_bar, event=told)
        )

    after = change_rollout(options.models, change, expected_revision=options.expect_revision)
    sys.stdout.write(in_one_line(symbol, after) + "\n")
    return 0


def admitted(bundle: Bundle, accepted: str | None) -> str:
    """Return what a person said to inconclusive gates, empty where there are none.

    Raises
    ------
    ProductionError
        If a gate stands against the bundle, or an inconclusive one was not accepted.
    """
    if against := reasons(bundle.manifest):
        raise ProductionError(f"{bundle.version} is not promoted: {'; '.join(against)}")
    questions = open_questions(bundle.manifest)
    if not questions:
        return ""
    if accepted is None:
        raise ProductionError(
            f"{bundle.version} is not promoted: {'; '.join(questions)}; if that will do, say why "
            'with --accept-inconclusive "REASON"'
        )
    return f"accepted although {'; '.join(questions)}: {said(accepted, '--accept-inconclusive')}"
