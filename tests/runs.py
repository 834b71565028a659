"""Runs of run_all.py as a person starts them, for the tests that look at what they leave."""

import json
import os
import subprocess
import sys
from pathlib import Path

from v8lib import market, seeds
from v8lib.config import merge_parameters

PROJECT = Path(__file__).resolve().parents[1]
TIME_KEYS = ("created", "run_id", "seconds", "train_rows_per_second", "path")
SMOKE = ("--profile", "smoke", "--set", "threads=1")


def command(*arguments):
    return [sys.executable, str(PROJECT / "run_all.py"), *map(str, arguments)]


def run_all(*arguments, cwd=PROJECT):
    """Return the finished process of one call, its output as text."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=cwd, env=env, check=False
    )


def summary(run_dir):
    return json.loads((Path(run_dir) / "summary.json").read_text(encoding="utf-8"))


def without_times(content):
    """Return a summary without times, ids and paths, at every depth."""
    if isinstance(content, dict):
        return {k: without_times(v) for k, v in content.items() if k not in TIME_KEYS}
    return content


def bars(n_bars=7_000, *, symbol="BTC"):
    """Return simulated bars of five minutes, as a frame with a timestamp column."""
    simulated = market.simulate_market(
        n_bars,
        signal=0.94,
        decay=0.7,
        volatility=0.001,
        interval_s=300,
        rng=seeds.stream(1, symbol, "file"),
    )
    return simulated.bars.reset_index()


def smoke_parameters(**settings):
    """Return the smoke parameters of BTC's simulated market, on one thread."""
    return merge_parameters(
        PROJECT / "params",
        profile="smoke",
        symbol="BTC",
        source="simulated",
        settings=[("threads", 1), *settings.items()],
    )
