"""`status`: which model serves each symbol, and since when."""

import argparse
import json
import sys

from v8ops.production.change import add_common
from v8ops.production.rollout_content import content_of
from v8ops.production.rollout_file import read_rollout
from v8ops.production.words import aligned, table_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add_common(parser, symbol=False)
    parser.add_argument("--json", action="store_true", help="everything, for machines")


def main(options: argparse.Namespace) -> int:
    """Print the state."""
    rollout = read_rollout(options.models)
    if options.json:
        sys.stdout.write(json.dumps(content_of(rollout), indent=2) + "\n")
        return 0
    if not rollout.symbols:
        sys.stdout.write("nothing is rolled out: promote a bundle first\n")
        return 0
    sys.stdout.write(f"revision {rollout.revision}\n{aligned(table_rows(rollout))}")
    for symbol, state in sorted(rollout.symbols.items()):
        for version, why in state.blocked.items():
            sys.stdout.write(f"{symbol}: {version} is blocked: {why}\n")
    return 0
