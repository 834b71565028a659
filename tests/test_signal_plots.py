import io

import numpy as np
import pandas as pd
import pytest

from v8lib import signal_plots

CURVE = pd.DataFrame(
    {
        "coverage": [0.2, 0.5, 1.0],
        "threshold": [0.7, 0.6, 0.4],
        "accuracy": [0.8, 0.7, 0.5],
        "mean_confidence": [0.75, 0.68, 0.52],
    }
)
WEEKS = pd.DataFrame(
    {"n": [10, 20], "coverage": [0.8, 0.95], "mean_set_size": [1.5, 2.0]},
    index=pd.to_datetime(["2024-06-03", "2024-06-10"], utc=True),
)
EARNED = pd.DataFrame(
    {
        "cost_bps": [0.0, 5.0, 10.0],
        "mean_net_bps": [4.0, -1.0, -6.0],
        "low": [1.0, -4.0, -9.0],
        "high": [7.0, 2.0, -3.0],
    }
)


def lines(axes):
    return {
        line.get_label(): (np.asarray(line.get_xdata()).tolist(), list(line.get_ydata()))
        for line in axes.lines
    }


def drawn(axes):
    """Return the size of the picture: drawing it finds what building it does not."""
    buffer = io.BytesIO()
    axes.figure.savefig(buffer, format="png")
    return len(buffer.getvalue())


def test_risk_coverage_shows_both_curves_and_the_last_point_above_the_bar():
    axes = signal_plots.plot_risk_coverage(CURVE, min_confidence=0.6)
    shown = lines(axes)
    assert shown["right"] == ([0.2, 0.5, 1.0], [0.8, 0.7, 0.5])
    assert shown["said"] == ([0.2, 0.5, 1.0], [0.75, 0.68, 0.52])
    assert shown["confidence 60%"][0] == [0.5, 0.5]
    assert drawn(axes) > 5_000


def test_a_bar_that_no_row_reaches_is_not_drawn():
    axes = signal_plots.plot_risk_coverage(CURVE, min_confidence=0.9)
    assert set(lines(axes)) == {"right", "said"}


def test_coverage_shows_each_week_and_the_target():
    axes = signal_plots.plot_coverage(WEEKS, error_rate=0.1)
    shown = lines(axes)
    assert shown["per week"][1] == [0.8, 0.95]
    assert shown["target 90%"][1] == pytest.approx([0.9, 0.9])
    assert drawn(axes) > 5_000


def test_earnings_show_means_and_intervals():
    axes = signal_plots.plot_earnings(EARNED)
    assert lines(axes)["mean"] == ([0.0, 5.0, 10.0], [4.0, -1.0, -6.0])
    corners = axes.collections[0].get_paths()[0].vertices
    assert {(0.0, 1.0), (0.0, 7.0), (10.0, -9.0), (10.0, -3.0)} <= {tuple(c) for c in corners}
    assert drawn(axes) > 5_000


def test_earnings_without_intervals_still_show_the_means():
    axes = signal_plots.plot_earnings(EARNED.assign(low=np.nan, high=np.nan))
    assert lines(axes)["mean"][1] == [4.0, -1.0, -6.0]
    assert drawn(axes) > 5_000


@pytest.mark.parametrize(
    "axes",
    [
        signal_plots.plot_risk_coverage(CURVE, min_confidence=0.6),
        signal_plots.plot_coverage(WEEKS, 0.1),
        signal_plots.plot_earnings(EARNED),
    ],
    ids=["risk_coverage", "coverage", "earnings"],
)
def test_every_figure_has_a_title_and_names_its_axes(axes):
    assert axes.get_title(loc="left")
    assert axes.get_xlabel()
    assert axes.get_ylabel()
