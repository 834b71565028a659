"""Small real bundles and a models folder, for the tests of production."""

import json
import os
import subprocess
import sys
from pathlib import Path

from v8lib import bundle, probes
from v8lib.features import warmup_bars
from v8ops.production import admission

REPO = Path(__file__).resolve().parents[1]
GATES = (*admission.BRIEF, *admission.JUDGED, "single_row_parity", "no_lookahead")


def gates(**verdicts):
    return {
        name: {"value": 0.1, "ci": None, "limit": "x", "verdict": "pass", "note": ""}
        | ({"verdict": verdicts[name]} if name in verdicts else {})
        for name in GATES
    }


def write(
    models,
    runtime,
    bars,
    table,
    *,
    symbol="BTC",
    mark="a",
    reference=None,
    tested_on=None,
    **verdicts,
):
    """Write a bundle and return its version; another mark is another version."""
    facts = {
        "interval_s": 60,
        "exclude_families": [],
        "warmup_bars": warmup_bars(table),
        "lookbacks": {feature.name: feature.lookback_bars for feature in table},
        "labels": {
            "scheme": "trailing_tercile",
            "horizon_bars": 4,
            "window_bars": 2_880,
            "threshold_bps": 10.0,
            "sigmas": 0.43,
        },
        "class_shares": [0.34, 0.33, 0.33],
        "trained_on": [1, 2],
        "data_sha256": mark,
        "gates": gates(**verdicts),
    }
    facts |= {} if tested_on is None else {"tested_on": tested_on}
    golden = probes.last_unbroken(bars, warmup_bars(table) + 20)
    extra = {} if reference is None else {"reference": reference}
    return bundle.write_bundle(models, symbol, runtime, facts, golden, **extra).name


def command(*arguments, models=None, expect=0):
    """Run `python -m v8ops` as a person does and return what it wrote."""
    given = [str(argument) for argument in arguments]
    given += ["--models", str(models)] if models else []
    done = subprocess.run(
        [sys.executable, "-m", "v8ops", *given],
        cwd=REPO,
        capture_output=True,
        text=True,
        env={**os.environ, "USER": "ann"},
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout if expect == 0 else done.stderr


def state(models):
    return json.loads((Path(models) / "rollout.json").read_text(encoding="utf-8"))
