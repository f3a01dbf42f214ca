"""Fixtures for tests that kill the app, fill its disk or damage its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.running_app import RunningApp, copy_project


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """The number of repetitions of a fault."""
    return int(request.config.getoption("--rounds"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, whose pages are built once."""
    return copy_project(tmp_path_factory.mktemp("faults") / "project")


@pytest.fixture
def new_app(folder: Path, tmp_path: Path) -> Iterator[Callable[..., RunningApp]]:
    """Create apps that are not started yet. They are killed after the test."""
    apps: list[RunningApp] = []

    def create(mode: str, database: Path | None = None, **settings: str) -> RunningApp:
        app = RunningApp(folder, database or tmp_path / "solo.duckdb", mode, settings)
        apps.append(app)
        return app

    yield create
    for app in apps:
        app.kill()
