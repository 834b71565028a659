"""`predict`: the signal of the last complete bar of a file, and why there is none.

A bar is complete when its end has passed, by the clock or by --at. Without --version the model
is the one that the rollout gives this bar to.

Exit status: 0 there is an answer, be it that there is no signal and why; 2 bad input.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from v8lib.storage import json_bytes
from v8ops.production.change import MODELS, verified_bundle
from v8ops.production.choice import chosen_version
from v8ops.production.errors import ProductionError
from v8ops.production.names import check_symbol, check_version


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add = parser.add_argument
    add("--symbol", required=True, help="whose model, such as BTC")
    add("--bars", required=True, type=Path, metavar="FILE", help="CSV, Parquet or Feather")
    add("--at", metavar="TIME", help="as if it were then: ISO 8601 (UTC) or seconds since 1970")
    add("--json", action="store_true", help="the answer as JSON")
    add("--models", type=Path, default=MODELS, help="the models folder")
    add("--version", help="of the model; by default the one that is rolled out")


def main(options: argparse.Namespace) -> int:
    """Predict and print the answer."""
    symbol = check_symbol(options.symbol)
    if options.version is not None:
        check_version(options.version)
    now = time.time() if options.at is None else seconds_of(options.at)
    from v8lib.bar_arrays import bar_arrays, step_seconds
    from v8lib.bars import load_bars
    from v8ops.production.answer import answer_of

    bars = bar_arrays(load_bars(options.bars).bars)
    interval_s = step_seconds(bars.epoch_s)
    complete = bars.at(slice(0, int((bars.epoch_s + interval_s <= now).sum())))
    if not len(complete.epoch_s):
        raise ProductionError(f"{options.bars}: no bar is complete at {iso(now)}")
    version, role = chosen_version(options, symbol, int(complete.epoch_s[-1]))
    bundle = verified_bundle(options.models, symbol, version)
    if interval_s != bundle.manifest["interval_s"]:
        raise ProductionError(
            f"{options.bars}: bars of {interval_s} s, {version} is for bars of "
            f"{bundle.manifest['interval_s']} s"
        )
    answer = answer_of(bundle, complete, symbol=symbol, role=role, now=now)
    text = json_bytes(answer).decode() if options.json else "\n".join(lines(answer)) + "\n"
    sys.stdout.write(text)
    return 0


def seconds_of(text: str) -> float:
    """Return a moment in seconds since 1970-01-01 UTC.

    Raises
    ------
    ProductionError
        If it is neither ISO 8601 nor a number of seconds.
    """
    try:
        if text.isascii() and text.isdigit():
            moment = datetime.fromtimestamp(int(text), UTC)
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise ProductionError(
            f"--at {text}: no time; write it like 2025-06-30T12:00:00 (UTC) or in seconds"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def iso(seconds: float) -> str:
    """Return a moment as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def lines(answer: dict[str, Any]) -> list[str]:
    """Return an answer in words."""
    bar = f"{answer['symbol']}  bar {answer['bar_open']} to {answer['bar_close']}"
    model = f"model {answer['version']} ({answer['kind']}, {answer['role']})"
    late = [f"note: {answer['note']}"] if answer["note"] else []
    if answer["decision"] is None:
        return [bar, model, f"no signal: {answer['reason']}", *late]
    probs = "  ".join(f"{name} {p:.1%}" for name, p in answer["probs"].items())
    acting = "actionable" if answer["actionable"] else f"not actionable: {answer['reason']}"
    said = f"{answer['decision']}  confidence {answer['confidence']:.1%}  {acting}"
    return [bar, model, said, probs, *late]
