"""Which bars the candidate emits: a hash decides, the same everywhere and for ever."""

import hashlib

from v8ops.production.rollout_state import SymbolState


def unit(salt: str, symbol: str, epoch_s: int) -> float:
    """Return the place of a bar in [0, 1), the same wherever it is asked.

    A bar is the candidate's where this is below the share. Raising the share keeps every bar
    that the candidate had.

    Parameters
    ----------
    salt : str
        Of the rollout: another one divides the bars anew.
    symbol : str
        Symbols are divided independently.
    epoch_s : int
        Opening time of the bar, in seconds since 1970-01-01 UTC.
    """
    digest = hashlib.sha256(f"{salt}|{symbol}|{epoch_s}".encode()).digest()
    # 53 bits: a float holds no more, and rounding 64 up could give 1.0.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53


def to_candidate(state: SymbolState, symbol: str, epoch_s: int) -> bool:
    """Return whether the candidate emits this bar."""
    if state.candidate is None or state.salt is None:
        return False
    return unit(state.salt, symbol, epoch_s) < state.share
