"""The long proof: measure everything the suite claims, and write docs/proof.md from it.

    python -m v8ops.proof [--data DIR] [--part NAME ...] [--jobs N] [--quick]

A part that is measured is stored in reports/proof/ and the page is written from all that is
there: a part can be measured again alone. Exit status: 0 every claim held, 1 a step failed,
2 bad arguments, 3 a claim was missed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from v8lib.config import Parameters, merge_parameters
from v8lib.errors import V8Error
from v8lib.provenance import git_commit, library_sha256, package_versions
from v8lib.scraps import to_plain
from v8lib.storage import read_json, write_bytes, write_json
from v8ops.proof import ablations, answers, matrix, page, real_bars
from v8ops.proof.checks import Check, one_thread

PROJECT = Path(__file__).resolve().parents[2]
STORE, PAGE = PROJECT / "reports" / "proof", PROJECT / "docs" / "proof.md"
PARTS = ("momentum", "garch", "defects", "honest", "ablation", "real")
# Garch markets 1 to 20 were looked at while the method was made (docs/experiment-log.md).
HARD_SEEDS = tuple(range(21, 41))
FULL = {"seeds": (1, 2, 3), "garch_seeds": HARD_SEEDS[:5], "honest_seeds": HARD_SEEDS}
QUICK = {"seeds": (1,), "garch_seeds": (1,), "honest_seeds": (1, 2)}
SYMBOL, SYMBOLS = "BTC", ("BTC", "ETH", "SOL")
GARCH_BARS = 72_000
CONTROL_DRAWS = 3  # of each control, where many models are judged


def parameters_of(profile: str, **settings: Any) -> Parameters:
    """Return the parameters of a profile on the simulated market."""
    return merge_parameters(
        PROJECT / "params",
        profile=profile,
        symbol=SYMBOL,
        source="simulated",
        settings=list(settings.items()),
    )


def measure(part: str, options: argparse.Namespace) -> Any:
    """Return the measurements of a part, as JSON values."""
    sizes = QUICK if options.quick else FULL
    profile = "smoke" if options.quick else "default"
    base, jobs = parameters_of(profile, threads=1), options.jobs
    hard_bars = {} if options.quick else {"market_bars": GARCH_BARS}
    hard = parameters_of(profile, threads=1, **hard_bars)
    ensemble = {"n_folds": 2, "n_seeds": 2} if options.quick else {}
    full = parameters_of("smoke" if options.quick else "full", threads=1, **hard_bars, **ensemble)
    draws = {"shuffle_draws": CONTROL_DRAWS, "shift_draws": CONTROL_DRAWS}
    judged, judged_hard = (p.model_copy(update=draws) for p in (base, hard))
    work: dict[str, Callable[[], Any]] = {
        "momentum": lambda: answers.momentum_answers(base, seeds=sizes["seeds"], jobs=jobs),
        "garch": lambda: answers.hard_answers(hard, full, seeds=sizes["garch_seeds"], jobs=jobs),
        "defects": lambda: matrix.defect_matrix(judged, jobs=jobs),
        "honest": lambda: matrix.honest_verdicts(
            judged_hard, seeds=sizes["honest_seeds"], jobs=jobs
        ),
        "ablation": lambda: ablations.measure(base, data=options.data, symbol=SYMBOL, jobs=jobs),
        "real": lambda: real_bars.real_run(options.data, symbols=SYMBOLS, out=STORE),
    }
    return work[part]()


def checks_of(part: str, found: Any) -> list[Check]:
    """Return what a part claims."""
    judge: dict[str, Callable[[Any], list[Check]]] = {
        "momentum": answers.momentum_checks,
        "garch": answers.hard_checks,
        "defects": matrix.matrix_checks,
        "honest": matrix.honest_checks,
        "ablation": lambda _: [],
        "real": real_bars.real_checks,
    }
    return judge[part](found)


def write_page(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write docs/proof.md from the stored parts."""
    sections = [page.OPENING]
    bodies: dict[str, Callable[[Any], str]] = {
        "momentum": page.momentum_table,
        "garch": page.hard_table,
        "defects": lambda found: f"{page.defects_table()}\n\n{page.matrix_table(found)}",
        "honest": lambda _: "",
        "ablation": page.ablation_tables,
        "real": page.real_table,
    }
    for part in (name for name in PARTS if name in parts):
        stored = parts[part]
        checks = checks_of(part, stored["found"])
        blocks = [page.HEADINGS[part], page.checks_table(checks) if checks else ""]
        blocks += [bodies[part](stored["found"]), page.origin(stored)]
        sections.append("\n\n".join(block for block in blocks if block))
    write_bytes(PAGE, ("\n\n".join(sections) + "\n").encode())


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command line as a namespace."""
    parser = argparse.ArgumentParser(prog="python -m v8ops.proof", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with real bars, for part real")
    parser.add_argument("--part", nargs="+", choices=PARTS, help="default: all that can be run")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    parser.add_argument("--quick", action="store_true", help="small sizes; writes no page")
    options = parser.parse_args(arguments)
    if options.data is None and options.part and "real" in options.part:
        parser.error("--part real needs --data")
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data {options.data}: no such folder")
    options.part = options.part or [p for p in PARTS if p != "real" or options.data]
    return options


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(options: argparse.Namespace) -> int:
    """Measure the parts, say what held, and write the page."""
    missed = 0
    one_thread()
    for part in options.part:
        began = time.perf_counter()
        say(f"{part}: measuring")
        origin = {  # before, not after: the code may be edited while it is measured
            "git_commit": git_commit(),
            "library_sha256": library_sha256(),
            "versions": package_versions(),
        }
        found = to_plain(measure(part, options))
        checks = checks_of(part, found)
        for check in checks:
            word = "held  " if check.held else "MISSED"
            say(f"  {word} {check.name}: {check.measured} ({check.limit})")
        missed += sum(not check.held for check in checks)
        say(f"{part}: {time.perf_counter() - began:.0f} s")
        if not options.quick:
            write_json(STORE / f"{part}.json", origin | {"found": found})
    if not options.quick:
        stored = {p: read_json(STORE / f"{p}.json") for p in PARTS if _is_stored(p)}
        write_page(stored)
        everything = [check for part in stored for check in checks_of(part, stored[part]["found"])]
        missed = sum(not check.held for check in everything)
        say(f"written: {PAGE.relative_to(PROJECT)}")
    return 3 if missed else 0


def _is_stored(part: str) -> bool:
    return (STORE / f"{part}.json").is_file()


def main(arguments: Sequence[str]) -> int:
    """Parse, run, and turn an expected error into one line."""
    options = parse(arguments)
    try:
        return run(options)
    except V8Error as error:
        sys.stderr.write(f"v8ops.proof: {error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
