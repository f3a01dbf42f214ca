"""Every installed dependency has a pinned version."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.running_app import PROJECT

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
_PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)")


def pins(file: str) -> dict[str, str]:
    """The pinned versions of a requirements file, by normalized package name."""
    lines = (PROJECT / file).read_text().splitlines()
    found = filter(None, map(_PIN.match, lines))
    return {canonicalize_name(pin["name"]): pin["version"] for pin in found}


def dependencies(package: str) -> set[str]:
    """The packages that an installed package requires on this machine, without extras."""
    try:
        declared = map(Requirement, requires(package) or ())
    except PackageNotFoundError:
        return set()  # A development tool that is not installed.
    return {
        canonicalize_name(requirement.name)
        for requirement in declared
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_direct_dependencies_are_pinned_and_locked(file: str) -> None:
    lines = [line for line in (PROJECT / file).read_text().splitlines() if line[:1].isalpha()]
    assert len(pins(file)) == len(lines) > 5
    locked = pins("constraints.txt")
    assert pins(file).items() <= locked.items()


def test_indirect_dependencies_are_locked() -> None:
    locked = pins("constraints.txt")
    packages = pins("requirements.txt").keys() | pins("requirements-dev.txt").keys()
    found: set[str] = set()
    while packages:
        found |= packages
        packages = set().union(*map(dependencies, packages)) - found
    assert len(found) > 50
    assert found <= locked.keys()


def test_both_requirements_files_apply_the_constraints() -> None:
    assert (PROJECT / "requirements.txt").read_text().startswith("-c constraints.txt\n")
    assert "-r requirements.txt" in (PROJECT / "requirements-dev.txt").read_text().splitlines()
