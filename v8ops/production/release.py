"""`release`: a version that was rolled back may be promoted again."""

import argparse
import sys

from v8ops.production.change import add_common, said, user_name
from v8ops.production.names import check_symbol, check_version
from v8ops.production.record import event
from v8ops.production.rollout_file import change_rollout
from v8ops.production.rollout_state import Rollout
from v8ops.production.transitions import release


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add_common(parser)
    parser.add_argument("--version", required=True, help="the blocked version")
    parser.add_argument("--why", required=True, help="kept in the history")


def main(options: argparse.Namespace) -> int:
    """Release and say what is possible now."""
    symbol, version = check_symbol(options.symbol), check_version(options.version)
    told = event(user_name(options), "release", version, said(options.why, "--why"))

    def change(rollout: Rollout) -> Rollout:
        return rollout.having(symbol, release(rollout.of(symbol), version, event=told))

    change_rollout(options.models, change)
    sys.stdout.write(f"{symbol}: {version} is free again; it serves nothing until promoted\n")
    return 0
