"""`monitor`: what the monitors read now, as a table, as JSON, and as a page with plots."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from v8ops.production.change import MODELS, PROJECT, log_path
from v8ops.production.names import check_symbol
from v8ops.production.rollout_file import read_rollout
from v8ops.production.signal_log import SignalReader
from v8ops.production.watched import WatchedSymbol, watch
from v8ops.production.words import aligned, in_one_line

WELL, ALARM = 0, 3
BARS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    parser.epilog = "Exit status: 0, or 3 if a model in use is in alarm or a symbol has none."
    parser.add_argument("--symbols", nargs="+", help="by default all that the rollout names")
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--log", type=Path, help="the signal log; by default in MODELS")
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "reports" / "monitor", help="folder of the page"
    )
    parser.add_argument("--bars", type=int, default=BARS, help="how many of the newest to read")
    parser.add_argument("--json", action="store_true", help="the readings, for machines")


def main(options: argparse.Namespace) -> int:
    """Show the readings and write the page."""
    rollout = read_rollout(options.models)
    names = [check_symbol(name) for name in options.symbols or sorted(rollout.symbols)]
    path = log_path(options)
    with SignalReader(path) as reader:
        watched = watch(reader, rollout, options.models, names, options.bars)
    if options.json:
        content = {w.symbol: _content(w) for w in watched}
        sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.write(
            "\n".join(f"{in_one_line(w.symbol, rollout)}\n{table(w)}" for w in watched)
        )
    from v8ops.production.monitor_page import write_page  # draws, and so takes a second to import

    page = write_page(options.out, watched, log=path.name)
    if not options.json:
        sys.stdout.write(f"\nPage: {page}\n")
    return ALARM if any(w.worst == "alarm" for w in watched) else WELL


def table(watched: WatchedSymbol) -> str:
    """Return the readings of a symbol's models as text."""
    rows = [("role", "version", "monitor", "value", "state", "watch", "alarm", "rows", "note")]
    for model in watched.models:
        start = (model.role, model.version)
        if model.complaint:
            rows.append((*start, "bundle", "-", "alarm", "", "", "", model.complaint))
        for r in model.readings:
            value = "-" if r.value is None else f"{r.value:.3f}"
            rows.append((*start, r.name, value, r.state, r.watch, r.alarm, f"{r.n:,}", r.note))
    return aligned(rows)


def _content(watched: WatchedSymbol) -> dict[str, object]:
    return {
        "state": watched.worst,
        "stage": watched.state.stage,
        "models": [
            {
                "role": model.role,
                "version": model.version,
                "complaint": model.complaint or None,
                "readings": [asdict(reading) for reading in model.readings],
            }
            for model in watched.models
        ],
    }
