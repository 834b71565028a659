"""Models that say what a test wants at which bar, and everything round them that serving needs."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from v8lib.bar_arrays import BarArrays
from v8lib.bars import bars_from
from v8lib.feature import plain
from v8lib.inversion import softmax
from v8lib.latest import LatestFeatures
from v8lib.runtime import Prediction
from v8ops.production.engine import Engine
from v8ops.production.errors import ProductionError
from v8ops.production.keeper import Keeper
from v8ops.production.log_writer import SignalLog
from v8ops.production.notes import Notes
from v8ops.production.rollout_file import change_rollout
from v8ops.production.rollout_state import SymbolState

INTERVAL_S = 900
START_S = 1_704_067_200  # 2024-01-01 00:00 UTC
WARMUP_BARS = 5
LABELS = {
    "scheme": "trailing_tercile",
    "horizon_bars": 4,
    "window_bars": 40,
    "threshold_bps": 10.0,
    "sigmas": 0.43,
}


def place(epoch_s):
    """The number of a bar: what a model of this file sees as its first feature."""
    return (epoch_s - START_S) // INTERVAL_S


TABLE = [
    plain("place", "time", 1, lambda s: place(s.ago("epoch_s", 0)).astype(np.float64)),
    plain("move", "returns", WARMUP_BARS, lambda s: s.close - s.ago("close", WARMUP_BARS - 1)),
]


def make_bars(n_bars, *, at=None, seed=1):
    """Bars of a quiet market; `at` places them on the grid, so that a left-out number is a gap."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, n_bars)))
    opened = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    places = np.arange(n_bars) if at is None else np.asarray(at)
    times = START_S + INTERVAL_S * places.astype(np.int64)
    return BarArrays(opened, high, low, close, rng.random(n_bars) + 1.0, times)


def write_bars(path, bars):
    """Put a bar file in the place of the one before, as `fetch` does."""
    frame = bars_from(dict(zip(BarArrays._fields, bars, strict=True)))
    fresh = path.with_name(f".fresh{path.suffix}")
    if path.suffix == ".parquet":
        frame.to_parquet(fresh)
    else:
        frame.to_csv(fresh)
    fresh.replace(path)


def without(bars, places):
    """The bars without some of them."""
    return BarArrays(*(np.delete(array, places) for array in bars))


def balanced(places):
    """Logits of a model with nothing to complain about: every class, no great confidence."""
    favourite = (places.astype(np.int64) * 7 + 3) % 3
    return 1.2 * np.eye(3)[favourite]


def at_bar(number, logits=balanced, *, say):
    """A model that is as `logits` has it, and says something else from one bar on."""

    def answer(places):
        out = np.array(logits(places))
        out[places >= number] = say
        return out

    return answer


def raising_at(number, error):
    """A model that raises when it is asked about one bar."""

    def answer(places):
        if (places == number).any():
            raise error
        return balanced(places)

    return answer


@dataclass
class FakeRuntime:
    """Answers by the number of the bar."""

    logits: Any = balanced
    names: tuple = ("place", "move")
    min_confidence: float = 0.6
    asked: list = field(default_factory=list)

    def predict(self, features):
        features = np.atleast_2d(features)
        self.asked.append(len(features))
        logits = self.logits(features[:, 0].astype(np.float64))
        probs = softmax(logits)
        return Prediction(
            logits, probs, probs.argmax(axis=1), probs.max(axis=1) >= self.min_confidence
        )


@dataclass
class FakeBundle:
    """What the engine looks at of a bundle."""

    version: str
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    reference: Any = None
    interval_s: int = INTERVAL_S
    labels: Any = field(default_factory=lambda: dict(LABELS))

    def __post_init__(self):
        self.latest = LatestFeatures(TABLE, self.interval_s)
        self.manifest = {
            "interval_s": self.interval_s,
            "labels": self.labels,
            "class_shares": [0.33, 0.34, 0.33],
        }


class Case:
    """A models folder, a log and an engine, with a clock that is set by hand."""

    def __init__(self, folder, *, symbol="BTC", late_bars=None):
        self.folder, self.symbol = folder, symbol
        self.models, self.path = folder / "models", folder / "signals.sqlite"
        self.models.mkdir(exist_ok=True)
        self.now, self.seconds, self.lines = float(START_S), 0.0, []
        self.bundles, self.late_bars = {}, late_bars
        self.start()

    def start(self):
        """As a process does."""
        self.notes = Notes(lambda: self.now, self.lines.append)
        self.log = SignalLog(self.path, wait_s=0.05)
        self.keeper = Keeper(self.models, self.notes, load=self.load)
        self.engine = Engine(
            self.symbol,
            self.keeper,
            self.log,
            interval_s=INTERVAL_S,
            clock=lambda: self.now,
            late_bars=self.late_bars,
            timer=lambda: self.seconds,
        )

    def restart(self):
        self.log.close()
        self.start()

    def load(self, folder):
        found = self.bundles[folder.name]
        if isinstance(found, Exception):
            raise found
        return found

    def add(self, version, logits=balanced, **facts):
        """Put a model into the models folder; its file stands for all files of a bundle."""
        folder = self.models / self.symbol / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text("{}")
        self.bundles[version] = FakeBundle(version, FakeRuntime(logits), **facts)
        return version

    def use(self, **roles):
        """Have these versions in these roles, whatever was before."""
        state = SymbolState(**roles)
        change_rollout(self.models, lambda rollout: rollout.having(self.symbol, state))

    def state(self):
        self.keeper.refresh()
        return self.keeper.state(self.symbol)

    def take(self, bars, n_new):
        return self.engine.take(bars, n_new)

    def events(self, kind=None):
        return self.log.reader.events(self.symbol, kind=kind)


def broken(words):
    return ProductionError(words)
