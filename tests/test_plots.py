import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context, rcParams
from matplotlib.text import Text

from v8lib import plots
from v8lib.figure_png import png_of


@pytest.fixture
def title_and_others():
    def of(axes):
        axes.figure.draw_without_rendering()
        texts = [text for text in axes.findobj(Text) if text.get_text()]
        title = next(text for text in texts if text.get_text() == axes.get_title(loc="left"))
        others = [text for text in texts if text is not title]
        return title.get_window_extent(), [text.get_window_extent() for text in others]

    return of


@pytest.mark.parametrize("level", [3e-9, 0.4, 61_234.5, 7e9])
def test_the_title_stands_clear_of_prices_of_any_size(title_and_others, level):
    index = pd.date_range("2024-01-01", periods=50, freq="1h", tz="UTC")
    bars = pd.DataFrame({"close": level * (1 + 1e-5 * np.arange(50))}, index)
    axes = plots.plot_price(bars, {"valid": index[30]})
    title, others = title_and_others(axes)
    factor = axes.yaxis.get_offset_text().get_text()
    assert bool(factor) == (level in (3e-9, 7e9))
    assert title.y0 >= axes.bbox.y1
    assert not any(text.overlaps(title) for text in others)


def test_the_title_stands_right_above_the_axes(title_and_others):
    left, right = plots.new_axes(2)
    for axes, values in ((left, [0.0, 1.0]), (right, [-3.5, 120.25])):
        axes.plot(values)
        plots.dress(axes, "A title", "x", "y")
        title, others = title_and_others(axes)
        assert 0 <= title.y0 - axes.bbox.y1 <= 0.5 * title.height
        assert not any(text.overlaps(title) for text in others)


def test_a_figure_is_the_same_whatever_hinting_its_reader_has_set():
    def drawn():
        axes = plots.new_axes()[0]
        axes.plot([0.0, 1.0])
        plots.dress(axes, "Where it went", "time", "price")
        return png_of(axes.figure)

    expected = drawn()
    with rc_context({"text.hinting": "force_autohint"}):
        assert drawn() == expected
        assert rcParams["text.hinting"] == "force_autohint"
