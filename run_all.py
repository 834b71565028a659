"""Run the notebooks for every symbol and write the reports.

    python run_all.py --symbols BTC ETH SOL

Exit status: 0 all symbols ran and no gate failed; 1 a step failed; 2 bad arguments, parameters
or data (nothing was run); 3 all ran, and a gate failed; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

INTERRUPTED = 130


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line as a namespace; options that were not given are None."""
    parser = argparse.ArgumentParser(
        prog="run_all.py",
        description="Train, calibrate, judge and report one model per symbol.",
        epilog="Exit status: 0 good, 1 a step failed, 2 bad input (nothing run), 3 a gate failed.",
    )
    add = parser.add_argument
    add("--symbols", nargs="+", metavar="SYMBOL", help="default: BTC ETH SOL")
    add("--profile", choices=("smoke", "default", "full"), help="params/<profile>.yaml")
    add("--data", metavar="DIR", help="folder with bars, one file per symbol (default: data/)")
    add(
        "--source",
        choices=("auto", "files", "simulated"),
        help="auto: files if every symbol has one, else the simulated market",
    )
    add(
        "--interval",
        metavar="15m",
        help="bars of this length, built from finer ones where a file has those",
    )
    add("--set", action="append", metavar="KEY=VALUE", help="override a parameter, may be repeated")
    add("--jobs", type=int, metavar="N", help="symbols at once (default: so that no core waits)")
    add(
        "--engine",
        choices=("auto", "papermill", "fork"),
        default="auto",
        help="how kernels start; fork is faster and needs Linux without CUDA",
    )
    add("--run-id", metavar="ID", help="name of the run's folder (default: date, time, profile)")
    add("--out", metavar="DIR", help="where runs are written (default: reports/)")
    add("--keep-latest", action="store_true", help="leave reports/latest where it points")
    add("--resume", metavar="RUN_ID", help="go on with a run; finished steps are not run again")
    options = parser.parse_args(arguments)
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: at least 1")
    if options.resume and options.run_id:
        parser.error("--run-id names a new run, --resume an old one: give one of them")
    return options


def make_request(options: argparse.Namespace):
    """Return what is asked for: the options given, over those of the run that is resumed."""
    from v8ops.run.request import Request, earlier_request, unique_symbols

    base = Request(("BTC", "ETH", "SOL"))
    interval = [f"bar_interval={options.interval}"] if options.interval else []
    settings = (*interval, *(options.set or ()))
    if options.resume:
        base = earlier_request(options.out, options.resume)
    given = {
        "symbols": unique_symbols(options.symbols) if options.symbols else None,
        "profile": options.profile,
        "data": str(Path(options.data).resolve()) if options.data else None,
        "source": options.source,
        "settings": settings or None,
        "out": options.out,
        "jobs": options.jobs,
    }
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def run(options: argparse.Namespace) -> int:
    """Carry a run out and return its exit status."""
    from v8ops.run.warm import WarmParent, decide_engine

    engine = decide_engine(options.engine)
    with WarmParent(engine) as parent:  # it imports while the run is planned and bars looked at
        from v8ops.run import plan as planning
        from v8ops.run.workers import warm_parent_of_workers

        request = make_request(options)
        jobs = request.jobs or planning.default_jobs(len(request.symbols))
        plan = planning.make_plan(
            request, run_id=options.resume or options.run_id, jobs=jobs, engine=engine
        )
        env = parent.begin(
            plan.run_dir,
            clients=min(jobs, len(plan.parameters)),
            threads=max(parameters.threads for parameters in plan.parameters.values()),
        )
        warm_parent_of_workers()
        plan = replace(plan, sha256=planning.preflight(plan))
        sys.stdout.write(f"{plan.source_words}\n")
        sys.stdout.write(f"Run {plan.run_id}: {', '.join(request.symbols)}, {request.profile}\n")
        sys.stdout.flush()
        planning.open_run(plan, resumed=bool(options.resume))
        return carry_out(plan, jobs, env, keep_latest=options.keep_latest)


def carry_out(plan, jobs: int, env: Mapping[str, str], *, keep_latest: bool) -> int:
    """Run what was planned, write the summary and the index, and return the exit status."""
    from v8ops.run import plan as planning
    from v8ops.run.progress import make_display
    from v8ops.run.steps import SYMBOL_STEPS
    from v8ops.run.summary import mark_failed, verdict_line, write_summary
    from v8ops.run.supervise import only_runner, run_comparison, run_symbols

    symbols, profile = plan.request.symbols, plan.request.profile
    with only_runner(plan.run_dir):
        planning.note_request(plan)
        with make_display(symbols, len(SYMBOL_STEPS)) as display:
            errors = run_symbols(plan, jobs, display, env)
            ordered = {symbol: errors[symbol] for symbol in symbols}
            summary = write_summary(plan.run_dir, profile=profile, errors=ordered)
            failure = run_comparison(plan, display, env)
        if not keep_latest:
            planning.point_latest(plan)
    for name, symbol in summary["symbols"].items():
        sys.stdout.write(verdict_line(name, symbol, plan.run_dir) + "\n")
    if failure:
        sys.stdout.write(f"FAILED  {failure}\n")
        mark_failed(plan.run_dir, summary)
    if (plan.run_dir / "index.html").is_file():
        sys.stdout.write(f"Report: {plan.run_dir / 'index.html'}\n")
    return summary["exit_status"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn an expected error into one line."""
    options = parse(arguments)
    from v8lib.errors import V8Error

    try:
        return run(options)
    except V8Error as error:
        sys.stderr.write(f"run_all.py: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("run_all.py: interrupted; --resume goes on where it stopped\n")
        return INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main())
