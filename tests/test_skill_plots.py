import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from v8lib import plots
from v8lib.figure_png import png_of
from v8lib.skill_plots import plot_regimes, plot_sources, plot_weekly

NAN = float("nan")


def weeks(rolling):
    index = pd.date_range("2024-01-01", periods=5, freq="7D", tz="UTC", name="week")
    return pd.DataFrame({"skill": [0.1, -0.1, NAN, 0.2, 0.3], "rolling skill": rolling}, index)


def lines(names, pairs):
    index = pd.MultiIndex.from_tuples(pairs, names=names)
    values = 0.01 * np.arange(len(pairs))
    return pd.DataFrame({"value": values, "low": values - 0.02, "high": values + 0.03}, index)


@pytest.fixture
def regime_lines():
    pairs = [("volatility", "low"), ("volatility", "high"), ("hour", "00-04")]
    return lines(["regime", "group"], pairs).rename(columns={"value": "skill"})


@pytest.fixture
def source_lines():
    parts = ("volatility", "direction", "total")
    pairs = [(name, part) for name in ("climatology", "volatility_only") for part in parts]
    return lines(["reference", "source"], pairs)


def drawn(axes):
    """Return the points (x, y) and the horizontal lines (low, high, y) of an interval plot."""
    bars, points = axes.collections
    segments = [(s[0, 0], s[1, 0], s[0, 1]) for s in bars.get_segments()]
    return np.array(points.get_offsets()), np.array(segments)


def test_each_week_is_a_point_and_rolling_skill_a_line_over_a_line_at_zero():
    table = weeks([NAN, NAN, NAN, 0.05, 0.15])
    axes = plot_weekly(table)
    zero, line = axes.get_lines()
    assert list(zero.get_ydata()) == [0.0, 0.0]
    assert list(line.get_ydata())[3:] == [0.05, 0.15]
    points = np.ma.filled(axes.collections[0].get_offsets()[:, 1], NAN).tolist()
    assert points == pytest.approx([0.1, -0.1, NAN, 0.2, 0.3], nan_ok=True)
    assert axes.get_xlabel() == "week beginning (UTC)"
    assert axes.get_ylabel() == "log-loss skill"
    assert axes.get_title(loc="left")
    assert len(axes.get_legend().get_texts()) == 2


def test_fewer_than_four_weeks_have_no_rolling_line_and_no_key_for_it():
    axes = plot_weekly(weeks([NAN] * 5))
    assert len(axes.get_lines()) == 1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one week"]


def test_each_group_is_drawn_with_its_interval_and_its_name(regime_lines):
    axes = plot_regimes(regime_lines)
    points, segments = drawn(axes)
    assert points[:, 0] == pytest.approx(regime_lines["skill"])
    assert segments[:, 0] == pytest.approx(regime_lines["low"])
    assert segments[:, 1] == pytest.approx(regime_lines["high"])
    assert points[:, 1] == pytest.approx(segments[:, 2])
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["volatility: low", "volatility: high", "hour: 00-04"]
    assert "interval" in axes.get_xlabel()
    assert axes.get_title(loc="left")


def test_the_first_row_is_on_top_and_regimes_stand_apart(regime_lines):
    axes = plot_regimes(regime_lines)
    heights = drawn(axes)[0][:, 1]
    assert axes.yaxis_inverted()
    assert heights[2] - heights[1] > heights[1] - heights[0] > 0.0


def test_a_group_without_interval_is_a_point_alone(regime_lines):
    regime_lines.loc[("volatility", "low"), ["low", "high"]] = NAN
    axes = plot_regimes(regime_lines)
    axes.figure.draw_without_rendering()
    bars, points = axes.collections
    assert [len(segment) for segment in bars.get_segments()] == [0, 2, 2]
    assert points.get_offsets()[:, 0].tolist() == regime_lines["skill"].tolist()


def test_each_source_has_one_colour_over_every_reference(source_lines):
    axes = plot_sources(source_lines)
    points, segments = drawn(axes)
    assert points[:, 0] == pytest.approx(source_lines["value"])
    assert segments[:, :2] == pytest.approx(source_lines[["low", "high"]].to_numpy())
    colours = axes.collections[1].get_facecolors()
    assert np.array_equal(colours[:3], colours[3:])
    assert len({tuple(colour) for colour in colours}) == 3
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0] == "over climatology: volatility"
    assert labels[5] == "over volatility only: total"
    assert axes.get_xlabel()


def test_tables_are_left_as_they_were(regime_lines, source_lines):
    table = weeks([NAN, NAN, NAN, 0.05, 0.15])
    for plot, shown in (
        (plot_weekly, table),
        (plot_regimes, regime_lines),
        (plot_sources, source_lines),
    ):
        before = shown.copy()
        plot(shown)
        pd.testing.assert_frame_equal(shown, before)


def test_a_figure_keeps_its_white_and_its_bytes():
    axes = plots.new_axes()[0]
    axes.fill_between([0, 1], [1, 2], color="#FDFDFF")  # near enough to be taken together
    first, second = png_of(axes.figure), png_of(axes.figure)
    image = Image.open(io.BytesIO(first))
    assert image.mode == "P"
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert first == second
