"""Rollouts in words: one line per symbol, and a table of all."""

from v8ops.production.rollout_state import Rollout, SymbolState

STAGE_WORDS = {
    "shadow": "in shadow: it scores every bar and emits none",
    "10": "emits 10 % of the bars",
    "50": "emits 50 % of the bars",
    "100": "emits every bar; one more advance makes it stable",
}


def in_one_line(symbol: str, rollout: Rollout) -> str:
    """Return a symbol's rollout in one line."""
    state = rollout.of(symbol)
    parts = [f"stable {state.stable or 'none'}"]
    if state.candidate:
        parts.append(f"candidate {state.candidate} {STAGE_WORDS[state.stage]}")
    if state.previous:
        parts.append(f"previous {state.previous}")
    return f"{symbol}: {', '.join(parts)} (revision {rollout.revision})"


def table_rows(rollout: Rollout) -> list[tuple[str, ...]]:
    """Return a heading and one row per symbol."""
    heading = ("symbol", "stable", "candidate", "stage", "share", "previous", "blocked", "last")
    return [heading, *(_row(name, state) for name, state in sorted(rollout.symbols.items()))]


def _row(symbol: str, state: SymbolState) -> tuple[str, ...]:
    last = state.history[-1] if state.history else None
    return (
        symbol,
        state.stable or "-",
        state.candidate or "-",
        state.stage or "-",
        f"{state.share:.0%}" if state.candidate else "-",
        state.previous or "-",
        ", ".join(state.blocked) or "-",
        f"{last.at} {last.who}: {last.action} {last.version}" if last else "-",
    )


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Return rows as text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)
