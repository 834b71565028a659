"""One symbol from a source into its file: what is missing is asked for, judged and stored."""

import contextlib
import importlib.metadata
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_interval import interval_word
from v8lib.errors import ParameterError
from v8ops.feeds.bar_file import Origin
from v8ops.feeds.bar_store import BarStore, Fetched, Range
from v8ops.feeds.judging import bad_bars, time_words
from v8ops.feeds.paging import Piece
from v8ops.feeds.patience import FeedError
from v8ops.feeds.progress import Watch

SHOWN_BAD_BARS = 20


class Source(Protocol):
    """An exchange or an archive.

    Attributes
    ----------
    name : str
        On the command line and in files.
    version : str
        Of the program that asks.
    overlap_bars : int
        Bars to ask for again when a file is extended.
    pieces_per_part : int
        Pieces after which what came is written.
    """

    name: str
    version: str
    overlap_bars: int
    pieces_per_part: int

    def check_interval(self, interval_s: int) -> None:
        """Raise ParameterError if there are no such bars."""

    def connect(self) -> float:
        """Return the source's time in seconds, or raise FeedError if it is out of reach."""

    def find_market(self, market: str) -> str:
        """Return the market's own name, or raise FeedError."""

    def now(self) -> float:
        """Return the time by the source's clock, in seconds."""

    def pieces(
        self, market: str, interval_s: int, start: int, stop: int, *, to_the_end: bool
    ) -> Generator[Piece, None, None]:
        """Yield all that is known from `start` to `stop`, in pieces that do not overlap.

        `to_the_end` says that no later bars are there: what is not published yet is left out.
        """


@dataclass(frozen=True)
class Order:
    """What to fetch.

    Attributes
    ----------
    symbol, market : str
    interval_s : int
    since, until : float
        Seconds since 1970-01-01 UTC; `until` is infinite for all there is.
    folder : Path
    drop_bad : bool
        Leave bars out that are none, instead of refusing them.
    """

    symbol: str
    market: str
    interval_s: int
    since: float
    until: float
    folder: Path
    drop_bad: bool = False


def fetch_symbol(source: Source, order: Order, watch: Watch) -> Fetched:
    """Bring the file of a symbol up to what was ordered, and return what it holds then.

    What was fetched is kept if this ends early, in whatever manner: the next call goes on.

    Raises
    ------
    FeedError
        If the source does not answer, gives bars that are none, or the file cannot be used.
    ParameterError
        If the period holds no whole bar that is closed.
    """
    market = source.find_market(order.market)
    wanted = _closed_bars(source, order)
    origin = Origin(
        source.name,
        market,
        interval_word(order.interval_s),
        f"v8-notebook-suite {importlib.metadata.version('v8-notebook-suite')}, {source.version}",
    )
    store = BarStore(order.folder, order.symbol, origin, order.interval_s, source.pieces_per_part)
    with store.opened():
        span = store.span(wanted)
        ranges = store.to_fetch(span, source.overlap_bars)
        if ranges:
            watch.begin(order.symbol, sum(stop - start for start, stop in ranges))
        try:
            for start, stop in ranges:
                last = stop == span[1]
                pieces = source.pieces(market, order.interval_s, start, stop, to_the_end=last)
                with contextlib.closing(pieces):
                    for piece in pieces:
                        store.add(piece.start, piece.stop, _judged(piece, order, watch))
                        watch.advance(piece.stop - piece.start, piece.stop)
        finally:
            store.flush()
        fetched = store.finish(span)
    if fetched.first >= fetched.start + order.interval_s:
        watch.note(
            f"{order.symbol}: begins at {time_words(fetched.first)}: {source.name} has no bars "
            f"from {time_words(fetched.start)} until then"
        )
    return fetched


def check_clock(now_s: float, source: Source, interval_s: int, watch: Watch) -> None:
    """Warn if the local clock is off by more than a bar: a person may go by it elsewhere."""
    ahead = time.time() - now_s
    if abs(ahead) > interval_s:
        where = "ahead of" if ahead > 0.0 else "behind"
        watch.note(
            f"warning: the local clock is {abs(ahead):.0f} s {where} that of {source.name}; "
            "which bars are closed is decided by the latter"
        )


def _closed_bars(source: Source, order: Order) -> Range:
    """Return the ordered range on the grid of the interval, without the bar that is still open."""
    now, length = source.now(), order.interval_s
    start = int(-(-order.since // length)) * length
    stop = int(now // length) * length
    if order.until < stop:
        stop = int(-(-order.until // length)) * length
    if start >= stop:
        raise ParameterError(
            f"no closed bar from {time_words(order.since)} on: it is {time_words(now)} at "
            f"{source.name}"
        )
    return start, stop


def _judged(piece: Piece, order: Order, watch: Watch) -> NDArray[np.float64]:
    """Return the rows of a piece that are bars."""
    bad, lines = bad_bars(piece.rows, order.interval_s)
    if not lines:
        return piece.rows
    if not order.drop_bad:
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        raise FeedError(
            f"{order.market}: not a bar: {lines[0]}{more}; --drop-bad leaves such bars out"
        )
    for line in lines[:SHOWN_BAD_BARS]:
        watch.note(f"{order.symbol}: left out: {line}")
    if len(lines) > SHOWN_BAD_BARS:
        watch.note(f"{order.symbol}: left out: {len(lines) - SHOWN_BAD_BARS} more such bars")
    return piece.rows[~bad]
