"""Empty figures with their axes, some of them made before they are wanted.

Axes are some ninety small objects each, and every tick that a drawing adds is six more, which
take over the looks of the first. That is a quarter of a simple figure's time. The
parent of forked kernels makes a stock of them once, and every kernel forked after that finds all
of it.
"""

from collections.abc import Mapping

import seaborn as sns
from matplotlib.figure import Figure

from v8lib.figure_layout import SideBySide

STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "grid.color": "#E6E6E6",
}
TICKS_AHEAD = 8  # of each axis; a drawing that wants more adds them

_stock: dict[int, list[Figure]] = {}


def blank_figure(n: int) -> Figure:
    """Return a figure with `n` empty axes side by side: from the stock, or made now."""
    return _stock[n].pop() if _stock.get(n) else _made(n)


def stock_blank_figures(numbers: Mapping[int, int]) -> None:
    """Make figures ahead: as many as `numbers` says for each number of axes."""
    for n, how_many in numbers.items():
        figures = [_made(n) for _ in range(how_many)]
        for axis in (axis for f in figures for a in f.axes for axis in (a.xaxis, a.yaxis)):
            axis.get_major_ticks(TICKS_AHEAD)
        _stock.setdefault(n, []).extend(figures)


def _made(n: int) -> Figure:
    with sns.axes_style("whitegrid", STYLE), sns.plotting_context("notebook", rc=STYLE):
        figure = Figure(layout=SideBySide())
        figure.subplots(1, n)
    return figure
