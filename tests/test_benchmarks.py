"""The benchmarks' own arithmetic, and the ratios that must not get worse.

What is held here are ratios of CPU time, ours and the peer's turn by turn, the least of several
short repeats: how busy the machine is changes both, and a slow machine is no failure.
"""

import ast
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import (
    cells,
    features,
    figures,
    loops,
    ours,
    page,
    processes,
    suite,
    suite_run,
    training,
    training_report,
)
from benchmarks import machine as machine_of_benchmarks
from benchmarks.patience import LOOK_AGAIN_S, Patience
from benchmarks.training_data import Epoch, Run, TrainingData
from benchmarks.words import seconds_or_never, with_range
from tests.runs import smoke_parameters
from v8lib.bar_arrays import bar_arrays
from v8lib.features import make_features
from v8lib.latest import LatestFeatures
from v8lib.market import simulate_market
from v8lib.mirror import Mirror
from v8lib.recipe import training_settings
from v8lib.seeds import stream
from v8lib.storage import write_json

N_FEATURES = 72
REPEATS = 5
LEAST_AGAINST_PLAIN = 1.4  # CPU time of the plain loop over ours, one thread
MOST_PER_BAR_GROWTH = 1.3  # CPU time per bar with eight times the bars
LEAST_AGAINST_BATCH = 2.5  # CPU time of the batch path over the incremental one, for one bar


def cpu_seconds(works):
    """Return the least CPU seconds of each work over interleaved repeats."""

    def timed(work):
        def measured(_):
            began = time.process_time()
            work()
            return time.process_time() - began

        return measured

    found = figures.rounds(
        {name: timed(work) for name, work in works.items()}, REPEATS, Patience(0.0, 0.0)
    )
    return {name: min(values) for name, values in found.items()}


class TestRatiosThatMustHold:
    def test_training_costs_no_more_than_the_plain_loop(self):
        rng = np.random.default_rng(5)
        rows = rng.standard_normal((6_144, N_FEATURES)).astype(np.float32)
        data = TrainingData(
            "BTC",
            (rows[:-256], rng.integers(0, 3, len(rows) - 256)),
            (rows[-256:], rng.integers(0, 3, 256)),
            rng.standard_normal((len(rows) - 256, 2)).astype(np.float32),
            Mirror(np.ones(N_FEATURES, np.float32), np.zeros(N_FEATURES, np.float32)),
            np.log(3.0),
        )
        settings = training_settings(smoke_parameters(epochs=1, precision="fp32"))  # as the peer
        few = replace(data, train=(rows[:512], data.train[1][:512]), targets=data.targets[:512])
        for loop in (ours.train, loops.plain_loop):  # what is imported late has been
            loop(few, settings)
        cost = cpu_seconds(
            {
                "plain": lambda: loops.plain_loop(data, settings),
                "ours": lambda: ours.train(data, settings),
            }
        )
        assert cost["plain"] / cost["ours"] >= LEAST_AGAINST_PLAIN, cost

    def test_features_of_eight_times_the_bars_cost_about_eight_times_as_much(self, table):
        few, many = (self.simulated(n) for n in (16_000, 128_000))
        cost = cpu_seconds(  # as many bars each: the shorter of two works is luckier at its best
            {
                "few": lambda: [make_features(few, table) for _ in range(8)],
                "many": lambda: make_features(many, table),
            }
        )
        assert cost["many"] / cost["few"] <= MOST_PER_BAR_GROWTH, cost

    def test_the_last_bar_costs_a_fraction_of_the_batch(self, table):
        latest = LatestFeatures(table, 60)
        bars = self.simulated(latest.reach_bars)
        tail = bar_arrays(bars)
        latest.features(tail)
        cost = cpu_seconds(
            {
                "batch": lambda: [make_features(bars, table) for _ in range(10)],
                "last bar": lambda: [latest.features(tail) for _ in range(10)],
            }
        )
        assert cost["batch"] / cost["last bar"] >= LEAST_AGAINST_BATCH, cost

    @staticmethod
    def simulated(n_bars):
        settings = {"signal": 0.94, "decay": 0.7, "volatility": 1e-4, "interval_s": 60}
        return simulate_market(n_bars, **settings, rng=stream(3, "BTC", "bench")).bars


class TestFigures:
    def test_a_spread_is_median_and_range(self):
        assert figures.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0, "n": 3}

    def test_every_second_round_goes_the_other_way(self):
        order = []
        works = {name: lambda r, n=name: order.append(n) or r for name in "ab"}
        found = figures.rounds(works, 3, lambda: order.append("."))
        assert found == {"a": [0, 1, 2], "b": [0, 1, 2]}
        assert "".join(order) == ".ab.ba.ab"

    @pytest.mark.parametrize(("higher", "ratio"), [(True, 2.0), (False, 0.5)])
    def test_a_ratio_above_one_means_that_ours_is_better(self, higher, ratio):
        made = figures.comparison(
            "x", "s", ("own", [2.0, 4.0]), ("other", [1.0, 2.0]), higher_is_better=higher
        )
        assert made["ratio"] == {"median": ratio, "min": ratio, "max": ratio, "n": 2}

    def test_ratios_are_taken_within_a_round(self):
        pair = ("own", [1.0, 10.0]), ("other", [1.0, 5.0])
        made = figures.comparison("x", "rows/s", *pair, higher_is_better=True)
        assert (made["ratio"]["min"], made["ratio"]["max"]) == (1.0, 2.0)
        uneven = figures.comparison("x", "s", ("own", [1.0]), pair[1], higher_is_better=False)
        assert uneven["ratio"] == {"median": 3.0, "min": 3.0, "max": 3.0, "n": 1}

    def test_the_time_to_a_level_is_the_sum_up_to_the_first_epoch_there(self):
        run = Run([Epoch(1.0, 10, 0.9), Epoch(2.0, 10, 0.7), Epoch(4.0, 10, 0.8)], 9.0)
        assert [run.seconds_to(level) for level in (0.9, 0.75, 0.5)] == [1.0, 3.0, None]
        assert run.log_loss == 0.7
        assert run.rows_per_second == pytest.approx(30 / 7)

    def test_figures_in_words(self):
        assert with_range([1.0, 3.0, 2.0], ".1f") == "2.0 (1.0 to 3.0)"
        assert seconds_or_never([None, None]) == "never"
        assert seconds_or_never([1.0, None]) == "1.00, never in 1"


def cell(source, *kinds):
    output = {"data": dict.fromkeys(kinds, ""), "output_type": "display_data"}
    return {"source": source, "outputs": [output] if kinds else [], "cell_type": "code"}


class TestCells:
    @pytest.mark.parametrize(
        ("made", "group"),
        [
            (cell("import numpy as np\nfrom v8lib import bars"), cells.IMPORTS),
            (cell("x = 1\nimport numpy"), "training"),
            (cell("plots.show(f)", "image/png", "text/plain"), cells.SHOWN),
            (cell("report.html_table(t)", "text/html"), cells.SHOWN),
            (cell("record({})", "application/scrapbook.scrap.json+json"), "training"),
            (cell("t = 1 < 2", "text/plain"), "training"),
        ],
    )
    def test_a_cell_counts_for_what_it_does(self, made, group):
        assert cells.group_of("02_train", made) == group

    def test_cells_before_the_style_is_set_are_start_up(self, tmp_path):
        path, notes = self.notebook(tmp_path), [{"event": "start", "cpu": [0.1], "time": 1.0}]
        notes += [{"event": "cell", "cpu": [k, k + 0.5], "time": 2.0} for k in range(3)]
        timed = cells.timed_cells(path, notes)
        assert [c.group for c in timed] == [cells.IMPORTS, cells.IMPORTS, "features"]
        wall, cpu = cells.summed(timed)
        assert (wall[cells.IMPORTS], cpu["features"]) == (4.0, 0.5)

    def test_a_kernel_that_noted_fewer_cells_than_there_are_is_an_error(self, tmp_path):
        path = self.notebook(tmp_path)
        with pytest.raises(processes.RunError, match="3 cells, CPU times of 0"):
            cells.timed_cells(path, [])

    def test_no_note_of_any_kernel_is_an_error(self, tmp_path):
        cells.listen_to_kernels(tmp_path / ".ipython")
        with pytest.raises(processes.RunError, match="no kernel has noted"):
            cells.kernel_notes(tmp_path / ".ipython")

    def test_scraps_are_compared_without_times_at_any_depth(self, tmp_path):
        data = {"a": 1, "seconds": 2, "deep": [{"path": "x", "b": 3}]}
        made = cell("record(x)")
        kind = "application/scrapbook.scrap.json+json"
        made["outputs"] = [{"data": {kind: {"name": "x", "data": data}}}]
        (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [made]}))
        assert cells.scraps_of(tmp_path / "a.ipynb") == {"x": {"a": 1, "deep": [{"b": 3}]}}

    def test_a_kernel_notes_every_cell_and_leaves_no_name(self, tmp_path):
        cells.listen_to_kernels(tmp_path)
        (script,) = (tmp_path / "profile_default" / "startup").iterdir()
        code = (
            "import sys; from IPython.core.interactiveshell import InteractiveShell\n"
            "shell = InteractiveShell.instance()\n"
            "before = set(shell.user_ns)\n"
            f"shell.user_ns['__file__'] = {str(script)!r}\n"
            f"shell.safe_execfile({str(script)!r}, shell.user_ns, raise_exceptions=True)\n"
            "assert set(shell.user_ns) - before <= {'__file__'}, set(shell.user_ns) - before\n"
            "shell.run_cell('sum(range(10 ** 6))'); shell.run_cell('y = 2')\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
        ((_, notes),) = cells.kernel_notes(tmp_path)
        assert [note["event"] for note in notes] == ["start", "cell", "cell"]
        starts, ends = zip(*(note["cpu"] for note in notes[1:]), strict=True)
        assert 0.0 < starts[0] < ends[0] <= starts[1] <= ends[1]

    @staticmethod
    def notebook(folder):
        timed = {"metadata": {"papermill": {"duration": 2.0}}}
        sources = ("import numpy", "report.use_style()", "x = 1")
        made = [cell(source) | timed for source in sources]
        path = folder / "01_prepare_data.ipynb"
        path.write_text(json.dumps({"cells": [*made, cell("  ")]}))
        return path


class TestProcesses:
    def test_a_watched_process_is_known_with_those_it_starts(self, tmp_path):
        work = "import time\nwhile time.process_time() < 0.7: sum(range(1000))\n"
        code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work!r}])"
        watched = processes.run_watched([sys.executable, "-c", code], log=tmp_path / "log")
        assert watched.status == 0
        assert len(watched.cpu) == 2
        assert sum(watched.cpu.values()) > 0.3
        assert sorted(watched.roles.values()) == [processes.OTHER, processes.RUN]
        assert watched.peak_bytes > 1_000_000

    def test_a_timed_process_is_left_alone_and_its_output_kept(self, tmp_path, monkeypatch):
        monkeypatch.setattr(processes, "_watch", None)
        code = "import sys; print('said'); sys.exit(3)"
        timed = processes.run_timed([sys.executable, "-c", code], log=tmp_path / "log")
        assert (timed.status, timed.cpu, timed.peak_bytes) == (3, {}, 0)
        assert timed.seconds > 0.0
        assert (tmp_path / "log").read_text() == "said\n"

    def test_a_fresh_process_answers_with_what_it_measured(self, tmp_path):
        folder = features.write_bars(tmp_path / "bars", 2_000)
        found = processes.fresh("features", folder / "BTC.parquet")
        assert found["shape"] == [2_000, N_FEATURES]
        assert found["peak_bytes"] >= found["bytes_before"] > 10_000_000
        assert 0.0 < found["seconds"] < found["seconds_to_answer"]

    def test_a_fresh_process_that_fails_says_why(self):
        with pytest.raises(processes.RunError, match="no_such_file"):
            processes.fresh("features", "no_such_file.parquet")

    def test_a_copy_of_the_project_knows_more_symbols_and_the_project_does_not(self, tmp_path):
        copy = suite_run.project_with_symbols(tmp_path, ["S01"])
        assert (copy / "params/symbols/S01.yaml").read_text() == "market_name: S01-USD\n"
        assert not (suite_run.PROJECT / "params/symbols/S01.yaml").exists()
        done = subprocess.run(
            [sys.executable, str(copy / "run_all.py"), "--symbols", "S01", "NONE"],
            capture_output=True,
            text=True,
            check=False,
            cwd=copy,
        )
        assert done.returncode == 2
        assert "unknown symbol 'NONE'" in done.stderr and "S01" in done.stderr


def suite_found(**changed):
    run = {"seconds": 10.0, "peak_bytes": 1e9, "wall": {"training": 3.0}}
    run |= {"cpu": {"training": 6.0, "run_all itself": 2.0}, "scraps": {"a": "1", "b": "2"}}
    slow = run | {"seconds": 20.0} | changed
    runs = {
        f"smoke, {engine}, jobs {jobs}": [slow if engine == "papermill" else run]
        for engine in suite.ENGINES
        for jobs in suite.JOBS
    }
    runs["smoke, by itself"] = [run]
    return {"symbols": ["BTC"], "runs": runs, "unwatched": {"smoke": [9.0, 15.1, 8.0]}}


def together(rate, losses):
    return {"rows_per_second": rate, "log_loss": losses, "each": [[1.0]], "seconds": [1.0]}


class TestLimits:
    @pytest.mark.parametrize(
        ("rates", "gaps", "expected"),
        [
            ([22.0, 44.0], [0.0, -0.01], (True, True, True)),
            ([21.8, 44.0], [0.01, 0.011], (False, False, True)),
            ([30.0, 60.0], [0.01, -0.009], (True, True, True)),  # within two standard errors
        ],
    )
    def test_training_is_judged_round_by_round(self, rates, gaps, expected):
        found = {
            "cores": 2,
            "batch": 256,
            "together": {
                training.PLAIN: together([10.0, 20.0], [[0.5], [0.6]]),
                training.at_once_name("fp32"): together(
                    rates, [[base + gap] for base, gap in zip((0.5, 0.6), gaps, strict=True)]
                ),
            },
            "in_turns": [(45.0, 100.0), (91.0, 200.0), (10.0, 100.0)],
        }
        *checks, share = training_report.checks(found)
        assert (*(check.held for check in checks), share.held) == expected
        assert share.measured == "45.0% (10.0% to 45.5%, 3 turns)"
        found["in_turns"].append((44.0, 100.0))
        assert not training_report.checks(found)[-1].held

    def test_features_and_memory_are_judged_at_the_largest_size(self):
        small, large = str(features.LEAST_BARS), str(features.MOST_BARS)
        entry = {"seconds": 0.25, "peak_bytes": 1.3e9}
        found = {"features": {small: [entry], large: [entry | {"seconds": 2.4}]}}
        found |= {"profile": "default", "runs": {large: entry | {"peak_bytes": 1.7e9}}}
        checks = features.checks(found)
        assert [check.held for check in checks] == [True, False, False, False]
        assert [check.measured for check in checks] == ["2.4000", "1.3000", "9.60", "1.7000"]

    def test_features_with_large_pages_stand_beside_those_without_and_are_not_judged(self):
        entry = {"seconds": 0.25, "peak_bytes": 1e9, "bytes_before": 1e8}
        large = str(features.MOST_BARS)
        found = {"features": {large: [entry]}, "large_pages": {large: [entry | {"seconds": 9.0}]}}
        found |= {"profile": "default", "runs": {}}
        row = features.tables(found).split("1,051,200 | ")[1].splitlines()[0]
        assert row.startswith("0.250 ")
        assert row.endswith(" | 9.000 |")
        assert [check.held for check in features.checks(found)] == [True, True]

    def test_growth_is_the_median_over_the_rounds(self):
        found = {"features": {str(features.LEAST_BARS): [], str(features.MOST_BARS): []}}
        for few, many in ((0.1, 0.8), (0.2, 1.4), (0.4, 5.0)):
            for n, seconds in ((features.LEAST_BARS, few), (features.MOST_BARS, many)):
                found["features"][str(n)].append({"seconds": seconds, "peak_bytes": 1e9})
        checks = features.checks(found | {"profile": "default", "runs": {}})
        assert checks[-1].measured == "8.00"

    def test_every_size_is_computed_for_as_long_in_a_round(self, tmp_path, monkeypatch):
        asked = []

        def fresh(_, path, **__):
            asked.append(path.parent.name)
            return dict.fromkeys(("cpu_seconds", "bytes_before", "peak_bytes"), 1.0) | {
                "seconds": float(len(asked)),
                "shape": [1, 2],
            }

        monkeypatch.setattr(features, "fresh", fresh)
        monkeypatch.setattr(features, "write_bars", lambda folder, _: folder)
        found = features.measure([20, 80], [], repeats=1, profile="smoke", ready=lambda: None)
        assert asked == ["20"] * 8 + ["80"] * 2
        assert [entry["seconds"] for entry in found["features"]["20"]] == [2.5]
        assert [entry["seconds"] for entry in found["features"]["80"]] == [9.0]

    def test_sizes_that_were_not_measured_are_not_judged(self):
        found = {"features": {"8000": []}, "profile": "smoke", "runs": {"24000": {}}}
        assert features.checks(found) == []


class TestPage:
    def test_engines_are_the_same_only_if_every_scrap_is(self):
        assert suite.differing_scraps(suite_found(), "smoke") == []
        other = suite_found(scraps={"a": "1", "b": "3", "c": "4"})
        assert suite.differing_scraps(other, "smoke") == ["b", "c"]
        assert [check.held for check in suite.checks(other)] == [True, False]

    @pytest.mark.parametrize(("seconds", "held"), [([9.0, 15.1, 8.0], True), ([15.1], False)])
    def test_a_whole_run_is_judged_by_its_unwatched_time(self, seconds, held):
        found = suite_found() | {"unwatched": {"smoke": seconds}}
        assert suite.checks(found)[0].held is held
        assert f"| smoke, by itself | {len(seconds)} | " in suite.tables(found)

    def test_the_share_of_work_leaves_out_everything_else(self):
        assert suite_run.work_share({"training": 6.0, "features": 1.0, "rendering": 3.0}) == 0.7

    def test_what_is_behind_is_listed_and_nothing_else(self):
        made = page.not_ahead(
            [
                figures.comparison("a", "s", ("own", [2.0]), ("p", [1.0]), higher_is_better=False),
                figures.comparison("b", "s", ("own", [1.0]), ("p", [2.0]), higher_is_better=False),
                figures.comparison("c", "s", ("own", [4.0]), ("p", [1.0]), higher_is_better=False),
            ]
        )
        assert made.startswith("## Where it is not ahead\n\n2 of 3 comparisons")
        assert [line[:3] for line in made.splitlines() if "own" in line] == ["| c", "| a"]

    @pytest.mark.parametrize(
        ("own", "peer", "ratios"), [([None, 4.0], [2.0, 2.0], 1), ([1.0, 1.0], [None, 2.0], 0)]
    )
    def test_a_level_that_only_the_peer_reaches_is_a_loss(self, own, peer, ratios):
        found = {"level": 0.5, "alone": {"own": {"seconds_to_level": own}}}
        found["alone"]["peer"] = {"seconds_to_level": peer}
        made = training_report._to_level(found, "own", "peer")
        assert len(made) == ratios
        assert all(comparison in figures.behind(made) for comparison in made)
        assert ("| never |" in page.comparison_table(made)) == bool(ratios)

    def test_results_are_written_from_the_parts_that_are_there(self, tmp_path):
        part = {
            "found": suite_found(seconds=9.0),
            "git_commit": "0" * 40,
            "library_sha256": "1" * 64,
            "versions": {"numpy": "2"},
            "quick": False,
            "seconds": 5.0,
            "others_busy": [0.0, 0.5],
            "paces": [12.34e6, 8.0e6],
            "machine": {
                "cpu": "a CPU",
                "instruction sets": ["avx2"],
                "cores": 2,
                "memory_bytes": 8e9,
                "os": "Linux",
                "python": "3",
            },
        }
        written = page.write_results(tmp_path, {"suite": part})
        text, values = written.read_text(), json.loads((tmp_path / "RESULTS.json").read_text())
        assert "smoke run of 1 symbols, seconds | 9.0 (disturbed) | at most 15.0 | held" in text
        assert "Measured at commit 000000000000 (v8lib 111111111111, older than this" in text
        assert "Disturbed: others used 50%" in text
        assert "a plain Python loop: 12.3 and 8.0 million steps/s before and after" in text
        assert [c["ratio"]["median"] for c in values["not_ahead"]] == [0.9]
        assert all(limit["held"] for limit in values["limits"])
        assert "(disturbed)" not in page.page({"suite": part | {"others_busy": [0.1, 0.02]}})
        assert page.QUICK not in text
        assert page.QUICK in page.page({"suite": part | {"quick": True}})

    def test_a_page_tells_what_its_rounds_waited_for(self):
        told = {"steps_per_second": 15e6, "waited_s": 70.0, "rounds": 6, "slow_rounds": 0}
        assert page.patience({"patience": None}) == page.patience({}) == ""
        words = "; its 6 rounds waited 70 s in all for 15.0"
        assert page.patience({"patience": told}) == words
        late = page.patience({"patience": told | {"slow_rounds": 2}})
        assert late == f"{words}, and 2 began slower"

    def test_a_part_measured_alone_leaves_the_others_where_they_were(self, tmp_path, monkeypatch):
        earlier = {"suite": {"found": "old"}, "latency": {"found": "stays"}}
        write_json(tmp_path / "RESULTS.json", {"parts": earlier})
        seen: list[dict] = []
        monkeypatch.setattr(bench, "FOLDER", tmp_path)
        monkeypatch.setattr(bench, "measure", lambda *_args, **_kwargs: "new")
        monkeypatch.setattr(bench, "others_busy", lambda _seconds: 0.0)
        monkeypatch.setattr(page, "limits", lambda _parts: [])
        monkeypatch.setattr(
            page, "write_results", lambda _folder, parts: (seen.append(dict(parts)), tmp_path)[1]
        )
        assert bench.run(bench.parse(["--part", "suite"])) == 0
        (parts,) = seen
        assert parts["suite"]["found"] == "new"
        before, after = parts["suite"]["paces"]
        assert 0.1 < before / after < 10
        assert parts["latency"]["found"] == "stays"


class TestPatience:
    @pytest.fixture
    def machine(self):
        """A machine whose pace is read off a list, and the seconds for which it was left alone."""
        paces, slept = [], []
        waits = {"measure": lambda: paces.pop(0), "sleep": slept.append}
        return paces, slept, waits

    def test_a_round_begins_when_the_machine_has_the_pace(self, machine):
        paces, slept, waits = machine
        ready = Patience(10.0, 60.0, **waits)
        paces += [10.0, 9.9, 3.0, 11.0]
        ready()
        assert not slept
        ready()
        assert slept == [LOOK_AGAIN_S, LOOK_AGAIN_S]
        waited_s = 2 * LOOK_AGAIN_S
        told = {"steps_per_second": 10.0, "waited_s": waited_s, "rounds": 2, "slow_rounds": 0}
        assert ready.told() == told

    def test_patience_is_for_all_rounds_together_and_ends(self, machine):
        paces, slept, waits = machine
        ready = Patience(10.0, 2.5 * LOOK_AGAIN_S, **waits)
        paces += [1.0] * 3 + [1.0] + [12.0]
        for _ in range(3):
            ready()
        assert slept == [LOOK_AGAIN_S, LOOK_AGAIN_S]
        assert ready.told()["slow_rounds"] == 2
        assert ready.told()["rounds"] == 3

    def test_nothing_is_looked_at_where_no_pace_is_asked_for(self, machine):
        _, slept, waits = machine
        ready = Patience(0.0, 60.0, **waits)
        ready()
        assert not slept
        assert ready.told() is None
        assert ready.waited == 0.0

    def test_the_pace_is_of_every_core_and_leaves_the_process_all_of_them(self):
        before = os.sched_getaffinity(0)
        assert 1e5 < machine_of_benchmarks.pace() < 1e9
        assert os.sched_getaffinity(0) == before

    @pytest.mark.parametrize("asked", [["--pace", "-1"], ["--patience", "-0.5"]])
    def test_a_pace_below_zero_is_refused(self, asked):
        with pytest.raises(SystemExit) as ended:
            bench.parse(asked)
        assert ended.value.code == 2


@pytest.mark.parametrize("package", ["v8lib", "v8ops"])
def test_nothing_imports_the_benchmarks(package, repo):
    importing = [
        path.name
        for path in sorted((repo / package).glob("**/*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and "benchmarks" in ast.unparse(node)
    ]
    assert importing == []


def test_no_benchmark_module_is_longer_than_250_lines(repo):
    lengths = {
        path.name: len(path.read_text("utf-8").splitlines())
        for path in Path(repo / "benchmarks").glob("*.py")
    }
    assert len(lengths) > 15
    assert {name: n for name, n in lengths.items() if n > 250} == {}
