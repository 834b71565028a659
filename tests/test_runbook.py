"""The runbook's commands can be given, and its names are those of the code."""

import argparse
import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
from rollout_kit import REPO

import run_all
import v8ops.__main__ as cli
from v8ops.production import evidence, monitors
from v8ops.production.rollout_state import SHARES, STAGES

TEXT = (REPO / "docs" / "runbook.md").read_text(encoding="utf-8")
LINES = re.findall(r"^ {4,}(python .+)$", TEXT, flags=re.MULTILINE)
FOLDER = REPO / "v8ops" / "production"
SAYING = {"say", "once", "over"}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def parse(line):
    """Parse a command line as the program would, and return the command's name."""
    words = shlex.split(line)
    if words[:2] == ["python", "run_all.py"]:
        run_all.parse(words[2:])
        return "run_all"
    if words[:3] != ["python", "-m", "v8ops"]:
        raise ValueError(f"{line}: none of ours")
    parser = Parser()
    importlib.import_module(cli.COMMANDS[words[3]]).add_arguments(parser)
    parser.parse_args(words[4:])
    return words[3]


def table(heading):
    """Return the first cells of the table whose first heading is this."""
    rows = TEXT.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [row.split("|")[1].strip() for row in rows]


def kinds_said():
    """Return the kinds of events that serving can say, from the code."""
    found = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            says = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in SAYING
            if says and path.name != "notes.py":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}: {ast.unparse(node)}"
                found.add(node.args[0].value)
    return found


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_can_be_given(line):
    assert parse(line)


def test_a_line_that_cannot_be_given_is_seen():
    for line in (
        "python -m v8ops rollback --symbol BTC",
        "python -m v8ops advance --symbol BTC --forced x",
        "python other.py",
    ):
        with pytest.raises(ValueError, match=r"required|unrecognized|none of ours"):
            parse(line)
    with pytest.raises(KeyError):
        parse("python -m v8ops undo")


def test_every_command_of_production_is_shown():
    ours = {n for n, module in cli.COMMANDS.items() if module.startswith("v8ops.production.")}
    assert {"promote", "advance", "rollback", "release", "restore", "status"} <= ours
    assert ours - {"export"} <= {parse(line) for line in LINES}


def test_every_command_that_is_named_is_there():
    """Options in the text belong to a command that is shown."""
    options = set(re.findall(r"`(--[a-z-]+)", TEXT))
    known = set()
    for module in cli.COMMANDS.values():
        parser = Parser()
        importlib.import_module(module).add_arguments(parser)
        known |= set(parser._option_string_actions)
    assert options and options <= known


def test_monitors_are_those_of_the_code():
    assert table("monitor") == list(monitors.MONITORS)


def test_events_are_those_of_the_code():
    said = kinds_said()
    assert {"rollback", "alarm"} <= said
    assert sorted(table("event")) == sorted(said)


def test_stages_shares_and_bars_are_those_of_the_code():
    assert table("stage") == list(STAGES)
    for stage in ("10", "50"):
        assert f"| {stage} | {SHARES[stage]:.0%} of the bars |".replace("0%", "0 %") in TEXT
    assert f"needs {evidence.NEEDED_BARS} bars" in TEXT


def test_links_lead_somewhere():
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    }
    inside = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert inside and set(inside) <= anchors
    for target in re.findall(r"\]\(([^#)][^)]*)\)", TEXT):
        assert (Path(REPO / "docs") / target).exists(), target
