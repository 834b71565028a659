"""Real bars: the main job with the full profile, and what it must show."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from v8lib.errors import RunError
from v8lib.storage import read_json
from v8ops.proof.checks import Check, true

PROJECT = Path(__file__).resolve().parents[2]
RUN_ID = "proof-real"
RAN = (0, 3)  # exit statuses of a run that went through
MIN_AHEAD = 2  # of the symbols


def real_run(data: Path, *, symbols: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Return the summary of a full run on the bars of a folder.

    Raises
    ------
    RunError
        If a step failed; the run's own output says which.
    """
    command = [sys.executable, str(PROJECT / "run_all.py"), "--profile", "full"]
    command += ["--symbols", *symbols, "--data", str(data), "--source", "files"]
    command += ["--set", "threads=1", "--out", str(out), "--keep-latest"]
    begun = (out / RUN_ID / "run.json").is_file()  # steps that are still good are not run again
    command += ["--resume" if begun else "--run-id", RUN_ID]
    done = subprocess.run(command, cwd=PROJECT, check=False)
    if done.returncode not in RAN:
        raise RunError(f"the run on real bars ended with status {done.returncode}")
    return read_json(out / RUN_ID / "summary.json")


def real_checks(summary: Mapping[str, Any]) -> list[Check]:
    """Return what a run on real bars must show against its baselines."""
    symbols = summary["symbols"]
    best = {name: _best_baseline(symbol) for name, symbol in symbols.items()}
    versus = {name: symbols[name]["comparisons"][b] for name, b in best.items()}
    linear = {name: symbol["comparisons"]["logistic"] for name, symbol in symbols.items()}
    calibration = {n: symbol["gates"]["calibration"]["verdict"] for n, symbol in symbols.items()}
    return [
        true(
            "V8 against the best baseline of each symbol",
            "; ".join(f"{n} {_words(c)} ({best[n]}): {c['verdict']}" for n, c in versus.items()),
            "worse for none (95 % interval)",
            all(c["verdict"] != "worse" for c in versus.values()),
        ),
        true(
            "point estimate ahead of the best baseline",
            "; ".join(f"{n} {c['value']:+.2%}" for n, c in versus.items()),
            f"{MIN_AHEAD} of {len(symbols)} at least",
            sum(c["value"] > 0.0 for c in versus.values()) >= MIN_AHEAD,
        ),
        true(
            "V8 against logistic regression",
            "; ".join(f"{n} {_words(c)}: {c['verdict']}" for n, c in linear.items()),
            f"better for {MIN_AHEAD} of {len(symbols)} at least (95 % interval)",
            sum(c["verdict"] == "better" for c in linear.values()) >= MIN_AHEAD,
        ),
        true(
            "gate calibration",
            "; ".join(f"{n} {verdict}" for n, verdict in calibration.items()),
            "failed by none",
            "fail" not in calibration.values(),
        ),
    ]


def _best_baseline(symbol: Mapping[str, Any]) -> str:
    skills = {name: b["log_loss_skill"] for name, b in symbol["baselines"].items()}
    return max(skills, key=lambda name: skills[name])


def _words(comparison: Mapping[str, Any]) -> str:
    low, high = comparison["ci"]
    return f"{comparison['value']:+.2%} [{low:+.2%}, {high:+.2%}]"
