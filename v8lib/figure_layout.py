"""Where axes stand on a figure: side by side, of one size, with room for their labels.

Constrained layout lays out every text of a figure to place the axes, and the figure lays out
all of them again to be drawn, some of them twice. Here the tick labels are measured alone, by the
widths the font gives, and everything else has the height of its lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import LayoutEngine
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from numpy.typing import NDArray

POINTS = 72.0  # to the inch
EDGE = 0.05  # inches between the outermost letters and the edge of the figure
BETWEEN = 0.12  # inches between axes and what the next ones have on their left
# Sizes of the font: letters above and below their line, and what each of several lines adds.
ASCENT, DESCENT, GAP = 0.76, 0.24, 0.2
TITLE_SIZE, TITLE_PAD = 11, 6  # points; of every title
UPRIGHT = 45  # degrees; beyond them a label is as wide as its line is high


@dataclass(frozen=True)
class Room:
    """Inches that axes need on each side, and how far away from them their labels stand."""

    left: float
    right: float
    above: float
    below: float
    ylabel: float = 0.0
    xlabel: float = 0.0


FIRST = Room(0.7, 0.1, 0.3, 0.5)  # until it is measured


class SideBySide(LayoutEngine):
    """A layout for one row of axes of one size, with titles above and labels left and below.

    Legends outside of the axes and a title of the whole figure have no place in it.
    """

    _adjust_compatible = False
    _colorbar_gridspec = False

    def execute(self, fig: Figure) -> None:
        """Place the axes; the figure calls this when it is drawn.

        Parameters
        ----------
        fig : Figure
            All its axes stand in one row, in their order.
        """
        rooms = [FIRST] * len(fig.axes)
        # Ticks depend on the size of their axes, and that on what the ticks say: the second time
        # hardly anything moves.
        for _ in range(2):
            _place(fig, rooms)
            rooms = [_room(axes) for axes in fig.axes]
        _place(fig, rooms)
        for axes, room in zip(fig.axes, rooms, strict=True):
            width, height = _size(axes)
            # Where they would stand anyway, but all ticks would be laid out again to find it.
            axes.xaxis.set_label_coords(0.5, -room.xlabel / height)
            axes.yaxis.set_label_coords(-room.ylabel / width, 0.5)


def _place(fig: Figure, rooms: Sequence[Room]) -> None:
    width, height = fig.get_size_inches()
    gaps = [EDGE] + [BETWEEN] * (len(rooms) - 1)
    beside = sum(gaps) + EDGE + sum(room.left + room.right for room in rooms)
    below, above = EDGE + max(r.below for r in rooms), EDGE + max(r.above for r in rooms)
    wide, high = (width - beside) / len(rooms), height - below - above
    x = 0.0
    for axes, room, gap in zip(fig.axes, rooms, gaps, strict=True):
        x += gap + room.left
        axes.set_position((x / width, below / height, wide / width, high / height))
        axes.set_in_layout(True)  # or its place would count as given by somebody else
        x += wide + room.right


def _size(axes: Axes) -> NDArray[np.float64]:
    return axes.get_position().size * axes.figure.get_size_inches()


def _room(axes: Axes) -> Room:
    x, y = axes.xaxis, axes.yaxis
    (places, widths, heights), (_, indents, _) = _tick_labels(x), _tick_labels(y)
    below, left = _with_pad(x, heights), _with_pad(y, indents)
    xlabel, ylabel = below + x.labelpad / POINTS, left + y.labelpad / POINTS
    length = _size(axes)[0]
    beyond = widths / 2 - places * length, widths / 2 + places * length - length
    return Room(
        left=max(left, ylabel + _label(y), beyond[0].max(initial=0.0)),
        right=beyond[1].max(initial=0.0),
        above=_above(axes),
        below=max(below + _factor(x), xlabel + _label(x)),
        ylabel=ylabel,
        xlabel=xlabel,
    )


def _tick_labels(axis: Axis) -> NDArray[np.float64]:
    """Return where the tick labels stand and how large they are, shape (3, n_labels).

    Shares of the axis, and inches across and upright.
    """
    low, high = axis.get_transform().transform(np.array(axis.get_view_interval()))
    found = []
    for ticker, ticks in ((axis.major, axis.get_major_ticks), (axis.minor, axis.get_minor_ticks)):
        locations = np.asarray(ticker.locator(), dtype=float)
        places = (axis.get_transform().transform(locations) - low) / (high - low)
        for place, words in zip(places, ticker.formatter.format_ticks(locations), strict=True):
            if words and -1e-6 <= place <= 1 + 1e-6:  # those beyond are not drawn
                found.append((place, *_extent(words, ticks(1)[0].label1)))
    return np.array(found, dtype=float).reshape(-1, 3).T


def _extent(words: str, like: Text) -> tuple[float, float]:
    """Return the inches that words take across and upright in the font of a text."""
    font, size = like.get_fontproperties(), like.get_fontsize()
    upright, widths = _lines(words, size) * POINTS, []
    for line in words.split("\n"):
        width, height, depth = _measured(line, font)
        widths.append(width)  # and formulas may be higher than letters
        upright += max(0.0, height - depth - ASCENT * size) + max(0.0, depth - DESCENT * size)
    extent = max(widths) / POINTS, upright / POINTS
    return extent if like.get_rotation() % 180 < UPRIGHT else extent[::-1]


@lru_cache(maxsize=4_096)  # most labels are on several axes, and are measured twice on each
def _measured(line: str, font: FontProperties) -> tuple[float, float, float]:
    return text_to_path.get_text_width_height_descent(line, font, is_math_text(line))


def _lines(words: str, points: float) -> float:
    """Return the inches that words take upright, at a size in points; 0 without words."""
    number = words.count("\n") + 1 if words else 0
    return number * points * (ASCENT + DESCENT + (GAP if number > 1 else 0.0)) / POINTS


def _with_pad(axis: Axis, extents: NDArray[np.float64]) -> float:
    """Return the inches from the axes to the far side of its tick labels; 0 without any."""
    if not len(extents):
        return 0.0
    tick = axis.get_major_ticks(1)[0]
    return extents.max() + (tick.get_pad() + tick.get_tick_padding()) / POINTS


def _label(axis: Axis) -> float:
    return _lines(axis.get_label_text(), axis.label.get_fontsize())


def _factor(axis: Axis) -> float:
    """Return the inches of the line that a common factor, or date, of all tick labels takes."""
    if not axis.major.formatter.get_offset():
        return 0.0
    size = axis.get_offset_text().get_fontsize()
    return ((ASCENT + DESCENT) * size + axis.OFFSETTEXTPAD) / POINTS


def _above(axes: Axes) -> float:
    title = _lines(axes.get_title(loc="left"), TITLE_SIZE)
    return title + TITLE_PAD / POINTS + _factor(axes.yaxis)
