"""Which models are in use: rollout.json as it is followed, bundles as they are kept."""

import pytest
import serving_case as sc

from v8ops.production.errors import ProductionError
from v8ops.production.keeper import Member
from v8ops.production.rollout_file import read_rollout
from v8ops.production.rollout_state import SymbolState


@pytest.fixture
def case(tmp_path):
    made = sc.Case(tmp_path)
    for version in ("v4", "v5", "v8"):
        made.add(version)
    yield made
    made.log.close()


def lineup(case):
    case.keeper.refresh()
    return [(member.role, member.version) for member in case.keeper.lineup("BTC")]


def test_those_in_line_are_the_candidate_the_stable_and_the_previous(case):
    assert lineup(case) == []
    case.use(stable="v5")
    assert lineup(case) == [("stable", "v5")]
    case.use(stable="v5", candidate="v8", stage="10", salt="s", previous="v4")
    assert lineup(case) == [("candidate", "v8"), ("stable", "v5"), ("previous", "v4")]
    assert case.keeper.lineup("ETH") == []
    assert case.keeper.lineup("BTC")[0] == Member("candidate", "v8")


def test_a_change_is_said_and_no_change_is_not(case):
    case.use(stable="v5")
    for _ in range(3):
        case.keeper.refresh()
    case.use(stable="v5", candidate="v8", stage="10", salt="s")
    case.keeper.refresh()
    said = [line.split(": ", 1)[1] for line in case.lines]
    assert said == [
        "revision 1: stable v5, candidate none",
        "revision 2: stable v5, candidate v8 at stage 10",
    ]


def test_why_there_is_no_model(case):
    assert "has not been read" in case.keeper.why_none("BTC")
    case.keeper.refresh()
    assert case.keeper.why_none("BTC") == "no model of BTC was ever promoted"
    case.use(blocked={"v8": "a"})
    case.keeper.refresh()
    assert "took them back" in case.keeper.why_none("BTC")
    (case.models / "rollout.json").write_text("")
    case.restart()
    case.keeper.refresh()
    assert "rollout.json" in case.keeper.why_none("BTC")


def test_a_bundle_is_loaded_once_for_as_long_as_its_files_stay(case, monkeypatch):
    loaded = []
    monkeypatch.setattr(case.keeper, "_load", lambda folder: loaded.append(folder) or object())
    first = case.keeper.bundle("BTC", "v5")
    assert case.keeper.bundle("BTC", "v5") is first
    assert len(loaded) == 1
    (case.models / "BTC" / "v5" / "golden.json").write_text("new")
    assert case.keeper.bundle("BTC", "v5") is not first
    assert len(loaded) == 2


def test_a_bundle_that_is_refused_is_not_tried_again_until_it_changes(case, monkeypatch):
    loaded = []

    def refuse(folder):
        loaded.append(folder)
        raise ProductionError("altered")

    monkeypatch.setattr(case.keeper, "_load", refuse)
    for _ in range(3):
        with pytest.raises(ProductionError, match="altered"):
            case.keeper.bundle("BTC", "v5")
    assert len(loaded) == 1


def test_a_bundle_that_cannot_be_read_just_now_is_tried_again(case, monkeypatch):
    def fail(folder):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(case.keeper, "_load", fail)
        with pytest.raises(ProductionError, match="Input/output error"):
            case.keeper.bundle("BTC", "v5")
    assert case.keeper.bundle("BTC", "v5").version == "v5"


@pytest.mark.parametrize("version", ["../../etc", "none", "V8"])
def test_a_bundle_that_is_not_there_or_elsewhere_is_refused(case, version):
    with pytest.raises(ProductionError):
        case.keeper.bundle("BTC", version)


def test_bundles_that_are_no_longer_in_use_are_let_go(case):
    case.use(stable="v5", candidate="v8", stage="10", salt="s")
    case.keeper.refresh()
    for version in ("v5", "v8"):
        case.keeper.bundle("BTC", version)
    case.use(stable="v8", previous="v5")
    case.keeper.refresh()
    assert sorted(v for _, v in case.keeper._loaded) == ["v5", "v8"]
    case.use(stable="v8")
    case.keeper.refresh()
    assert [v for _, v in case.keeper._loaded] == ["v8"]


def test_a_version_that_is_taken_back_is_out_at_once_and_in_the_file(case):
    case.use(stable="v5", candidate="v8", stage="10", salt="s")
    case.keeper.refresh()
    case.keeper.take_back("BTC", "v8", epoch_s=900, why="logit of 99.0")
    assert lineup(case) == [("stable", "v5")]
    state = read_rollout(case.models).symbols["BTC"]
    assert state.blocked == {"v8": "logit of 99.0"}
    (event,) = [event for event in case.notes.waiting if event.kind == "rollback"]
    assert (event.epoch_s, event.version, event.symbol) == (900, "v8", "BTC")


def test_a_person_was_faster(case):
    case.use(stable="v5", candidate="v8", stage="10", salt="s")
    case.keeper.refresh()
    case.use(stable="v5", blocked={"v8": "by hand"})
    case.keeper.take_back("BTC", "v8", epoch_s=900, why="logit of 99.0")
    assert lineup(case) == [("stable", "v5")]
    state = read_rollout(case.models)
    assert state.revision == 2
    assert state.symbols["BTC"].blocked == {"v8": "by hand"}


def test_a_version_that_comes_back_after_a_release_is_in_line_again(case):
    case.use(stable="v5", candidate="v8", stage="10", salt="s")
    case.keeper.refresh()
    case.keeper.take_back("BTC", "v8", epoch_s=900, why="x")
    case.use(stable="v5", candidate="v8", stage="shadow", salt="t")
    assert lineup(case) == [("candidate", "v8"), ("stable", "v5")]


def test_the_interval_is_that_of_the_first_bundle_that_can_be_loaded(case):
    assert case.keeper.interval_s("BTC") == 0
    case.add("v5", interval_s=60)
    case.use(stable="v5", candidate="v9", stage="10", salt="s")
    case.keeper.refresh()
    assert case.keeper.interval_s("BTC") == 60


def test_the_state_is_the_file_s(case):
    case.use(stable="v5")
    assert case.state() == SymbolState(stable="v5")
    assert case.keeper.state("ETH") is None
