"""The command check-bars, from arguments to files and exit status, and the dispatcher."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from v8lib.bar_damage import damaged_bars
from v8lib.bars import COLUMNS, load_bars
from v8lib.errors import RunError
from v8lib.market import simulate_market
from v8lib.resample import resample_bars
from v8lib.seeds import stream
from v8ops.__main__ import COMMANDS, main
from v8ops.feeds import check

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def write(path, bars):
    bars.to_csv(path, index=isinstance(bars.index, pd.DatetimeIndex))
    return str(path)


@pytest.fixture(scope="module")
def bars():
    return simulate_market(
        800, signal=0.94, decay=0.7, volatility=1e-3, interval_s=900, rng=stream(1, "BTC", "m")
    ).bars


@pytest.fixture
def good(tmp_path, bars):
    return write(tmp_path / "good.csv", bars)


@pytest.fixture
def bad(tmp_path, bars):
    return write(tmp_path / "bad.csv", damaged_bars(bars).table.drop(columns="row"))


def run(capsys, *arguments):
    status = main(["check-bars", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def labelled(out, label):
    """Return the words of the report lines with this label."""
    width = check.LABEL_WIDTH
    return [line[width:] for line in out.splitlines() if line[:width].strip() == label]


def test_a_sound_file_is_reported_in_full_and_accepted(capsys, good):
    status, out, err = run(capsys, good)
    assert (status, err) == (0, "")
    assert labelled(out, "file") == [good]
    assert labelled(out, "format") == ["CSV"]
    assert labelled(out, "rows") == ["800 in the file; 800 bars"]
    assert labelled(out, "interval") == ["15m (100.00% of steps)"]
    assert labelled(out, "period") == ["2024-01-01 00:00:00+00:00 to 2024-01-09 07:45:00+00:00"]
    assert len(labelled(out, "sha256")[0]) == 64
    assert labelled(out, "verdict") == ["usable: a run takes the file as it is"]
    assert "\x1b" not in out


def test_a_file_with_defects_is_refused_and_says_what_helps(capsys, bad):
    status, out, _ = run(capsys, bad)
    assert status == 3
    assert "no time: 1 row, the first is row 262" in labelled(out, "defect")
    assert any(line.startswith("outliers: 2 prints") for line in labelled(out, "warning"))
    assert len(labelled(out, "gap")) == 8
    (verdict,) = labelled(out, "verdict")
    assert verdict.startswith("usable with findings, but not as it is")
    assert "--fix OUT" in verdict


def test_findings_alone_do_not_refuse_a_file(capsys, tmp_path, bars):
    status, out, _ = run(capsys, write(tmp_path / "x.csv", bars.assign(volume=0.0)))
    assert status == 0
    assert labelled(out, "verdict") == ["usable with findings: a run takes the file as it is"]


def test_of_many_gaps_ten_are_shown_and_all_are_counted(capsys, tmp_path, bars):
    holed = bars.drop(bars.index[20:260:20])
    _, out, _ = run(capsys, write(tmp_path / "x.csv", holed))
    gaps = labelled(out, "gap")
    assert (
        gaps[0] == "2024-01-01 05:00:00+00:00 to 2024-01-01 05:00:00+00:00: 1 bar, 0 days 00:15:00"
    )
    assert (len(gaps), gaps[-1]) == (11, "and 2 more")


def test_what_is_no_file_of_bars_has_one_reason(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    status, out, _ = run(capsys, path)
    assert status == 3
    assert labelled(out, "verdict") == ["not bars: a Git LFS pointer, fetch the real file"]


def test_several_files_are_checked_and_the_worst_decides(capsys, good, bad):
    status, out, _ = run(capsys, good, bad, good)
    assert status == 3
    assert labelled(out, "file") == [good, bad, good]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["GOOD", "missing.csv"], "missing.csv: no such file"),
        (["GOOD", "--against", "missing.csv"], "missing.csv: no such file"),
        (["GOOD", "--interval", "7m"], "interval '7m': one of 1m, 3m, 5m"),
        (["GOOD", "--resample", "15"], "interval '15': one of"),
        (["GOOD", "--resample", "1m"], "--resample: bars of 15m do not make bars of 1m"),
        (["GOOD", "BAD", "--fix", "OUT.parquet"], "--fix takes one FILE"),
        (["GOOD", "--fix", "OUT.csv"], "OUT is a Parquet file"),
        (["GOOD", "--against", "EMPTY"], "empty.csv: the file is empty"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(capsys, tmp_path, good, bad, arguments, line):
    (tmp_path / "empty.csv").touch()
    names = {"GOOD": good, "BAD": bad, "EMPTY": str(tmp_path / "empty.csv")}
    before = sorted(tmp_path.iterdir())
    status, _, err = run(capsys, *(names.get(argument, argument) for argument in arguments))
    assert status == 2
    assert line in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("link", [False, True])
def test_a_file_is_never_replaced_by_what_is_made_of_it(capsys, tmp_path, bars, link):
    path = tmp_path / "BTC.parquet"
    bars.reset_index().to_parquet(path, index=False)
    out = path
    if link:
        out = tmp_path / "link.parquet"
        out.symlink_to(path)
    before = path.read_bytes()
    status, _, err = run(capsys, path, "--fix", out)
    assert (status, path.read_bytes()) == (2, before)
    assert "would replace what it was made from" in err
    status, _, err = run(capsys, path, "--against", path, "--fix", f"{tmp_path}/./BTC.parquet")
    assert (status, path.read_bytes()) == (2, before)


def test_fix_writes_bars_that_load_and_lists_what_it_left_out(capsys, tmp_path, bars, bad):
    out = tmp_path / "new" / "BTC.parquet"
    status, text, _ = run(capsys, bad, "--fix", out)
    assert status == 0
    loaded = load_bars(out)
    assert "partial_last_bar" not in [finding.name for finding in loaded.findings]
    stored = pd.read_parquet(out)
    assert list(stored.columns) == ["timestamp", *COLUMNS]
    assert str(stored["timestamp"].dtype) == "datetime64[us, UTC]"
    assert loaded.bars.index.isin(bars.index).all()
    changes = pd.read_csv(tmp_path / "new" / "BTC.changes.csv")
    assert list(changes.columns) == ["row", "timestamp", "action", "reason"]
    dropped = changes[changes["action"] == "dropped"]
    rows = len(pd.read_csv(bad))
    assert len(loaded.bars) + len(dropped) == rows
    assert (changes["action"] == "sorted").sum() == 1
    assert "2 x duplicate, conflicting" in labelled(text, "dropped")
    assert labelled(text, "sorted") == ["2 rows out of order"]
    assert labelled(text, "written")[0].startswith(f"{out}: {len(loaded.bars)} bars; the list of")
    assert run(capsys, out)[0] == 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["BTC.changes.csv", "BTC.parquet"]


def test_fixing_a_sound_file_writes_its_bars_and_an_empty_list(capsys, tmp_path, bars, good):
    assert run(capsys, good, "--fix", tmp_path / "x.parquet")[0] == 0
    pd.testing.assert_frame_equal(
        load_bars(tmp_path / "x.parquet").bars, bars, check_freq=False, check_index_type=False
    )
    assert pd.read_csv(tmp_path / "x.changes.csv").empty


def test_of_what_is_not_bars_nothing_is_written(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    status, out, _ = run(capsys, path, "--fix", tmp_path / "y.parquet")
    assert status == 3
    assert labelled(out, "written") == ["nothing"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.csv"]


def test_resampling_alone_writes_nothing_and_with_fix_it_is_written(capsys, tmp_path, bars, good):
    before = sorted(tmp_path.iterdir())
    status, out, _ = run(capsys, good, "--resample", "1h")
    assert (status, labelled(out, "resampled")) == (0, ["200 whole bars of 1h"])
    assert sorted(tmp_path.iterdir()) == before
    assert run(capsys, good, "--resample", "1h", "--fix", tmp_path / "x.parquet")[0] == 0
    pd.testing.assert_frame_equal(
        load_bars(tmp_path / "x.parquet").bars,
        resample_bars(bars, 3_600),
        check_freq=False,
        check_index_type=False,
    )


def test_an_interval_that_is_said_is_used(capsys, tmp_path, bars):
    sparse = bars.iloc[[k for k in range(800) if k % 2 == 0 or k < 100]]
    _, out, _ = run(capsys, write(tmp_path / "x.csv", sparse), "--interval", "15m")
    assert labelled(out, "interval")[0].startswith("15m (")
    assert "interval: most steps are 30m, not 15m" in labelled(out, "warning")


def test_a_second_source_is_compared(capsys, tmp_path, bars, good):
    late = write(tmp_path / "late.csv", bars.set_axis(bars.index + pd.Timedelta(hours=3)))
    status, out, _ = run(capsys, late, "--against", good)
    assert status == 0
    (words,) = labelled(out, "against")
    assert words.startswith(
        "bars in common 800 of 15m; correlation of returns 1.000; clock 3h late; median price"
    )
    assert any(line.startswith("shift: its times are 3h late") for line in labelled(out, "warning"))


def test_json_holds_everything_that_was_found(capsys, tmp_path, good, bad):
    pointer = tmp_path / "x.csv"
    pointer.write_text("")
    status, out, _ = run(capsys, bad, pointer, "--against", good, "--json")
    assert status == 3
    found, empty = json.loads(out)
    assert (found["path"], found["verdict"], found["loads"]) == (bad, "usable with findings", False)
    assert len(found["defects"]) == 14
    assert found["defects"][0] == {
        "row": 41,
        "timestamp": "2024-01-01T10:00:00+00:00",
        "what": "close is no number",
    }
    assert [d["timestamp"] for d in found["defects"] if d["what"] == "no time"] == [None]
    assert {"start", "end", "n_missing", "duration"} == set(found["gaps"][0])
    assert found["facts"]["interval_s"] == 900
    assert found["against"]["shift_s"] == 0
    assert found["made"] is None
    assert (empty["verdict"], empty["reason"], empty["gaps"]) == (
        "not bars",
        "the file is empty",
        [],
    )


def test_json_says_what_was_written(capsys, tmp_path, bad):
    out = str(tmp_path / "y.parquet")
    status, text, _ = run(capsys, bad, "--fix", out, "--json")
    (found,) = json.loads(text)
    assert (status, found["made"]["written"], found["made"]["resampled"]) == (0, out, "")
    assert found["made"]["dropped"]["duplicate, conflicting"] == 2


def test_colours_are_for_a_terminal_only(monkeypatch, bad):
    shown = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console",
        lambda **options: Console(force_terminal=True, color_system="standard", **options),
    )
    monkeypatch.setattr(sys, "stdout", shown)
    main(["check-bars", bad])
    assert "\x1b[31m" in shown.getvalue()


def test_each_command_is_imported_only_when_it_is_asked_for(capsys):
    assert {"check-bars", "fetch"} <= set(COMMANDS)
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "check-bars" in capsys.readouterr().out
    for wrong in ([], ["chek-bars"], ["check-bars"], ["check-bars", "--nope", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
    with pytest.raises(SystemExit):
        main(["check-bars", "--help"])
    assert "0 a run takes every file as it is" in capsys.readouterr().out


def test_errors_and_interruptions_end_in_one_line(capsys, monkeypatch, good):
    def refuse(options):
        raise RunError("cannot do that")

    monkeypatch.setattr(check, "main", refuse)
    assert run(capsys, good) == (2, "", "cannot do that\n")

    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "main", interrupt)
    assert run(capsys, good) == (130, "", "interrupted\n")


def test_help_needs_no_pandas(repo):
    code = (
        "import sys; from v8ops.__main__ import main\n"
        "try: main(['check-bars', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'pandas', 'numpy', 'ccxt', 'v8ops.feeds.fetch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared files are not here")
@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("three_header_rows_1h.csv", 0, ["3 header rows", "volume is 0 in 50.25%"]),
        (
            "newest_first_damaged_epoch_1h.csv",
            0,
            ["newest first", "column 'unix': rounded as 1.63875E+12"],
        ),
        ("binance_klines_12_columns.csv", 0, ["1 gap, 6,542 bars", "Number of trades (9 rows)"]),
        (
            "mixed_utc_offsets_partial_last_bar_15m.csv",
            3,
            ["+01:00 (2,882 rows)", "partial last bar: 1 row, the first is row 8721", "duplicate"],
        ),
        ("extra_columns_1m.csv", 0, ["1,499 bars"]),
        ("exchange_outages_1m.parquet", 0, ["150 bars, 0 days 02:30:00", "284 bars"]),
        ("git_lfs_pointer.csv", 3, ["not bars: a Git LFS pointer, fetch the real file"]),
    ],
)
def test_dirty_files_are_reported_as_they_are(capsys, tmp_path, name, status, words):
    done, out, _ = run(capsys, SHARED / "dirty" / name)
    assert done == status
    assert [word for word in words if word not in out] == []
    if "not bars" not in out:
        assert run(capsys, SHARED / "dirty" / name, "--fix", tmp_path / "x.parquet")[0] == 0
        index = load_bars(tmp_path / "x.parquet").bars.index
        assert np.diff(index.as_unit("s").asi8).min() > 0
