"""Real bundles in a real models folder, for tests that run serve as a process of its own."""

import sys

from v8lib import bundle, features, market, probes, seeds
from v8lib.bar_arrays import bar_arrays
from v8ops.production.rollout_file import change_rollout
from v8ops.production.rollout_state import SymbolState

INTERVAL_S = 60
LABELS = {
    "scheme": "trailing_tercile",
    "horizon_bars": 4,
    "window_bars": 2_880,
    "threshold_bps": 10.0,
    "sigmas": 0.43,
}
# Nets that were never trained would alarm; what is tested here is not what they say.
QUIET = (
    "import sys\n"
    "import v8ops.production.block_run as run\n"
    "run.alarm_words = lambda bundle, rows: ''\n"
    "from v8ops.__main__ import main\n"
    "raise SystemExit(main(sys.argv[1:]))\n"
)


def write_models(folder, market_bars, table, runtimes, *, stage="50", symbols=("BTC",)):
    """Write a bundle per runtime, and roll the first out as stable and the second as candidate."""
    facts = {
        "interval_s": INTERVAL_S,
        "exclude_families": [],
        "warmup_bars": features.warmup_bars(table),
        "labels": LABELS,
        "class_shares": [0.33, 0.34, 0.33],
        "gates": {},
    }
    golden = probes.last_unbroken(market_bars, features.warmup_bars(table) + 20)
    for symbol in symbols:
        names = [
            bundle.write_bundle(folder, symbol, runtime, facts, golden).name for runtime in runtimes
        ]
        state = SymbolState(stable=names[0], candidate=names[1], stage=stage, salt="s")
        change_rollout(folder, lambda r, s=symbol, state=state: r.having(s, state))
    return names


def long_bars(n_bars):
    """Bars of a simulated market as arrays."""
    return bar_arrays(
        market.simulate_market(
            n_bars,
            signal=0.5,
            decay=0.7,
            volatility=1e-3,
            interval_s=INTERVAL_S,
            rng=seeds.stream(3, "serving"),
        ).bars
    )


def command(folder, *more, symbols=("BTC",)):
    """The command that serves from `folder`/models and `folder`/data."""
    places = ("--data", str(folder / "data"), "--models", str(folder / "models"))
    return [sys.executable, "-c", QUIET, "serve", "--symbols", *symbols, *places, *more]
