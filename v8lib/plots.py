"""Figures: every function takes tables or arrays, computes nothing, and returns Axes."""

import base64
from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from numpy.typing import NDArray

from v8lib.figure_layout import TITLE_PAD, TITLE_SIZE
from v8lib.figure_png import png_of
from v8lib.figure_stock import blank_figure

# Okabe and Ito's colours for colour-blind readers.
COLOURS = {"DOWN": "#D55E00", "HOLD": "#7F7F7F", "UP": "#0072B2"}
MODEL, OTHER, GOOD, BAND = "#0072B2", "#E69F00", "#009E73", "#9EC9E2"


def new_axes(n: int = 1, *, width: float = 7.6, height: float = 3.3) -> NDArray[np.object_]:
    """Return `n` empty axes side by side on one figure, shape (n,); sizes in inches."""
    figure = blank_figure(n)
    figure.set_size_inches(width, height)
    return np.array(figure.axes)


def show(axes: Axes, *, alt: str) -> None:
    """Display the figure of `axes` as PNG, with `alt` for those who cannot see it."""
    png = base64.b64encode(png_of(axes.figure)).decode()
    display({"image/png": png, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})


def dress(axes: Axes, title: str, xlabel: str, ylabel: str = "", *, any_size: bool = False) -> None:
    """Give axes their title, on the left, and their labels.

    Numbers of `any_size`, as prices are, may have a common factor above the axes: the title then
    looks for a place over it, which lays out all ticks again.
    """
    axes.set_title(
        title,
        loc="left",
        y=None if any_size else 1.0,
        pad=TITLE_PAD,
        fontsize=TITLE_SIZE,
        weight="bold",
    )
    axes.set(xlabel=xlabel, ylabel=ylabel)


def plot_price(bars: pd.DataFrame, borders: Mapping[str, pd.Timestamp]) -> Axes:
    """Return the close through time, with a line where each split begins."""
    axes = new_axes(height=2.8)[0]
    shown = bars["close"].iloc[:: max(1, len(bars) // 4_000)]
    axes.plot(shown.index, shown, color="#333333", lw=0.8)
    for name, start in borders.items():
        axes.axvline(start, color=OTHER, lw=1)
        axes.annotate(
            f" {name}", (start, 0.97), xycoords=("data", "axes fraction"), fontsize=8.5, va="top"
        )
    dress(axes, "Close, and where each split begins", "time (UTC)", "price", any_size=True)
    return axes


def plot_shares(shares: pd.DataFrame, *, title: str) -> Axes:
    """Return the share of each class through time.

    Parameters
    ----------
    shares : DataFrame
        One row per period (time index), columns DOWN, HOLD, UP that sum to one.
    title : str
        What the shares are of.
    """
    axes = new_axes(height=2.8)[0]
    axes.stackplot(
        shares.index,
        shares.to_numpy().T,
        labels=shares.columns,
        colors=[COLOURS[c] for c in shares.columns],
        alpha=0.85,
    )
    for third in (1 / 3, 2 / 3):
        axes.axhline(third, color="white", lw=1, ls="--")
    dress(axes, title, "time (UTC)", "share")
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.legend(loc="upper left", ncols=3, facecolor="white", framealpha=0.9, frameon=True)
    return axes


def plot_learning_curves(history: pd.DataFrame, *, best_epoch: int) -> Axes:
    """Return training loss and valid log loss per epoch; the epoch that was kept is marked."""
    left, right = new_axes(2, height=2.9)
    left.plot(history["epoch"], history["train_loss"], marker="o", color=OTHER)
    dress(left, "Train", "epoch", "training loss")
    right.plot(history["epoch"], history["valid_log_loss"], marker="o", color=MODEL)
    right.axvline(best_epoch, color=GOOD, ls="--", label="kept")
    dress(right, "Valid", "epoch", "log loss (nats)")
    right.legend()
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    return right


def plot_reliability(
    tables: Mapping[str, pd.DataFrame], band: pd.DataFrame | None = None, *, title: str
) -> Axes:
    """Return accuracy against confidence per bin.

    Parameters
    ----------
    tables : mapping of name to DataFrame
        From `metrics.reliability_table`; the last one is drawn as the model, others behind it.
    band : DataFrame, optional
        Columns low and high per bin of the last table: where a perfect model would be.
    title : str
        Title.
    """
    axes = new_axes(width=5.2, height=4.4)[0]
    values = pd.concat(tables.values())[["confidence", "accuracy"]]
    low, high = float(values.min().min()) - 0.03, float(values.max().max()) + 0.03
    axes.plot([low, high], [low, high], color="#999999", lw=1, ls="--", label="perfect")
    *others, (name, table) = tables.items()
    if band is not None:
        label = "95 % of perfect models"
        axes.fill_between(table["confidence"], band["low"], band["high"], color=BAND, label=label)
    for other, shown in others:
        axes.plot(
            shown["confidence"], shown["accuracy"], marker="s", ms=4, color=OTHER, label=other
        )
    axes.plot(table["confidence"], table["accuracy"], marker="o", ms=5, color=MODEL, label=name)
    dress(axes, title, "mean confidence of the bin", "share that was right")
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.legend(loc="lower right")
    return axes


def plot_histograms(
    panels: Mapping[str, Mapping[str, NDArray[np.floating]]], *, limits: Mapping[str, float]
) -> Axes:
    """Return one histogram per quantity, each before and after calibration.

    Parameters
    ----------
    panels : mapping of quantity to mapping of name to array
        At most three quantities; each name is one histogram.
    limits : mapping of quantity to float
        Where a gate draws the line.
    """
    figure_axes = new_axes(len(panels), height=3.0)
    for axes, (quantity, samples) in zip(figure_axes, panels.items(), strict=True):
        everything = np.concatenate([np.ravel(values) for values in samples.values()])
        bins = np.linspace(everything.min(), everything.max() + 1e-9, 51)
        for (name, values), colour in zip(samples.items(), (OTHER, MODEL), strict=True):
            counts, _ = np.histogram(values, bins)
            shares = counts / values.size
            axes.stairs(shares, bins, fill=True, color=colour, label=name, alpha=0.55)
        if everything.min() < limits[quantity] < 1.5 * everything.max():
            axes.axvline(limits[quantity], color="#B00020", ls="--", label="limit")
        dress(axes, quantity.capitalize(), quantity, "share of values")
        axes.legend()
    return figure_axes[0]


def plot_confusion(counts: pd.DataFrame) -> Axes:
    """Return the confusion matrix, each row as shares of what happened, with counts."""
    axes = new_axes(width=5.2, height=3.8)[0]
    shares = counts.div(counts.sum(axis=1).replace(0, 1), axis=0)
    text = [
        [f"{share:.0%}\n{n:,}" for share, n in zip(*pair, strict=True)]
        for pair in zip(shares.to_numpy(), counts.to_numpy(), strict=True)
    ]
    sns.heatmap(
        shares, annot=text, fmt="", cmap="Blues", vmin=0, vmax=1, ax=axes, cbar=False, linewidths=1
    )
    dress(axes, "What was decided, for each class that happened", "decided", "happened")
    return axes


def plot_intervals(table: pd.DataFrame, *, title: str, xlabel: str) -> Axes:
    """Return point estimates with intervals, one row each, and a line at zero.

    Parameters
    ----------
    table : DataFrame
        Index of names; columns value, low, high.
    title, xlabel : str
        Title and quantity.
    """
    axes = new_axes(height=0.9 + 0.38 * len(table))[0]
    rows = np.arange(len(table))
    colours = [MODEL if str(name).startswith("V8") else "#777777" for name in table.index]
    axes.hlines(rows, table["low"], table["high"], colors=colours, lw=2.5)
    axes.scatter(table["value"], rows, color=colours, zorder=3)
    axes.axvline(0.0, color="#999999", lw=1)
    axes.set_yticks(rows, table.index)
    axes.invert_yaxis()
    dress(axes, title, xlabel)
    return axes


def plot_temperature(losses: pd.DataFrame, temperature: float | None) -> Axes:
    """Return the log loss on calib against the temperature, the fitted one marked."""
    axes = new_axes(height=2.9)[0]
    axes.plot(losses["temperature"], losses["log_loss"], color=MODEL)
    if temperature is not None:
        axes.axvline(temperature, color=GOOD, ls="--", label="fitted")
        axes.legend()
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    dress(axes, "One number, one minimum", "temperature (log scale)", "log loss on calib (nats)")
    return axes


def plot_symbol_shares(shares: pd.DataFrame) -> Axes:
    """Return decided class shares, one bar per symbol, with the 15 and 60 % limits."""
    axes = new_axes(height=2.9)[0]
    width = 0.25
    for k, name in enumerate(shares.columns):
        offsets = np.arange(len(shares)) + (k - 1) * width
        axes.bar(offsets, shares[name], width=width * 0.92, color=COLOURS[name], label=name)
    axes.axhspan(0.15, 0.60, color="#009E73", alpha=0.08, label="allowed")
    axes.set_xticks(np.arange(len(shares)), shares.index)
    dress(axes, "Decisions on test", "", "share")
    axes.set_ylim(0, 0.75)
    axes.legend(ncols=4, loc="upper center")
    return axes
