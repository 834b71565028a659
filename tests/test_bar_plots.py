import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num

from v8lib import bar_plots
from v8lib.bar_audit import audit_bars
from v8lib.bar_damage import damaged_bars, raw_from
from v8lib.errors import BarsError
from v8lib.market import simulate_market
from v8lib.seeds import stream


@pytest.fixture(scope="module")
def bars():
    return simulate_market(
        1_000, signal=0.5, decay=0.7, volatility=1e-3, interval_s=900, rng=stream(1, "BTC", "m")
    ).bars


def lanes(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_the_timeline_has_a_lane_for_each_kind_with_its_count(bars):
    audit = audit_bars(damaged_bars(bars))
    axes = bar_plots.plot_gaps(audit)
    assert lanes(axes) == [
        f"bars: {len(audit.bars)}",
        f"gaps: {len(audit.gaps)}",
        f"defects: {len(audit.defects)}",
        "outliers: 2",
    ]
    assert "Where the bars are" in axes.get_title(loc="left")
    assert axes.get_xlabel() == "time (UTC)"


def test_gaps_stand_where_they_are_and_are_wide_enough_to_be_seen(bars):
    audit = audit_bars(raw_from(bars.drop(bars.index[[100, *range(500, 700)]])))
    axes = bar_plots.plot_gaps(audit)
    spans = axes.collections[2].get_paths()
    left = [path.vertices[:, 0].min() for path in spans]
    widths = [np.ptp(path.vertices[:, 0]) for path in spans]
    assert left == pytest.approx(date2num(audit.gaps["start"]))
    period = np.ptp(date2num(bars.index[[0, -1]]))
    assert widths[0] == pytest.approx(period * bar_plots.MIN_WIDTH)
    assert widths[1] == pytest.approx(199 / 96)


def test_outliers_are_marked_at_their_price(bars):
    audit = audit_bars(damaged_bars(bars))
    axes = bar_plots.plot_outliers(audit)
    close, *marks = axes.lines
    assert len(close.get_ydata()) == len(audit.bars)
    marked = {mark.get_label(): mark.get_ydata().tolist() for mark in marks}
    expected = audit.outliers.set_index("what")["value"]
    assert marked == {"close: 1": [expected["close"]], "low: 1": [expected["low"]]}


def test_many_bars_are_thinned_and_their_outliers_stay():
    index = pd.date_range("2024-01-01", periods=20_000, freq="min", tz="UTC", name="timestamp")
    rng = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(1e-4 * rng.standard_normal(20_000)))
    columns = dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": 1.0}
    bars = pd.DataFrame(columns, index=index)
    bars.iloc[9_999, 1] *= 1.5
    axes = bar_plots.plot_outliers(audit_bars(raw_from(bars)))
    assert len(axes.lines[0].get_ydata()) == 4_000
    assert axes.lines[1].get_ydata().tolist() == [bars["high"].iloc[9_999]]


@pytest.mark.parametrize("plot", [bar_plots.plot_gaps, bar_plots.plot_outliers])
def test_of_what_is_not_bars_nothing_is_drawn(bars, plot):
    with pytest.raises(BarsError, match=r"memory: not bars, nothing to draw: 2 rows"):
        plot(audit_bars(raw_from(bars.iloc[:2])))


def test_sound_bars_are_drawn_without_marks(bars):
    audit = audit_bars(raw_from(bars))
    assert lanes(bar_plots.plot_gaps(audit))[1:] == ["gaps: 0", "defects: 0", "outliers: 0"]
    assert len(bar_plots.plot_outliers(audit).lines) == 1
