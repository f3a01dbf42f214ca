"""Real harm to the real program: how long it goes on, and disks that can be filled."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.running_app import RunningApp, copy_project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked as a test of faults."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a test does its harm."""
    return int(request.config.getoption("--rounds"))


class SmallDisk:
    """A disk of its own for a test, in memory; ``path`` is its folder, sizes are in MB."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        path.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(path))

    def grow(self, size: int) -> None:
        _mount("-o", f"remount,size={size}m", str(self.path))

    @contextmanager
    def filled_up_to(self, free: int) -> Iterator[None]:
        """Leave ``free`` bytes at the most while the block lasts."""
        ballast = self.path / "ballast"
        while not self._fills(ballast, free):
            pass  # The app took some of the room meanwhile.
        try:
            yield
        finally:
            ballast.unlink()

    def _fills(self, ballast: Path, free: int) -> bool:
        with ballast.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.path).free - free)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return False
        return True

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """Makes disks of so many MB, taken away with the test."""
    made: list[SmallDisk] = []

    def make(size: int) -> SmallDisk:
        try:
            made.append(SmallDisk(tmp_path / f"disk{len(made)}", size))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a small disk needs the right to mount one")
        return made[-1]

    yield make
    for disk in made:
        disk.remove()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, so that its pages are built once for all tests here."""
    return copy_project(tmp_path_factory.mktemp("faults") / "project")


@pytest.fixture
def new_app(folder: Path, tmp_path: Path) -> Iterator[Callable[..., RunningApp]]:
    """Makes apps that do not run yet, on a database of their own; ends them with the test."""
    made: list[RunningApp] = []

    def make(mode: str, database: Path | None = None, **settings: str) -> RunningApp:
        app = RunningApp(folder, database or tmp_path / "solo.duckdb", mode, settings)
        made.append(app)
        return app

    yield make
    for app in made:
        app.kill()
