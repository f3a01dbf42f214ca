"""Pictures of every page in every state, into ``docs/screenshots`` or the folder one names.

``python -m tests.screenshots [FOLDER]`` starts the app in production on databases of its own and
takes each picture in light, in dark and at the width of a phone. It needs a Chromium or Chrome.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browsers import QUIET, find_browser
from tests.past import FAILED, FINISHED, RUNNING, write_past
from tests.running_app import PROJECT, RunningApp, copy_of_project

PICTURES = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "screenshots"
DESK, PHONE = ViewportSize(width=1280, height=860), ViewportSize(width=360, height=780)
LOOKS = {"light": DESK, "dark": DESK, "phone": PHONE}
MANY = 120
"""So many batches that ended make several pages of the table."""

Pages = dict[str, Page]
"""One open tab for each look."""


def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        project = copy_of_project(folder / "project")
        browser = playwright.chromium.launch(executable_path=find_browser(), args=QUIET)
        with open_pages(browser) as pages:
            with running(RunningApp(project, folder / "new.duckdb", "prod")) as app:
                show(pages, app, "/", "home-empty")
            past = folder / "past.duckdb"
            write_past(past)
            with open_pages(browser) as others:
                with running(RunningApp(project, past, "prod")) as app:
                    take_while_it_runs(pages, app)
                    take_acting(pages, app)
                    for page in others.values():
                        visit(page, app, f"/batch/{RUNNING[0]}")
                take("home-away", pages, see_that_it_is_away)
                take("batch-away", others, see_that_it_is_away)


def take_while_it_runs(pages: Pages, app: RunningApp) -> None:
    """The pictures of an app with a past, ending on the first page."""
    start(app, *RUNNING[:3])
    show(pages, app, f"/batch/{FINISHED}", "batch-ended", whole=True)
    show(pages, app, f"/batch/{FAILED}", "batch-failed", whole=True)
    show(pages, app, "/batch/sensor-z", "batch-unknown")
    show(pages, app, "/batch/-sensor", "batch-invalid")
    show(pages, app, "/sensors", "lost")
    for page in pages.values():
        page.wait_for_timeout(6000)  # So that lines and rates are those of this run.
    show(pages, app, f"/batch/{RUNNING[0]}", "batch", whole=True)
    show(pages, app, "/", "home")
    take("home-refused", pages, lambda page: refuse(page, RUNNING[0]))
    start(app, *RUNNING[3:])
    for page in pages.values():
        page.wait_for_timeout(4000)
    show(pages, app, f"/batch/{RUNNING[0]}", "batch-five", whole=True)
    show(pages, app, "/", "home-five")


def take_acting(pages: Pages, app: RunningApp) -> None:
    """The pictures of what a person does, ending on the first page."""
    for page in pages.values():
        visit(page, app, f"/batch/{RUNNING[0]}")
    take("batch-download", pages, open_download)
    for page in pages.values():
        visit(page, app, "/")
    take("home-toast", pages, lambda page: stop(page, app, RUNNING[2]))
    for number in range(MANY):
        start(app, f"job-{number:03d}")
        httpx.delete(f"{app.api}/stream/job-{number:03d}").raise_for_status()
    show(pages, app, "/", "home-many", whole=True)


def start(app: RunningApp, *batch_ids: str) -> None:
    """Start batches."""
    for batch_id in batch_ids:
        httpx.post(f"{app.api}/stream/{batch_id}").raise_for_status()


def show(pages: Pages, app: RunningApp, path: str, name: str, whole: bool = False) -> None:
    """Take a picture of a page, once it is all there, in each look."""
    take(name, pages, lambda page: visit(page, app, path), whole)


def visit(page: Page, app: RunningApp, path: str) -> None:
    """Open a page and wait until it is all there."""
    page.goto(app.url + path)
    page.locator("main h1").wait_for()
    page.locator(".live.now").wait_for()
    page.locator(".bone").first.wait_for(state="detached")
    page.wait_for_timeout(1000)  # What comes with the next ticks.


def take(name: str, pages: Pages, prepare: Callable[[Page], None], whole: bool = False) -> None:
    """Take a picture in each look: of the window, or of the whole page."""
    for look, page in pages.items():
        prepare(page)
        page.screenshot(
            path=PICTURES / f"{name}-{look}.png", animations="disabled", full_page=whole
        )


def see_that_it_is_away(page: Page) -> None:
    """Wait for the banner, and for the page to lose its colours."""
    page.locator("p.note.away").wait_for()
    page.wait_for_timeout(1500)


def open_download(page: Page) -> None:
    """Open the choice of a file, where it can be seen."""
    page.locator(".by-minute").scroll_into_view_if_needed()
    page.locator(".download > summary").click()


def stop(page: Page, app: RunningApp, batch_id: str) -> None:
    """Stop a batch in its row, whether or not it was stopped before."""
    httpx.post(f"{app.api}/stream/{batch_id}")
    page.get_by_role("button", name=f"Stop: {batch_id}").click()
    page.locator("[data-sonner-toast][data-mounted=true]").wait_for()
    page.wait_for_timeout(600)


def refuse(page: Page, batch_id: str) -> None:
    """Ask for what is refused."""
    page.get_by_label("New batch").fill(batch_id)
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()


@contextmanager
def running(app: RunningApp) -> Iterator[RunningApp]:
    """The app, stopped when the block ends."""
    try:
        yield app.start()
    finally:
        app.stop()


@contextmanager
def open_pages(browser: Browser) -> Iterator[Pages]:
    """A tab for each look, all in the same zone and language."""
    pages = {
        look: browser.new_page(
            viewport=size,
            color_scheme="dark" if look == "dark" else "light",
            timezone_id="UTC",
            locale="en-GB",
        )
        for look, size in LOOKS.items()
    }
    yield pages
    for page in pages.values():
        page.close()


if __name__ == "__main__":
    main()
