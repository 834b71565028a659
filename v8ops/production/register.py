"""`register`: a model that was trained elsewhere becomes a bundle, tried on the bars given.

The spec is a JSON file: input, columns, mean, scale and clip_sigma (optional), output,
output_is (logits, probs or log_probs), classes in the order of the output, interval_s, labels,
min_confidence, decision_offsets (optional). The last fifth of the bars judges the model.

Exit status: 0 written; 2 refused, nothing was written.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from v8lib.errors import BundleError, SplitError
from v8ops.production.change import MODELS
from v8ops.production.errors import ProductionError
from v8ops.production.names import check_symbol, check_version

MAX_NAME = 32  # of a version's name, before the hash of its content


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = __doc__
    add = parser.add_argument
    add("--symbol", required=True, help="whose model it is, such as BTC")
    add("--version", required=True, help="its name, such as v5; the hash of its content is added")
    add("--onnx", required=True, type=Path, metavar="FILE", help="the model, one ONNX file")
    add("--spec", required=True, type=Path, metavar="FILE", help="what it takes and says, JSON")
    add("--bars", required=True, type=Path, metavar="FILE", help="bars to try it on")
    add("--models", type=Path, default=MODELS, help="the models folder")


def main(options: argparse.Namespace) -> int:
    """Register the model and say what its gates say."""
    symbol, name = check_symbol(options.symbol), check_version(options.version)
    if len(name) > MAX_NAME:
        raise ProductionError(f"--version {name}: at most {MAX_NAME} characters")
    # Imported here: names that are none are refused without pandas.
    from v8lib.bars import load_bars
    from v8lib.bundle import write_bundle
    from v8lib.foreign import try_model
    from v8ops.production.onnx_file import read_model
    from v8ops.production.spec import read_spec

    spec = read_spec(options.spec)
    runtime = read_model(options.onnx, spec)
    loaded = load_bars(options.bars)
    try:
        trial = try_model(
            runtime,
            loaded.bars,
            interval_s=spec.interval_s,
            labels=spec.labels.numbers,
            symbol=symbol,
        )
        facts = {**trial.facts, "data_sha256": loaded.sha256}
        folder = write_bundle(
            options.models,
            symbol,
            runtime,
            facts,
            trial.golden_bars,
            reference=trial.reference,
            name=name,
        )
    except (BundleError, SplitError) as error:
        raise ProductionError(f"{options.onnx} on {options.bars}: {error}") from None
    except OSError as error:
        raise ProductionError(f"{options.models} cannot be written: {error.strerror}") from None
    sys.stdout.write("\n".join(_lines(folder, facts["gates"])) + "\n")
    return 0


def _lines(folder: Path, gates: dict[str, dict]) -> Iterator[str]:
    yield f"{folder}: registered"
    for name, gate in gates.items():
        value = "no value" if gate["value"] is None else f"{gate['value']:.4g}"
        yield f"  {name:<22}{gate['verdict']:<13}{value:>10}  {gate['limit']}"
    against = [name for name, gate in gates.items() if gate["verdict"] == "fail"]
    if against:
        yield f"It cannot be promoted: {', '.join(against)} failed on these bars."
    else:
        symbol, version = folder.parent.name, folder.name
        yield f"Next: python -m v8ops promote --symbol {symbol} --version {version}"
