"""What must not stand anywhere in the project's own files."""

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
BANNED = {
    "a machine path": re.compile(r"/(?:work|root|home)/[A-Za-z0-9_.-]+"),
    "data from outside the project": re.compile(r"\.\./shared"),
    "a placeholder": re.compile(r"TODO-[A-Z]"),
    "a blanket exception handler": re.compile(r"except( Exception)?:\s*(pass)?$", re.MULTILINE),
    "a blanket warning filter": re.compile(r"filterwarnings\(.ignore.\)"),
}
NAMES = re.compile(r"(^|/)(utils|helpers|common|misc)\.py$|_(final|fixed|v\d+)\.py$")


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    return [PROJECT / name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("what", BANNED)
def test_no_file_holds(what):
    texts = [p for p in tracked() if p.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".ipynb"}]
    assert len(texts) > 80
    own = Path(__file__).resolve()
    found = [p.name for p in texts if p != own and BANNED[what].search(p.read_text("utf-8"))]
    assert found == []


def test_no_file_is_named_after_nothing():
    assert [p.name for p in tracked() if NAMES.search(p.as_posix())] == []


def test_no_tracked_file_is_larger_than_half_a_megabyte():
    assert [p.name for p in tracked() if p.stat().st_size > 500_000] == []
