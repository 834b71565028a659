"""`restore`: put the newest kept state in the place of a damaged rollout.json."""

import argparse
import sys
from dataclasses import replace

from v8ops.production.change import add_common, said, user_name
from v8ops.production.record import event
from v8ops.production.rollout_file import restore_rollout
from v8ops.production.rollout_state import Rollout
from v8ops.production.words import aligned, table_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add_common(parser, symbol=False)
    parser.add_argument("--why", required=True, help="kept in the history")


def main(options: argparse.Namespace) -> int:
    """Restore and show what serves now."""
    who, why = user_name(options), said(options.why, "--why")

    def change(rollout: Rollout) -> Rollout:
        symbols = {
            name: replace(
                state,
                history=(*state.history, event(who, "restore", state.stable or "none", why)),
            )
            for name, state in rollout.symbols.items()
        }
        return Rollout(rollout.revision, symbols)

    after = restore_rollout(options.models, change)
    sys.stdout.write(f"restored, now revision {after.revision}\n{aligned(table_rows(after))}")
    return 0
