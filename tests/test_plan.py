"""Decisions of a run before anything is written: files, source, engine, resumed requests."""

import pytest

from v8lib.config import merge_parameters
from v8lib.errors import ParameterError, RunError
from v8ops.run import plan, request


def test_files_are_looked_for_by_symbol_then_market_name_then_as_csv(tmp_path):
    assert plan.find_bars(tmp_path, "BTC", "BTC-USD") is None
    found = []
    ends = ("zip", "csv.gz", "csv", "feather", "parquet")
    names = [f"{stem}.{end}" for end in ends for stem in ("BTC-USD", "BTC")]
    for name in names:
        (tmp_path / name).write_text("x")
        found.append(plan.find_bars(tmp_path, "BTC", "BTC-USD").name)
    assert found == names


PARAMETERS = {
    s: merge_parameters(plan.PARAMS, profile="smoke", symbol=s, source="simulated")
    for s in ("BTC", "ETH")
}


@pytest.mark.parametrize(
    ("asked", "there", "expected"),
    [
        ("auto", ["BTC", "ETH"], "files"),
        ("auto", [], "simulated"),
        ("files", ["BTC", "ETH"], "files"),
        ("simulated", ["BTC", "ETH"], "simulated"),
        ("simulated", [], "simulated"),
    ],
)
def test_the_source_follows_from_what_is_asked_and_what_is_there(tmp_path, asked, there, expected):
    found = {s: tmp_path / s if s in there else None for s in PARAMETERS}
    assert plan.decide_source(asked, tmp_path, found, PARAMETERS) == expected


@pytest.mark.parametrize(("asked", "there"), [("auto", ["BTC"]), ("files", ["BTC"]), ("files", [])])
def test_a_missing_file_is_named_where_files_are_needed(tmp_path, asked, there):
    found = {s: tmp_path / s if s in there else None for s in PARAMETERS}
    with pytest.raises(RunError, match=r"ETH or ETH-USD as \.parquet"):
        plan.decide_source(asked, tmp_path, found, PARAMETERS)


def test_the_pair_name_may_be_a_pattern(tmp_path):
    (tmp_path / "BTC-USDT-PERP.csv").write_text("x")
    asked = request.Request(
        ("BTC",), data=str(tmp_path), settings=("market_name={symbol}-USDT-PERP",)
    )
    made = plan.make_plan(asked, run_id="r", jobs=1, engine="fork")
    assert made.source == "files"
    assert made.data_paths["BTC"].endswith("BTC-USDT-PERP.csv")


def test_the_cores_are_divided_among_the_jobs():
    for jobs in (1, 2, 64):
        made = plan.make_plan(request.Request(("BTC", "ETH")), run_id="r", jobs=jobs, engine="fork")
        assert made.parameters["BTC"].threads == max(1, plan.cores() // jobs)


@pytest.mark.parametrize(
    ("n_cores", "n_symbols", "expected"),
    [(2, 1, 1), (2, 2, 2), (2, 3, 3), (2, 4, 2), (2, 5, 3), (2, 48, 2), (8, 3, 3), (1, 5, 1)],
)
def test_no_core_waits_for_the_last_symbols(monkeypatch, n_cores, n_symbols, expected):
    monkeypatch.setattr(plan, "cores", lambda: n_cores)
    assert plan.default_jobs(n_symbols) == expected


@pytest.mark.parametrize("run_id", ["../up", ".hidden", "a b", ""])
def test_a_run_id_stays_inside_its_folder(run_id):
    with pytest.raises(ParameterError, match="--run-id"):
        plan.make_plan(request.Request(("BTC",)), run_id=run_id or "/", jobs=1, engine="fork")


def test_what_was_asked_for_is_remembered(tmp_path):
    asked = request.Request(("BTC",), settings=("epochs=2",), out=str(tmp_path), jobs=3)
    made = plan.make_plan(asked, run_id="r", jobs=3, engine="papermill")
    plan.open_run(made, resumed=False)
    plan.note_request(made)
    assert request.earlier_request(str(tmp_path), "r") == asked
    with pytest.raises(RunError, match="--resume r goes on with it"):
        plan.open_run(made, resumed=False)


def test_a_simulated_market_has_bars_of_the_interval_asked_for():
    asked = PARAMETERS["BTC"].model_copy(update={"bar_interval": "15m"})
    assert plan.with_source(asked, "simulated").market_interval_s == 900
    assert plan.with_source(asked, "files").market_interval_s == asked.market_interval_s
    plain = plan.with_source(PARAMETERS["BTC"], "simulated")
    assert plain.market_interval_s == PARAMETERS["BTC"].market_interval_s
