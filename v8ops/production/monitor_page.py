"""The monitor's page: one self-contained file, written anew each time."""

import base64
from collections.abc import Sequence
from pathlib import Path

from v8lib.figure_png import png_of
from v8lib.storage import write_bytes
from v8ops.page import templates
from v8ops.production.log_rows import EventRow
from v8ops.production.monitor_plots import (
    PLOTTED,
    plot_classes,
    plot_confidence,
    plot_course,
    plot_routing,
)
from v8ops.production.notes import utc_words
from v8ops.production.reading import Reading
from v8ops.production.through_time import (
    class_course,
    confidence_course,
    courses,
    hold_share,
    routed_share,
)
from v8ops.production.watched import WatchedSymbol
from v8ops.production.words import STAGE_WORDS

BADGES = {"ok": "pass", "watch": "inconclusive", "alarm": "fail", "unknown": "unknown"}
ROLLED_BACK = "rollback"


def write_page(folder: Path, watched: Sequence[WatchedSymbol], *, log: str) -> Path:
    """Write `index.html` into a folder and return its path.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    watched : sequence of WatchedSymbol
        What to show.
    log : str
        Name of the log that was read.
    """
    html = (
        templates()
        .get_template("monitor.html.j2")
        .render(
            symbols=[_symbol(symbol) for symbol in watched],
            headline=_headline(watched),
            worst=BADGES[_worst(watched)],
            log=log,
        )
    )
    return write_bytes(folder / "index.html", html.encode())


def _worst(watched: Sequence[WatchedSymbol]) -> str:
    states = {symbol.worst for symbol in watched}
    return next((s for s in ("alarm", "watch", "unknown") if s in states), "ok")


def _headline(watched: Sequence[WatchedSymbol]) -> str:
    by_state = {
        "alarm": "need somebody now",
        "watch": "should be looked at",
        "unknown": "have too few bars to say",
    }
    parts = [
        f"{', '.join(names)} {words}"
        for state, words in by_state.items()
        if (names := [symbol.symbol for symbol in watched if symbol.worst == state])
    ]
    return f"{'; '.join(parts)}." if parts else "Every monitor of every model in use is well."


def _symbol(watched: WatchedSymbol) -> dict[str, object]:
    """Return what the template shows of a symbol."""
    state = watched.state
    last = watched.signals[-1] if watched.signals else None
    return {
        "name": watched.symbol,
        "badge": BADGES[watched.worst],
        "worst": watched.worst.upper(),
        "roles": state.roles,
        "stage": STAGE_WORDS.get(state.stage or "", ""),
        "blocked": state.blocked,
        "bars": len(watched.signals),
        "last": None if last is None else utc_words(last.epoch_s),
        "models": [
            {
                "role": model.role,
                "version": model.version,
                "complaint": model.complaint,
                "rows": [_row(reading) for reading in model.readings],
            }
            for model in watched.models
        ],
        "figures": _figures(watched),
        "events": [_event(event) for event in reversed(watched.events)],
    }


def _row(reading: Reading) -> dict[str, object]:
    return {
        "name": reading.name,
        "value": "-" if reading.value is None else f"{reading.value:.3f}",
        "watch": reading.watch,
        "alarm": reading.alarm,
        "state": reading.state,
        "badge": BADGES[reading.state],
        "n": f"{reading.n:,}",
        "note": reading.note,
    }


def _event(event: EventRow) -> dict[str, str]:
    bar = "" if event.epoch_s is None else utc_words(event.epoch_s)
    return {
        "at": event.at,
        "bar": bar,
        "kind": event.kind,
        "version": event.version or "",
        "message": event.message,
    }


def _figures(watched: WatchedSymbol) -> list[dict[str, str]]:
    """Return the figures of a symbol as data and words; none without signals."""
    if not watched.signals:
        return []
    start = watched.signals[0].epoch_s
    rollbacks = [
        event.epoch_s
        for event in watched.events
        if event.kind == ROLLED_BACK and event.epoch_s is not None and event.epoch_s >= start
    ]
    axes = plot_routing(routed_share(watched.signals), hold_share(watched.signals), rollbacks)
    made = [(axes, "whose the signals were: the candidate's share and the share of no model")]
    known = {
        (model.role, model.version): model
        for model in watched.models
        if model.facts is not None and len(model.rows)
    }
    sure = {key: confidence_course(model.rows) for key, model in known.items()}
    made.append((plot_confidence(sure, rollbacks), "mean confidence of all bars of each model"))
    read = {key: courses(model.rows, model.facts) for key, model in known.items()}
    for key, model in known.items():
        judged = read[key]["class_shares"]
        axes = plot_classes(key, class_course(model.rows), judged.epoch_s[judged.alarm], rollbacks)
        made.append((axes, f"shares of DOWN, HOLD and UP among the decisions of {' '.join(key)}"))
    for name, (title, *_) in PLOTTED.items():
        lines = {key: found[name] for key, found in read.items()}
        made.append((plot_course(name, lines, rollbacks), f"{title}, {name}"))
    return [
        {
            "data": base64.b64encode(png_of(axes.figure)).decode(),
            "alt": f"{watched.symbol} through time: {words}",
        }
        for axes, words in made
    ]
