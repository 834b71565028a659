"""Files as they are found in the wild, each ending as it should.

The tests with `dirty` read real files that are not part of this project and are skipped where
the folder is absent; tests/test_bar_files.py makes the same kinds of defect itself.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.csv
import pyarrow.parquet
import pytest

from v8lib.bar_files import read_bars
from v8lib.bar_fix import fix_bars
from v8lib.bar_schema import check_schema
from v8lib.bars import bar_seconds, load_bars
from v8lib.errors import BarsError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
YEAR = SHARED / "binance_spot_1m_2025" / "BTC-USDT.parquet"
MAX_SECONDS, MAX_MEGABYTES = 5.0, 1_000


@pytest.fixture
def dirty():
    folder = SHARED / "dirty"
    if not folder.is_dir():
        pytest.skip("the folder of real dirty files is not on this machine")
    return folder


def found(loaded):
    return {finding.name: finding.detail for finding in loaded.findings}


def test_three_header_rows(dirty):
    path = dirty / "three_header_rows_1h.csv"
    loaded, table = load_bars(path), pd.read_csv(path, skiprows=[1, 2])
    np.testing.assert_array_equal(loaded.bars["open"], table["Open"])
    np.testing.assert_array_equal(loaded.bars["high"], table["High"])
    assert (len(loaded.bars), bar_seconds(loaded.bars)) == (1_427, 3_600)
    assert found(loaded) == {
        "header": "3 header rows (Price, Ticker, Datetime)",
        "zero_volume": "50.2% of bars",
    }
    assert read_bars(path).dialect["not used"] == "Adj Close"


def test_newest_first_with_a_damaged_epoch(dirty):
    path = dirty / "newest_first_damaged_epoch_1h.csv"
    loaded, table = load_bars(path), pd.read_csv(path).iloc[::-1]
    expected = pd.to_datetime(table["date"] + " " + table["time"], format="%d-%m-%y %H:%M:%S")
    assert loaded.bars.index.tz_localize(None).tolist() == expected.tolist()
    np.testing.assert_array_equal(loaded.bars["volume"], table["Volume SOL"])
    assert found(loaded) == {
        "epoch_ignored": (
            "column 'unix': rounded as 1.63875E+12, 1,598 of 2,499 rows share a value; "
            "columns 'date' and 'time' used"
        ),
        "naive_times": "columns 'date' and 'time': no zone, taken as UTC",
        "order": "newest first: turned round",
        "gaps": "1 gaps, 2 bars, longest 0 days 02:00:00",
    }


def test_klines_with_a_gap_and_holes(dirty):
    loaded = load_bars(dirty / "binance_klines_12_columns.csv")
    assert (len(loaded.bars), bar_seconds(loaded.bars)) == (2_799, 300)
    findings = found(loaded)
    assert findings["gaps"] == "1 gaps, 6542 bars, longest 22 days 17:10:00"
    assert findings["holes_in_unused_columns"].startswith("Close time (9 rows), Quote asset vol")


def test_mixed_offsets_pasted_together(dirty):
    """Of two downloads that overlap, 32 bars stand twice, 11 of them with other numbers.

    The file is read as it is, in UTC; a run refuses it, as nobody can say which row is right;
    and what is left after fixing is bars.
    """
    path = dirty / "mixed_utc_offsets_partial_last_bar_15m.csv"
    raw, table = read_bars(path), pd.read_csv(path)
    expected = pd.to_datetime(table["Datetime"], utc=True)
    assert raw.table["timestamp"].tolist() == expected.tolist()
    (offsets,) = raw.findings
    assert offsets.name == "mixed_utc_offsets"
    assert offsets.detail == "column 'Datetime': UTC (5,839 rows), +01:00 (2,882 rows)"
    with pytest.raises(BarsError, match=r"row 2883: .* comes after .*; sort the rows with: python"):
        load_bars(path)
    bars, changes = fix_bars(raw)
    check_schema(bars)
    whole = table[expected.dt.floor("15min") == expected].assign(at=expected)
    different = whole.drop(columns="Datetime").drop_duplicates()
    assert bars.index.tolist() == sorted(different["at"].drop_duplicates(keep=False))
    assert 8_721 in set(changes["row"])


def test_mixed_offsets_without_the_overlap(dirty, tmp_path):
    """Without the rows that stand twice a run reads it, and leaves out the partial last bar."""
    lines = (dirty / "mixed_utc_offsets_partial_last_bar_15m.csv").read_text().splitlines()
    path = tmp_path / "BTC.csv"
    path.write_text("\n".join([lines[0], *lines[1:2850], *lines[2883:]]) + "\n")
    loaded = load_bars(path)
    findings = found(loaded)
    assert loaded.bars.index[-1] == pd.Timestamp("2021-12-29 13:45", tz="UTC")
    assert findings["partial_last_bar"] == "left out: 2021-12-29 13:50:02+00:00"
    assert set(findings) >= {"mixed_utc_offsets", "partial_last_bar", "zero_volume", "gaps"}


def test_other_names_and_extra_columns(dirty):
    path = dirty / "extra_columns_1m.csv"
    loaded, table = load_bars(path), pd.read_csv(path)
    expected = table[["Open", "High", "Low", "Close", "Volume"]].to_numpy()
    # pandas' own reader may be off by the last digit, this one is not.
    np.testing.assert_allclose(loaded.bars.to_numpy(), expected, rtol=1e-15)
    assert loaded.findings == ()
    assert read_bars(path).dialect["not used"] == "Volumenotional, Tradesdone"


def test_outages_stay_gaps(dirty):
    loaded = load_bars(dirty / "exchange_outages_1m.parquet")
    assert len(loaded.bars) == 13_966
    assert found(loaded) == {"gaps": "2 gaps, 434 bars, longest 0 days 04:44:00"}


def test_a_pointer_is_refused_in_one_line(dirty):
    path = dirty / "git_lfs_pointer.csv"
    with pytest.raises(BarsError) as refused:
        load_bars(path)
    line = f"{path}: not bars: a Git LFS pointer, fetch the real file"
    assert str(refused.value) == line


LOAD = """
import sys, time
from pathlib import Path
from v8lib.bars import load_bars
started = time.process_time()
n_bars = len(load_bars(sys.argv[1]).bars)
seconds = time.process_time() - started
(peak,) = [l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM")]
sys.stdout.write(f"{n_bars} {seconds} {int(peak.split()[1]) / 1024}")
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_year_of_minutes_is_read_and_checked_in_time_and_memory(tmp_path, repo, kind):
    if not YEAR.is_file() or not Path("/proc/self/status").is_file():
        pytest.skip("the year of one-minute bars, or the count of memory, is not on this machine")
    path = YEAR
    if kind == "csv":
        path = tmp_path / "BTC.csv"
        pyarrow.csv.write_csv(pyarrow.parquet.read_table(YEAR), path)
    command = [sys.executable, "-c", LOAD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=repo)
    n_bars, seconds, megabytes = map(float, done.stdout.split())
    assert n_bars == 525_600
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MEGABYTES
