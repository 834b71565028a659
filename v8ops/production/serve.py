"""``python -m v8ops serve``: signals for every new bar, from the models that are in use."""

import argparse
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from v8ops.production.bar_source import PROJECT, BarSource
from v8ops.production.change import LOG_NAME
from v8ops.production.errors import ProductionError
from v8ops.production.keeper import Keeper
from v8ops.production.log_writer import SignalLog
from v8ops.production.names import check_symbol
from v8ops.production.notes import Notes
from v8ops.production.poll import Poll
from v8ops.production.server import Server

EVERY_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of serve."""
    parser.description = (
        "Emit one signal for every new complete bar, and log it. The models are those that\n"
        "rollout.json has in use; it may change meanwhile. What is in the log is what was said."
    )
    parser.epilog = (
        "Exit status: 0 ended as asked, 1 --once and something was in the way, 2 bad arguments\n"
        "or another serve writes the log."
    )
    add = parser.add_argument
    add("--symbols", nargs="+", required=True, metavar="SYMBOL", help="for instance BTC ETH SOL")
    add("--data", metavar="DIR", help="folder of the bar files (default: data)")
    add("--models", metavar="DIR", help="the models folder (default: models)")
    add("--log", metavar="FILE", help=f"the signal log (default: {LOG_NAME} in the models folder)")
    add("--once", action="store_true", help="serve what is there now, and end")
    add("--poll", metavar="EXCHANGE", help="let fetch extend the bar files from there")
    add(
        "--every",
        type=float,
        default=EVERY_S,
        metavar="SECONDS",
        help=f"between two looks at the files (default: {EVERY_S:.0f})",
    )


def main(
    options: argparse.Namespace,
    *,
    clock: Callable[[], float] = time.time,
    stop: threading.Event | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, or once, and return the exit status.

    Parameters
    ----------
    options : Namespace
        Of `add_arguments`.
    clock : callable
        Returns the time in seconds since 1970-01-01 UTC.
    stop : Event, optional
        What ends serving and the waits in between; set by the signals.

    Raises
    ------
    ProductionError
        If the options cannot be followed, or the log cannot be opened.
    """
    stop = threading.Event() if stop is None else stop
    models = Path(options.models) if options.models else PROJECT / "models"
    data = _data_folder(options)
    symbols = _symbols(options.symbols)
    if not options.every > 0.0:
        raise ProductionError(f"--every {options.every}: a number of seconds above 0 is needed")
    notes = Notes(clock)
    with SignalLog(options.log or models / LOG_NAME) as log, _ending(stop):
        server = Server(
            [BarSource(data, symbol, notes) for symbol in symbols],
            Keeper(models, notes),
            log,
            notes,
            clock,
            stop.is_set,
            poll=_poll(options, data, notes, stop),
        )
        if options.once:
            return 0 if server.round() else 1
        server.run(options.every, stop.wait)
    return 0


def _poll(
    options: argparse.Namespace, data: Path, notes: Notes, stop: threading.Event
) -> Poll | None:
    return Poll(options.poll, data, notes, stopping=stop.is_set) if options.poll else None


def _data_folder(options: argparse.Namespace) -> Path:
    data = Path(options.data) if options.data else PROJECT / "data"
    if not data.is_dir() and not options.poll:
        raise ProductionError(f"--data {data}: no such folder; `fetch` makes one, or use --poll")
    return data


def _symbols(symbols: list[str]) -> list[str]:
    for symbol in symbols:
        check_symbol(symbol)
        if symbols.count(symbol) > 1:
            raise ProductionError(f"--symbols: {symbol} is named twice")
    return symbols


@contextmanager
def _ending(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT end serving after the block that is being worked on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop.set()) for number in caught]
    try:
        yield
    finally:
        for number, handler in zip(caught, before, strict=True):
            signal.signal(number, handler)
