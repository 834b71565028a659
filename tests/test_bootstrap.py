"""What `bootstrap.py` says before it installs anything, and when it builds anew."""

import importlib.util
import sys

import pytest

import bootstrap


def test_a_python_without_ensurepip_is_refused_before_anything_is_removed(tmp_path, monkeypatch):
    def never(*_, **__):
        pytest.fail("it went on")

    kept = tmp_path / ".venv" / "kept"
    kept.parent.mkdir()
    kept.touch()
    monkeypatch.setattr(bootstrap, "VENV", kept.parent)
    monkeypatch.setattr(bootstrap, "PYTHON", kept.parent / "python")
    monkeypatch.setattr(bootstrap, "call", never)
    monkeypatch.setattr(bootstrap.venv, "create", never)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    with pytest.raises(SystemExit, match=f"without ensurepip.*apt-get install {package}"):
        bootstrap.install([])
    assert kept.is_file()


def test_an_environment_of_another_python_is_not_taken_for_this_one(monkeypatch):
    here = bootstrap.stamp()
    assert bootstrap.stamp() == here
    monkeypatch.setattr(sys, "base_prefix", "elsewhere")
    assert bootstrap.stamp() != here
