import argparse
import json
import re

import numpy as np
import pytest
from bs4 import BeautifulSoup
from rollout_kit import write

from v8lib import drift
from v8ops.production import monitor, monitor_page, monitors, through_time, transitions
from v8ops.production.errors import ProductionError
from v8ops.production.log_rows import EventRow, LogBlock, Outcome, SignalRow
from v8ops.production.log_writer import SignalLog
from v8ops.production.monitor_plots import PLOTTED, plot_classes
from v8ops.production.monitors import MONITORS
from v8ops.production.record import event
from v8ops.production.rollout_file import change_rollout
from v8ops.production.scored import ScoreRows

N = 2_400
TIMES = np.arange(N) * 60 + 1_700_000_040


@pytest.fixture(scope="module")
def shop(tmp_path_factory, make_runtime, market_bars, market_features, table, names):
    """A models folder with a rollout and a log: an honest stable, a one-class candidate."""
    models = tmp_path_factory.mktemp("models")
    known = market_features[np.isfinite(market_features).all(axis=1)]
    reference = drift.fit_reference(known, names)
    runtime = make_runtime()
    made = {
        mark: write(models, runtime, market_bars, table, mark=mark, reference=reference)
        for mark in ("stable", "candidate")
    }

    def change(rollout):
        told = event("ann", "promote", "v", "")
        state = transitions.install(rollout.of("BTC"), made["stable"], event=told)
        state = transitions.promote(state, made["candidate"], salt="s", since_bar=None, event=told)
        return rollout.having("BTC", state)

    change_rollout(models, change)
    with SignalLog(models / "signals.sqlite") as log:
        log.append(block(made, drift.bins(reference, known[:N])))
    return models, made


def block(made, bins):
    rng = np.random.default_rng(3)
    probs = rng.dirichlet([3.0, 3.0, 3.0], size=N)
    labels = (rng.random(N)[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    rows = {
        made["stable"]: score_rows(probs, probs.argmax(axis=1), bins),
        made["candidate"]: score_rows(probs, np.zeros(N, int), bins),
    }
    signals = [
        SignalRow("BTC", int(t), made["stable"], "stable", 1, 0.4, (0.3, 0.4, 0.3), False, "")
        for t in TIMES
    ]
    outcomes = [
        Outcome(version, int(t), int(label))
        for version in rows
        for t, label in zip(TIMES[:-4], labels, strict=False)
    ]
    events = [
        EventRow("2026-01-01T00:00:00Z", "BTC", int(TIMES[50]), kind, made["candidate"], "<b>x</b>")
        for kind in ("data", "rollback")
    ]
    return LogBlock("BTC", list(rows.items()), [], signals, outcomes, events)


def score_rows(probs, decisions, bins):
    return ScoreRows(
        TIMES,
        probs,
        decisions,
        probs.max(axis=1) >= 0.6,
        np.ones(N),
        np.full(N, -1),
        bins,
    )


def run(models, out, *arguments):
    parser = argparse.ArgumentParser()
    monitor.add_arguments(parser)
    given = ["--models", str(models), "--out", str(out), *arguments]
    return monitor.main(parser.parse_args(given))


@pytest.fixture(scope="module")
def page(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    assert run(shop[0], out) == monitor.ALARM
    return (out / "index.html").read_text(encoding="utf-8")


def test_the_table_shows_every_monitor_of_both_models(shop, tmp_path, capsys):
    assert run(shop[0], tmp_path) == monitor.ALARM
    said = capsys.readouterr().out
    for version in shop[1].values():
        lines = [line for line in said.splitlines() if version in line and "role" not in line]
        assert [name for name in MONITORS if any(name in line for line in lines)] == [*MONITORS]
    assert re.search(r"candidate +\S+ +class_shares +1\.000 +alarm", said)
    assert re.search(r"stable +\S+ +class_shares +0\.\d+ +ok", said)


def test_json_is_the_same_in_numbers(shop, tmp_path, capsys):
    run(shop[0], tmp_path, "--json")
    found = json.loads(capsys.readouterr().out)["BTC"]
    assert found["state"] == "alarm" and found["stage"] == "shadow"
    by_role = {model["role"]: model["readings"] for model in found["models"]}
    states = {r["name"]: r["state"] for r in by_role["stable"]}
    assert set(states) == set(MONITORS) and "alarm" not in states.values()


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(page, shop):
    soup = BeautifulSoup(page, "html.parser")
    assert "need somebody now" in soup.select_one(".v8-banner").text
    images = soup.find_all("img")
    assert {*PLOTTED} == {*MONITORS} - {"class_shares"}
    assert len(images) == 2 + len(shop[1]) + len(PLOTTED)  # routing, confidence, classes by model
    alts = [image["alt"] for image in images]
    assert len({*alts}) == len(alts)
    assert all(i["src"].startswith("data:image/png;base64,") and i["alt"] for i in images)
    assert not soup.find_all(["script", "link"], href=lambda h: h and not h.startswith("data:"))
    assert all(cell.get("scope") for cell in soup.find_all("th"))
    for version in shop[1].values():
        assert version in page


def test_what_comes_from_outside_is_no_markup(page):
    assert "<b>x</b>" not in page and "&lt;b&gt;x&lt;/b&gt;" in page


def test_the_same_log_gives_the_same_page(page, shop, tmp_path):
    run(shop[0], tmp_path)
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == page


def test_a_bundle_that_is_gone_is_an_alarm_and_said(shop, tmp_path, capsys):
    import shutil

    models = shutil.copytree(shop[0], tmp_path / "models")
    shutil.rmtree(models / "BTC" / shop[1]["stable"])
    assert run(models, tmp_path / "out") == monitor.ALARM
    assert "stable" in capsys.readouterr().out
    assert (tmp_path / "out" / "index.html").is_file()


def test_without_a_log_it_says_what_to_do(shop, tmp_path):
    with pytest.raises(ProductionError, match="serve"):
        run(shop[0], tmp_path, "--log", str(tmp_path / "none.sqlite"))
    assert not (tmp_path / "index.html").exists()


def test_courses_end_in_what_is_read_now(shop):
    from v8lib.bundle import load_bundle
    from v8ops.production.monitors import facts_of, judge
    from v8ops.production.signal_log import SignalReader

    models, made = shop
    facts = facts_of(load_bundle(models / "BTC" / made["candidate"]))
    with SignalReader(models / "signals.sqlite") as reader:
        rows = reader.scores("BTC", made["candidate"])
    found = through_time.courses(rows, facts, points=10)
    for reading in judge(rows, facts):
        course = found[reading.name]
        assert len(course.epoch_s) == 10 and course.epoch_s[-1] == TIMES[-1]
        expected = np.nan if reading.value is None else reading.value
        assert course.value[-1] == pytest.approx(expected, nan_ok=True)
        assert course.alarm[-1] == (reading.state == "alarm")


def test_the_routed_share_is_over_the_bars_before(shop):
    signals = [
        SignalRow("BTC", k, "v", "candidate" if k >= 300 else "stable", 1, 0.4, None, False, "")
        for k in range(600)
    ]
    times, share = through_time.routed_share(signals, points=6)
    assert share[-1] == 1.0 and share[0] == 0.0 and times[-1] == 599
    assert len(through_time.routed_share([])[0]) == 0


def test_class_shares_through_time_are_those_of_the_window_before():
    decisions = np.repeat([0, 1, 2], [1_000, 500, 500])
    rows = ScoreRows(np.arange(2_000), None, decisions, None, None, None, None)
    times, shares = through_time.class_course(rows, points=3)
    assert times.tolist() == [999, 1_499, 1_999]
    assert shares.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    assert through_time.class_course(rows.at(slice(999)))[1].shape == (0, 3)


def test_confidence_through_time_is_of_all_bars():
    probs = np.repeat([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], [300, 300], axis=0)
    rows = ScoreRows(np.arange(600), probs, None, None, None, None, None)
    times, mean = through_time.confidence_course(rows, points=7)
    assert times[[0, -1]].tolist() == [0, 599]
    assert mean[0] == pytest.approx(0.5) and mean[-1] == pytest.approx(0.8)
    assert mean[4] == pytest.approx(0.65)  # bars 200 to 399, half before the step


def test_alarms_of_class_shares_are_marked_at_the_model_that_had_them(shop, tmp_path, monkeypatch):
    marked = {}

    def spy(model, course, alarms, rollbacks):
        marked[model[0]] = alarms
        return plot_classes(model, course, alarms, rollbacks)

    monkeypatch.setattr(monitor_page, "plot_classes", spy)
    run(shop[0], tmp_path)
    assert len(marked["stable"]) == 0
    assert len(marked["candidate"]) and marked["candidate"].min() >= TIMES[monitors.CLASS_ROWS - 1]
    assert marked["candidate"].max() == TIMES[-1]
