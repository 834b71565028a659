"""``python -m v8ops fetch``: bars of an exchange or an archive, one Parquet file per symbol."""

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from v8lib.bar_interval import parse_interval
from v8lib.errors import ParameterError, V8Error
from v8ops.feeds.archive import NAME as ARCHIVE
from v8ops.feeds.archive import Archive
from v8ops.feeds.bar_store import Fetched
from v8ops.feeds.downloads import Downloads
from v8ops.feeds.exchange import Exchange, open_client
from v8ops.feeds.fetch_symbol import Order, Source, check_clock, fetch_symbol
from v8ops.feeds.judging import time_words
from v8ops.feeds.patience import FeedError, Patience
from v8ops.feeds.progress import Watch, make_watch
from v8ops.feeds.settings import PROJECT, FeedSettings, check_settings, read_settings

HEADINGS = ("symbol", "file", "first bar", "last bar", "bars", "gaps", "missing", "new", "changed")
LEFT_ALIGNED = 4  # columns of words; the others are numbers
INTERRUPTED = 130


@dataclass(frozen=True)
class Plan:
    """The command line, understood."""

    settings: FeedSettings
    orders: tuple[Order, ...]
    api_url: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of fetch."""
    parser.description = (
        "Fetch bars and write DATA/<SYMBOL>.parquet. A file that is there is extended, an\n"
        "interrupted fetch goes on. No keys are needed. Defaults: params/feeds.yaml."
    )
    parser.epilog = (
        "Exit status: 0 all symbols are there, 1 a symbol failed, 2 bad arguments (nothing was\n"
        "fetched), 130 interrupted."
    )
    add = parser.add_argument
    add("--exchange", metavar="NAME", help=f"a name ccxt knows, or {ARCHIVE}")
    add("--symbols", nargs="+", metavar="SYMBOL", help="for instance BTC ETH SOL")
    add("--interval", metavar="WORD", help="length of a bar: 1m, 15m, 1h, 1d ...")
    add("--since", metavar="TIME", help="first bar: a date or ISO time, UTC unless it says else")
    add("--until", metavar="TIME", help="bars before this time only (default: now)")
    add("--market", metavar="PATTERN", help="name of the market, with {symbol} in it")
    add("--data", metavar="DIR", help="folder of the files (default: data)")
    add("--api-url", metavar="URL", help="a mirror or proxy in place of the exchange's address")
    add("--drop-bad", action="store_true", help="leave out, and list, bars that are none")


def main(options: argparse.Namespace, sleep: Callable[[float], None] = time.sleep) -> int:
    """Fetch what the options say and return the exit status.

    Parameters
    ----------
    options : Namespace
        Of `add_arguments`.
    sleep : callable
        How to wait between two tries.

    Raises
    ------
    V8Error
        If the options cannot be followed. Nothing was fetched then.
    """
    plan = make_plan(options, read_settings())
    try:
        with make_watch() as watch:
            source = open_source(plan, sleep, watch.note)
            interval_s = plan.orders[0].interval_s
            source.check_interval(interval_s)
            check_clock(source.connect(), source, interval_s, watch)
            fetched, errors = _fetch_all(source, plan.orders, watch)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: what was fetched is kept, the same call goes on with it\n")
        return INTERRUPTED
    except FeedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if fetched:
        sys.stdout.write(result_table(fetched))
    for symbol, error in errors.items():
        sys.stderr.write(f"{symbol}: {error}\n")
    return 1 if errors else 0


def make_plan(options: argparse.Namespace, settings: FeedSettings) -> Plan:
    """Return what the options ask for, filled up from the settings.

    Raises
    ------
    ParameterError
        If an option or a setting cannot be followed.
    """
    given = {
        key: value
        for key in ("exchange", "symbols", "interval", "since")
        if (value := getattr(options, key)) is not None
    }
    settings = check_settings(settings.model_dump() | given, "fetch")
    for symbol in settings.symbols:
        if settings.symbols.count(symbol) > 1:
            raise ParameterError(f"--symbols: {symbol} is named twice")
    interval_s = parse_interval(settings.interval)
    since = parse_time("--since", settings.since)
    until = parse_time("--until", options.until) if options.until else math.inf
    if until <= since:
        raise ParameterError(
            f"--until {time_words(until)} is not after --since {time_words(since)}"
        )
    folder = Path(options.data) if options.data else PROJECT / "data"
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"--data {folder}: not a folder")
    orders = tuple(
        Order(
            symbol,
            _market(settings, symbol, options.market),
            interval_s,
            since,
            until,
            folder,
            options.drop_bad,
        )
        for symbol in settings.symbols
    )
    return Plan(settings, orders, options.api_url)


def _market(settings: FeedSettings, symbol: str, pattern: str | None) -> str:
    if pattern is None:
        return settings.market_of(settings.exchange, symbol)
    if "{symbol}" not in pattern and len(settings.symbols) > 1:
        raise ParameterError(f"--market {pattern}: several symbols need {{symbol}} in it")
    return pattern.replace("{symbol}", symbol)


def parse_time(option: str, text: str) -> float:
    """Return a date or ISO time as seconds since 1970-01-01 UTC; without a zone it is UTC.

    Raises
    ------
    ParameterError
        If it is neither, or lies before 1970.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ParameterError(
            f"{option} {text}: expected a date or time such as 2024-01-01 or 2024-01-01T12:00"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.timestamp() < 0.0:
        raise ParameterError(f"{option} {text}: before 1970")
    return moment.timestamp()


def open_source(plan: Plan, sleep: Callable[[float], None], tell: Callable[[str], None]) -> Source:
    """Return the exchange or archive of a plan; nothing is asked for yet."""
    settings = plan.settings
    patience = Patience(settings.tries, settings.first_wait_s, settings.longest_wait_s, sleep, tell)
    if settings.exchange == ARCHIVE:
        url = plan.api_url or settings.archive_url
        return Archive(
            Downloads(url, patience, timeout_s=settings.timeout_s),
            side_by_side=settings.archive_downloads,
        )
    return Exchange(
        open_client(settings.exchange, api_url=plan.api_url, timeout_s=settings.timeout_s),
        patience,
        overlap_bars=settings.overlap_bars,
        pages_per_part=settings.pages_per_part,
    )


def _fetch_all(
    source: Source, orders: Sequence[Order], watch: Watch
) -> tuple[dict[str, Fetched], dict[str, str]]:
    """Return what became of each symbol; one that fails does not stop the others."""
    fetched, errors = {}, {}
    for order in orders:
        try:
            fetched[order.symbol] = fetch_symbol(source, order, watch)
        except ParameterError:
            raise
        except V8Error as error:
            errors[order.symbol] = str(error)
        except OSError as error:
            errors[order.symbol] = f"{error.filename or order.folder}: {error.strerror or error}"
    return fetched, errors


def result_table(fetched: Mapping[str, Fetched]) -> str:
    """Return a table of what the files hold now, as lines of text."""
    rows = [HEADINGS]
    for symbol, found in fetched.items():
        numbers = (found.n_bars, found.n_gaps, found.n_missing, found.n_new, found.n_changed)
        times = time_words(found.first), time_words(found.last)
        rows.append((symbol, _shown(found.path), *times, *(f"{n:,}" for n in numbers)))
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADINGS))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if k < LEFT_ALIGNED else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _shown(path: Path) -> str:
    """Return a path as seen from the working directory, if it lies in there."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
