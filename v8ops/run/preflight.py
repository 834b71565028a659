"""Can these bars be used with these parameters? Answered before a run writes anything.

Run as ``python -m v8ops.run.preflight JOBS.json``: prints the hash of each symbol's bars as
JSON, or one line on stderr that names what is wrong, with exit status 2.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from v8lib.config import Parameters
from v8lib.errors import FeatureError, SplitError, V8Error
from v8lib.features import feature_table, warmup_bars
from v8lib.series import min_window
from v8lib.splits import MIN_ROWS
from v8lib.storage import read_json


def check(job: Mapping[str, Any]) -> str:
    """Return the hash of one symbol's bars file, empty for the simulated market.

    Raises
    ------
    V8Error
        If the bars or the parameters cannot be used.
    """
    parameters = Parameters(**job["parameters"])
    if parameters.source == "simulated":
        facts = {"path": "market_bars", "sha256": ""}
        lengths, interval_s = [parameters.market_bars], parameters.market_interval_s
    else:
        facts, lengths, interval_s = look_at_file(job["data_path"], parameters.bar_interval)
    table = feature_table(interval_s, parameters.excluded)
    check_length(facts["path"], lengths, parameters, warmup_bars(table))
    check_baselines(parameters, [feature.family for feature in table])
    check_device(parameters)
    return facts["sha256"]


def look_at_file(path: str, bar_interval: str) -> tuple[Mapping[str, Any], list[int], int]:
    """Return facts about the bars of a file, the lengths of their unbroken runs, their seconds.

    Raises
    ------
    BarsError
        If the bars cannot be used.
    """
    # Imported here: pandas takes a quarter second that a simulated market need not wait for.
    from v8lib.bars import bar_seconds, epoch_seconds
    from v8lib.sources import open_file
    from v8lib.windows import run_lengths

    opened = open_file(path, bar_interval=bar_interval)
    interval_s = bar_seconds(opened.bars)
    return opened.facts, run_lengths(epoch_seconds(opened.bars), interval_s), interval_s


def check_device(parameters: Parameters) -> None:
    """Refuse a device that is not there, before notebook 02 would.

    Raises
    ------
    DeviceError
        If torch finds none of its kind.
    """
    if parameters.device in ("auto", "cpu"):
        return
    # Imported here: torch takes seconds that most runs need not wait for.
    from v8lib.hardware import pick_device

    pick_device(parameters.device)


def check_baselines(parameters: Parameters, families: list[str]) -> None:
    """Refuse what would stop a run at its last notebook, after all training.

    Raises
    ------
    V8Error
        If LightGBM is asked for and cannot be loaded, or no family is left that the baseline
        volatility_only could look at.
    """
    if not (parameters.with_lightgbm or parameters.excluded):
        return
    # Imported here: scikit-learn takes a second that most runs need not wait for.
    from v8lib.baselines import VOLATILITY_FAMILIES
    from v8lib.boosting import load_lightgbm

    if parameters.with_lightgbm:
        load_lightgbm()
    if not set(families) & set(VOLATILITY_FAMILIES):
        raise FeatureError(
            "exclude_families leaves nothing to the baseline volatility_only: keep one of "
            f"{', '.join(VOLATILITY_FAMILIES)}"
        )


def check_length(
    name: str, lengths: list[int], parameters: Parameters, feature_warmup: int
) -> None:
    """Refuse bars that would leave a split with too few rows.

    Raises
    ------
    SplitError
        The message says how many bars there are and how many rows they can give.
    """
    horizon = parameters.horizon_bars
    warmup = max(feature_warmup, min_window(parameters.label_window_bars) + horizon)
    usable = sum(max(0, n - warmup - horizon) for n in lengths)
    used = [parameters.train_share, parameters.valid_share, parameters.calib_share]
    smallest = min(*used, (1.0 - sum(used)) / parameters.n_folds)
    needed = int((MIN_ROWS + horizon) / smallest) + 1
    if usable < needed:
        raise SplitError(
            f"{name}: {sum(lengths)} bars in {len(lengths)} unbroken runs give {max(usable, 0)} "
            f"rows after windows of {warmup} bars and a horizon of {horizon}; {needed} are needed"
        )


def main(arguments: list[str]) -> int:
    """Check every job of a JSON file."""
    try:
        marks = {job["symbol"]: check(job) for job in read_json(arguments[0])}
    except V8Error as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(marks))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
