import numpy as np
import pytest

from v8lib import provenance

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A library folder inside a folder that can be made to look like a checkout."""
    library = tmp_path / "v8lib"
    library.mkdir()
    (library / "a.py").write_text("A = 1\n")
    monkeypatch.setattr(provenance, "LIBRARY", library)
    return tmp_path


def test_versions_are_those_of_the_running_libraries():
    assert provenance.package_versions()["numpy"] == np.__version__


def test_the_hash_follows_every_source_file(checkout):
    first = provenance.library_sha256()
    assert provenance.library_sha256() == first
    (checkout / "v8lib" / "a.py").write_text("A = 2\n")
    second = provenance.library_sha256()
    (checkout / "v8lib" / "b.py").write_text("")
    assert len({first, second, provenance.library_sha256()}) == 3


def test_outside_a_checkout_there_is_no_commit(checkout):
    assert provenance.git_commit() is None


def test_a_branch_without_a_commit_has_none(checkout):
    (checkout / ".git").mkdir()
    (checkout / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert provenance.git_commit() is None


@pytest.mark.parametrize("where", ["loose", "packed", "detached"])
def test_the_commit_is_found_wherever_git_keeps_it(checkout, where):
    git = checkout / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    if where == "loose":
        (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    elif where == "packed":
        (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    else:
        (git / "HEAD").write_text(f"{COMMIT}\n")
    assert provenance.git_commit() == COMMIT
