"""Real harm to the real program: how long it goes on, and disks that can be filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.running_app import RunningApp, copy_project


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a test does its harm."""
    return int(request.config.getoption("--rounds"))


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
