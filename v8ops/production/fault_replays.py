"""Rollouts rehearsed with one fault each: what must happen, and what did."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from v8lib.bundle import Bundle, load_bundle
from v8ops.production import faults, restore
from v8ops.production.faults import Switch
from v8ops.production.monitors import CLASS_ROWS, DRIFT_ROWS, EVERY_BARS, SURE_ROWS
from v8ops.production.rehearsal import WHO, Rehearsal
from v8ops.production.replays import Cast, staged
from v8ops.production.rollout_file import NAME

BEFORE = {"shadow": 600, "10": 600, "50": 400}  # of a fault
AFTER = 2 * DRIFT_ROWS + 3 * EVERY_BARS  # bars for a reaction to come
DOWN_BARS = 300  # at each state of a damaged rollout.json


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, and how soon what must happen.

    Attributes
    ----------
    words : str
        What happens.
    within : int
        Bars after which the reaction must have come.
    must : str
        What must happen.
    reason : str
        What the event must hold.
    """

    words: str
    within: int
    must: str
    reason: str


FAULTS = {
    "nan_output": Fault("the candidate says NaN", 0, "candidate out", "NaN or infinity"),
    "exploded_logits": Fault(
        f"the candidate's logits are {faults.FACTOR:g} times as large", 0, "candidate out", "logit"
    ),
    "exception": Fault("the candidate raises an exception", 0, "candidate out", "ZeroDivision"),
    "one_class": Fault(
        "the candidate says DOWN at every bar, plausibly",
        CLASS_ROWS + 2 * EVERY_BARS,
        "candidate out",
        "class_shares",
    ),
    "oversure": Fault(
        "the candidate is more than 99 % sure of every bar",
        SURE_ROWS // 10 + 2 * EVERY_BARS,
        "candidate out",
        "sure_share",
    ),
    "drifted_feature": Fault(
        f"{faults.SHIFTED_FEATURE} of every model moves by one sigma",
        2 * DRIFT_ROWS + 2 * EVERY_BARS,
        "candidate out",
        f"drift.*{faults.SHIFTED_FEATURE}",
    ),
    "deleted_bundle": Fault("the candidate's folder is deleted", 0, "candidate out", "is gone"),
    "both_broken": Fault("candidate and stable say NaN", 0, "HOLD", "NaN or infinity"),
    "corrupted_rollout": Fault(
        f"{NAME} is cut in half", 0, "goes on; HOLD after a restart; goes on when restored", NAME
    ),
}


def faulty_replay(cast: Cast, name: str) -> dict[str, Any]:
    """Return what came of a rollout into which a fault was put."""
    switch = Switch()
    with staged(cast, partial(_load, cast, name, switch)) as play:
        play.promote(cast.candidate)
        for k, n in enumerate(BEFORE.values()):
            play.serve(n)
            if k < len(BEFORE) - 1:
                play.advance()
        place = play.place
        if name == "corrupted_rollout":
            found = _corrupted(cast, play)
        else:
            if name == "deleted_bundle":
                shutil.rmtree(play.models / cast.symbol / cast.candidate)
            switch.on = True
            play.serve(AFTER)
            found = _reaction(cast, play, place)
        lost, doubled = play.lost_and_doubled()
        return {
            "fault": name,
            **found,
            "bars": len(play.served()),
            "lost": lost,
            "doubled": doubled,
        }


def _load(cast: Cast, name: str, switch: Switch, folder: Path) -> Bundle:
    bundle = load_bundle(folder)
    if name == "drifted_feature":
        return faults.drifting(bundle, switch)
    if name == "both_broken":
        return faults.broken(bundle, faults.nan_output, switch)
    change = faults.MODEL_FAULTS.get(name)
    if change is None or folder.name != cast.candidate:
        return bundle
    return faults.broken(bundle, change, switch)


def _reaction(cast: Cast, play: Rehearsal, place: int) -> dict[str, Any]:
    """Return when the candidate was taken back after a place, why, and who served then."""
    began = int(cast.bars.epoch_s[place])
    events = [
        event
        for event in play.log.reader.events(cast.symbol, kind="rollback")
        if event.epoch_s is not None and event.epoch_s >= began
    ]
    mine = [event for event in events if event.version == cast.candidate]
    if not mine:
        return {"reacted_after": None, "reason": "", "then": {}, "taken_back": []}
    reacted = int(np.searchsorted(cast.bars.epoch_s, mine[0].epoch_s))
    after = [row for row in play.signals if row.epoch_s >= int(cast.bars.epoch_s[reacted + 1])]
    return {
        "reacted_after": reacted - place,
        "reason": _without_folder(play, mine[0].message),
        "then": _counts(after),
        "taken_back": [event.version for event in events],
    }


def _corrupted(cast: Cast, play: Rehearsal) -> dict[str, Any]:
    """Return what was emitted with a damaged file: serving on, after a restart, restored."""
    faults.spoil(play.models / NAME)
    parts = {}
    for name, step in (
        ("serving", None),
        ("restarted", play.restart),
        ("restored", partial(_restore, play)),
    ):
        if step is not None:
            step()
        before = len(play.signals)
        play.serve(DOWN_BARS)
        parts[name] = _counts(play.signals[before:])
    told = [e.message for e in play.log.reader.events(kind="rollout")]
    right = (
        parts["serving"].get("none", 0) == 0
        and parts["restarted"] == {"none": DOWN_BARS}
        and parts["restored"].get("none", 0) == 0
    )
    return {
        "reacted_after": 0 if right and told else None,
        "reason": _without_folder(play, told[0]) if told else "",
        "then": parts,
        "taken_back": [],
    }


def _without_folder(play: Rehearsal, words: str) -> str:
    """Return words without the folder of this rehearsal, which is another one each time."""
    return words.replace(str(play.models), "models")


def _restore(play: Rehearsal) -> None:
    given = {"models": play.models, "why": "a rehearsal", "who": WHO, "log": None}
    play.silent(restore.main, given)


def _counts(rows: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.role] = found.get(row.role, 0) + 1
    return found
