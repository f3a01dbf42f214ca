"""Screenshots of every page in every state: light, dark, and at the width of a phone.

``python -m tests.screenshots`` updates those in ``docs/screenshots``, the most important ones.
``python -m tests.screenshots FOLDER [SET ...]`` takes all, or those of some ``SETS``. The app runs
in production on new databases. Chromium or Chrome is required, and for the full disk the right to
mount file systems.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from solo_app.batches.models import utc_now
from tests.e2e.actions import OPEN_VIEWERS, open_page, start, stop
from tests.helpers.browser import BROWSER_ARGS, find_browser
from tests.helpers.history import (
    FAILED,
    FINISHED,
    RUNNING,
    HistoricRun,
    write_history,
    write_long_history,
)
from tests.helpers.running_app import PROJECT, RunningApp, copy_project
from tests.helpers.small_disk import SmallDisk

DOCS = PROJECT / "docs" / "screenshots"
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
DESK, PHONE = ViewportSize(width=1280, height=860), ViewportSize(width=360, height=780)
VARIANTS = {"light": DESK, "dark": DESK, "phone": PHONE}
LIVE = f"/batch/{RUNNING[0]}"
COLD = "cold-store"
"""The id of a batch whose points are all archived."""

MANY_BATCHES = 120
"""Enough ended batches for a table of more than five pages."""

MANY_VIEWERS = 120
"""Enough viewers for an update interval of 1 s."""


class Studio:
    """A tab for each variant, and the project that the apps run in."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self._project = copy_project(folder / "project")
        self.browser = browser
        self.pages: dict[str, Page] = {}

    def open_tabs(self) -> None:
        """Replace all tabs by new ones."""
        for page in self.pages.values():
            page.close()
        self.pages = {
            variant: self.browser.new_page(
                viewport=size,
                color_scheme="dark" if variant == "dark" else "light",
                timezone_id="UTC",
                locale="en-GB",
            )
            for variant, size in VARIANTS.items()
        }

    def past(self) -> Path:
        """A new database with ended batches."""
        database = Path(tempfile.mkdtemp(dir=self.folder)) / "solo.duckdb"
        write_history(database)
        return database

    @contextmanager
    def app(self, database: Path, **settings: str) -> Iterator[RunningApp]:
        """Run the app until the block ends."""
        app = RunningApp(self._project, database, "prod", settings)
        try:
            yield app.start()
        finally:
            app.kill()

    def open(self, app: RunningApp, path: str) -> None:
        """Open a page in each variant."""
        for page in self.pages.values():
            visit(page, app, path)

    def show(self, app: RunningApp, path: str, name: str, whole: bool = False) -> None:
        """Take a screenshot of a page in each variant."""
        self.take(name, lambda page: visit(page, app, path), whole)

    def take(
        self, name: str, prepare: Callable[[Page], None] | None = None, whole: bool = False
    ) -> None:
        """Take a screenshot in each variant: of the window, or of the whole page."""
        for variant, page in self.pages.items():
            if prepare:
                prepare(page)
            path = FOLDER / f"{name}-{variant}.png"
            if FOLDER != DOCS or path.exists():
                page.screenshot(path=path, animations="disabled", full_page=whole)
        print(f"{time.strftime('%X')} {name}")


def start_all(app: RunningApp, batch_ids: Sequence[str]) -> None:
    """Start batches."""
    for batch_id in batch_ids:
        start(app, batch_id)


def visit(page: Page, app: RunningApp, path: str) -> None:
    """Open a page and wait until all data is shown."""
    page.mouse.move(0, 0)
    open_page(page, app, path)
    page.wait_for_timeout(700)  # A few updates.


def take_empty(studio: Studio) -> None:
    """No batch, a first batch, and pages that have not received data."""
    with studio.app(studio.folder / "new.duckdb") as app:
        studio.show(app, "/", "home-empty")
        start(app, "first")
        studio.show(app, "/batch/first", "batch-new", whole=True)
        studio.show(app, "/", "home-first")
        for page in studio.pages.values():
            page.route_web_socket(re.compile("_event"), lambda _: None)  # No response.
        for path, name in (("/", "home-loading"), ("/batch/first", "batch-loading")):
            studio.take(name, lambda page, path=path: load(page, app, path), True)  # type: ignore[misc]


def load(page: Page, app: RunningApp, path: str) -> None:
    """Open a page that receives no data."""
    page.goto(app.url + path)
    page.locator("main .skeleton").first.wait_for()
    page.wait_for_timeout(500)


def take_past(studio: Studio) -> None:
    """Batches with every status of an ended run, unknown and invalid ids, an unknown path."""
    with studio.app(studio.past()) as app:
        studio.show(app, "/", "home-ended", whole=True)
        studio.take("home-filter", lambda page: choose(page, "Failed"))
        studio.take("home-no-match", lambda page: search(page, "nothing like it"))
        for batch_id, name in (
            ("torque-rig", "stopped"),
            (FINISHED, "finished"),
            (FAILED, "failed"),
            ("furnace.2", "interrupted"),
        ):
            studio.show(app, f"/batch/{batch_id}", f"batch-{name}", whole=True)
        studio.show(app, "/batch/sensor-z", "batch-unknown")
        studio.show(app, "/batch/-sensor", "batch-invalid")
        studio.show(app, "/sensors", "lost")


def choose(page: Page, name: str) -> None:
    """Filter the table."""
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_timeout(700)


def search(page: Page, text: str) -> None:
    """Search the table."""
    page.get_by_label("Search batches").fill(text)
    page.wait_for_timeout(1200)


def take_running(studio: Studio) -> None:
    """Three and five running batches, with all features of the batch page."""
    with studio.app(studio.past()) as app:
        start_all(app, RUNNING[:3])
        time.sleep(6)
        studio.show(app, LIVE, "batch", whole=True)
        studio.show(app, "/", "home")
        studio.take("home-refused", lambda page: start_by_form(page, RUNNING[0]))
        studio.take("home-invalid", lambda page: start_by_form(page, "not a name"))
        studio.open(app, LIVE)
        studio.take("batch-tooltip", lambda page: point_at(page, ".live-chart"), True)
        studio.take("batch-minute-tooltip", lambda page: point_at(page, ".minute-chart"), True)
        studio.take("batch-paused", lambda page: click(page, "Pause"), True)
        for span, name in (("15 min", "15min"), ("6 h", "6h"), ("24 h", "24h")):
            studio.take(f"batch-{name}", lambda page, span=span: click(page, span), True)  # type: ignore[misc]
        studio.take("batch-table", open_table, True)
        for page in studio.pages.values():
            click(page, "1 h")  # The tab stores the range.
        studio.open(app, LIVE)
        studio.take("batch-download", open_download, True)
        start_all(app, RUNNING[3:])
        time.sleep(4)
        studio.show(app, LIVE, "batch-five", whole=True)
        studio.show(app, "/", "home-five")
        studio.take("home-full", lambda page: start_by_form(page, "sixth"))
        studio.open(app, f"/batch/{FINISHED}")
        studio.take("batch-full", lambda page: click_rejected(page, "Start again"))
        studio.open(app, "/batch/sixth")
        studio.take("batch-unknown-full", lambda page: click_rejected(page, "Start sixth"))


def start_by_form(page: Page, batch_id: str) -> None:
    """Submit the form with a name that is rejected."""
    page.get_by_label("New batch").fill(batch_id)
    page.wait_for_timeout(700)  # An earlier submission would be part of a double click.
    page.keyboard.press("Enter")
    page.locator("form [role=alert]").wait_for()
    page.wait_for_timeout(300)


def click_rejected(page: Page, name: str) -> None:
    """Click a button on the batch page whose action fails."""
    page.locator("main").get_by_role("button", name=name).click()
    page.locator("main [role=alert]").first.wait_for()


def click(page: Page, name: str) -> None:
    """Click a button."""
    page.get_by_role("button", name=name, exact=True).click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(700)


def point_at(page: Page, card: str) -> None:
    """Show the tooltip of a chart near its right edge."""
    chart = page.locator(f"{card} svg.recharts-surface").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.93, box["y"] + box["height"] * 0.5)
    page.wait_for_timeout(500)


def open_table(page: Page) -> None:
    """Open the table of minutes."""
    page.get_by_text("Show as table").click()
    page.locator(".minute-table tbody tr").first.wait_for()


def open_download(page: Page) -> None:
    """Open the download form, scrolled into view."""
    page.locator(".minute-chart").scroll_into_view_if_needed()
    page.get_by_text("Download", exact=True).first.click()


def take_actions(studio: Studio) -> None:
    """Toasts, a batch with many runs, a table of several pages."""
    with studio.app(studio.past()) as app:
        start_all(app, RUNNING[:2])
        studio.open(app, "/")
        studio.take("home-toast-stopped", lambda page: stop_in_row(page, app))
        studio.open(app, "/")
        studio.take("home-toast-started", lambda page: start_new(page, app))
        studio.open(app, f"/batch/{FINISHED}")
        studio.take("batch-toast-started", lambda page: start_again(page, app))
        for _ in range(12):
            start(app, "often")
            stop(app, "often")
        studio.show(app, "/batch/often", "batch-runs", whole=True)
        studio.take("batch-earlier-runs", lambda page: show_earlier_runs(page), True)
        for number in range(MANY_BATCHES):
            start(app, f"job-{number:03d}")
            stop(app, f"job-{number:03d}")
        studio.show(app, "/", "home-many", whole=True)
        studio.take("home-many-last", lambda page: click(page, "Last"), True)


def stop_in_row(page: Page, app: RunningApp) -> None:
    """Stop a batch in its row."""
    start(app, RUNNING[2])
    page.get_by_role("button", name=f"Stop: {RUNNING[2]}").click()
    wait_for_toast(page)


def start_new(page: Page, app: RunningApp) -> None:
    """Start a batch with the form."""
    page.get_by_label("New batch").fill("sensor-new")
    page.keyboard.press("Enter")
    wait_for_toast(page)
    stop(app, "sensor-new")


def start_again(page: Page, app: RunningApp) -> None:
    """Start a batch on its page."""
    page.locator("main").get_by_role("button", name="Start again").click()
    wait_for_toast(page)
    stop(app, FINISHED)


def wait_for_toast(page: Page) -> None:
    """Wait until a toast has stopped moving."""
    page.locator("[data-sonner-toast][data-mounted=true]").first.wait_for()
    page.wait_for_timeout(700)


def show_earlier_runs(page: Page) -> None:
    """Show all runs."""
    page.get_by_role("button", name=re.compile("earlier")).click()
    page.get_by_text("Run 1", exact=True).wait_for()


def take_disconnected(studio: Studio) -> None:
    """A server that does not respond while the page stays connected, and a stopped server."""
    for path, name in (("/", "home"), (LIVE, "batch")):
        with studio.app(studio.past()) as app:
            start_all(app, RUNNING)
            studio.open(app, path)
            app.suspend()
            studio.take(
                f"{name}-stale", lambda page: page.locator(".connection.offline").wait_for()
            )
            studio.take(f"{name}-silent", wait_for_banner)
            app.resume()
            studio.open(app, path)
            app.stop()
            studio.take(f"{name}-away", wait_for_banner)


def wait_for_banner(page: Page) -> None:
    """Wait for the banner and the end of its transition."""
    page.locator("p.banner.offline").wait_for()
    page.wait_for_timeout(1500)


def take_load(studio: Studio) -> None:
    """Enough viewers for an update interval of 1 s."""
    with studio.app(studio.past()) as app:
        start_all(app, RUNNING)
        page = studio.browser.new_page()
        visit(page, app, "/")
        page.evaluate(OPEN_VIEWERS, MANY_VIEWERS)
        for path, name in (("/", "home-load"), (LIVE, "batch-load")):
            studio.take(name, lambda page, path=path: visit_slowed(page, app, path))  # type: ignore[misc]


def visit_slowed(page: Page, app: RunningApp, path: str) -> None:
    """Open a page and wait for the note about slow updates."""
    visit(page, app, path)
    page.get_by_text(re.compile(r"High load: updating every 1\s+s")).wait_for()


def take_faults(studio: Studio) -> None:
    """A missing archive, and a full disk."""
    disk = SmallDisk(studio.folder / "disk", 64)
    try:
        database = disk.path / "solo.duckdb"
        archive = disk.path / "solo.duckdb.archive"
        minute, end = timedelta(minutes=1), utc_now() - timedelta(days=3)
        write_long_history(database, [COLD], 240, minute, end)
        with studio.app(database, SOLO_RETENTION_DAYS="1"):
            deadline = time.monotonic() + 30
            while not list(archive.glob("[0-9]*.parquet")):
                assert time.monotonic() < deadline, "no points are archived"
                time.sleep(0.1)
        archive.rename(disk.path / "elsewhere")
        archive.touch()  # The app cannot create a folder of this name.
        write_history(database, [HistoricRun("not-archived", timedelta(days=4), minute)])
        with studio.app(database, SOLO_RETENTION_DAYS="1") as app:
            studio.show(app, f"/batch/{COLD}", "batch-unreadable", whole=True)
            start_all(app, RUNNING[:2])
            time.sleep(4)
            studio.take("home-not-archived", lambda page: visit_failing(page, app, "/", "archive"))
            with disk.filled_up_to(0):
                take_full_disk(studio, app)
    finally:
        disk.remove()


def take_full_disk(studio: Studio, app: RunningApp) -> None:
    """Pages while writes fail, and the error of a stop."""
    for path, name in (("/", "home-disk-full"), (LIVE, "batch-disk-full")):
        studio.take(name, lambda page, path=path: visit_failing(page, app, path))  # type: ignore[misc]
    studio.take("batch-disk-full-stop", lambda page: click_failing_stop(page, "Stop"))
    studio.open(app, "/")
    studio.take("home-disk-full-stop", lambda page: click_failing_stop(page, f"Stop: {RUNNING[1]}"))


def visit_failing(
    page: Page, app: RunningApp, path: str, text: str = "No space left on the disk"
) -> None:
    """Open a page and wait for the note about an error."""
    visit(page, app, path)
    page.locator(".banner.error").filter(has_text=text).first.wait_for()


def click_failing_stop(page: Page, name: str) -> None:
    """Stop a batch whose points cannot be written, and wait for the error."""
    page.locator("main").get_by_role("button", name=name, exact=True).click()
    page.locator("main [role=alert], [data-sonner-toast][data-mounted=true]").first.wait_for()
    page.wait_for_timeout(700)


SETS = {
    "empty": take_empty,
    "past": take_past,
    "running": take_running,
    "actions": take_actions,
    "disconnected": take_disconnected,
    "load": take_load,
    "faults": take_faults,
}


def main() -> None:
    """Take the screenshots of the sets named in the command, or of all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=BROWSER_ARGS)
        studio = Studio(Path(name), browser)
        for chosen in sys.argv[2:] or SETS:
            studio.open_tabs()
            SETS[chosen](studio)
        browser.close()


if __name__ == "__main__":
    main()
