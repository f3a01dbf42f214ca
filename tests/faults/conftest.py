"""Fixtures for tests that kill the app, fill its disk or damage its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.running_app import BACKEND_ONLY, RunningApp, copy_project


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """The number of repetitions of a fault."""
    return int(request.config.getoption("--rounds"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project."""
    return copy_project(tmp_path_factory.mktemp("faults") / "project")


@pytest.fixture
def new_app(folder: Path, tmp_path: Path) -> Iterator[Callable[..., RunningApp]]:
    """Create apps that are not started yet. They are killed after the test.

    In production they serve the API without the pages, whose build takes most of a start.
    """
    apps: list[RunningApp] = []

    def create(database: Path | None = None, mode: str = "prod", **settings: str) -> RunningApp:
        if mode == "prod":
            settings = BACKEND_ONLY | settings
        app = RunningApp(folder, database or tmp_path / "solo.duckdb", mode, settings)
        apps.append(app)
        return app

    yield create
    for app in reversed(apps):  # An app may have replaced the one before it.
        app.kill()
