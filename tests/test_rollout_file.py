import errno
import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_kit import REPO

from v8ops.production import rollout_file, rollout_lock, transitions
from v8ops.production.errors import ProductionError
from v8ops.production.rollback import take_back
from v8ops.production.rollout_content import content_of, parsed, rollout_of
from v8ops.production.rollout_state import Event, Rollout, SymbolState
from v8ops.production.routing import to_candidate

TOLD = Event("2026-01-01T00:00:00+00:00", "ann", "promote", "v8-b", "")


def installed(version):
    def change(rollout):
        state = transitions.install(SymbolState(), version, event=TOLD)
        return rollout.having("BTC", state)

    return change


def valid():
    state = transitions.install(SymbolState(), "v5-a", event=TOLD)
    state = transitions.promote(state, "v8-b", salt="s", since_bar=None, event=TOLD)
    return content_of(Rollout(4, {"BTC": state}))


def test_where_there_is_no_file_nothing_is_rolled_out(tmp_path):
    assert rollout_file.read_rollout(tmp_path) == Rollout()


def test_a_change_is_read_back_and_counted(tmp_path):
    first = rollout_file.change_rollout(tmp_path, installed("v5-a"))
    second = rollout_file.change_rollout(tmp_path, lambda r: r.having("ETH", SymbolState()))
    assert (first.revision, second.revision) == (1, 2)
    assert rollout_file.read_rollout(tmp_path) == second
    assert rollout_file.kept_revisions(tmp_path) == [1, 2]


def test_no_change_is_no_revision(tmp_path):
    rollout_file.change_rollout(tmp_path, installed("v5-a"))
    assert rollout_file.change_rollout(tmp_path, lambda r: r).revision == 1


def test_a_change_that_raises_leaves_the_file_as_it_was(tmp_path):
    rollout_file.change_rollout(tmp_path, installed("v5-a"))
    before = (tmp_path / rollout_file.NAME).read_bytes()

    def fails(rollout):
        raise ProductionError("no")

    with pytest.raises(ProductionError, match="no"):
        rollout_file.change_rollout(tmp_path, fails)
    broken = Rollout(0, {"BTC": SymbolState(stable="v5-a", previous="v5-a")})
    with pytest.raises(ProductionError, match="two roles"):
        rollout_file.change_rollout(tmp_path, lambda r: broken)
    assert (tmp_path / rollout_file.NAME).read_bytes() == before


def test_of_two_who_saw_the_same_state_one_is_told(tmp_path):
    seen = rollout_file.read_rollout(tmp_path).revision
    rollout_file.change_rollout(tmp_path, installed("v5-a"), expected_revision=seen)
    with pytest.raises(ProductionError, match=r"somebody else changed .* revision 1, expected 0"):
        rollout_file.change_rollout(tmp_path, installed("v5-b"), expected_revision=seen)


def test_changes_at_once_are_all_made_one_after_the_other(tmp_path):
    def add(k):
        rollout_file.change_rollout(tmp_path, lambda r: r.having(f"S{k}", SymbolState()))

    threads = [threading.Thread(target=add, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rollout_file.read_rollout(tmp_path)
    assert found.revision == 12 and len(found.symbols) == 12


def test_only_the_newest_states_are_kept(tmp_path):
    for k in range(15):
        rollout_file.change_rollout(tmp_path, lambda r, k=k: r.having(f"S{k}", SymbolState()))
    assert rollout_file.kept_revisions(tmp_path) == list(range(6, 16))


DAMAGE = {
    "schema": lambda c: c.update(schema_version=2),
    "schema of another type": lambda c: c.update(schema_version=True),
    "revision below 0": lambda c: c.update(revision=-1),
    "revision beyond all bounds": lambda c: c.update(revision=2**70),
    "no revision": lambda c: c.pop("revision"),
    "revision of another type": lambda c: c.update(revision=True),
    "unknown key": lambda c: c.update(extra=1),
    "symbols no mapping": lambda c: c.update(symbols=[]),
    "symbol with a path": lambda c: c["symbols"].update({"../X": c["symbols"]["BTC"]}),
    "state no mapping": lambda c: c["symbols"].update(BTC=3),
    "version with a path": lambda c: c["symbols"]["BTC"].update(stable="../v5"),
    "version no text": lambda c: c["symbols"]["BTC"].update(stable=5),
    "two stables by another name": lambda c: c["symbols"]["BTC"].update(previous="v5-a"),
    "blocked and in use": lambda c: c["symbols"]["BTC"]["blocked"].update({"v8-b": "x"}),
    "stage unknown": lambda c: c["symbols"]["BTC"].update(stage="25"),
    "stage without candidate": lambda c: c["symbols"]["BTC"].update(candidate=None),
    "no salt": lambda c: c["symbols"]["BTC"].update(salt=None),
    "salt empty": lambda c: c["symbols"]["BTC"].update(salt=""),
    "salt no whole text": lambda c: c["symbols"]["BTC"].update(salt="\ud800"),
    "since no time": lambda c: c["symbols"]["BTC"].update(trial_since_bar="x"),
    "since beyond all bounds": lambda c: c["symbols"]["BTC"].update(trial_since_bar=2**70),
    "event short": lambda c: c["symbols"]["BTC"]["history"][0].pop("who"),
    "event of another type": lambda c: c["symbols"]["BTC"]["history"][0].update(who=1),
    "history no list": lambda c: c["symbols"]["BTC"].update(history={}),
    "blocked no mapping": lambda c: c["symbols"]["BTC"].update(blocked=[]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_content_against_the_rules_is_refused(name):
    content = json.loads(json.dumps(valid()))
    assert rollout_of(content).revision == 4
    DAMAGE[name](content)
    with pytest.raises(ProductionError):
        rollout_of(content)


DAMAGED = {
    "empty": b"",
    "cut short": b"{",
    "no mapping": b"[]",
    "no text": b"\xff\xfe",
    "keys missing": b'{"revision": 3}',
    "endless brackets": b"[" * 200_000,
    "endless digits": b'{"revision": ' + b"9" * 5_000 + b"}",
    "a key twice": b'{"schema_version": 1, "revision": 1, "symbols": {}, "symbols": {}}',
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named_and_never_repaired_by_itself(tmp_path, damage):
    rollout_file.change_rollout(tmp_path, installed("v5-a"))
    rollout_file.change_rollout(tmp_path, lambda r: r.having("ETH", SymbolState()))
    path = tmp_path / rollout_file.NAME
    path.write_bytes(damage)
    for use in (
        lambda: rollout_file.read_rollout(tmp_path),
        lambda: rollout_file.change_rollout(tmp_path, installed("v5-b")),
        lambda: take_back(tmp_path, "BTC", "v5-a", who="serve", why="x"),
    ):
        with pytest.raises(ProductionError, match=r"rollout\.json .*see restore"):
            use()
    assert path.read_bytes() == damage
    restored = rollout_file.restore_rollout(tmp_path, lambda r: r)
    assert restored.of("BTC").stable == "v5-a" and restored.revision > 2
    assert set(restored.symbols) == {"BTC", "ETH"}, "the newest state is kept too"
    assert rollout_file.read_rollout(tmp_path) == restored


def test_there_is_nothing_to_restore_where_nothing_is_damaged_or_kept(tmp_path):
    rollout_file.change_rollout(tmp_path, installed("v5-a"))
    with pytest.raises(ProductionError, match="not damaged"):
        rollout_file.restore_rollout(tmp_path, lambda r: r)
    (tmp_path / rollout_file.NAME).write_bytes(b"{")
    (tmp_path / f"{rollout_file.NAME}.1").unlink()
    with pytest.raises(ProductionError, match="no kept state"):
        rollout_file.restore_rollout(tmp_path, lambda r: r)


def test_a_damaged_kept_state_is_passed_over(tmp_path):
    for k in range(3):
        rollout_file.change_rollout(tmp_path, lambda r, k=k: r.having(f"S{k}", SymbolState()))
    for name in (rollout_file.NAME, f"{rollout_file.NAME}.3"):
        (tmp_path / name).write_bytes(b"{")
    restored = rollout_file.restore_rollout(tmp_path, lambda r: r)
    assert list(restored.symbols) == ["S0", "S1"] and restored.revision == 5


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ProductionError, match="is no folder"):
        rollout_file.change_rollout(tmp_path / "nowhere", lambda r: r)


def test_taking_back_twice_changes_once_and_keeps_the_first_reason(tmp_path):
    rollout_file.change_rollout(tmp_path, installed("v5-a"))
    first = take_back(tmp_path, "BTC", "v5-a", who="serve", why="NaN", at="2026-01-01T00:00:00")
    second = take_back(tmp_path, "BTC", "v5-a", who="serve", why="again")
    assert first == second and second.of("BTC").blocked == {"v5-a": "NaN"}
    assert second.of("BTC").history[-1].at == "2026-01-01T00:00:00"


def test_reading_and_changing_the_state_imports_no_more_than_it_must(repo):
    code = (
        "import sys; from v8ops.production import rollback, rollout_file; "
        "print([m for m in ('torch', 'pandas', 'numpy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def on_trial(models):
    rollout_file.change_rollout(models, installed("v5-a"))

    def change(rollout):
        state = transitions.promote(rollout.of("BTC"), "v8-b", salt="s", since_bar=None, event=TOLD)
        return rollout.having("BTC", state)

    rollout_file.change_rollout(models, change)


def test_a_restored_state_does_not_forget_what_was_just_rolled_back(tmp_path):
    on_trial(tmp_path)
    take_back(tmp_path, "BTC", "v8-b", who="serve", why="NaN")
    (tmp_path / rollout_file.NAME).write_bytes(b"{")
    restored = rollout_file.restore_rollout(tmp_path, lambda r: r).of("BTC")
    assert restored.roles == {"stable": "v5-a"} and restored.blocked == {"v8-b": "NaN"}


def test_a_lost_file_is_no_empty_state(tmp_path):
    on_trial(tmp_path)
    (tmp_path / rollout_file.NAME).unlink()
    for use in (
        lambda: rollout_file.read_rollout(tmp_path),
        lambda: rollout_file.change_rollout(tmp_path, installed("v5-b")),
    ):
        with pytest.raises(ProductionError, match=r"is gone, .*see restore"):
            use()
    assert rollout_file.restore_rollout(tmp_path, lambda r: r).of("BTC").candidate == "v8-b"


def test_a_kept_state_that_was_not_written_is_made_up_for(tmp_path):
    on_trial(tmp_path)
    (tmp_path / f"{rollout_file.NAME}.2").unlink()
    take_back(tmp_path, "BTC", "v8-b", who="serve", why="NaN")
    assert rollout_file.kept_revisions(tmp_path) == [1, 2, 3]


def test_a_full_disk_leaves_the_state_before(tmp_path, monkeypatch):
    on_trial(tmp_path)
    before = (tmp_path / rollout_file.NAME).read_bytes()

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(rollout_file, "write_json", full)
    with pytest.raises(ProductionError, match=r"rollout\.json cannot be written: No space left"):
        take_back(tmp_path, "BTC", "v8-b", who="serve", why="NaN")
    assert (tmp_path / rollout_file.NAME).read_bytes() == before


def test_a_change_counts_where_only_its_kept_copy_cannot_be_written(tmp_path, monkeypatch):
    on_trial(tmp_path)
    write = rollout_file.write_json

    def nearly_full(path, content):
        if path.name != rollout_file.NAME:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(rollout_file, "write_json", nearly_full)
    assert take_back(tmp_path, "BTC", "v8-b", who="serve", why="NaN").revision == 3
    assert rollout_file.read_rollout(tmp_path).of("BTC").blocked == {"v8-b": "NaN"}
    assert rollout_file.kept_revisions(tmp_path) == [1, 2]


def test_names_that_are_no_revision_are_no_kept_states(tmp_path):
    rollout_file.change_rollout(tmp_path, installed("v5-a"))
    for suffix in ("\u00b2", "\u0663", "old", "-1", "9" * 40):
        (tmp_path / f"{rollout_file.NAME}.{suffix}").write_bytes(b"")
    assert rollout_file.kept_revisions(tmp_path) == [1]


def test_one_who_holds_the_lock_for_good_does_not_stop_the_others(tmp_path, monkeypatch):
    on_trial(tmp_path)
    monkeypatch.setattr(rollout_lock, "WAIT_S", 0.05)
    code = (
        "import sys, pathlib; from v8ops.production.rollout_lock import only_changer\n"
        "with only_changer(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=REPO,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ProductionError, match=r"held for .* by another process"):
            take_back(tmp_path, "BTC", "v8-b", who="serve", why="NaN")
        holder.kill()
    assert take_back(tmp_path, "BTC", "v8-b", who="serve", why="NaN").revision == 3


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / rollout_lock.NAME).symlink_to(outside)
    with pytest.raises(ProductionError, match="cannot be opened"):
        rollout_file.change_rollout(tmp_path / "models", installed("v5-a"))
    assert not outside.exists()


@given(st.data())
def test_a_byte_that_is_altered_gives_a_state_or_a_refusal_and_no_other_error(data):
    content = bytearray(json.dumps(valid()).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = rollout_of(parsed(bytes(content)))
    except ProductionError as error:
        assert "\n" not in str(error)
        return
    assert rollout_of(content_of(found)) == found
    for symbol, state in found.symbols.items():
        assert to_candidate(state, symbol, 900) in (True, False)
