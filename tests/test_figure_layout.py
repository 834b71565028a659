"""Every figure's texts must be whole, clear of each other, and where matplotlib would put them."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from v8lib import plots

NAMES = ["V8", "a baseline with a name that is far longer than any other", "n"]
PIXELS = 2.0  # of 100 to the inch: the font's own widths against those of the letters drawn


def drawn(axes):
    return _draw(axes.figure)


def _draw(figure):
    with rc_context({"text.hinting": "none"}):  # as they are drawn in reports
        FigureCanvasAgg(figure).draw()
    return figure


def texts(figure):
    shown = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    found = [t for t in shown if t.get_window_extent().width > 0 and _drawn(t, figure)]
    assert len(found) >= 6  # a title, a label and the ends of both axes
    return found


def _drawn(text, figure):
    """Ticks beyond the ends of an axis keep their labels and are not drawn."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if text in (tick.label1, tick.label2):
                    low, high = sorted(axis.get_view_interval())
                    return text is tick.label1 and low <= tick.get_loc() <= high
    return True


def line(values, xlabel="time (UTC)", ylabel="price", x=None):
    axes = plots.new_axes()[0]
    axes.plot(np.arange(len(values)) if x is None else x, values)
    plots.dress(axes, "A title", xlabel, ylabel, any_size=True)
    return axes


def prices(level, step=0.01):
    return line(level * (1 + step * np.arange(20)))


def of_dates(period):
    x = pd.date_range("2024-01-01", periods=40, freq=period, tz="UTC")
    return line(np.arange(40.0), x=x)


def intervals():
    table = pd.DataFrame({"value": [0.1, 0.2, 0.3], "low": 0.0, "high": 0.4}, index=NAMES)
    return plots.plot_intervals(table, title="Skill", xlabel="log-loss skill")


def confusion():
    names = ["DOWN", "HOLD", "UP"]
    counts = pd.DataFrame(np.arange(1, 10).reshape(3, 3) * 10**6, index=names, columns=names)
    return plots.plot_confusion(counts)


def temperature():
    losses = pd.DataFrame({"temperature": np.geomspace(0.05, 20, 30), "log_loss": np.arange(30.0)})
    return plots.plot_temperature(losses, 1.0)


def powers_of_ten():
    axes = line(np.geomspace(1e-4, 1e6, 30), x=np.geomspace(0.05, 20, 30))
    axes.set(xscale="log", yscale="log")
    return axes


def three_panels():
    left, middle, right = plots.new_axes(3)
    for axes, scale in ((left, 1.0), (middle, 12_345.678), (right, 1e-3)):
        axes.plot(scale * np.arange(5), scale * np.arange(5))
        plots.dress(axes, "Panel", "x", "" if axes is middle else "y", any_size=True)
    right.set_xticks([0.0, 0.004], ["from\nhere\non", "to\nthere"])  # one needs more room below
    return right


def long_label_at_the_end():
    axes = plots.new_axes()[0]
    axes.plot([0.0, 1.0])
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0.0, 1.0], ["where it all began\nlong ago", "where it all ended"])
    plots.dress(axes, "A title", "time", "")
    return axes


CASES = {
    **{f"prices of {x:g}": lambda x=x: prices(x) for x in (3e-9, 4e-4, 1.0, 61_234.5, 9e8, -7e3)},
    "prices close together": lambda: prices(61_234.5, 1e-7),
    **{f"dates, {p}": lambda p=p: of_dates(p) for p in ("1min", "15min", "1h", "7D", "30D")},
    "long names": intervals,
    "labels turned": confusion,
    "temperatures": temperature,
    "powers of ten": powers_of_ten,
    "three panels": three_panels,
    "long labels at the ends": long_label_at_the_end,
}


@pytest.fixture(params=CASES, ids=str)
def figure(request):
    return drawn(CASES[request.param]())


def test_no_text_is_cut_off(figure):
    inside = figure.bbox.padded(-1.0)
    for text in texts(figure):
        box = text.get_window_extent()
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1, text.get_text()
        assert inside.y0 <= box.y0 and box.y1 <= inside.y1, text.get_text()


def test_labels_and_titles_stand_clear_of_every_other_text(figure):
    for axes in figure.axes:
        names = {axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()}
        for one, other in combinations(texts(figure), 2):
            if names & {one.get_text(), other.get_text()}:
                assert not one.get_window_extent().overlaps(other.get_window_extent())


@pytest.mark.parametrize("name", CASES)
def test_labels_are_where_matplotlib_puts_them(name):
    figure, other = drawn(CASES[name]()), CASES[name]().figure
    other.set_layout_engine("none")
    for ours, theirs in zip(figure.axes, other.axes, strict=True):
        theirs.set_position(ours.get_position())
    _draw(other)
    for ours, theirs in zip(figure.axes, other.axes, strict=True):
        for one, two in ((ours.xaxis, theirs.xaxis), (ours.yaxis, theirs.yaxis)):
            boxes = [axis.label.get_window_extent().bounds for axis in (one, two)]
            np.testing.assert_allclose(*boxes, atol=PIXELS)


def test_panels_have_one_size_and_one_base():
    figure = drawn(three_panels())
    boxes = [axes.get_position() for axes in figure.axes]
    assert len({round(b.width, 6) for b in boxes}) == len({round(b.height, 6) for b in boxes}) == 1
    assert len({round(b.y0, 6) for b in boxes}) == 1


def test_axes_take_what_labels_leave():
    """Room on the left is for what stands there, not for the longest there could be."""
    short, long = drawn(prices(1.0)).axes[0], drawn(intervals()).axes[0]
    assert short.get_position().x0 < 0.12
    assert long.get_position().x0 > 0.35
    assert short.get_position().x1 > 0.97
