"""Taking a version out of use: by a person, or by what serves when it must not go on."""

from pathlib import Path

from v8ops.production.record import event
from v8ops.production.rollout_file import change_rollout
from v8ops.production.rollout_state import Rollout
from v8ops.production.transitions import roll_back


def take_back(
    models_dir: Path | str, symbol: str, version: str, *, who: str, why: str, at: str | None = None
) -> Rollout:
    """Roll a version back and block it; where it has no role any more, nothing changes.

    Parameters
    ----------
    models_dir : path
        The models folder.
    symbol, version : str
        Which model.
    who, why : str
        For the history.
    at : str, optional
        Time for the history, ISO 8601 in UTC; now by default.

    Raises
    ------
    ProductionError
        If the state cannot be read or written.
    """

    def change(rollout: Rollout) -> Rollout:
        state = rollout.of(symbol)
        if version not in state.roles.values():
            return rollout
        told = event(who, "rollback", version, why, at=at)
        return rollout.having(symbol, roll_back(state, version, why=why, event=told))

    return change_rollout(models_dir, change)
