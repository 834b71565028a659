"""What every command that changes a rollout needs: who, why, and the bundle it is about."""

import argparse
import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from v8ops.production.errors import ProductionError
from v8ops.production.names import bundle_folder

if TYPE_CHECKING:  # a rollback looks at no bundle, and must not wait for numpy
    from v8lib.bundle import Bundle

PROJECT = Path(__file__).resolve().parents[2]
MODELS = PROJECT / "models"
LOG_NAME = "signals.sqlite"


def add_common(parser: argparse.ArgumentParser, *, symbol: bool = True) -> None:
    """Add the options that all of these commands share."""
    if symbol:
        parser.add_argument("--symbol", required=True, help="whose rollout, such as BTC")
    parser.add_argument("--models", type=Path, default=MODELS, help="the models folder")
    parser.add_argument("--log", type=Path, help=f"the signal log; by default MODELS/{LOG_NAME}")
    parser.add_argument("--who", default=None, help="name for the history; by default the user's")


def log_path(options: argparse.Namespace) -> Path:
    """Return where the signal log is."""
    return options.log or options.models / LOG_NAME


def user_name(options: argparse.Namespace) -> str:
    """Return who gives the command.

    Raises
    ------
    ProductionError
        If nobody can be named.
    """
    try:
        given = options.who if options.who is not None else os.environ.get("USER")
        name = " ".join((getpass.getuser() if given is None else given).split())
    except (KeyError, OSError):
        name = ""
    if not name:
        raise ProductionError("who gives this command is not known: say it with --who")
    return name


def said(why: str, option: str) -> str:
    """Return a reason that a person gave.

    Raises
    ------
    ProductionError
        If it is empty: the history is read when something has gone wrong.
    """
    if not why.strip():
        raise ProductionError(f"{option}: say why in a few words")
    return " ".join(why.split())


def verified_bundle(models_dir: Path, symbol: str, version: str) -> "Bundle":
    """Return a bundle after every check of loading.

    Raises
    ------
    ProductionError
        If the name leads nowhere.
    BundleError
        If the bundle is not whole.
    """
    from v8lib.bundle import load_bundle

    folder = bundle_folder(models_dir, symbol, version)
    if not folder.is_dir():
        there = sorted(p.name for p in folder.parent.glob("*") if p.is_dir())
        found = f"there are {', '.join(there)}" if there else "a run writes them"
        raise ProductionError(f"{folder} is not there: no bundle of this version; {found}")
    return load_bundle(folder)
