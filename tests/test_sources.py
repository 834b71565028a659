import numpy as np
import pytest

from v8lib import config, garch, market, sources, storage
from v8lib.errors import BarsError, ParameterError

MARKET = {
    "model": "momentum",
    "n_bars": 300,
    "interval_s": 60,
    "signal": 0.9,
    "decay": 0.7,
    "volatility": 1e-4,
}


def simulated(symbol="BTC", seed=1, model="momentum"):
    settings = MARKET | {"model": model}
    return sources.open_source("simulated", symbol, data_path="", seed=seed, market=settings)


def test_a_file_is_opened_with_its_facts_and_has_no_known_posterior(tmp_path, market_bars):
    path = tmp_path / "BTC.parquet"
    market_bars.iloc[:50].to_parquet(path)
    opened = sources.open_source("files", "BTC", data_path=str(path), seed=1, market=MARKET)
    assert opened.facts["kind"] == "files"
    assert opened.facts["sha256"] == storage.sha256_file(path)
    assert opened.facts["n_bars"] == len(opened.bars) == 50
    assert opened.posterior(np.zeros(50), 4).shape == (50, 0)


def test_coarser_bars_are_built_from_a_file_s_and_the_report_can_say_so(tmp_path, market_bars):
    path = tmp_path / "BTC.parquet"
    minutes = market_bars.drop(market_bars.index[20]).iloc[:149]  # 00:00 to 02:29 without 00:20
    minutes.to_parquet(path)
    opened = sources.open_file(str(path), bar_interval="15m")
    assert opened.facts["interval_s"] == 900
    assert len(opened.bars) == opened.facts["n_bars"] == 9, "the quarter of 00:15 is not whole"
    assert opened.bars["high"].iloc[0] == minutes["high"].iloc[:15].max()
    found = {finding["name"]: finding["detail"] for finding in opened.facts["findings"]}
    assert found["resampled"] == "9 bars of 15m built from 149 of 1m"
    assert "1 gaps, 1 bars" in found["gaps"]
    assert opened.facts["sha256"] == storage.sha256_file(path), "the hash is the file's"
    same = sources.open_file(str(path), bar_interval="1m")
    assert same.bars.equals(sources.open_file(str(path)).bars), "nothing to build"


def test_bars_too_coarse_for_the_interval_are_refused(tmp_path, market_bars):
    path = tmp_path / "BTC.parquet"
    market_bars.iloc[:600].to_parquet(path)
    hourly = sources.open_file(str(path), bar_interval="1h").bars
    hourly.to_parquet(path)
    with pytest.raises(BarsError, match="bars of 1h do not make bars of 15m"):
        sources.open_file(str(path), bar_interval="15m")


@pytest.mark.parametrize("model", ["momentum", "garch"])
def test_the_simulated_market_says_so_and_knows_its_posterior(model):
    opened = simulated(model=model)
    assert opened.facts["kind"] == "simulated"
    assert opened.facts["path"] is None
    assert (opened.facts["n_bars"], opened.facts["interval_s"]) == (300, 60)
    probs = opened.posterior(np.full(300, 1e-4), 4)
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-12)


def test_the_fingerprint_follows_the_bars():
    first = simulated()
    assert simulated().facts == first.facts
    assert simulated(seed=2).facts["sha256"] != first.facts["sha256"]
    assert simulated(symbol="ETH").facts["sha256"] != first.facts["sha256"]


@pytest.mark.parametrize(
    ("model", "known"), [("momentum", market.posterior), ("garch", garch.garch_posterior)]
)
def test_each_market_model_has_its_own_bars_and_its_own_posterior(model, known):
    opened, threshold = simulated(model=model), np.full(300, 1e-4)
    np.testing.assert_array_equal(
        opened.posterior(threshold, 4), known(opened.market, threshold, 4)
    )
    other = {"momentum": "garch", "garch": "momentum"}[model]
    assert opened.facts["sha256"] != simulated(model=other).facts["sha256"]


def test_the_parameters_hold_every_setting_of_the_market(repo):
    parameters = config.merge_parameters(
        repo / "params",
        profile="default",
        symbol="BTC",
        source="simulated",
        settings=[("market_bars", 5_000), ("market_model", "garch"), ("market_signal", 0.25)],
    )
    settings = sources.market_settings(parameters)
    assert set(settings) == set(MARKET)
    opened = sources.open_simulated("BTC", seed=1, **settings)
    assert isinstance(opened.market, garch.GarchMarket)
    assert (len(opened.bars), opened.market.signal) == (5_000, 0.25)


def test_a_source_that_is_none_of_the_two_is_refused():
    with pytest.raises(ParameterError, match="source = 'live'"):
        sources.open_source("live", "BTC", data_path="", seed=1, market=MARKET)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(BarsError, match=r"BTC\.csv: no such file"):
        sources.open_file(str(tmp_path / "BTC.csv"))
