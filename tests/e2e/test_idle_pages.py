"""Pages stay correct when idle, in a suspended browser, and in duplicated tabs.

In these tests, the app evicts idle states and closes silent connections after a few seconds.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import expect_new_points, open_page, running_tasks, start, stop
from tests.helpers.browser import BROWSER_ARGS, DESKTOP, find_full_browser
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EXPIRY = 4
"""Seconds after which the app evicts a state that is not accessed."""

IDLE = 2 * EXPIRY + 1
"""Seconds for which pages are idle. Eviction depends on time only, so tests sleep."""

SETTINGS = {
    "REFLEX_REDIS_TOKEN_EXPIRATION": str(EXPIRY),
    "REFLEX_SOCKET_INTERVAL": "2",
    "REFLEX_SOCKET_TIMEOUT": "3",
}


in_production = pytest.mark.parametrize("app", ["prod"], indirect=True)
in_both_modes = pytest.mark.parametrize(
    "app", ["prod", pytest.param("dev", marks=pytest.mark.dev)], indirect=True
)


@pytest.fixture(scope="module")
def app(
    request: pytest.FixtureRequest,
    project_in: Callable[[str], Path],
    new_app_ports: dict[str, tuple[int, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningApp]:
    """The app with the running batch ``live`` and short time limits."""
    mode = request.param
    database = tmp_path_factory.mktemp("data") / "solo.duckdb"
    folder = project_in(f"{mode}-new")
    running = RunningApp(folder, database, mode, SETTINGS, ports=new_app_ports[mode])
    try:
        running.start()
        start(running, "live")
        yield running
    finally:
        running.kill()


@pytest.fixture(autouse=True)
def stop_other_batches(app: RunningApp) -> Iterator[None]:
    """Stop the batches that a test started."""
    yield
    for task in running_tasks(app):
        if task["batch_id"] != "live":
            stop(app, str(task["batch_id"]))


@pytest.fixture(scope="module")
def idle_pages(browser: Browser, app: RunningApp) -> Iterator[dict[str, Page]]:
    """A tab on each page, idle until the app has evicted its state."""
    context = browser.new_context(viewport=DESKTOP)
    for batch_id in ("old", "other"):
        start(app, batch_id)
        stop(app, batch_id)
    pages = {}
    for path in ("/", "/batch/old", "/batch/live", "/batch/later", "/nowhere/at/all"):
        pages[path] = context.new_page()
        open_page(pages[path], app, path)
    search_ended(pages["/"], "old")
    time.sleep(IDLE)
    yield pages
    context.close()


def search_ended(page: Page, text: str) -> None:
    """Filter and search the table. Exactly one ended batch must match."""
    page.get_by_role("button", name="Ended", exact=True).click()
    page.get_by_label("Search batches").fill(text)
    expect(page.locator("table.batches tbody tr")).to_have_count(1)


def expect_ended_search(page: Page, text: str) -> None:
    """Expect the filter and the search of ``search_ended``."""
    expect(page.get_by_label("Search batches")).to_have_value(text)
    expect(page.get_by_role("button", name="Ended", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )


def expect_running(page: Page, batch_id: str) -> None:
    """Expect the complete page of a running batch, with new points."""
    expect(page.locator(".status-line .pill")).to_have_text("Running")
    expect(page.get_by_role("heading", level=1)).to_have_text(batch_id)
    expect(page.locator("td.seq").first).to_be_visible()
    expect_new_points(page)
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.locator(".connection.current")).to_be_visible()


@in_production
def test_idle_page_of_ended_batch_shows_next_run(
    idle_pages: dict[str, Page], app: RunningApp
) -> None:
    page = idle_pages["/batch/old"]
    expect(page.locator(".skeleton")).to_have_count(0)
    start(app, "old")
    expect_running(page, "old")
    page.locator("main").get_by_role("button", name="Stop", exact=True).click()
    expect(page).to_have_url(f"{app.url}/")


@in_production
def test_idle_home_page_keeps_search_and_filter(
    idle_pages: dict[str, Page], app: RunningApp
) -> None:
    page = idle_pages["/"]
    rows = page.locator("table.batches tbody tr")
    expect(rows).to_have_count(1)
    start(app, "old-2")
    stop(app, "old-2")
    expect(rows).to_have_count(2)
    expect_ended_search(page, "old")
    page.get_by_role("button", name="Start again: old-2", exact=True).click()
    expect(page.locator("a.slot", has_text="old-2")).to_be_visible()
    expect(rows).to_have_count(1)
    expect_ended_search(page, "old")


@in_production
def test_idle_page_of_running_batch_continues(idle_pages: dict[str, Page], app: RunningApp) -> None:
    page = idle_pages["/batch/live"]
    expect_running(page, "live")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="6 h", exact=True).click()
    expect(page.get_by_role("button", name="6 h", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_role("button", name="Resume").click()
    expect_running(page, "live")


@in_production
def test_idle_page_of_unknown_batch_shows_its_first_run(
    idle_pages: dict[str, Page], app: RunningApp
) -> None:
    page = idle_pages["/batch/later"]
    expect(page.get_by_role("button", name="Start ")).to_be_visible()
    start(app, "later")
    expect_running(page, "later")
    stop(app, "later")
    expect(page.locator(".status-line .pill")).to_have_text("Stopped")


@in_production
def test_links_on_idle_page_without_data_work(idle_pages: dict[str, Page], app: RunningApp) -> None:
    page = idle_pages["/nowhere/at/all"]
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    page.get_by_role("link", name="All batches", exact=True).click()
    page.locator("table.batches").get_by_role("link", name="live", exact=True).click()
    expect_running(page, "live")


@in_production
def test_duplicated_tab_is_independent(page: Page, app: RunningApp) -> None:
    for batch_id in ("gone", "also-ended"):
        start(app, batch_id)
        stop(app, batch_id)
    start(app, "twin")
    open_page(page, app, "/batch/twin")
    twin = duplicate(page)
    for tab in (page, twin):
        expect_running(tab, "twin")
    twin.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.reload()
    for tab in (page, twin):
        tab.locator("header").get_by_role("link").first.click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("Batches")
    search_ended(page, "gone")
    expect(twin.get_by_label("Search batches")).to_have_value("")
    third = duplicate(page)
    expect_ended_search(third, "gone")
    third.get_by_role("button", name="All", exact=True).click()
    third.get_by_label("Search batches").fill("twin")
    third.get_by_role("button", name="Stop: twin", exact=True).click()
    for tab in (page, twin, third):
        expect(tab.locator("a.slot", has_text="twin")).to_have_count(0)
    expect_ended_search(page, "gone")
    page.go_back()
    expect(page.locator(".status-line .pill")).to_have_text("Stopped")


def duplicate(page: Page) -> Page:
    """Open the same page with a copy of the tab's session storage, as "Duplicate tab" does."""
    with page.expect_popup() as opened:
        page.evaluate("() => void window.open(location.href)")
    twin = opened.value
    expect(twin.locator(".connection.current")).to_be_visible()
    return twin


@pytest.fixture
def own_browser(browser: Browser) -> Iterator[Browser]:
    """A separate browser, with the back/forward cache, which Playwright disables by default."""
    executable = find_full_browser()
    if executable is None:
        pytest.skip("the back/forward cache needs a Chromium or Chrome with all its features")
    launched = browser.browser_type.launch(
        executable_path=executable,
        args=BROWSER_ARGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield launched
    launched.close()


@contextmanager
def suspend(browser: Browser) -> Iterator[None]:
    """Suspend all processes of a browser, like a sleeping machine."""
    system = browser.new_browser_cdp_session()
    processes = system.send("SystemInfo.getProcessInfo")["processInfo"]
    system.detach()
    pids = [process["id"] for process in processes]
    assert len(pids) > 2
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@in_both_modes
def test_pages_are_current_after_browser_resumes(own_browser: Browser, app: RunningApp) -> None:
    start(app, "night")
    for batch_id in ("dusk", "also-ended"):
        start(app, batch_id)
        stop(app, batch_id)
    context = own_browser.new_context(viewport=DESKTOP)
    home, night, dusk = context.new_page(), context.new_page(), context.new_page()
    open_page(home, app, "/")
    search_ended(home, "dusk")
    open_page(dusk, app, "/batch/dusk")
    open_page(night, app, "/batch/night")
    for page in (home, night, dusk):
        page.evaluate("window.same = true")
    with suspend(own_browser):
        time.sleep(IDLE)
        stop(app, "night")
        start(app, "dusk")
    expect(night.locator(".status-line .pill")).to_have_text("Stopped")
    expect_running(dusk, "dusk")
    expect(home.locator("a.slot", has_text="dusk")).to_be_visible()
    expect_ended_search(home, "dusk")
    for page in (home, night, dusk):
        assert page.evaluate("window.same")
        expect(page.locator(".banner.offline")).to_have_count(0)
    home.get_by_role("button", name="All", exact=True).click()
    home.get_by_role("button", name="Stop: dusk", exact=True).click()
    expect(dusk.locator(".status-line .pill")).to_have_text("Stopped")


@in_both_modes
def test_page_is_live_after_return_from_another_site(own_browser: Browser, app: RunningApp) -> None:
    start(app, "away")
    page = own_browser.new_context(viewport=DESKTOP).new_page()
    open_page(page, app, "/batch/away")
    expect_running(page, "away")
    page.evaluate("window.same = true")
    page.goto(f"{app.api}/docs")
    stop(app, "away")
    page.go_back(wait_until="commit")
    # A cached page is not loaded again.
    assert page.evaluate("window.same") or app.mode == "dev"
    expect(page.locator(".status-line .pill")).to_have_text("Stopped")
    start(app, "away")
    expect_running(page, "away")
