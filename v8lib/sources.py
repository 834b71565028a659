"""Where a run's bars come from: a file, or the simulated market."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.bar_interval import interval_word, parse_interval
from v8lib.bars import COLUMNS, Finding, bar_seconds, describe_bars, load_bars
from v8lib.config import LabelScheme, MarketModel, Parameters
from v8lib.errors import ParameterError
from v8lib.garch import GarchMarket, garch_posterior, simulate_garch
from v8lib.market import SimulatedMarket, posterior, simulate_market
from v8lib.seeds import stream
from v8lib.storage import arrays_bytes, sha256_bytes


@dataclass(frozen=True)
class Source:
    """Bars, what was found in them, the `source` block of the summary, and the market if any."""

    bars: pd.DataFrame
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]
    market: SimulatedMarket | GarchMarket | None

    def posterior(
        self,
        threshold: NDArray[np.float64],
        horizon_bars: int,
        scheme: LabelScheme = "trailing_tercile",
    ) -> NDArray[np.float64]:
        """Return the exact class probabilities, shape (n_bars, 3), or (n_bars, 0) if not known.

        They are known on a simulated market for labels that look at the horizon's end: which
        barrier is touched first, as `triple_barrier` asks, has no closed form here.
        """
        if self.market is None or scheme == "triple_barrier":
            return np.empty((len(self.bars), 0))
        known = garch_posterior if isinstance(self.market, GarchMarket) else posterior
        return known(self.market, threshold, horizon_bars)


def open_file(data_path: str, *, bar_interval: str = "") -> Source:
    """Return the bars of a file, or coarser ones built from them.

    Parameters
    ----------
    data_path : str
        The file.
    bar_interval : str
        Length of the bars wanted, such as "15m"; "" for the file's own.

    Raises
    ------
    BarsError
        If the file holds no usable bars, or its bars are too coarse for the interval.
    """
    loaded = load_bars(data_path)
    bars, findings = loaded.bars, loaded.findings
    if bar_interval and (wanted := parse_interval(bar_interval)) != bar_seconds(bars):
        from v8lib.resample import resample_bars

        own = interval_word(bar_seconds(bars))
        bars = resample_bars(bars, wanted)
        built = f"{len(bars):,} bars of {bar_interval} built from {len(loaded.bars):,} of {own}"
        findings = (*findings, Finding("resampled", built))
    facts = {"kind": "files", "path": loaded.path, "sha256": loaded.sha256}
    found = {"findings": [vars(finding) for finding in findings]}
    return Source(bars, findings, facts | describe_bars(bars) | found, None)


def open_simulated(
    symbol: str,
    *,
    seed: int,
    model: MarketModel,
    n_bars: int,
    interval_s: int,
    signal: float,
    decay: float,
    volatility: float,
) -> Source:
    """Return the simulated market of a symbol; each symbol has its own random stream.

    `model` is "momentum" (`market`) or "garch" (`garch`).
    """
    simulate = {"momentum": simulate_market, "garch": simulate_garch}[model]
    market = simulate(
        n_bars,
        signal=signal,
        decay=decay,
        volatility=volatility,
        interval_s=interval_s,
        rng=stream(seed, symbol, "market"),
    )
    columns = {name: market.bars[name].to_numpy() for name in COLUMNS}
    facts = {"kind": "simulated", "path": None, "sha256": sha256_bytes(arrays_bytes(columns))}
    facts |= describe_bars(market.bars) | {"findings": []}
    return Source(market.bars, (), facts, market)


def open_source(
    source: str,
    symbol: str,
    *,
    data_path: str,
    seed: int,
    market: Mapping[str, Any],
    bar_interval: str = "",
) -> Source:
    """Return the bars a run was asked for.

    Parameters
    ----------
    source : {"files", "simulated"}
        Which of the two.
    symbol : str
        Whose bars.
    data_path : str
        The file, for "files".
    seed : int
        Seed of the run, for "simulated".
    market : mapping
        Keyword arguments of `open_simulated`.
    bar_interval : str
        As in `open_file`; the simulated market has an interval of its own.
    """
    if source == "files":
        return open_file(data_path, bar_interval=bar_interval)
    if source == "simulated":
        return open_simulated(symbol, seed=seed, **market)
    raise ParameterError(f"source = {source!r}: 'files' or 'simulated'")


def market_settings(parameters: Parameters) -> dict[str, Any]:
    """Return the keyword arguments of `open_simulated` that parameters hold."""
    return {
        "model": parameters.market_model,
        "n_bars": parameters.market_bars,
        "interval_s": parameters.market_interval_s,
        "signal": parameters.market_signal,
        "decay": parameters.market_decay,
        "volatility": parameters.market_volatility,
    }
