"""What was asked for: the command line's answer, or an earlier run's that is taken up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from v8lib.errors import ParameterError, RunError, V8Error
from v8lib.storage import read_json
from v8ops.run.steps import PROJECT

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    symbols: tuple[str, ...]
    profile: str = "default"
    data: str | None = None
    source: str = "auto"
    settings: tuple[str, ...] = ()
    out: str | None = None
    jobs: int | None = None


def earlier_request(out: str | None, run_id: str) -> Request:
    """Return what an earlier run was asked for.

    Raises
    ------
    RunError
        If there is no such run.
    """
    folder = (Path(out).resolve() if out else PROJECT / "reports") / run_id
    if not (folder / RUN_FILE).is_file():
        raise RunError(f"--resume {run_id}: no run in {folder}")
    try:
        stored = read_json(folder / RUN_FILE)
        return Request(
            **stored | {"symbols": tuple(stored["symbols"]), "settings": tuple(stored["settings"])}
        )
    except (V8Error, TypeError, KeyError):
        raise RunError(f"--resume {run_id}: {folder / RUN_FILE} cannot be read") from None


def unique_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return the symbols in order.

    Raises
    ------
    ParameterError
        If one is named twice.
    """
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise ParameterError(f"--symbols: {symbol} is named twice")
    return tuple(symbols)
