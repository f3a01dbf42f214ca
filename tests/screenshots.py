"""Screenshots of every page in every state: light, dark, and 360 px wide.

``python -m tests.screenshots`` updates those in ``docs/screenshots``.
``python -m tests.screenshots FOLDER [GROUP ...]`` saves all, or those of some ``GROUPS``, to a
folder. Both require Chromium or Chrome. The group ``failing`` also requires permission to mount a
file system.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from solo_app.batches.models import utc_now
from tests.e2e.actions import (
    OPEN_VIEWERS,
    open_page,
    push,
    start,
    start_by_form,
    stop,
    wait_for_points,
    wait_until,
)
from tests.helpers.browser import BROWSER_ARGS, find_browser
from tests.helpers.history import (
    FAILED,
    FINISHED,
    RUNNING,
    HistoricRun,
    write_history,
    write_long_history,
)
from tests.helpers.running_app import PROJECT, RunningApp, copy_project, free_port
from tests.helpers.small_disk import SmallDisk

DOCS = PROJECT / "docs" / "screenshots"
DESKTOP, PHONE = ViewportSize(width=1280, height=860), ViewportSize(width=360, height=780)
VARIANTS = {"light": DESKTOP, "dark": DESKTOP, "phone": PHONE}
LIVE = f"/batch/{RUNNING[0]}"

Action = Callable[[Page], object]


class Camera:
    """Takes screenshots of a running app in a tab for each variant."""

    def __init__(self, target: Path, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self.browser = browser
        self._target = target
        self._project = copy_project(folder / "project")

    @contextmanager
    def app(self, database: Path | None = None, **settings: str) -> Iterator[RunningApp]:
        """Run the app with new tabs, by default on a new database with ended batches."""
        if database is None:
            database = Path(tempfile.mkdtemp(dir=self.folder)) / "solo.duckdb"
            write_history(database)
        self._app = RunningApp(self._project, database, "prod", settings)
        self.pages = {variant: self._new_page(variant) for variant in VARIANTS}
        try:
            yield self._app.start()
        finally:
            self._app.kill()
            for page in self.pages.values():
                page.close()

    def _new_page(self, variant: str) -> Page:
        return self.browser.new_page(
            viewport=VARIANTS[variant],
            color_scheme="dark" if variant == "dark" else "light",
            timezone_id="UTC",
            locale="en-GB",
        )

    def open(self, path: str) -> None:
        for page in self.pages.values():
            page.mouse.move(0, 0)
            open_page(page, self._app, path)

    def take(
        self, name: str, path: str = "", action: Action | None = None, full_page: bool = True
    ) -> None:
        """Open a page if ``path`` is given, perform the action, and take screenshots."""
        for variant, page in self.pages.items():
            if path:
                open_page(page, self._app, path)
            if action:
                action(page)
            file = self._target / f"{name}-{variant}.png"
            if self._target != DOCS or file.exists():
                page.screenshot(path=file, animations="disabled", full_page=full_page)
        print(name, flush=True)


def take_new(camera: Camera) -> None:
    with camera.app(camera.folder / "new.duckdb") as app:
        camera.take("home-empty", "/")
        camera.take("home-empty-waiting", action=click("Copy"))
        start(app, "first")
        camera.take("batch-new", "/batch/first")
        for page in camera.pages.values():
            page.route_web_socket(re.compile("_event"), lambda _: None)  # No response.
        for name, path in (("home-loading", "/"), ("batch-loading", "/batch/first")):
            camera.take(name, action=lambda page, path=path: load(page, app.url + path))  # type: ignore[misc]


def load(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("main .skeleton").first.wait_for()


def take_ended(camera: Camera) -> None:
    with camera.app():
        camera.take("home-filter", "/", click("Failed"))
        camera.take("home-no-matches", action=search("nothing like it"))
        camera.take("batch-stopped", "/batch/torque-rig")
        camera.take("batch-finished", f"/batch/{FINISHED}")
        camera.take("batch-failed", f"/batch/{FAILED}")
        camera.take("batch-interrupted", "/batch/furnace.2")
        camera.take("batch-not-found", "/batch/sensor-z")
        camera.take("batch-invalid", "/batch/-sensor")
        camera.take("page-not-found", "/sensors")


def take_running(camera: Camera) -> None:
    with camera.app() as app:
        for batch_id in RUNNING[:3]:
            start(app, batch_id)
        wait_for_points(app, 72)
        camera.take("batch", LIVE)
        camera.take("home", "/")
        camera.take("home-refused", action=submit(RUNNING[0]))
        camera.take("home-invalid", "/", submit("not a name"))
        camera.take("home-http", "/", choose_http)
        camera.take("home-http-invalid", action=submit_http)
        camera.take("home-more", "/", open_more)
        camera.take("home-shortcuts", "/", open_shortcuts, full_page=False)
        camera.take("home-toast", "/", stop_in_row, full_page=False)
        camera.take("batch-tooltip", LIVE, point_at(".live-chart"))
        camera.take("batch-minute-tooltip", LIVE, point_at(".minute-chart"))
        camera.take("batch-paused", LIVE, click("Pause"))
        camera.take("batch-download", LIVE, open_download)
        camera.take("batch-table", LIVE, open_table)
        camera.take("batch-24h", LIVE, click("24 h"))
        for batch_id in RUNNING[2:]:
            start(app, batch_id)
        wait_for_points(app, 60)
        camera.take("batch-five", f"/batch/{RUNNING[1]}", click("1 h"))
        camera.take("home-five", "/")
        camera.take("home-sixth", action=submit("sixth"))
        camera.take("batch-sixth", f"/batch/{FINISHED}", click_rejected("Start again"))


def click(name: str) -> Action:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def search(text: str) -> Action:
    def action(page: Page) -> None:
        page.get_by_label("Search batches").fill(text)
        page.get_by_text("No matches").wait_for()

    return action


def submit(batch_id: str) -> Action:
    def action(page: Page) -> None:
        start_by_form(page, batch_id)
        page.get_by_role("alert").wait_for()

    return action


def choose_http(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("boiler")
    page.get_by_label("Source", exact=True).select_option("http")
    page.get_by_label("URL").fill("http://boiler.local/state")


def submit_http(page: Page) -> None:
    page.get_by_role("textbox", name="JSON Pointer").fill("temperature")
    page.locator("#http-timeout").fill("soon")
    page.keyboard.press("Enter")
    page.get_by_role("alert").first.wait_for()


def open_more(page: Page) -> None:
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Unit").fill("°C")


def click_rejected(name: str) -> Action:
    """Click a button whose action fails, and wait for the error."""

    def action(page: Page) -> None:
        page.locator("main").get_by_role("button", name=name, exact=True).click()
        page.locator(
            "main [role=alert]:visible, [data-sonner-toast][data-mounted=true]"
        ).first.wait_for()

    return action


def point_at(card: str) -> Action:
    """Show the tooltip of a chart near its right edge."""

    def action(page: Page) -> None:
        chart = page.locator(f"{card} svg.recharts-surface").first
        chart.evaluate("it => it.scrollIntoView({ block: 'center' })")
        box = chart.bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] * 0.93, box["y"] + box["height"] * 0.5)
        page.locator(f"{card} .recharts-default-tooltip").wait_for()

    return action


def open_shortcuts(page: Page) -> None:
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def stop_in_row(page: Page) -> None:
    """Stop a running batch, or start it again."""
    page.get_by_role("button", name=re.compile(f": {RUNNING[2]}$")).click()
    page.locator("[data-sonner-toast][data-mounted=true]").first.wait_for()


def open_download(page: Page) -> None:
    page.get_by_role("button", name="Download").click()
    page.get_by_role("form", name="Download").wait_for()


def open_table(page: Page) -> None:
    page.get_by_text("Show as table").click()
    page.locator(".minute-table tbody tr").first.wait_for()


def take_sources(camera: Camera) -> None:
    with camera.app() as app:
        start(app, "kiln", source="push", unit="°C", description="Kiln door, upper")
        for value in (21.5, 21.7, 22.4, 22.1):
            push(app, "kiln", value)
        url = f"http://127.0.0.1:{free_port()}/state"  # Refuses connections.
        parameters = {"url": url, "pointer": "/pressure"}
        start(app, "boiler", source="http", unit="bar", parameters=parameters)
        start(app, "pump", source="http", unit="bar", parameters=parameters, restart="never")
        camera.take("batch-push", "/batch/kiln")
        camera.take("batch-edit", "/batch/kiln", edit_unit)
        camera.take("batch-retrying", "/batch/boiler", wait_for_attempt)
        camera.take("batch-source-failed", "/batch/pump")
        stop(app, "kiln")
        camera.take("batch-delete", "/batch/kiln", click("Delete kiln…"), full_page=False)


SOLO_TOML = """
[sources.boiler]
kind = "command"
argv = ["python3", "-u", "boiler.py"]
pointer = "/temperature"

[sources.meter]
kind = "mqtt"
host = "localhost"
topic = "home/power"

[sources.oven]
kind = "replay"
path = "oven.csv"
column = "temperature"
"""

BOILER = """
import json, sys, time
print("Sensor 28-0417 found at 1-wire bus 0", file=sys.stderr)
for step in range(10_000):
    if step == 30:
        print("CRC error, reading repeated", file=sys.stderr)
    print(json.dumps({"temperature": round(60 + 5 * (step % 20 - 10) / 10, 1)}))
    time.sleep(0.2)
"""


def take_declared(camera: Camera) -> None:
    folder = Path(tempfile.mkdtemp(dir=camera.folder))
    (folder / "solo.toml").write_text(SOLO_TOML)
    (folder / "boiler.py").write_text(BOILER)
    (folder / "oven.csv").write_text("temperature\n180.5\n")
    with camera.app(SOLO_CONFIG=str(folder / "solo.toml")) as app:
        start(app, "boiler", source="boiler", unit="°C", description="Flow temperature")
        start(app, "meter", source="meter", unit="W")
        wait_for_points(app, 60)
        camera.take("home-declared", "/", choose_declared)
        camera.take("batch-declared", "/batch/boiler")
        camera.take("home-mqtt", "/", choose_mqtt)


def choose_declared(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("oven")
    page.get_by_label("Source", exact=True).select_option("oven")
    page.get_by_text("Its parameters are set in").wait_for()


def choose_mqtt(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("power")
    page.get_by_label("Source", exact=True).select_option("mqtt")
    page.get_by_role("textbox", name="Host").fill("localhost")
    page.get_by_role("textbox", name="Topic").fill("home/power")


def wait_for_attempt(page: Page) -> None:
    page.locator(".pill").filter(has_text=re.compile("attempt [3-9]")).wait_for()


def edit_unit(page: Page) -> None:
    page.get_by_role("button", name="Edit unit").click()
    field = page.get_by_role("textbox", name="Unit")
    field.fill("degrees Celsius, upper")
    field.press("Enter")
    page.get_by_role("alert").wait_for()


def take_many(camera: Camera) -> None:
    with camera.app() as app:
        for number in range(150):
            batch_id = f"job-{number:03d}" if number < 120 else "often"
            start(app, batch_id)
            stop(app, batch_id)
        camera.take("home-many", "/")
        camera.take("batch-many-runs", "/batch/often")
        for batch_id in RUNNING:
            start(app, batch_id)
        camera.pages["light"].evaluate(OPEN_VIEWERS, 120)
        viewers = camera.pages.pop("light")
        camera.pages["light"] = camera.browser.new_page(viewport=DESKTOP, timezone_id="UTC")
        notice = re.compile("High load")
        for name, path in (("home-high-load", "/"), ("batch-high-load", LIVE)):
            camera.take(name, path, lambda page: page.get_by_text(notice).wait_for())
        viewers.close()


def take_disconnected(camera: Camera) -> None:
    for name, path in (("home", "/"), ("batch", LIVE)):
        with camera.app() as app:
            for batch_id in RUNNING:
                start(app, batch_id)
            wait_for_points(app, 60)
            camera.open(path)
            app.stop()
            camera.take(f"{name}-disconnected", action=wait_for_banner, full_page=False)


def wait_for_banner(page: Page) -> None:
    page.locator("p.banner.offline").wait_for()


def take_failing(camera: Camera) -> None:
    """Take screenshots with unreadable points, a failing archive, and a full disk."""
    disk = SmallDisk(camera.folder / "disk", 64)
    try:
        database, archive = disk.path / "solo.duckdb", disk.path / "solo.duckdb.archive"
        minute = timedelta(minutes=1)
        write_long_history(database, ["archived"], 240, minute, utc_now() - timedelta(days=3))
        with camera.app(database, SOLO_RETENTION_DAYS="1"):
            wait_until(lambda: any(archive.glob("[0-9]*.parquet")))
        archive.rename(disk.path / "elsewhere")
        archive.touch()  # The app cannot create a folder of this name.
        write_history(database, [HistoricRun("not-archived", timedelta(days=4), minute)])
        with camera.app(database, SOLO_RETENTION_DAYS="1") as app:
            camera.take("batch-unreadable", "/batch/archived")
            for batch_id in RUNNING[:2]:
                start(app, batch_id)
            wait_for_points(app, 30)
            camera.take("home-archive-failing", "/", wait_for_error("Archiving is failing"))
            with disk.filled_up_to(0):
                camera.take("home-writes-failing", "/", wait_for_error("Writes are failing"))
                camera.take("batch-writes-failing", LIVE, wait_for_error("Writes are failing"))
                camera.take("batch-stop-failing", action=click_rejected("Stop"))
    finally:
        disk.remove()


def wait_for_error(text: str) -> Action:
    return lambda page: page.locator(".banner.error").filter(has_text=text).wait_for()


GROUPS = {
    "new": take_new,
    "ended": take_ended,
    "running": take_running,
    "sources": take_sources,
    "declared": take_declared,
    "many": take_many,
    "disconnected": take_disconnected,
    "failing": take_failing,
}


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    target.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=30_000)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=BROWSER_ARGS)
        camera = Camera(target, Path(folder), browser)
        for group in sys.argv[2:] or GROUPS:
            GROUPS[group](camera)
        browser.close()


if __name__ == "__main__":
    main()
