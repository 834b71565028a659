"""Say what bar files are worth, and write a file without the defects on request.

Exit status: 0 a run takes every file as it is (or OUT was written); 3 a run refuses a file as
it is; 2 bad arguments or a missing file (nothing was checked).
"""

import argparse
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from v8lib.bar_interval import interval_word, parse_interval
from v8lib.errors import BarsError, RunError
from v8lib.storage import json_bytes, write_bytes

if TYPE_CHECKING:  # --help and wrong arguments are answered without pandas
    import pandas as pd

    from v8lib.bar_audit import Audit
    from v8lib.raw_bars import RawBars
    from v8ops.feeds.check_report import Line

NOT_AS_IT_IS = 3
LABEL_WIDTH = 10


@dataclass(frozen=True)
class Done:
    """What was made of a file: how many bars, what was left out, and where they were written."""

    n_bars: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    sorted: str = ""
    resampled: str = ""
    written: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of check-bars."""
    parser.description = __doc__
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="CSV, Parquet or Feather; gzip and zip too")
    add(
        "--against",
        metavar="OTHER",
        help="a second source of the same market: compare clock and prices",
    )
    add(
        "--fix",
        metavar="OUT",
        help="write the bars of FILE without its defects to OUT (.parquet), and every row left "
        "out, with the reason, to OUT with the suffix .changes.csv",
    )
    add("--interval", metavar="15m", help="length of a bar, where most bars are missing")
    add("--resample", metavar="1h", help="make longer bars; written with --fix only")
    add("--json", action="store_true", help="everything that was found, as JSON")


def main(options: argparse.Namespace) -> int:
    """Check the files and return the exit status.

    Raises
    ------
    V8Error
        If the arguments cannot be followed, or the second source cannot be compared.
    """
    interval_s = parse_interval(options.interval) if options.interval else None
    coarse_s = parse_interval(options.resample) if options.resample else None
    _refuse_arguments(options)
    from v8lib.bar_files import read_bars
    from v8ops.feeds.check_report import audit_data, report_lines

    other = read_bars(options.against) if options.against else None
    status, content = 0, []
    for path in options.files:
        audit, raw = _audit(path, other, interval_s)
        done = _finish(audit, raw, options.fix, coarse_s)
        if not audit.loads and not (done and done.written):
            status = NOT_AS_IT_IS
        if options.json:
            content.append(audit_data(audit) | {"made": asdict(done) if done else None})
        else:
            _show([*report_lines(audit), *_done_lines(done, options.fix)])
    if options.json:
        sys.stdout.write(json_bytes(content).decode())
    return status


def _refuse_arguments(options: argparse.Namespace) -> None:
    inputs = [*options.files, *([options.against] if options.against else [])]
    for path in inputs:
        if not Path(path).is_file():
            raise RunError(f"{path}: no such file")
    if not options.fix:
        return
    out = Path(options.fix)
    if len(options.files) > 1:
        raise RunError("--fix takes one FILE: it writes one OUT")
    if out.suffix != ".parquet":
        raise RunError(f"--fix {out}: OUT is a Parquet file, name it so")
    if any(out.resolve() == Path(path).resolve() for path in inputs):
        raise RunError(f"--fix {out}: would replace what it was made from; name another file")


def _audit(
    path: str, other: "RawBars | None", interval_s: int | None
) -> "tuple[Audit, RawBars | None]":
    """Return the audit of a file, and its rows if it could be read."""
    from v8lib.bar_audit import audit_bars, refused_audit
    from v8lib.bar_files import read_bars

    try:
        raw = read_bars(path)
    except BarsError as error:
        return refused_audit(path, error), None
    return audit_bars(raw, against=other, interval_s=interval_s), raw


def _finish(
    audit: "Audit", raw: "RawBars | None", out: str | None, coarse_s: int | None
) -> Done | None:
    """Resample and write what was asked for; return what was done, None if nothing was."""
    if raw is None or audit.verdict == "not bars" or not (out or coarse_s):
        return None
    from v8lib.bar_fix import fix_bars
    from v8lib.resample import resample_bars

    bars, changes = fix_bars(raw, audit)
    if coarse_s:
        try:
            bars = resample_bars(bars, coarse_s)
        except BarsError as error:
            raise BarsError(f"{audit.path}: --resample: {error}") from None
    if out:
        _write(Path(out), bars, changes)
    return Done(
        len(bars),
        changes.loc[changes["action"] == "dropped", "reason"].value_counts().to_dict(),
        "".join(changes.loc[changes["action"] == "sorted", "reason"]),
        interval_word(coarse_s) if coarse_s else "",
        out,
    )


def _write(out: Path, bars: "pd.DataFrame", changes: "pd.DataFrame") -> None:
    """Write the list of changes first: bars never lie there without it."""
    from v8lib.bar_schema import check_schema

    check_schema(bars)
    write_bytes(out.with_suffix(".changes.csv"), changes.to_csv(index=False).encode())
    packed = io.BytesIO()
    bars.reset_index().to_parquet(packed, index=False, compression="zstd")
    write_bytes(out, packed.getvalue())


def _show(lines: "list[Line]") -> None:
    """Write the report of one file; colours on a terminal only, and no line is broken."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for label, words, style in lines:
        console.print(Text(f"{label:<{LABEL_WIDTH}}{words}", style=style))
    console.print()


def _done_lines(done: Done | None, out: str | None) -> "Iterator[Line]":
    """Yield what was left out, resampled and written, as lines of the report."""
    if done is None:
        if out:
            yield "written", "nothing", "bold"
        return
    for reason, n in done.dropped.items():
        yield "dropped", f"{n:,} x {reason}", ""
    if done.sorted:
        yield "sorted", done.sorted, ""
    if done.resampled:
        yield "resampled", f"{done.n_bars:,} whole bars of {done.resampled}", ""
    if done.written:
        changes = Path(done.written).with_suffix(".changes.csv")
        words = f"{done.written}: {done.n_bars:,} bars; the list of changes is {changes}"
        yield "written", words, "bold"
