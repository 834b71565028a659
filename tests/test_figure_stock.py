import subprocess
import sys

import numpy as np
import pytest

from v8lib import figure_stock, plots
from v8lib.figure_png import png_of
from v8lib.storage import read_json
from v8ops.run.kernel_imports import LATER
from v8ops.run.steps import NOTEBOOKS, PROJECT

AHEAD = "v8ops.run.figures_ahead"


@pytest.fixture(autouse=True)
def empty_stock(monkeypatch):
    monkeypatch.setattr(figure_stock, "_stock", {})


def drawing(kind):
    panels = plots.new_axes(2 if kind == "two panels" else 1)
    for axes in panels:
        if kind == "three ticks":
            axes.bar(["DOWN", "HOLD", "UP"], [1.0, 2.0, 3.0])
        elif kind == "many ticks":
            axes.plot(np.arange(15.0))
            axes.set_xticks(range(15))
        elif kind == "logarithmic":
            axes.semilogx([0.25, 4.0], [0.0, 1.0], base=2)
        elif kind == "dates":
            axes.plot(np.datetime64("2024-01-01") + np.arange(50), np.arange(50))
        else:
            axes.plot([0.0, 1.0], [-3.5, 120.25])
            axes.tick_params(rotation=30)
        plots.dress(axes, "A title", "x", "y")
    return png_of(panels[0].figure)


@pytest.mark.parametrize(
    "kind", ["one panel", "two panels", "three ticks", "many ticks", "logarithmic", "dates"]
)
def test_a_figure_of_the_stock_is_drawn_as_a_new_one(kind):
    new = drawing(kind)
    figure_stock.stock_blank_figures({1: 1, 2: 1})
    taken = drawing(kind)
    assert sum(map(len, figure_stock._stock.values())) == 1  # it came from the stock
    assert taken == new


def test_every_figure_is_given_out_once_and_then_new_ones_are_made():
    figure_stock.stock_blank_figures({1: 2, 3: 1})
    figures = [figure_stock.blank_figure(n) for n in (1, 3, 1, 1, 3)]
    assert len(set(map(id, figures))) == 5
    assert [len(figure.axes) for figure in figures] == [1, 3, 1, 1, 3]
    ticks = [len(figure.axes[0].yaxis.majorTicks) for figure in figures]
    assert ticks == [figure_stock.TICKS_AHEAD] * 3 + [1, 1]


def test_the_parent_of_kernels_makes_what_the_longest_notebook_draws():
    assert AHEAD in LATER
    code = f"import {AHEAD}; from v8lib.figure_stock import _stock"
    code += "; print(sum(map(len, _stock.values())))"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True)
    cells = read_json(NOTEBOOKS / "04_diagnose.ipynb")["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    drawn = sum("image/png" in output.get("data", {}) for output in outputs)
    assert int(run.stdout) == drawn > 0
