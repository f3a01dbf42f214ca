"""The download form on the batch page: the saved file has the points of the API."""

from __future__ import annotations

import csv
import json
from datetime import UTC
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.e2e.actions import open_page, start, stop, wait_for_points
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Download, Locator, Page, WebSocket

Row = tuple[int, str, float]

BATCH_ID = "saved"


@pytest.fixture
def app(mode: str, request: pytest.FixtureRequest) -> RunningApp:
    """The app with an ended batch."""
    found: RunningApp = request.getfixturevalue(f"{mode}_app")
    found.stop_batches()
    if http.get(f"{found.api}/batches/{BATCH_ID}").status_code == 404:
        start(found, BATCH_ID)
        wait_for_points(found, 8)
        stop(found, BATCH_ID)
    return found


def api_rows(app: RunningApp) -> list[Row]:
    points = http.get(f"{app.api}/batches/{BATCH_ID}/points?limit=10000").json()["points"]
    return [(p["seq"], p["ts"], p["data"]["key"]) for p in points]


def file_rows(download: Download) -> list[Row]:
    path = download.path()
    file_format = download.suggested_filename.rpartition(".")[2]
    if file_format == "csv":
        rows = csv.DictReader(path.read_text().splitlines())
        return [(int(row["seq"]), row["ts"], float(row["key"])) for row in rows]
    if file_format == "json":
        return [(p["seq"], p["ts"], p["data"]["key"]) for p in json.loads(path.read_text())]
    with duckdb.connect() as connection:
        found = connection.from_parquet(str(path)).fetchall()
    return [
        (seq, f"{ts.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", key)  # In the session's time zone.
        for seq, ts, key in found
    ]


def open_form(page: Page, app: RunningApp) -> Locator:
    open_page(page, app, f"/batch/{BATCH_ID}")
    page.get_by_role("button", name="Download").click()
    form = page.get_by_role("form", name="Download")
    form.wait_for()
    return form


def save(page: Page, form: Locator) -> Download:
    with page.expect_download() as download:
        form.get_by_role("link", name="Download").click()
    return download.value


def click_navigates(page: Page, form: Locator) -> bool:
    """Click the link and return whether the browser follows it."""
    page.evaluate("addEventListener('click', e => { window.navigates = !e.defaultPrevented })")
    form.get_by_role("link", name="Download").click()
    return bool(page.evaluate("window.navigates"))


def local_time(page: Page, utc: str) -> str:
    """Return a time in the browser's time zone, in the format of its fields."""
    return str(
        page.evaluate(
            "utc => { const t = new Date(utc + 'Z'); t.setMinutes(t.getMinutes() -"
            " t.getTimezoneOffset()); return t.toISOString().slice(0, 19); }",
            utc,
        )
    )


@in_both_modes
def test_each_format_is_saved_completely(app: RunningApp, page: Page) -> None:
    form = open_form(page, app)
    for label in ("CSV", "Parquet", "JSON"):
        form.get_by_label(label, exact=True).check()
        download = save(page, form)
        assert download.suggested_filename.startswith(f"{BATCH_ID}-2")
        assert file_rows(download) == api_rows(app)


def test_page_stays_live_during_a_download(app: RunningApp, page: Page) -> None:
    sockets: list[WebSocket] = []
    page.on("websocket", lambda it: sockets.append(it) if "_event" in it.url else None)
    form = open_form(page, app)
    save(page, form)
    with sockets[0].expect_event("framereceived", lambda frame: "server_time" in str(frame)):
        pass
    assert len(sockets) == 1
    assert page.locator(".connection.current").is_visible()
    assert form.is_visible()


@in_both_modes
def test_download_works_under_the_other_host_name(app: RunningApp, page: Page) -> None:
    page.goto(f"{app.url.replace('localhost', '127.0.0.1')}/batch/{BATCH_ID}")
    page.locator(".connection.current").wait_for()
    page.get_by_role("button", name="Download").click()
    assert file_rows(save(page, page.get_by_role("form", name="Download"))) == api_rows(app)


def test_last_minutes_of_an_ended_batch_are_before_its_end(app: RunningApp, page: Page) -> None:
    page.clock.install()
    page.clock.fast_forward("30:00:00")  # The batch ended more than a day ago.
    form = open_form(page, app)
    form.get_by_label("Range", exact=True).select_option("Last 15 min")
    assert file_rows(save(page, form)) == api_rows(app)


def test_custom_range_excludes_its_end(app: RunningApp, page: Page) -> None:
    start(app, BATCH_ID)
    wait_for_points(app, 20)
    stop(app, BATCH_ID)
    last_second = api_rows(app)[-1][1][:19]
    form = open_form(page, app)
    form.get_by_label("To (exclusive)").wait_for(state="hidden")
    form.get_by_label("Range", exact=True).select_option("Custom")
    form.get_by_label("To (exclusive)").fill(local_time(page, last_second))
    before = [row for row in api_rows(app) if row[1] < last_second]
    assert before
    assert file_rows(save(page, form)) == before
    form.get_by_label("To (exclusive)").fill("")
    form.get_by_label("From").fill(local_time(page, last_second))
    assert file_rows(save(page, form)) == [row for row in api_rows(app) if row[1] >= last_second]


def test_incomplete_time_is_reported_instead_of_downloading(app: RunningApp, page: Page) -> None:
    form = open_form(page, app)
    form.get_by_label("Range", exact=True).select_option("Custom")
    form.get_by_label("From").press_sequentially("0102")
    assert not click_navigates(page, form)
    assert form.get_by_label("From").evaluate("it => it === document.activeElement")
    form.get_by_label("Range", exact=True).select_option("All data")
    assert click_navigates(page, form)


def test_empty_range_is_reported_until_it_is_corrected(app: RunningApp, page: Page) -> None:
    form = open_form(page, app)
    form.get_by_label("Range", exact=True).select_option("Custom")
    form.get_by_label("From").fill("2026-01-02T03:04:05")
    end = form.get_by_label("To (exclusive)")
    end.fill("2026-01-02T03:04:05")
    assert not click_navigates(page, form)
    assert end.evaluate("it => it.validationMessage") == "The end must be after the start."
    end.fill("2126-01-02T03:04:05")
    assert click_navigates(page, form)


def test_form_works_with_the_keyboard(app: RunningApp, page: Page) -> None:
    open_page(page, app, f"/batch/{BATCH_ID}")
    button = page.get_by_role("button", name="Download")
    form = page.get_by_role("form", name="Download")
    button.focus()
    page.keyboard.press("Enter")
    form.wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert form.get_by_label("Parquet").is_checked()
    page.keyboard.press("Escape")
    form.wait_for(state="hidden")
    assert button.evaluate("it => it === document.activeElement")


def test_click_elsewhere_closes_the_form(app: RunningApp, page: Page) -> None:
    form = open_form(page, app)
    page.locator("h1").click()
    form.wait_for(state="hidden")


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_form_is_within_the_window(app: RunningApp, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    form = open_form(page, app)
    form.get_by_label("Range", exact=True).select_option("Custom")
    form.scroll_into_view_if_needed()
    box = form.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
