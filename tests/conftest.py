"""Fixtures for all tests, and the distribution of tests to processes."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.small_disk import SmallDisk

_batch_numbers = itertools.count(1)


TESTS = Path(__file__).parent

E2E = ("e2e/",)
SLOW = (
    "batches/test_minutes_properties.py",
    "cli/",
    "sources/test_command.py",
    "sources/test_mqtt.py",
    "sources/test_python.py",
    "sources/test_replay.py",
    "storage/",
    "test_startup_check.py",
)
"""Tests that start programs, or read and write many files."""
SHARED_FIXTURES = ("api/", "storage/", "ui/")
"""Tests whose files have fixtures that are expensive to create in each process."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rounds", type=int, default=10, help="rounds of each test in tests/faults (default: 10)"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore files that the mark expression excludes, because importing them takes seconds."""
    file = str(collection_path.relative_to(TESTS))
    expression = config.getoption("markexpr")
    is_excluded = ("not e2e" in expression and file.startswith(E2E)) or (
        "not slow" in expression and file.startswith(SLOW)
    )
    return is_excluded or None  # None: the next plugin decides.


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, and run the tests of a file in one process if they share fixtures."""
    for item in items:
        file = str(item.path.relative_to(TESTS))
        if file.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if file.startswith(SHARED_FIXTURES):
            item.add_marker(pytest.mark.xdist_group(file))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def batch_id() -> str:
    """A batch id that no other test uses."""
    return f"own-{next(_batch_numbers)}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """Create small disks, with a size in MB. They are unmounted after the test."""
    disks: list[SmallDisk] = []

    def mount(size: int) -> SmallDisk:
        try:
            disks.append(SmallDisk(tmp_path / f"disk{len(disks)}", size))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk needs root privileges")
        return disks[-1]

    yield mount
    for disk in disks:
        disk.remove()
