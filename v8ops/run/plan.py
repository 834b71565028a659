"""What a run will do, decided before anything is written: symbols, source, parameters, places."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from v8lib.bar_interval import parse_interval
from v8lib.config import Parameters, check_keys, merge_parameters, parse_setting
from v8lib.errors import ParameterError, RunError
from v8lib.storage import write_json
from v8ops.run.limits import clean_env, thread_limits
from v8ops.run.request import RUN_FILE, Request
from v8ops.run.steps import PARAMS, PROJECT

FORMATS = ("parquet", "feather", "csv", "csv.gz", "zip")  # of bar files, in order of preference
RUN_ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@dataclass(frozen=True)
class Plan:
    """A run, decided."""

    request: Request
    run_id: str
    run_dir: Path
    models_dir: Path
    engine: str
    source: str
    source_words: str
    parameters: Mapping[str, Parameters]
    data_paths: Mapping[str, str]
    sha256: Mapping[str, str] = field(default_factory=dict)


def make_plan(request: Request, *, run_id: str | None, jobs: int, engine: str) -> Plan:
    """Return the plan of a request.

    Parameters
    ----------
    request : Request
        From the command line, or from an earlier run that is taken up.
    run_id : str, optional
        Name of the run; made from the time if absent.
    jobs : int
        Symbols at the same time; the cores are divided among them.
    engine : {"papermill", "fork"}
        How kernels are started, from `warm.decide_engine`.

    Raises
    ------
    V8Error
        If anything asked for is unknown, missing or contradictory. Nothing is written then.
    """
    settings = [parse_setting(text) for text in request.settings]
    check_keys(dict(settings), "--set")
    settings = [("threads", max(1, cores() // jobs)), *settings]
    merged = {
        symbol: merge_parameters(
            PARAMS, profile=request.profile, symbol=symbol, source="simulated", settings=settings
        )
        for symbol in request.symbols
    }
    folder = data_folder(request)
    found = {s: find_bars(folder, s, p.market_name) for s, p in merged.items()}
    source = decide_source(request.source, folder, found, merged)
    paths = {s: str(path.resolve()) if path else "" for s, path in found.items()}
    run_id = run_id or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{request.profile}"
    if not run_id or not set(run_id) <= RUN_ID_LETTERS or run_id.startswith("."):
        raise ParameterError(f"--run-id {run_id}: letters, digits, dot, dash and underscore only")
    out = Path(request.out).resolve() if request.out else PROJECT / "reports"
    return Plan(
        request,
        run_id,
        out / run_id,
        out / "models" if request.out else PROJECT / "models",
        engine,
        source,
        source_words(source, folder, request),
        {s: with_source(p, source) for s, p in merged.items()},
        paths if source == "files" else dict.fromkeys(paths, ""),
    )


def with_source(parameters: Parameters, source: str) -> Parameters:
    """Return the parameters of a source; a simulated market has bars of the interval asked for."""
    changed: dict[str, object] = {"source": source}
    if source == "simulated" and parameters.bar_interval:
        changed["market_interval_s"] = parse_interval(parameters.bar_interval)
    return parameters.model_copy(update=changed)


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs(n_symbols: int) -> int:
    """Return how many symbols to run at the same time.

    One per core, and one more where the cores would otherwise stand idle beside the last ones.
    """
    n = cores()
    return n_symbols if n_symbols <= n else n + (n_symbols % n > 0)


def data_folder(request: Request) -> Path:
    """Return the folder to look for bars in.

    Raises
    ------
    RunError
        If a folder was named that does not exist.
    """
    folder = Path(request.data) if request.data else PROJECT / "data"
    if request.data and not folder.is_dir():
        raise RunError(f"--data {request.data}: no such folder")
    return folder


def bar_file_names(symbol: str, market_name: str) -> list[str]:
    """Return the file names looked for, in order of preference."""
    return [f"{stem}.{end}" for end in FORMATS for stem in (symbol, market_name)]


def find_bars(folder: Path, symbol: str, market_name: str) -> Path | None:
    """Return the bars file of a symbol in `folder`, or None."""
    names = bar_file_names(symbol, market_name)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def decide_source(
    asked: str,
    folder: Path,
    found: Mapping[str, Path | None],
    parameters: Mapping[str, Parameters],
) -> str:
    """Return "files" or "simulated".

    Raises
    ------
    RunError
        If some symbols have a file and others have not, or files were asked for and one is
        missing. The message names the missing ones.
    """
    if asked == "simulated":
        return "simulated"
    missing = [symbol for symbol, path in found.items() if path is None]
    if not missing:
        return "files"
    if asked == "auto" and len(missing) == len(found):
        return "simulated"
    stems = ", ".join(f"{s} or {parameters[s].market_name}" for s in missing)
    raise RunError(
        f"no bars in {folder} for {', '.join(missing)} "
        f"(looked for {stems} as .{', .'.join(FORMATS)})"
    )


def source_words(source: str, folder: Path, request: Request) -> str:
    """Return one line on where the bars come from, for the console and every banner."""
    if source == "files":
        return f"Real bars from {folder.name}/"
    why = "asked for" if request.source == "simulated" else f"no bars in {folder.name}/"
    return f"SIMULATED market, not real prices ({why})"


def preflight(plan: Plan) -> dict[str, str]:
    """Return the hash of every symbol's bars after checking that they can be used.

    Reading bars takes pandas, which this process does without: a short-lived one does it.

    Raises
    ------
    RunError
        With the one line that the check printed.
    """
    jobs = [
        {"symbol": s, "data_path": plan.data_paths[s], "parameters": p.model_dump()}
        for s, p in plan.parameters.items()
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(jobs, file)
        file.flush()
        command = [sys.executable, "-m", "v8ops.run.preflight", file.name]
        env = clean_env(**thread_limits(1))  # numpy would start threads that wait for work
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=PROJECT, check=False, env=env
        )
    if done.returncode:
        raise RunError(done.stderr.strip().splitlines()[-1] if done.stderr else "preflight failed")
    return json.loads(done.stdout)


def open_run(plan: Plan, *, resumed: bool) -> None:
    """Create the run's folder.

    Raises
    ------
    RunError
        If the folder cannot be written, or a new run would land in an old one.
    """
    if not resumed and (plan.run_dir / RUN_FILE).is_file():
        raise RunError(f"run {plan.run_id} exists: --resume {plan.run_id} goes on with it")
    try:
        plan.run_dir.mkdir(parents=True, exist_ok=True)
        (plan.run_dir / ".lock").touch()
    except OSError as error:
        raise RunError(f"cannot write to {plan.run_dir}: {error.strerror}") from None


def note_request(plan: Plan) -> None:
    """Note in the run's folder what was asked for; the caller holds its lock."""
    write_json(plan.run_dir / RUN_FILE, asdict(plan.request))


def point_latest(plan: Plan) -> None:
    """Let `latest` beside the run's folder point at it."""
    link = plan.run_dir.parent / "latest"
    fresh = plan.run_dir.parent / f".latest.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(plan.run_id, target_is_directory=True)
    fresh.replace(link)
