"""Fixtures for all tests, and the distribution of tests to processes."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.small_disk import SmallDisk

_batch_numbers = itertools.count(1)


SLOW = (
    "cli",
    "storage",
    "batches/test_minutes_properties.py",
    "sources/test_command.py",
    "sources/test_python.py",
    "sources/test_replay.py",
    "test_startup_check.py",
)
"""Tests that start programs, or read and write many files."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rounds", type=int, default=10, help="rounds of each test in tests/faults (default: 10)"
    )


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, and run the tests of a file in one process if they share fixtures."""
    here = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(here / path) for path in SLOW):
            item.add_marker(pytest.mark.slow)
        if item.path.parent in (here / "api", here / "storage", here / "ui"):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.name}"))


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
