import argparse
import json
import shutil
import subprocess
import sys

import pytest
from rollout_kit import REPO, command, state, write

import v8ops.__main__ as cli
from v8lib.errors import BundleError
from v8ops.production import (
    advance,
    evidence,
    promote,
    release,
    restore,
    rollback_command,
    status,
)
from v8ops.production.errors import ProductionError
from v8ops.production.rollout_file import read_rollout
from v8ops.production.scored import ScoreRows


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, make_runtime, market_bars, table):
    """Models of several kinds of fate, and their versions by mark."""
    models = tmp_path_factory.mktemp("shelf")
    runtime = make_runtime()
    marks = {
        "v5": {},
        "good": {},
        "better": {},
        "unclear": {"skill": "inconclusive"},
        "v6": {"class_balanced": "fail", "logit_range_healthy": "fail"},
        "no_skill": {"skill": "fail"},
    }
    versions = {
        mark: write(models, runtime, market_bars, table, mark=mark, **verdicts)
        for mark, verdicts in marks.items()
    }
    return models, versions


@pytest.fixture
def models(shelf, tmp_path):
    return shutil.copytree(shelf[0], tmp_path / "models")


@pytest.fixture
def versions(shelf):
    return shelf[1]


MODULES = {
    "promote": promote,
    "advance": advance,
    "rollback": rollback_command,
    "release": release,
    "restore": restore,
    "status": status,
}


def call(name, models, *arguments):
    """Call a command in this process: quicker, and its errors can be looked at."""
    parser = argparse.ArgumentParser()
    MODULES[name].add_arguments(parser)
    given = ["--models", str(models), "--who", "ann", *arguments]
    return MODULES[name].main(parser.parse_args(given))


def on_trial(models, versions):
    call("promote", models, "--symbol", "BTC", "--version", versions["v5"], "--stable", "V5")
    call("promote", models, "--symbol", "BTC", "--version", versions["good"])


def evidence_of(bars, *alarms):
    return lambda log, symbol, state: evidence.Evidence(bars, alarms)


def test_the_whole_way_by_command(models, versions, monkeypatch, capsys):
    monkeypatch.setattr(advance, "gather", evidence_of(500))
    on_trial(models, versions)
    for stage in ("10", "50", "100"):
        call("advance", models, "--symbol", "BTC")
        assert read_rollout(models).of("BTC").stage == stage
    call("advance", models, "--symbol", "BTC")
    found = read_rollout(models).of("BTC")
    assert found.roles == {"stable": versions["good"], "previous": versions["v5"]}
    assert [event.action for event in found.history] == ["promote"] * 2 + ["advance"] * 4
    assert {event.who for event in found.history} == {"ann"}
    call("rollback", models, "--symbol", "BTC", "--why", "not what it was")
    assert read_rollout(models).of("BTC").roles == {"stable": versions["v5"]}
    assert "is out and blocked" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["v6", "no_skill"])
def test_a_bundle_with_a_failed_gate_is_never_promoted(models, versions, mark):
    for extra in ([], ["--accept-inconclusive", "please"], ["--stable", "please"]):
        with pytest.raises(ProductionError, match=r"is not promoted: .* failed"):
            call("promote", models, "--symbol", "BTC", "--version", versions[mark], *extra)
    assert not (models / "rollout.json").exists()


def test_an_inconclusive_gate_needs_a_reason_which_is_kept(models, versions):
    given = ("promote", models, "--symbol", "BTC", "--version", versions["unclear"])
    with pytest.raises(ProductionError, match=r"skill is inconclusive.*--accept-inconclusive"):
        call(*given)
    with pytest.raises(ProductionError, match="say why"):
        call(*given, "--accept-inconclusive", " ")
    call(*given, "--accept-inconclusive", "a short test set")
    assert "a short test set" in read_rollout(models).of("BTC").history[-1].why


def test_a_second_stable_comes_through_the_stages_only(models, versions):
    on_trial(models, versions)
    with pytest.raises(ProductionError, match="is stable"):
        call("promote", models, "--symbol", "BTC", "--version", versions["better"], "--stable", "x")


@pytest.mark.parametrize(
    ("bars", "alarms", "words"),
    [
        (499, (), "499 bars scored at this stage, 500 are needed"),
        (900, ("alarm: drift 0.9",), "alarm: drift 0.9"),
    ],
)
def test_a_stage_is_left_with_evidence_or_by_force(
    models, versions, monkeypatch, bars, alarms, words
):
    monkeypatch.setattr(advance, "gather", evidence_of(bars, *alarms))
    on_trial(models, versions)
    with pytest.raises(ProductionError, match=f"stays at stage shadow: {words}"):
        call("advance", models, "--symbol", "BTC")
    call("advance", models, "--symbol", "BTC", "--force", "a holiday")
    last = read_rollout(models).of("BTC").history[-1]
    assert last.why == f"forced: a holiday (against: {words})"


def test_without_a_log_there_is_no_evidence(models, versions):
    on_trial(models, versions)
    with pytest.raises(ProductionError, match="0 bars scored"):
        call("advance", models, "--symbol", "BTC")


def test_evidence_counts_the_stage_alone(models, versions, tmp_path):
    from v8ops.production.log_rows import EventRow, LogBlock
    from v8ops.production.log_writer import SignalLog

    on_trial(models, versions)
    good, times = versions["good"], list(range(60, 60 * 701, 60))
    since = times[99]

    def events(epoch_s):
        return EventRow("2026", "BTC", epoch_s, "alarm", good, f"drift at {epoch_s}")

    with SignalLog(tmp_path / "log.sqlite") as log:
        log.append(LogBlock("BTC", [(good, score_rows(times))], events=[events(times[50])]))
        base = read_rollout(models).of("BTC")
        later = type(base)(**{**vars(base), "trial_since_bar": since})
        assert evidence.gather(log.path, "BTC", base).bars == 700
        found = evidence.gather(log.path, "BTC", later)
        assert (found.bars, found.alarms, found.objections) == (600, (), [])
        log.note([events(times[-1])])
        assert evidence.gather(log.path, "BTC", later).objections == [
            f"alarm: drift at {times[-1]}"
        ]


def score_rows(times):
    import numpy as np

    n = len(times)
    return ScoreRows(
        np.array(times),
        np.full((n, 3), 1 / 3),
        np.zeros(n, np.int64),
        np.zeros(n, bool),
        np.ones(n),
        np.full(n, -1),
        None,
    )


def test_a_rollback_means_the_candidate_then_the_stable(models, versions):
    on_trial(models, versions)
    for left in ({"stable": versions["v5"]}, {}):
        call("rollback", models, "--symbol", "BTC", "--why", "x")
        assert read_rollout(models).of("BTC").roles == left
    with pytest.raises(ProductionError, match="nothing to roll back"):
        call("rollback", models, "--symbol", "BTC", "--why", "x")


def test_a_release_frees_a_version_and_no_more(models, versions):
    on_trial(models, versions)
    call("rollback", models, "--symbol", "BTC", "--why", "x")
    given = ("--symbol", "BTC", "--version", versions["good"])
    with pytest.raises(ProductionError, match="release it first"):
        call("promote", models, *given)
    call("release", models, *given, "--why", "the feed was wrong, not the model")
    assert read_rollout(models).of("BTC").roles == {"stable": versions["v5"]}
    call("promote", models, *given)


def test_a_damaged_state_stops_every_command_until_it_is_restored(models, versions, capsys):
    on_trial(models, versions)
    (models / "rollout.json").write_text("{", encoding="utf-8")
    for name in ("advance", "rollback"):
        extra = ["--why", "x"] if name == "rollback" else []
        with pytest.raises(ProductionError, match="see restore"):
            call(name, models, "--symbol", "BTC", *extra)
    call("restore", models, "--why", "an editor cut it short")
    found = read_rollout(models).of("BTC")
    assert found.roles == {"stable": versions["v5"], "candidate": versions["good"]}
    assert found.history[-1].action == "restore"
    assert "restored, now revision 4" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["v8-000000000000", "../x", "v8/../../x", ""])
def test_a_version_that_is_not_there_or_leads_away_is_refused(models, version):
    with pytest.raises(ProductionError):
        call("promote", models, "--symbol", "BTC", "--version", version)


@pytest.mark.parametrize("symbol", ["../BTC", "btc", "BTC/../ETH", ""])
def test_a_symbol_that_leads_away_is_refused_by_every_command(models, versions, symbol):
    extra = {
        "promote": ["--version", versions["good"]],
        "advance": [],
        "rollback": ["--why", "x"],
        "release": ["--version", versions["good"], "--why", "x"],
    }
    for name, more in extra.items():
        with pytest.raises(ProductionError, match="no symbol"):
            call(name, models, "--symbol", symbol, *more)


def test_a_bundle_with_an_altered_file_is_not_promoted(models, versions):
    path = models / "BTC" / versions["good"] / "golden.json"
    path.write_bytes(path.read_bytes() + b" ")
    said = command(
        "promote", "--symbol", "BTC", "--version", versions["good"], models=models, expect=2
    )
    assert said.count("\n") == 1 and "altered" in said
    assert not (models / "rollout.json").exists()


def test_commands_say_one_line_and_status_shows_the_state(models, versions):
    said = command("promote", "--symbol", "BTC", "--version", versions["good"], models=models)
    assert said == (
        f"BTC: stable none, candidate {versions['good']} in shadow: it scores every bar and "
        "emits none (revision 1)\n"
    )
    assert state(models)["symbols"]["BTC"]["history"][0]["who"] == "ann"
    table = command("status", models=models)
    assert table.startswith("revision 1\nsymbol") and versions["good"] in table
    assert json.loads(command("status", "--json", models=models)) == state(models)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--expect-revision", "0"], "somebody else changed"),
        ([], "is the candidate, at stage shadow"),
    ],
)
def test_of_two_promoters_at_once_one_wins_and_one_is_told(models, versions, more, words):
    given = [sys.executable, "-m", "v8ops", "promote", "--symbol", "BTC", "--models", str(models)]
    both = [
        subprocess.Popen(
            [*given, "--version", versions[mark], *more, "--who", mark],
            cwd=REPO,
            stderr=subprocess.PIPE,
            text=True,
        )
        for mark in ("good", "better")
    ]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    (told,) = [error for error in errors if error]
    assert words in told and told.count("\n") == 1
    assert state(models)["revision"] == 1


def test_every_command_is_listed_with_its_words():
    assert set(MODULES) <= set(cli.COMMANDS) == set(cli.WORDS)


def test_an_advance_by_two_at_once_goes_one_stage(models, versions, monkeypatch):
    """Both have seen the evidence of the same stage; the second must not skip one."""
    on_trial(models, versions)

    def gathered_while_another_advances(log, symbol, state):
        monkeypatch.setattr(advance, "gather", evidence_of(500))
        call("advance", models, "--symbol", "BTC")
        return evidence.Evidence(500, ())

    monkeypatch.setattr(advance, "gather", gathered_while_another_advances)
    with pytest.raises(ProductionError, match="somebody else changed"):
        call("advance", models, "--symbol", "BTC")
    assert read_rollout(models).of("BTC").stage == "10"


def test_a_rollback_by_two_at_once_takes_one_model_out(models, versions, monkeypatch):
    """A person and serve take the candidate back: stable stays."""
    on_trial(models, versions)
    take_back = rollback_command.take_back

    def beaten(folder, symbol, version, **said):
        take_back(folder, symbol, version, who="serve", why="NaN")
        return take_back(folder, symbol, version, **said)

    monkeypatch.setattr(rollback_command, "take_back", beaten)
    call("rollback", models, "--symbol", "BTC", "--why", "x")
    found = read_rollout(models).of("BTC")
    assert found.roles == {"stable": versions["v5"]}
    assert found.blocked == {versions["good"]: "NaN"}, "the first reason stays"


def test_a_candidate_whose_bundle_was_altered_does_not_advance(models, versions, monkeypatch):
    monkeypatch.setattr(advance, "gather", evidence_of(500))
    on_trial(models, versions)
    path = models / "BTC" / versions["good"] / "golden.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleError, match="altered"):
        call("advance", models, "--symbol", "BTC", "--force", "never mind")
    assert read_rollout(models).of("BTC").stage == "shadow"


def test_a_version_that_is_a_link_is_not_promoted(models, versions, tmp_path):
    real = models / "BTC" / versions["good"]
    outside = real.rename(tmp_path / "outside")
    real.symlink_to(outside)
    with pytest.raises(ProductionError, match="a link leads somewhere else"):
        call("promote", models, "--symbol", "BTC", "--version", versions["good"])
    assert not (models / "rollout.json").exists()


def test_a_stable_model_needs_the_same_gates_and_the_reasons_are_joined(models, versions):
    given = ("promote", models, "--symbol", "BTC", "--version", versions["unclear"])
    with pytest.raises(ProductionError, match="--accept-inconclusive"):
        call(*given, "--stable", "nothing else there")
    call(*given, "--stable", "nothing else there", "--accept-inconclusive", "a short test set")
    found = read_rollout(models).of("BTC")
    assert found.stable == versions["unclear"] and found.candidate is None
    assert "nothing else there; accepted although" in found.history[-1].why


@pytest.mark.parametrize(("user", "who"), [("ann", ["--who", " "]), ("  ", [])])
def test_nobody_cannot_give_a_command(models, monkeypatch, user, who):
    monkeypatch.setenv("USER", user)
    parser = argparse.ArgumentParser()
    release.add_arguments(parser)
    with pytest.raises(ProductionError, match="--who"):
        release.main(
            parser.parse_args(
                [
                    *("--symbol", "BTC", "--version", "v8-a", "--why", "x"),
                    "--models",
                    str(models),
                    *who,
                ]
            )
        )


def test_names_and_reasons_are_one_line_of_whole_text(models, versions):
    on_trial(models, versions)
    call("rollback", models, "--symbol", "BTC", "--why", "two\nlines", "--who", "ann\tb")
    last = read_rollout(models).of("BTC").history[-1]
    assert (last.who, last.why) == ("ann b", "two lines")
    with pytest.raises(ProductionError, match="no whole text"):
        call("rollback", models, "--symbol", "BTC", "--why", "\udcff")
