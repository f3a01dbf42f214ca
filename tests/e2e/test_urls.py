"""The page at each URL: for valid ids, invalid ids and unknown paths."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.e2e.actions import ID_RULE, open_page, start, stop
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")


@in_both_modes
def test_every_valid_id_has_a_page(page: Page, app: RunningApp) -> None:
    for batch_id in ("a.b", "v1.2.js", "x" * 64, "9-_.", "index.html", "404"):
        start(app, batch_id)
        open_page(page, app, f"/batch/{batch_id}")
        expect(page.get_by_role("heading", level=1)).to_have_text(batch_id)
        expect(page.locator("td.seq").first).to_be_visible()
        stop(app, batch_id)


def test_properties_of_javascript_objects_are_valid_names(page: Page, app: RunningApp) -> None:
    names = ("constructor", "toString", "hasOwnProperty")
    for batch_id in names:
        start(app, batch_id)
        stop(app, batch_id)
    open_page(page, app, "/")
    for batch_id in names:
        row = page.locator(".batches tr", has_text=batch_id)
        expect(row.locator(".pill")).to_have_text("Stopped")
        row.get_by_role("button").click()
        expect(row.locator(".latest")).to_have_text(re.compile(r"\d"))
        stop(app, batch_id)


INVALID_IDS = [" ", "a b", "<script>alert(1)</script>", "x" * 65, "'\"", "é☃", ".a", "a/b", "100%"]


def test_invalid_id_is_explained(page: Page, app: RunningApp) -> None:
    for batch_id in INVALID_IDS:
        open_page(page, app, f"/batch/{quote(batch_id, safe='')}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Invalid batch name")
        expect(page.get_by_text(ID_RULE)).to_be_visible()
        page.get_by_role("link", name="All batches", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Batches")


@in_both_modes
def test_unknown_path_links_to_the_home_page(page: Page, app: RunningApp, mode: str) -> None:
    response = page.goto(f"{app.url}/nothing/here")
    assert response is not None
    # The development server responds to every path with the shell of the pages.
    assert response.status == (404 if mode == "prod" else 200)
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    page.get_by_role("link", name="All batches", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Batches")


def test_path_in_capitals_shows_the_batch_page(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/BATCH/unknown")
    expect(page).to_have_url(f"{app.url}/batch/unknown")
    expect(page.get_by_role("heading", level=1)).to_have_text("Batch not found")


def test_longest_id_fits_in_the_window(page: Page, app: RunningApp) -> None:
    start(app, "w" * 64)
    for path, width in product(
        ("/", f"/batch/{'w' * 64}", "/batch/unknown"), (320, 360, 900, 1920)
    ):
        page.set_viewport_size({"width": width, "height": 800})
        open_page(page, app, path)
        assert page.evaluate("document.documentElement.scrollWidth") == width, (path, width)
