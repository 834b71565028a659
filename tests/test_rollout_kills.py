"""kill -9 at random moments of promote, advance and rollback: the state is always one of theirs."""

import os
import signal
import subprocess
import sys

import numpy as np
from rollout_kit import REPO

from v8ops.production import rollout_file

KILLS = int(os.environ.get("V8_KILLS", "8"))
# Changes the state as fast as it can, saying each revision that is safely written. The commands'
# own moves and file, without the bundles that they check before.
DRIVER = """
import sys
from v8ops.production import transitions
from v8ops.production.record import event
from v8ops.production.rollback import take_back
from v8ops.production.rollout_file import change_rollout

models, first = sys.argv[1], int(sys.argv[2])

def step(name, version):
    def change(rollout):
        state, told = rollout.of("BTC"), event("ann", name, version, "")
        if name == "promote":
            moved = transitions.promote(state, version, salt="s", since_bar=None, event=told)
        elif name == "install":
            moved = transitions.install(state, version, event=told)
        else:
            moved = transitions.advance(state, since_bar=None, event=told)
        return rollout.having("BTC", moved)
    return change_rollout(models, change)

for k in range(first, first + 100_000):
    version = f"v8-{k}"
    done = step("promote", version)
    for _ in range(k % 5):
        done = step("advance", version)
    done = take_back(models, "BTC", version, who="ann", why="x") if k % 2 else done
    if done.of("BTC").candidate:
        done = take_back(models, "BTC", version, who="ann", why="x")
    print(done.revision, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_state_that_can_be_read(tmp_path):
    rng = np.random.default_rng(11)
    revision, killed_in_between = 0, 0
    for k in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path), str(1 + 1_000_000 * k)],
            cwd=REPO,
            stdout=subprocess.PIPE,
            text=True,
        )
        reached = [int(process.stdout.readline()) for _ in range(1 + int(rng.integers(20)))]
        spin(rng.integers(20_000))
        process.send_signal(signal.SIGKILL)
        reached += [int(line) for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
        found = rollout_file.read_rollout(tmp_path)  # raises where a rule is broken
        state = found.of("BTC")
        assert found.revision >= max(reached), "what was said to be written is there"
        assert found.revision > revision
        assert len(set(state.roles.values())) == len(state.roles)
        assert len(state.history) == found.revision, "no change is lost or made twice"
        killed_in_between += state.candidate is not None
        revision = found.revision
        if state.candidate:  # as a person would after a crash
            rollout_file.change_rollout(tmp_path, without_candidate)
            revision += 1
    if KILLS >= 100:
        assert killed_in_between > KILLS // 10, "kills came between the moves too"


def without_candidate(rollout):
    from v8ops.production import transitions
    from v8ops.production.record import event

    state = rollout.of("BTC")
    told = event("ann", "rollback", state.candidate, "")
    return rollout.having("BTC", transitions.roll_back(state, state.candidate, why="x", event=told))


def spin(n):
    """Let a little time pass without sleeping."""
    for _ in range(n):
        pass


def test_a_temporary_file_that_a_kill_left_is_no_state(tmp_path):
    (tmp_path / f".{rollout_file.NAME}.abc").write_bytes(b"{")
    assert rollout_file.read_rollout(tmp_path).revision == 0
    assert rollout_file.kept_revisions(tmp_path) == []
