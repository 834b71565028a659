import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from v8ops.run import limits
from v8ops.run import plan as planning
from v8ops.run.request import Request

# The first array teaches the C library to keep such arrays. The last one lies above the second
# and is still in use, so that only memory of its own can be given back.
LEFT_BY_LARGE_ARRAYS = """
import pathlib
def held():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1])
large = bytearray(24 << 20)
del large
before = held()
large = bytearray(20 << 20)
above = bytearray(100_000)
del large
print(held() - before)
"""


def kept_pages(environment):
    """Return how many pages a process still holds after it has let go of a large array."""
    command = [sys.executable, "-I", "-S", "-c", LEFT_BY_LARGE_ARRAYS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_numeric_library_is_kept_to_the_threads(threads):
    found = limits.numeric_limits(threads)
    for library in ("OMP", "MKL", "OPENBLAS"):
        assert found[f"{library}_NUM_THREADS"] == str(threads)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such rule")
def test_what_large_arrays_leave_is_given_back():
    array = (20 << 20) // os.sysconf("SC_PAGE_SIZE")
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    assert kept_pages(plain) > 0.9 * array, "the rule this guards against is no longer there"
    assert kept_pages(plain | limits.numeric_limits(1)) < 0.1 * array


FEATURES_OF_MANY_BLOCKS = """
import resource
import numpy as np
from v8lib.features import BLOCK_BARS, feature_table, make_features
from v8lib.market import simulate_market
market = simulate_market(8 * BLOCK_BARS, signal=0.5, decay=0.7, volatility=1e-4, interval_s=60,
                         rng=np.random.default_rng(1))
table = feature_table(60)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
make_features(market.bars, table)
before = faults()
made = make_features(market.bars, table)
print((faults() - before) * resource.getpagesize() / made.nbytes)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such rule")
def test_what_a_block_of_features_leaves_stays_for_the_next(repo):
    ordinary = {"NUMPY_MADVISE_HUGEPAGE": "0", "PYTHONPATH": str(repo)}
    environment = os.environ | limits.numeric_limits(1) | ordinary
    command = [sys.executable, "-c", FEATURES_OF_MANY_BLOCKS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.5  # the result's own pages, and few besides


def test_the_look_at_bars_before_a_run_starts_no_threads(monkeypatch, tmp_path):
    seen = {}

    def run(_command, *, env, **_rest):
        seen.update(env)
        return SimpleNamespace(returncode=0, stdout="{}")

    request = Request(("BTC",), out=str(tmp_path), profile="smoke", source="simulated")
    plan = planning.make_plan(request, run_id="x", jobs=1, engine="papermill")
    monkeypatch.setattr(planning.subprocess, "run", run)
    planning.preflight(plan)
    assert limits.thread_limits(1).items() <= seen.items()
