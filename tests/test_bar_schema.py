import numpy as np
import pandas as pd
import pytest

from tests.dirty_bars import at, clean_bars
from v8lib.bar_schema import check_schema
from v8lib.errors import BarsError

COLUMNS = "the columns are not open, high, low, close, volume as float64"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_sound_bars_pass_whatever_the_resolution_of_their_index(unit):
    bars = clean_bars()
    bars.index = bars.index.as_unit(unit)
    check_schema(bars)
    check_schema(bars.iloc[:1])
    check_schema(at(bars, 3, volume=0.0))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda b: b.iloc[:0], "no bars"),
        (
            lambda b: at(b, 2, open=0.0),
            "not bars: 2024-01-29 01:00:00.*: 'open' is not a positive number",
        ),
        (lambda b: at(b, 2, close=-1.0), "'close' is not a positive number"),
        (lambda b: at(b, 2, high=np.inf), "'high' is not a positive number"),
        (lambda b: at(b, 30, low=np.nan), "2024-01-30 05:00:00.*: 'low' is not a positive number"),
        (lambda b: at(b, 2, volume=-1e-9), "'volume' is not a number of at least 0"),
        (lambda b: at(b, 2, volume=np.nan), "'volume' is not a number of at least 0"),
        (lambda b: at(b, 2, high=1.0, low=2.0), "01:00:00.*: high below low"),
        (lambda b: at(b, 2, high=b["low"].iloc[1]), "high below open or close"),
        (lambda b: at(b, 2, low=b["high"].iloc[1]), "low above open or close"),
        (lambda b: b.iloc[::-1], "the time does not increase"),
        (lambda b: b.iloc[[0, 1, 1]], "01:00:00.*: the time does not increase"),
        (lambda b: b.set_axis(b.index[:1].append(b.index[:-1])), "the time does not increase"),
        (lambda b: b.set_axis(b.index[0] + pd.to_timedelta(range(30), "ms")), "does not increase"),
        (lambda b: b.set_axis([pd.NaT, *b.index[1:]]), "the time does not increase"),
        (lambda b: b.tz_localize(None), "the index is not UTC"),
        (lambda b: b.tz_convert("Europe/Berlin"), "the index is not UTC"),
        (lambda b: b.reset_index(drop=True), "the index is not UTC|the time does not increase"),
        (lambda b: b.drop(columns="volume"), COLUMNS),
        (lambda b: b.assign(trades=1.0), COLUMNS),
        (lambda b: b[["high", "open", "low", "close", "volume"]], COLUMNS),
        (lambda b: b.astype({"volume": np.float32}), COLUMNS),
        (lambda b: b.astype({"open": str}), COLUMNS),
        (lambda b: pd.concat([b, b["open"]], axis=1), COLUMNS),
    ],
)
def test_every_rule_is_kept_and_named_with_the_first_bar_that_breaks_it(spoil, line):
    with pytest.raises(BarsError, match=line) as refused:
        check_schema(spoil(clean_bars()))
    assert len(str(refused.value).splitlines()) == 1
