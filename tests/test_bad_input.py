"""Bad input ends with status 2 and one line that names it, and leaves nothing behind."""

import pandas as pd
import pytest
import torch

from tests.runs import bars, run_all


@pytest.fixture(scope="module")
def good():
    return bars(6_000)


def refused(tmp_path, *arguments):
    """Run, and return the one line on stderr after checking that nothing was written."""
    done = run_all("--out", tmp_path / "out", "--run-id", "x", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert not (tmp_path / "out").exists()
    return lines[0]


def data(tmp_path, **frames):
    folder = tmp_path / "data"
    folder.mkdir()
    for symbol, content in frames.items():
        if isinstance(content, pd.DataFrame):
            content.to_csv(folder / f"{symbol}.csv", index=False)
        else:
            (folder / f"{symbol}.csv").write_text(content)
    return ("--data", folder, "--symbols", *frames)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_before_anything_runs(tmp_path, device):
    if getattr(torch.backends if device == "mps" else torch, device).is_available():
        pytest.skip(f"this machine has {device}")
    assert f"device = '{device}'" in refused(tmp_path, "--set", f"device={device}")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--symbols", "DOGE"], "unknown symbol 'DOGE'"),
        (["--symbols", "BTC", "BTC"], "BTC is named twice"),
        (["--set", "learning_rte=0.1"], "did you mean 'learning_rate'"),
        (["--set", "learning_rate=1e-3"], "write 0.001"),
        (["--set", "horizon_bars=0"], "horizon_bars = 0"),
        (["--set", "epochs=two"], "epochs = 'two'"),
        (["--set", "epochs"], "expected key=value"),
        (["--set", "exclude_families=volumes"], "no family 'volumes'"),
        (["--set", "horizon_bars=4000", "--profile", "smoke"], "are needed"),
        (["--set", "source=files"], "--source"),
        (["--set", "precision=fp16"], "precision = 'fp16'"),
        (["--data", "nowhere"], "nowhere: no such folder"),
        (["--resume", "never"], "no run in"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(tmp_path, arguments, named):
    if "--resume" in arguments:
        done = run_all("--out", tmp_path / "out", *arguments)
        assert (done.returncode, (tmp_path / "out").exists()) == (2, False)
        assert named in done.stderr
    else:
        assert named in refused(tmp_path, *arguments)


def test_a_symbol_without_a_file_is_named_when_others_have_one(tmp_path, good):
    arguments = data(tmp_path, BTC=good)
    line = refused(tmp_path, *arguments, "ETH", "SOL")
    assert "no bars in" in line
    assert "ETH, SOL" in line
    assert "ETH or ETH-USD, SOL or SOL-USD as .parquet" in line


def test_files_asked_for_and_missing_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "BTC" in refused(tmp_path, "--data", tmp_path / "empty", "--source", "files")


def test_an_out_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run_all("--profile", "smoke", "--out", tmp_path / "file", "--symbols", "BTC")
    assert done.returncode == 2
    assert "cannot write to" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def change(frame, row, column, value):
    changed = frame.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[row, column] = value
    return changed


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda b: "", "the file is empty"),
        (lambda b: "timestamp,open,high,low,close,volume\n", "no rows"),
        (lambda b: b.drop(columns="close"), "no column 'close'"),
        (lambda b: b.drop(columns="timestamp"), "no time column"),
        (lambda b: b.iloc[[0, 2, 1, *range(3, len(b))]], "row 3"),
        (lambda b: pd.concat([b.iloc[:9], b.iloc[8:]]), "stands twice"),
        (lambda b: change(b, 4, "close", 0.0), "column 'close', row 5"),
        (lambda b: change(b, 6, "open", "n/a?"), "column 'open', row 7"),
        (lambda b: change(b, 7, "high", 1e-9), "row 8"),
        (lambda b: b.iloc[:1_500], "are needed"),
        (lambda b: "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    ],
)
def test_bars_that_cannot_be_used_are_refused_by_file_and_row(tmp_path, good, spoil, named):
    line = refused(tmp_path, *data(tmp_path, BTC=spoil(good)))
    assert "BTC.csv" in line
    assert named in line
