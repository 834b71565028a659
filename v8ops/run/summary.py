"""summary.json: the machine's view of a run, put together from what its notebooks computed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from v8lib.provenance import git_commit
from v8lib.storage import read_json, write_json
from v8ops.run.steps import Manifest

OK, STEP_FAILED, GATE_FAILED = 0, 1, 3
SCHEMA = Path(__file__).with_name("summary.schema.json")
FROM_VERDICT = (
    "source",
    "test",
    "baselines",
    "comparisons",
    "bayes",
    "temperature",
    "gates",
    "folds",
    "seeds",
    "skill_sources",
    "weeks",
    "regimes",
    "risk_coverage",
    "conformal",
    "earnings",
    "predecessor",
    "bundle",
    "fallback",
)


def write_summary(
    run_dir: Path, *, profile: str, errors: Mapping[str, str | None]
) -> dict[str, Any]:
    """Write and return the summary of a run.

    Parameters
    ----------
    run_dir : path
        The run's folder.
    profile : str
        Profile of the run.
    errors : mapping of symbol to str or None
        What stopped each symbol, None for one that ran through; in the order to show.
    """
    symbols = {s: symbol_summary(run_dir / s, error) for s, error in errors.items()}
    summary = {
        "run_id": run_dir.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "profile": profile,
        "exit_status": exit_status(symbols),
        "symbols": symbols,
    }
    check_summary(summary)
    write_json(run_dir / "summary.json", summary)
    return summary


def mark_failed(run_dir: Path, summary: dict[str, Any]) -> None:
    """Let a summary say that a step failed after it was written."""
    summary["exit_status"] = STEP_FAILED
    write_json(run_dir / "summary.json", summary)


def symbol_summary(folder: Path, error: str | None) -> dict[str, Any]:
    """Return the block of one symbol."""
    seconds = Manifest(folder).seconds
    if error is not None or not (folder / "verdict.json").is_file():
        return {"status": "failed", "error": error or "no verdict was written", "seconds": seconds}
    verdict = read_json(folder / "verdict.json")
    labels = verdict["labels"]
    shares = {"train": labels["train_shares"], "test": labels["test_shares"]}
    return {
        "status": "gates_failed" if failed_gates(verdict["gates"]) else "ok",
        "error": None,
        **{name: verdict[name] for name in FROM_VERDICT},
        "labels": {
            "scheme": labels["scheme"],
            "horizon_bars": labels["horizon_bars"],
            "shares": shares,
        },
        "seconds": seconds,
        "train_rows_per_second": round(read_json(folder / "train.json")["train_rows_per_second"]),
    }


def failed_gates(gates: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the gates that failed."""
    return [name for name, gate in gates.items() if gate["verdict"] == "fail"]


def open_questions(gates: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the gates that could not decide."""
    return [name for name, gate in gates.items() if gate["verdict"] == "inconclusive"]


def exit_status(symbols: Mapping[str, Mapping[str, Any]]) -> int:
    """Return 0 if all ran and no gate failed, 1 if a step failed, 3 if a gate failed."""
    statuses = {symbol["status"] for symbol in symbols.values()}
    if "failed" in statuses:
        return STEP_FAILED
    return GATE_FAILED if "gates_failed" in statuses else OK


def check_summary(summary: Mapping[str, Any]) -> None:
    """Check a summary against its schema.

    Raises
    ------
    jsonschema.ValidationError
        If a notebook recorded something else than the schema promises.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    # The schema itself is looked at by a test: that takes longer than looking at a summary.
    error = best_match(Draft202012Validator(read_json(SCHEMA)).iter_errors(summary))
    if error is not None:
        raise error


def verdict_line(name: str, symbol: Mapping[str, Any], run_dir: Path) -> str:
    """Return one line that says how a symbol ended and where to read on."""
    if symbol["status"] == "failed":
        return f"{name:<6} FAILED  {symbol['error']}  ({run_dir / name})"
    test = symbol["test"]
    low, high = test["log_loss_skill_ci"]
    failed, unsure = failed_gates(symbol["gates"]), open_questions(symbol["gates"])
    word = "GATES FAILED" if failed else "INCONCLUSIVE" if unsure else "PASS"
    which = f" ({', '.join(failed or unsure)})" if failed or unsure else ""
    shown = "" if test["skill_verdict"] == "skill" else " (no skill)"
    return (
        f"{name:<6} {word}{which}  "
        f"skill {test['log_loss_skill']:.2%} [{low:.2%}, {high:.2%}]{shown}  "
        f"confidence {test['mean_confidence']:.1%}, right {test['accuracy']:.1%}  "
        f"{run_dir / name / '04_diagnose.html'}"
    )
