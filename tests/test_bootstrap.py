"""What `bootstrap.py` says before it installs anything."""

import importlib.util

import pytest

import bootstrap


def test_a_python_without_ensurepip_is_refused_before_anything_is_removed(tmp_path, monkeypatch):
    environment = tmp_path / ".venv"
    environment.mkdir()
    monkeypatch.setattr(bootstrap, "VENV", environment)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="without ensurepip"):
        bootstrap.install([])
    assert environment.is_dir()
