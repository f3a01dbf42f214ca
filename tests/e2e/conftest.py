"""Fixtures: apps as processes, and a browser if one is installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import BROWSER_ARGS, DESKTOP, find_browser
from tests.helpers.history import RUNNING, write_fast_history, write_history
from tests.helpers.running_app import RunningApp, copy_project, free_port, http

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request


EXPECT_TIMEOUT = 30_000
"""Milliseconds."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder as e2e, and run tests that share an app in one process."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if group := _app_group(item):
                item.add_marker(pytest.mark.xdist_group(group))


def _app_group(item: pytest.Item) -> str | None:
    """Return the name of the app that a test shares with others."""
    fixtures = set(getattr(item, "fixturenames", ()))
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    mode = next((value for value in parameters if value in ("dev", "prod")), None)
    if "console" in fixtures:
        return "console"
    if "new_app_ports" in fixtures:
        return mode and f"{mode}-new"
    if {"app", "dev_app", "prod_app"} & fixtures:
        return mode or "prod"
    return None


@pytest.fixture
def mode() -> str:
    """The default mode. ``modes.in_both_modes`` overrides it."""
    return "prod"


@pytest.fixture(scope="session")
def project_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return one copy of the project for each name.

    Apps that run at the same time need separate copies.
    """
    copies: dict[str, Path] = {}

    def copy(name: str) -> Path:
        if name not in copies:
            copies[name] = copy_project(tmp_path_factory.mktemp("project") / name)
        return copies[name]

    return copy


@pytest.fixture(scope="session")
def new_app_ports() -> dict[str, tuple[int, int]]:
    """The ports of ``new_app`` by mode."""
    return {mode: (free_port(), free_port()) for mode in ("dev", "prod")}


@pytest.fixture
def new_app(
    project_in: Callable[[str], Path], new_app_ports: dict[str, tuple[int, int]], tmp_path: Path
) -> Iterator[Callable[..., RunningApp]]:
    """Create apps that are not started yet. They are killed after the test."""
    apps: list[RunningApp] = []

    def create(mode: str, database: Path | None = None, **settings: str) -> RunningApp:
        folder = project_in(f"{mode}-new")
        database = database or tmp_path / "solo.duckdb"
        app = RunningApp(folder, database, mode, settings, ports=new_app_ports[mode])
        apps.append(app)
        return app

    yield create
    for app in apps:
        app.kill()


def _started_app(
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
    """The app in development, shared by all tests."""
    yield from _started_app("dev", project_in, tmp_path_factory)


@pytest.fixture(scope="session")
def prod_app(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app in production, shared by all tests."""
    yield from _started_app("prod", project_in, tmp_path_factory)


@pytest.fixture(scope="session")
def console_app(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app in production with ended batches."""
    database = tmp_path_factory.mktemp("data") / "solo.duckdb"
    write_history(database, interval=timedelta(seconds=1))
    write_fast_history(database)
    app = RunningApp(project_in("console"), database, "prod")
    try:
        yield app.start()
    finally:
        app.stop()


@pytest.fixture
def console(console_app: RunningApp) -> RunningApp:
    """The app in production with ended batches and five running ones."""
    tasks = http.get(f"{console_app.api}/tasks").raise_for_status().json()["tasks"]
    running = {task["batch_id"] for task in tasks}
    for batch_id in running.difference(RUNNING):
        http.delete(f"{console_app.api}/stream/{batch_id}").raise_for_status()
    for batch_id in RUNNING:
        if batch_id not in running:
            http.post(f"{console_app.api}/stream/{batch_id}").raise_for_status()
    return console_app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """An installed Chromium or Chrome.

    It is closed after each module, because its event loop conflicts with tests that run their own.
    """
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="browser tests need requirements-dev.txt"
    )
    found = find_browser()
    if found is None:
        pytest.skip("browser tests need a Chromium or Chrome; none was found")
    sync_api.expect.set_options(timeout=EXPECT_TIMEOUT)
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=BROWSER_ARGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab with a new profile."""
    context = browser.new_context(viewport=DESKTOP)
    yield context.new_page()
    context.close()


@pytest.fixture
def app(mode: str, request: pytest.FixtureRequest) -> Iterator[RunningApp]:
    """The shared app in the mode of the test, without running batches."""
    running: RunningApp = request.getfixturevalue(f"{mode}_app")
    if running.process is None or running.process.poll() is not None:
        running.start()  # A failed test has stopped it.
    running.stop_batches()
    yield running
    running.stop_batches()


@pytest.fixture
def empty_app(app: RunningApp) -> RunningApp:
    """The shared app without any batches, as after its first start."""
    app.delete_batches()
    return app


@pytest.fixture
def expect_no_page_errors(page: Page) -> Iterator[None]:
    """Fail if the page raises or logs an error, or sends a request to another host."""
    errors: list[tuple[str, str]] = []
    requests: list[Request] = []
    page.on("pageerror", lambda error: errors.append((str(error), page.url)))
    page.on(
        "console",
        lambda m: errors.append((m.text, m.location["url"])) if m.type == "error" else None,
    )
    page.on("request", lambda request: requests.append(request))
    yield
    # Chromium logs an error for a page with status 404, such as one for an invalid id.
    pages = {request.url for request in requests if request.is_navigation_request()}
    assert [error for error in errors if "404" not in error[0] or error[1] not in pages] == []
    own = re.compile(r"(data:|blob:|(http|ws)://localhost[:/])")
    assert [request.url for request in requests if not own.match(request.url)] == []
