"""kill -9 at random moments of promote, advance and rollback: the state is always one of theirs.

`V8_KILLS=200` is the long form; with `-s` it says where the kills fell.
"""

import os
import signal
import subprocess
import sys

import numpy as np
from rollout_kit import REPO

from v8ops.production import rollout_file, rollout_lock, transitions
from v8ops.production.record import event
from v8ops.production.rollback import take_back
from v8ops.production.rollout_state import SymbolState

KILLS = int(os.environ.get("V8_KILLS", "8"))
PER_FOLDER = 10  # kills in one folder: histories stay short, and each state is one after kills
LONGEST_S = 0.3
# Changes the state as fast as it can and says each revision that is safely written. These are the
# commands' own moves and file, without the bundles that the commands look at before.
DRIVER = """
import sys
from v8ops.production import transitions
from v8ops.production.record import event
from v8ops.production.rollback import take_back
from v8ops.production.rollout_file import change_rollout, read_rollout

models, run = sys.argv[1:]

def say(revision):
    sys.stdout.write(f"{revision}\\n")
    sys.stdout.flush()

def moved(name, version):
    def change(rollout):
        state, told = rollout.of("BTC"), event("ann", name, version, "")
        if name == "promote":
            state = transitions.promote(state, version, salt="s", since_bar=None, event=told)
        else:
            state = transitions.advance(state, since_bar=None, event=told)
        return rollout.having("BTC", state)
    say(change_rollout(models, change).revision)

def back(version):
    say(take_back(models, "BTC", version, who="ann", why="x").revision)

say(read_rollout(models).revision)
for k in range(100_000):
    if left := read_rollout(models).of("BTC").candidate:
        back(left)
    version = f"v8-{run}-{k}"
    moved("promote", version)
    for _ in range(k % 5):
        moved("advance", version)
    if k % 3:
        back(version)
"""


def test_a_kill_at_any_moment_leaves_a_state_that_can_be_read(tmp_path):
    rng = np.random.default_rng(11)
    during, unsaid, changes = 0, 0, 0
    for k in range(KILLS):
        models = tmp_path / str(k // PER_FOLDER)
        models.mkdir(exist_ok=True)
        before = rollout_file.read_rollout(models).revision
        torn = unfinished(models)
        last_said = killed(models, k, rng.uniform(0.0, LONGEST_S))
        found = rollout_file.read_rollout(models)  # raises where a rule is broken
        check(models, found)
        assert before <= last_said <= found.revision <= last_said + 1
        during += unfinished(models) > torn
        unsaid += found.revision > last_said
        changes += found.revision - before
        rollout_file.change_rollout(models, lambda r, k=k: r.having(f"S{k}", noted(r, k)))
        assert rollout_file.read_rollout(models).revision == found.revision + 1
    sys.stdout.write(
        f"\n{KILLS} kills among {changes} changes: {during} left an unfinished file, {unsaid} came "
        "after the change and before it was said; every state could be read\n"
    )
    assert changes > KILLS, "the moves were at work"
    if KILLS >= 100:
        assert during > KILLS // 10, "kills fell into the writing"


def killed(models, k, seconds):
    """Let moves run for a while, kill them, and return the last revision that was said."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(models), str(k)],
        cwd=REPO,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        said = [process.stdout.readline()]  # it has begun
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL, "the moves themselves do not fail"
    return int([line for line in said if line.endswith("\n")][-1])


def check(models, found):
    state = found.of("BTC")
    assert len(set(state.roles.values())) == len(state.roles), "never two stables"
    assert not set(state.roles.values()) & set(state.blocked)
    events = sum(len(state.history) for state in found.symbols.values())
    assert events == found.revision, "no change is lost or made twice"
    kept = rollout_file.kept_revisions(models)
    assert max(kept, default=0) <= found.revision, "nothing is kept that was never in use"
    for revision in kept:
        content = (models / f"{rollout_file.NAME}.{revision}").read_bytes()
        assert rollout_file.rollout_of(rollout_file.parsed(content)).revision == revision


def unfinished(models):
    return len({*models.glob(f".{rollout_file.NAME}.*")} - {models / rollout_lock.NAME})


def noted(rollout, k):
    """Return a symbol's first state, with one event."""
    told = event("ann", "promote", "v5-a", "")
    return transitions.install(rollout.of(f"S{k}"), "v5-a", event=told)


# Ends itself, as kill -9 would, at one of the calls to the system that a rollback makes.
SUICIDE = """
import os, signal, sys
from v8ops.production.rollback import take_back
from v8ops.production import rollout_file

models, left = sys.argv[1], int(sys.argv[2])
CALLS = {"fcntl.flock", "tempfile.mkstemp", "os.chmod", "os.rename", "os.remove"}

def count(name, arguments=()):
    global left
    if name in CALLS or (name == "open" and "rollout" in str(arguments[0])):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sync = os.fsync
def counted(handle):
    count("os.chmod")
    sync(handle)
    count("os.chmod")
os.fsync = counted
sys.addaudithook(count)
take_back(models, "BTC", "v5-a", who="serve", why="NaN")
sys.stdout.write(str(left))
"""


def test_a_kill_at_every_single_step_leaves_the_state_before_or_after(tmp_path):
    seen, step, status = [], 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        step += 1
        models = tmp_path / str(step)
        models.mkdir()
        first = transitions.install(
            SymbolState(), "v5-a", event=event("ann", "promote", "v5-a", "")
        )
        rollout_file.change_rollout(models, lambda r, first=first: r.having("BTC", first))
        done = subprocess.run(
            [sys.executable, "-c", SUICIDE, str(models), str(step)],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
        )
        status = done.returncode
        found = rollout_file.read_rollout(models)
        check(models, found)
        seen.append(found.revision)
        again = take_back(models, "BTC", "v5-a", who="serve", why="NaN")
        assert again.revision == 2 and again.of("BTC").blocked == {"v5-a": "NaN"}
        (models / rollout_file.NAME).write_bytes(b"{")
        restored = rollout_file.restore_rollout(models, lambda r: r).of("BTC")
        assert restored.blocked == {"v5-a": "NaN"}, "a block is not forgotten"
    assert status == 0, done.stderr
    assert seen == sorted(seen) and seen[0] == 1 and seen[-1] == 2, "first before, then after"
    assert step > 12, "there were steps to be killed at"


def test_a_temporary_file_that_a_kill_left_is_no_state(tmp_path):
    (tmp_path / f".{rollout_file.NAME}.abc").write_bytes(b"{")
    assert rollout_file.read_rollout(tmp_path).revision == 0
    assert rollout_file.kept_revisions(tmp_path) == []
