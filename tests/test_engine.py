"""The engine: one signal per bar whatever the models do, and everything in the log."""

import numpy as np
import pytest
import serving_case as sc

from v8lib.label import Label
from v8ops.production.log_schema import LogError
from v8ops.production.monitors import EVERY_BARS
from v8ops.production.rollout_file import change_rollout, read_rollout
from v8ops.production.routing import to_candidate

NAN = [np.nan, 0.0, 0.0]
HUGE = [23.1, 0.0, 0.0]


@pytest.fixture
def case(tmp_path):
    made = sc.Case(tmp_path)
    yield made
    made.log.close()


@pytest.fixture
def both(case):
    """A stable and a candidate that has half of the bars."""
    case.add("v5-stable"), case.add("v8-new")
    case.use(stable="v5-stable", candidate="v8-new", stage="50", salt="s")
    return case


def epochs(rows):
    return [row.epoch_s for row in rows]


def whose(rows):
    return [row.version for row in rows]


def test_every_new_bar_has_one_signal_of_the_model_it_is_routed_to(both):
    bars = sc.make_bars(60)
    rows = both.take(bars, 40)
    assert epochs(rows) == bars.epoch_s[-40:].tolist()
    state = both.state()
    routed = [to_candidate(state, "BTC", epoch) for epoch in epochs(rows)]
    assert 5 < sum(routed) < 35
    assert [row.role for row in rows] == ["candidate" if new else "stable" for new in routed]
    assert whose(rows) == ["v8-new" if new else "v5-stable" for new in routed]
    assert {row.reason for row in rows} == {""}
    assert both.log.reader.signals() == rows


def test_a_signal_is_what_its_model_says(both):
    bars = sc.make_bars(30)
    (row,) = both.take(bars, 1)
    places = np.array([29.0])
    said = sc.FakeRuntime().predict(np.array([[29.0, 0.0]]))
    assert row.probs == tuple(said.probs[0].tolist())
    assert row.confidence == said.probs.max()
    assert row.decision == int(sc.balanced(places).argmax())
    assert row.actionable == bool(said.actionable[0])


def test_both_models_are_scored_at_every_bar_also_in_shadow(both):
    both.use(stable="v5-stable", candidate="v8-new", stage="shadow", salt="s")
    bars = sc.make_bars(60)
    rows = both.take(bars, 40)
    assert set(whose(rows)) == {"v5-stable"}
    for version in ("v5-stable", "v8-new"):
        scores = both.log.reader.scores("BTC", version)
        assert scores.epoch_s.tolist() == bars.epoch_s[-40:].tolist()
        assert both.log.reader.count("BTC", version, int(bars.epoch_s[-10])) == 10


def test_the_same_bars_again_give_no_second_signal(both):
    bars = sc.make_bars(60)
    both.take(bars, 40)
    assert both.take(bars, 40) == []
    both.restart()
    assert both.take(bars, 60) == []
    assert len(both.log.reader.signals()) == 40


def test_bars_that_are_partly_new_go_on_after_the_last(both):
    bars = sc.make_bars(60)
    both.take(bars.at(slice(0, 50)), 10)
    both.restart()
    assert epochs(both.take(bars, 30)) == bars.epoch_s[50:].tolist()


@pytest.mark.parametrize("size", [1, 7, 50, 256])
def test_the_size_of_the_blocks_changes_nothing(tmp_path, size):
    bars = sc.make_bars(400)
    seen = []
    for name, step in (("whole", 400), ("parts", size)):
        folder = tmp_path / name
        folder.mkdir()
        case = sc.Case(folder)
        case.add("v5-stable"), case.add("v8-new", sc.at_bar(333, say=HUGE))
        case.use(stable="v5-stable", candidate="v8-new", stage="50", salt="s")
        for start in range(0, 400, step):
            stop = min(start + step, 400)
            case.take(bars.at(slice(0, stop)), stop - start)
        reader = case.log.reader
        scores = [reader.scores("BTC", version) for version in ("v5-stable", "v8-new")]
        seen.append(
            (
                reader.signals(),
                [[a.tobytes() for a in vars(s).values() if a is not None] for s in scores],
            )
        )
        case.log.close()
    assert seen[0] == seen[1]


def test_nothing_promoted_gives_hold_with_the_reason(case):
    (row,) = case.take(sc.make_bars(30), 1)
    assert (row.version, row.role, row.decision) == (None, "none", int(Label.HOLD))
    assert (row.probs, row.confidence, row.actionable) == (None, None, False)
    assert row.reason == "no model of BTC was ever promoted"


# Faults of a model


@pytest.mark.parametrize(
    ("say", "words"),
    [(NAN, "NaN"), ([0.0, np.inf, 0.0], "infinit"), (HUGE, "logit of 23.1, 15 is the limit")],
    ids=["NaN", "infinity", "huge"],
)
def test_a_candidate_that_fails_is_taken_back_at_that_bar(both, say, words):
    both.add("v8-new", sc.at_bar(45, say=say))
    bars = sc.make_bars(60)
    rows = both.take(bars, 40)
    assert epochs(rows) == bars.epoch_s[-40:].tolist()
    assert "v8-new" in whose(rows[:25])
    assert set(whose(rows[25:])) == {"v5-stable"}
    assert words in rows[25].reason
    assert rows[25].reason.startswith("candidate v8-new taken back: ")
    assert {row.reason for row in rows[:25] + rows[26:]} == {""}
    state = read_rollout(both.models).symbols["BTC"]
    assert (state.candidate, state.stable) == (None, "v5-stable")
    assert words in state.blocked["v8-new"]
    assert state.history[-1].who == "serve"
    ((epoch, failure),) = both.log.reader.failures("BTC", "v8-new")
    assert (epoch, words in failure) == (bars.epoch_s[45], True)
    assert len(both.log.reader.scores("BTC", "v8-new")) == 25
    (event,) = both.events("rollback")
    assert (event.epoch_s, event.version) == (bars.epoch_s[45], "v8-new")


def test_an_exception_of_a_model_is_a_fault_at_the_bar_it_comes_from(both):
    both.add("v8-new", sc.raising_at(45, RuntimeError("no\nmemory")))
    rows = both.take(sc.make_bars(60), 40)
    assert rows[25].reason == "candidate v8-new taken back: raised RuntimeError: no memory"
    assert len(both.log.reader.scores("BTC", "v8-new")) == 25
    assert len(rows) == 40


def test_an_answer_of_another_shape_is_a_fault(both):
    both.add("v8-new", lambda places: np.zeros((len(places), 2)))
    (row,) = both.take(sc.make_bars(60), 1)
    assert "v8-new taken back: answered in shapes" in row.reason
    assert row.version == "v5-stable"


def test_a_slow_model_is_taken_back(both):
    def slow(places):
        both.seconds += 3.0 * len(places)
        return sc.balanced(places)

    both.add("v8-new", slow)
    (row,) = both.take(sc.make_bars(60), 1)
    assert row.version == "v5-stable"
    assert "v8-new taken back: " in row.reason
    assert "v8-new" in both.state().blocked


def test_a_stable_that_fails_gives_way_to_the_previous_one(both):
    both.add("v5-stable", sc.at_bar(45, say=HUGE))
    both.add("v4-old")
    both.use(stable="v5-stable", previous="v4-old")
    rows = both.take(sc.make_bars(60), 40)
    assert whose(rows) == ["v5-stable"] * 25 + ["v4-old"] * 15
    assert rows[25].reason == ("stable v5-stable taken back: logit of 23.1, 15 is the limit")
    state = both.state()
    assert (state.stable, state.previous) == ("v4-old", None)
    assert "v5-stable" in state.blocked
    assert len(both.log.reader.scores("BTC", "v4-old")) == 15


def test_all_of_them_failing_gives_hold_with_every_reason(both):
    for version in ("v5-stable", "v8-new", "v4-old"):
        both.add(version, sc.at_bar(45, say=HUGE))
    both.use(stable="v5-stable", candidate="v8-new", stage="50", salt="s", previous="v4-old")
    rows = both.take(sc.make_bars(60), 40)
    assert len(rows) == 40
    assert all(row.version is not None for row in rows[:25])
    assert {(row.version, row.decision, row.actionable) for row in rows[25:]} == {
        (None, int(Label.HOLD), False)
    }
    for words in ("candidate v8-new taken", "stable v5-stable taken", "stable v4-old taken"):
        assert words in rows[25].reason
    assert all("no model of BTC is in use" in row.reason for row in rows[25:])
    assert set(both.state().blocked) == {"v5-stable", "v8-new", "v4-old"}


def test_a_candidate_whose_stable_failed_keeps_its_share_and_the_other_bars_hold(both):
    both.add("v5-stable", sc.at_bar(25, say=HUGE))
    rows = both.take(sc.make_bars(60), 40)
    assert both.state().stable is None
    after = rows[6:]
    assert set(whose(after)) == {"v8-new", None}
    assert {row.reason for row in after if row.version is None} == {
        "there is no stable model, and the bar is not the candidate's"
    }


def test_a_blocked_version_stays_out_until_it_is_promoted_again(both):
    both.add("v8-new", sc.at_bar(45, say=HUGE))
    bars = sc.make_bars(80)
    both.take(bars.at(slice(0, 60)), 20)
    both.add("v8-new")
    both.restart()
    assert set(whose(both.take(bars.at(slice(0, 70)), 10))) == {"v5-stable"}
    both.use(stable="v5-stable", candidate="v8-new", stage="100", salt="s")
    assert set(whose(both.take(bars, 10))) == {"v8-new"}


def test_a_rollout_file_that_cannot_be_changed_does_not_bring_a_broken_model_back(
    both, monkeypatch
):
    both.add("v8-new", sc.at_bar(45, say=HUGE))
    bars = sc.make_bars(80)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("v8ops.production.keeper.take_back", refuse)
        rows = both.take(bars.at(slice(0, 70)), 50)
        assert set(whose(rows[25:])) == {"v5-stable"}
        assert any("does not say so yet" in line for line in both.lines)
    assert read_rollout(both.models).symbols["BTC"].candidate == "v8-new"
    assert set(whose(both.take(bars, 10))) == {"v5-stable"}
    assert "v8-new" in read_rollout(both.models).symbols["BTC"].blocked
    assert any("says that v8-new is out" in line for line in both.lines)


# Windows


def one_class(places):
    return np.tile([6.0, 0.0, 0.0], (len(places), 1))


def test_a_window_that_alarms_takes_the_candidate_back_with_its_words(both):
    both.add("v8-new", one_class)
    bars = sc.make_bars(600)
    rows = both.take(bars, 590)
    (event,) = both.events("rollback")
    assert event.version == "v8-new"
    assert event.epoch_s // sc.INTERVAL_S % EVERY_BARS == 0
    place = int(sc.place(event.epoch_s))
    assert "alarm" in event.message
    after = [row for row in rows if row.epoch_s > event.epoch_s]
    before = [row for row in rows if row.epoch_s <= event.epoch_s]
    assert "v8-new" in whose(before)
    assert set(whose(after)) == {"v5-stable"}
    assert "v8-new" in both.state().blocked
    assert len(both.log.reader.scores("BTC", "v8-new")) == place - 9
    assert len(rows) == 590


def test_what_took_a_version_back_is_not_held_against_it_when_it_returns(both):
    """Without that a released version would be out again at the next look."""
    both.add("v8-new", one_class)
    bars = sc.make_bars(900)
    both.take(bars.at(slice(0, 600)), 590)
    assert "v8-new" in both.state().blocked
    both.add("v8-new")
    for restart in (False, True):
        both.use(stable="v5-stable", candidate="v8-new", stage="10", salt="s")
        if restart:
            both.restart()
        stop = 900 if restart else 750
        both.take(bars.at(slice(0, stop)), 150)
        assert both.state().candidate == "v8-new"
        assert len(both.events("rollback")) == 1


# Bars


def test_a_gap_gives_hold_with_the_reason_until_the_warm_up_has_passed(both):
    bars = sc.without(sc.make_bars(60), [40])
    rows = both.take(bars, 30)
    held = [row for row in rows if row.version is None]
    assert epochs(held) == bars.epoch_s[40 : 40 + sc.WARMUP_BARS - 1].tolist()
    assert all(row.decision == int(Label.HOLD) and not row.actionable for row in held)
    assert f"{sc.WARMUP_BARS} unbroken bars needed, 1 there" in held[0].reason
    assert both.state().candidate == "v8-new"
    assert both.events("rollback") == []


def test_bars_of_another_length_than_the_model_s_give_hold_and_no_rollback(both):
    both.add("v8-new", interval_s=60)
    both.add("v5-stable", interval_s=60)
    (row,) = both.take(sc.make_bars(60), 1)
    assert row.version is None
    assert "bars of 900 s, the model was trained on 60 s" in row.reason
    assert both.state().stable == "v5-stable"


def test_a_late_signal_is_marked_and_not_actionable(tmp_path):
    case = sc.Case(tmp_path, late_bars=2.0)
    case.add("v5-stable", lambda places: np.tile([3.0, 0.0, 0.0], (len(places), 1)))
    case.use(stable="v5-stable")
    bars = sc.make_bars(30)
    case.now = float(bars.epoch_s[-1] + sc.INTERVAL_S)  # the last bar has just closed
    rows = case.take(bars, 10)
    assert [row.actionable for row in rows] == [False] * 7 + [True] * 3
    assert [row.reason for row in rows] == ["late"] * 7 + [""] * 3
    assert all(row.decision == int(Label.DOWN) for row in rows)
    case.log.close()


# Bundles


def test_a_candidate_whose_bundle_is_gone_gives_way_to_the_stable(both):
    bars = sc.make_bars(60)
    both.take(bars.at(slice(0, 50)), 20)
    folder = both.models / "BTC" / "v8-new"
    (folder / "manifest.json").unlink()
    folder.rmdir()
    rows = both.take(bars, 10)
    assert set(whose(rows)) == {"v5-stable"}
    assert "candidate v8-new taken back: bundle v8-new is gone" in rows[0].reason
    assert "v8-new" in both.state().blocked


def test_a_bundle_that_its_loader_refuses_is_as_one_that_is_gone(both):
    both.bundles["v8-new"] = sc.broken("models/BTC/v8-new: golden.json has been altered")
    rows = both.take(sc.make_bars(60), 10)
    assert set(whose(rows)) == {"v5-stable"}
    assert "golden.json has been altered" in rows[0].reason


def test_a_stable_without_a_bundle_and_nothing_behind_it_is_not_blocked(case):
    """When the folder comes back, signals come back."""
    case.add("v5-stable")
    case.use(stable="v5-stable")
    bars = sc.make_bars(60)
    folder = case.models / "BTC" / "v5-stable"
    folder.rename(folder.with_name("elsewhere"))
    rows = case.take(bars.at(slice(0, 50)), 10)
    assert set(whose(rows)) == {None}
    assert "stable v5-stable: bundle v5-stable is gone" in rows[0].reason
    folder.with_name("elsewhere").rename(folder)
    assert set(whose(case.take(bars, 10))) == {"v5-stable"}
    assert case.state().blocked == {}


# rollout.json


def test_a_corrupt_rollout_file_is_said_and_the_last_good_state_goes_on(both):
    bars = sc.make_bars(60)
    before = both.take(bars.at(slice(0, 40)), 20)
    path = both.models / "rollout.json"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    rows = both.take(bars.at(slice(0, 50)), 10)
    assert set(whose(before)) == set(whose(rows)) == {"v8-new", "v5-stable"}
    assert sum("going on with revision 1" in line for line in both.lines) == 1
    path.write_bytes(good)
    both.take(bars, 10)
    assert any("can be read again: revision 1" in line for line in both.lines)


def test_a_rollout_file_that_is_gone_is_no_reason_to_stop(both):
    bars = sc.make_bars(60)
    both.take(bars.at(slice(0, 40)), 20)
    (both.models / "rollout.json").unlink()
    rows = both.take(bars, 20)
    assert set(whose(rows)) == {"v8-new", "v5-stable"}
    assert any("is gone; going on with revision 1" in line for line in both.lines)


def test_a_corrupt_rollout_file_at_the_start_gives_hold_with_the_reason(both):
    path = both.models / "rollout.json"
    path.write_text("{")
    both.restart()
    (row,) = both.take(sc.make_bars(60), 1)
    assert (row.version, row.decision) == (None, int(Label.HOLD))
    assert "rollout.json" in row.reason
    assert "damaged" in row.reason or "cannot be read" in row.reason


def test_a_broken_model_stays_out_while_the_rollout_file_is_corrupt(both):
    bars = sc.make_bars(80)
    both.add("v8-new", sc.at_bar(45, say=HUGE))
    both.take(bars.at(slice(0, 40)), 20)
    path = both.models / "rollout.json"
    good = path.read_bytes()
    path.write_bytes(b"nonsense")
    rows = both.take(bars.at(slice(0, 60)), 20)
    assert set(whose(rows[5:])) == {"v5-stable"}
    path.write_bytes(good)
    assert set(whose(both.take(bars, 20))) == {"v5-stable"}
    assert "v8-new" in both.state().blocked


def test_a_change_of_the_rollout_is_followed_at_the_next_block(both):
    bars = sc.make_bars(60)
    both.take(bars.at(slice(0, 50)), 20)
    both.use(stable="v5-stable", candidate="v8-new", stage="100", salt="s")
    assert set(whose(both.take(bars, 10))) == {"v8-new"}


# The log


def test_what_is_not_logged_is_not_emitted_and_the_next_call_makes_up_for_it(both, monkeypatch):
    bars = sc.make_bars(60)
    undisturbed = [row.epoch_s for row in both.take(bars.at(slice(0, 30)), 10)]

    def full(*_):
        raise LogError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(both.log, "append", full)
        for _ in range(3):
            with pytest.raises(LogError):
                both.take(bars.at(slice(0, 50)), 20)
    rows = both.take(bars, 30)
    assert undisturbed + epochs(rows) == bars.epoch_s[20:].tolist()
    scores = both.log.reader.scores("BTC", "v5-stable")
    assert scores.epoch_s.tolist() == bars.epoch_s[20:].tolist()
    assert both.engine.recent.rows("v5-stable").epoch_s.tolist() == scores.epoch_s.tolist()


def test_a_rollback_that_the_log_missed_is_logged_with_the_next_block(both, monkeypatch):
    both.add("v8-new", sc.at_bar(45, say=HUGE))
    bars = sc.make_bars(60)

    def full(*_):
        raise LogError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(both.log, "append", full)
        with pytest.raises(LogError):
            both.take(bars, 40)
    assert both.events("rollback") == []
    assert len(both.take(bars, 40)) == 40
    assert [event.version for event in both.events("rollback")] == ["v8-new"]


# Labels


def test_realised_labels_are_filled_in_when_their_horizon_has_passed(both):
    bars = sc.make_bars(200)
    both.take(bars.at(slice(0, 150)), 100)
    labels = both.log.reader.scores("BTC", "v5-stable").labels
    assert (labels[:96] >= 0).all()
    assert (labels[96:] == -1).all()
    both.restart()
    both.take(bars, 50)
    for version in ("v5-stable", "v8-new"):
        again = both.log.reader.scores("BTC", version).labels
        assert again[:96].tolist() == labels[:96].tolist()
        assert (again[:146] >= 0).all()
        assert (again[146:] == -1).all()
        assert both.engine.recent.rows(version).labels.tolist() == again.tolist()


def test_labels_of_a_version_that_was_taken_back_are_still_filled_in(both):
    both.add("v8-new", sc.at_bar(150, say=HUGE))
    both.take(sc.make_bars(170), 80)
    scores = both.log.reader.scores("BTC", "v8-new")
    assert len(scores) == 60
    assert (scores.labels >= 0).all()


def test_no_label_ever_spans_a_gap(both):
    bars = sc.without(sc.make_bars(200), [150])
    both.take(bars, 150)
    scores = both.log.reader.scores("BTC", "v5-stable")
    unknown = scores.epoch_s[scores.labels == -1]
    lost = bars.epoch_s[146:150].tolist()
    # After a gap the warm-up of the threshold begins again.
    assert set(lost) <= set(unknown.tolist())
    assert (scores.labels[:96] >= 0).all()
    assert both.engine.recent.open_bars("v5-stable").tolist() == bars.epoch_s[-4:].tolist()


def test_a_bundle_without_a_label_definition_scores_and_has_no_labels(both):
    both.add("v5-stable", labels={"horizon_bars": 4})
    both.take(sc.make_bars(100), 50)
    scores = both.log.reader.scores("BTC", "v5-stable")
    assert len(scores) == 50
    assert set(scores.labels.tolist()) == {-1}
    assert set(both.log.reader.scores("BTC", "v8-new").labels.tolist()) > {-1}
    assert sum("no labels" in line for line in both.lines) == 1


def test_the_history_asked_for_covers_the_largest_model(both):
    assert both.engine.history_bars == 4_096
    both.add("v8-new", labels=sc.LABELS | {"window_bars": 9_000})
    both.engine.labels._definitions.clear()
    assert both.engine.history_bars == 9_008


def test_two_changes_of_the_rollout_between_two_blocks_are_both_followed(both):
    """Made by others, in the same tick of the file system's clock."""
    bars = sc.make_bars(60)
    both.take(bars.at(slice(0, 50)), 20)
    for stage in ("10", "100"):
        change_rollout(
            both.models,
            lambda rollout, stage=stage: rollout.having(
                "BTC", sc.SymbolState(stable="v5-stable", candidate="v8-new", stage=stage, salt="s")
            ),
        )
    assert set(whose(both.take(bars, 10))) == {"v8-new"}
