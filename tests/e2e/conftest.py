"""The real app as a process, and a real browser on it where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browsers import QUIET, find_browser
from tests.running_app import RunningApp, copy_of_project

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


LAST = "test_page_speed"
"""The file whose tests want a quiet machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked as end to end; each file and mode runs by itself.

    Those that belong together share an app, which takes longer to start than most tests.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            mode = "dev" if "dev" in item.keywords else "prod"
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{mode}"))
    items.sort(key=lambda item: item.path.stem == LAST)


@pytest.fixture(params=[pytest.param("prod"), pytest.param("dev", marks=pytest.mark.dev)])
def mode(request: pytest.FixtureRequest) -> str:
    """Both modes, one after the other."""
    return str(request.param)


@pytest.fixture(scope="session")
def project_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A copy of the project for each use, made once, so that each builds its pages once.

    Two apps that run at the same time need two: each builds into its own folder.
    """
    copies: dict[str, Path] = {}

    def copy(use: str) -> Path:
        if use not in copies:
            copies[use] = copy_of_project(tmp_path_factory.mktemp("project") / use)
        return copies[use]

    return copy


@pytest.fixture
def new_app(
    project_in: Callable[[str], Path], tmp_path: Path
) -> Iterator[Callable[..., RunningApp]]:
    """Makes apps that do not run yet, on a database of their own; ends them with the test."""
    made: list[RunningApp] = []

    def make(mode: str, database: Path | None = None, **settings: str) -> RunningApp:
        folder = project_in(f"{mode}-alone")
        app = RunningApp(folder, database or tmp_path / "solo.duckdb", mode, settings)
        made.append(app)
        return app

    yield make
    for app in made:
        app.kill()


def _running(
    mode: str, project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    database = tmp_path_factory.mktemp("data") / "solo.duckdb"
    app = RunningApp(project_in(mode), database, mode)
    try:
        yield app.start()
    finally:
        app.stop()


@pytest.fixture(scope="session")
def dev_app(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app in development, one for all tests."""
    yield from _running("dev", project_in, tmp_path_factory)


@pytest.fixture(scope="session")
def prod_app(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app in production, one for all tests."""
    yield from _running("prod", project_in, tmp_path_factory)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium or Chrome of the system (or the one that CHROMIUM names).

    One for each module: its event loop runs until it is closed, and some tests run their own.
    """
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="browser tests need requirements-dev.txt"
    )
    found = find_browser()
    if found is None:
        pytest.skip("browser tests need a Chromium or Chrome; none was found")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab in a profile of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()
