"""The ablation at full size: on the known-answer market, and on one real symbol if there is one."""

from pathlib import Path
from typing import Any

from v8lib.ablation import CALIBRATIONS, ablation_table, aid_table, make_bench
from v8lib.config import Parameters
from v8lib.experiments import hard_market
from v8lib.recipe import open_bars
from v8ops.proof.checks import side_by_side

N_SEEDS = 3
JUDGED = {"test": "on test", "calib": "on the second half of calib; test stays closed"}


def measure(
    parameters: Parameters, *, data: Path | None, symbol: str, jobs: int
) -> dict[str, dict[str, Any]]:
    """Return the ablation of each market by its name.

    Parameters
    ----------
    parameters : Parameters
        Of the known-answer market.
    data : path or None
        Folder with real bars, of which `<market name>.parquet` is used.
    symbol : str
        Whose bars.
    jobs : int
        Markets side by side.
    """
    work = {
        "Momentum market, signal 0.94": (parameters, ""),
        "Garch market": (hard_market(parameters, seed=parameters.seed), ""),
    }
    path = data / f"{parameters.market_name}.parquet" if data else None
    if path and path.is_file():
        own = parameters.model_copy(update={"source": "files"})
        work[f"Real bars, {symbol}"] = (own, str(path))
    found = side_by_side(_one, list(work.values()), jobs)
    return dict(zip(work, found, strict=True))


def _one(work: tuple[Parameters, str]) -> dict[str, Any]:
    parameters, path = work
    judged = "calib" if path else "test"
    bench = make_bench(open_bars(parameters, data_path=path), parameters, judged=judged)
    table = ablation_table(bench, parameters)
    aids = aid_table(bench, parameters, n_seeds=N_SEEDS)
    rows = [
        (norm, loss, [part.loc[(norm, loss, c)].to_dict() for c in CALIBRATIONS])
        for (norm, loss), part in table.groupby(level=["norm", "loss"], sort=False)
    ]
    return {
        "judged": JUDGED[judged],
        "calibrations": list(CALIBRATIONS),
        "rows": rows,
        "aids": aids.groupby("aids", sort=False)["log loss"].mean().to_dict(),
        "n_seeds": N_SEEDS,
    }
