"""The commands of the suite that are not a run: `python -m v8ops COMMAND --help`.

A run is `python run_all.py`.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from v8lib.errors import V8Error

COMMANDS = {
    "check-bars": "v8ops.feeds.check",
    "fetch": "v8ops.feeds.fetch",
    "serve": "v8ops.production.serve",
    "predict": "v8ops.production.predict",
    "register": "v8ops.production.register",
    "export": "v8ops.production.export",
    "promote": "v8ops.production.promote",
    "advance": "v8ops.production.advance",
    "rollback": "v8ops.production.rollback_command",
    "release": "v8ops.production.release",
    "restore": "v8ops.production.restore",
    "status": "v8ops.production.status",
    "monitor": "v8ops.production.monitor",
    "replay": "v8ops.production.replay",
}
WORDS = {
    "check-bars": "say what a bar file is worth",
    "fetch": "get bars from an exchange or archive",
    "serve": "emit and log a signal for every new bar",
    "predict": "the signal of the last complete bar of a file",
    "register": "make a bundle of a model that was trained elsewhere",
    "export": "write a bundle as one ONNX file",
    "promote": "make a bundle the candidate, in shadow",
    "advance": "give the candidate its next share of the bars",
    "rollback": "take a model out of use, at once",
    "release": "let a model that was rolled back be promoted again",
    "restore": "put a kept state in the place of a damaged rollout.json",
    "status": "which model serves each symbol",
    "monitor": "what the monitors read of the models in use, and a page with plots",
    "replay": "rehearse rollouts on recorded bars, with and without faults",
}
BAD_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    A command is a module with `add_arguments(parser)` and `main(options) -> int`; only the
    one that was asked for is imported. What it raises on purpose becomes one line and status 2.
    """
    parser = argparse.ArgumentParser(
        prog="python -m v8ops",
        description="\n".join(f"{name:<12}{words}" for name, words in WORDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Each command has its own --help.",
    )
    parser.add_argument("command", choices=tuple(COMMANDS))
    name = parser.parse_args(arguments[:1]).command
    module = importlib.import_module(COMMANDS[name])
    own = argparse.ArgumentParser(
        prog=f"python -m v8ops {name}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(own)
    try:
        return module.main(own.parse_args(arguments[1:]))
    except V8Error as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
