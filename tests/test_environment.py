"""pyproject.toml, constraints.txt, environment.yml and what is installed say the same thing."""

import itertools
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "arch-py": "arch"}


def project():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def ranges():
    """Every dependency of core and extras, by name."""
    declared = project()
    extras = declared["optional-dependencies"].values()
    lines = [*declared["dependencies"], *itertools.chain.from_iterable(extras)]
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}


def of_extras(*extras):
    """Names that only these extras bring, which `make test` does not install."""
    declared = project()["optional-dependencies"]
    return {canonicalize_name(Requirement(line).name) for e in extras for line in declared[e]}


def pins():
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(r.name): str(r.specifier) for r in wanted}


def conda():
    entries = yaml.safe_load((PROJECT / "environment.yml").read_text())["dependencies"]
    by_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    lines = [e for e in entries if isinstance(e, str)]
    lines += [e for e in by_pip if not e.startswith("-")]
    found = {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}
    return {CONDA_NAMES.get(name, name): specifier for name, specifier in found.items()}


def test_conda_names_and_bounds_are_those_of_pyproject():
    found = conda()
    assert found.pop("python") == SpecifierSet(project()["requires-python"])
    found.pop("pip")
    assert found == ranges()


def test_every_dependency_is_pinned_exactly():
    missing = sorted(set(ranges()) - set(pins()))
    assert missing == []
    assert [name for name, pin in pins().items() if not pin.startswith("==")] == []


def test_torch_is_pinned_to_the_build_that_is_small_on_cpu_machines():
    assert pins()["torch"] == "==2.13.0"


@pytest.mark.parametrize("name", sorted(ranges()))
def test_a_pin_lies_in_its_range(name):
    assert ranges()[name].contains(pins()[name].removeprefix("=="))


@pytest.mark.parametrize(
    "name", sorted(set(ranges()) - (of_extras("bench", "lab") - of_extras("test")))
)
def test_the_installed_version_is_the_pinned_one(name):
    assert version(name).split("+")[0] == pins()[name].removeprefix("==")


def test_what_is_installed_runs_on_the_oldest_python_that_is_named():
    """Debian 12 has 3.11.2, and a pin that needs 3.11.5 cannot be installed there."""
    named = SpecifierSet(project()["requires-python"])
    oldest = next(bound.version for bound in named if bound.operator == ">=")
    needs = {canonicalize_name(d.name): d.metadata["Requires-Python"] for d in distributions()}
    pinned = {name: needs[name] for name in pins() if needs.get(name)}
    assert len(pinned) > 100
    wrong = [n for n, need in pinned.items() if not SpecifierSet(need).contains(f"{oldest}.0")]
    assert wrong == []
