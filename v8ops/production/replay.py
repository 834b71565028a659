"""`replay`: rehearse rollouts of your bundles on the bars they were judged on.

Each net of the models folder goes from shadow to stable on the bars of its test split, with the
logistic baseline as the stable model before it; then one fault after the other is put into such
a rollout. Nothing in the models folder is changed.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from v8lib.bar_arrays import BarArrays
from v8lib.bundle import Bundle, load_bundle
from v8lib.errors import BundleError
from v8lib.provenance import git_commit, library_sha256
from v8lib.storage import write_bytes, write_json
from v8ops.production.admission import reasons
from v8ops.production.bar_source import BarSource
from v8ops.production.change import MODELS, PROJECT
from v8ops.production.errors import ProductionError
from v8ops.production.fault_replays import FAULTS, faulty_replay
from v8ops.production.names import check_symbol
from v8ops.production.notes import Notes, to_stdout
from v8ops.production.replay_page import page
from v8ops.production.replay_verdict import verdicts
from v8ops.production.replays import Cast, clean_replay

HELD, MISSED = 0, 3
CANDIDATE, STABLE = "mlp", "linear"  # kinds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    parser.epilog = "Exit status: 0, or 3 if a bar was lost or a reaction did not come."
    parser.add_argument("--symbols", nargs="+", required=True, help="for instance BTC ETH SOL")
    parser.add_argument("--data", type=Path, default=PROJECT / "data", help="folder of bar files")
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "reports" / "replay.json", help="the figures"
    )
    parser.add_argument("--page", type=Path, help="a Markdown page of them")
    parser.add_argument(
        "--faults", nargs="*", choices=tuple(FAULTS), default=list(FAULTS), help="by default all"
    )


def main(options: argparse.Namespace) -> int:
    """Rehearse, write the figures, and say what held."""
    refused: dict[str, str] = {}
    casts = [
        cast
        for symbol in options.symbols
        for cast in find_casts(options.models, check_symbol(symbol), options.data, refused)
    ]
    clean = list(_told(clean_replay, "clean", casts))
    faulty = [_one_fault(casts[0], name) for name in options.faults]
    found = {
        "git_commit": git_commit(),
        "library_sha256": library_sha256(),
        "cores": os.cpu_count(),
        "clean": clean,
        "faults": faulty,
        "fault_symbol": casts[0].symbol,
        "not_rehearsed": refused,
    }
    found["checks"] = verdicts(found)
    write_json(options.out, found)
    if options.page:
        write_bytes(options.page, page(found).encode())
    for check in found["checks"]:
        held = "held" if check["held"] else "MISSED"
        sys.stdout.write(f"{held:<7}{check['name']}: {check['measured']} ({check['limit']})\n")
    sys.stdout.write(f"Figures: {options.out}\n")
    return HELD if all(check["held"] for check in found["checks"]) else MISSED


def find_casts(models: Path, symbol: str, data: Path, refused: dict[str, str]) -> list[Cast]:
    """Return a cast for each net of a symbol that may be promoted.

    Raises
    ------
    ProductionError
        If there is no such net, no logistic baseline that may be stable, or no bars.
    """
    bundles = list(_bundles(models, symbol, refused))
    stable = next((b for b in bundles if b.manifest["kind"] == STABLE), None)
    nets = [b for b in bundles if b.manifest["kind"] == CANDIDATE]
    if stable is None or not nets:
        why = "; ".join(f"{v}: {w}" for v, w in refused.items() if v.startswith(f"{symbol}/"))
        what = "logistic baseline" if nets else "net"
        raise ProductionError(
            f"{models / symbol} holds no {what} that may be promoted{': ' if why else ''}{why}; "
            "run the symbol first"
        )
    bars = _bars(data, symbol)
    return [_cast(models, symbol, stable, net, bars) for net in nets]


def _bundles(models: Path, symbol: str, refused: dict[str, str]) -> Iterator[Bundle]:
    """Yield the bundles of a symbol that may be promoted, in order of their versions."""
    for folder in sorted(path for path in (models / symbol).glob("*") if path.is_dir()):
        name = f"{symbol}/{folder.name}"
        try:
            bundle = load_bundle(folder)
        except BundleError as error:
            refused[name] = str(error)
            continue
        if against := reasons(bundle.manifest):
            refused[name] = "; ".join(against)
        else:
            yield bundle


def _bars(data: Path, symbol: str) -> BarArrays:
    said: list[str] = []
    bars = BarSource(data, symbol, Notes(lambda: 0.0, tell=said.append)).read()
    if bars is None:
        raise ProductionError(said[0].partition(f"{symbol}: ")[2])
    return bars


def _cast(models: Path, symbol: str, stable: Bundle, net: Bundle, bars: BarArrays) -> Cast:
    if "tested_on" not in net.manifest:
        raise ProductionError(f"{net.version} does not say which bars judged it: run it again")
    first, last = net.manifest["tested_on"]
    start = int(np.searchsorted(bars.epoch_s, first))
    if start == len(bars.epoch_s) or bars.epoch_s[start] != first or bars.epoch_s[-1] < last:
        raise ProductionError(f"{symbol}: these are not the bars that judged {net.version}")
    return Cast(models, symbol, stable.version, net.version, bars, start)


def _told(work, words: str, casts: Sequence[Cast]) -> Iterator[dict[str, Any]]:
    for cast in casts:
        to_stdout(f"{cast.symbol}: {words} replay of {cast.candidate}")
        yield work(cast)


def _one_fault(cast: Cast, name: str) -> dict[str, Any]:
    to_stdout(f"{cast.symbol}: {FAULTS[name].words}")
    return faulty_replay(cast, name)
