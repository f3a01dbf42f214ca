"""The pages in a real browser, on the real app: batches are stopped, looked at, started again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page, running_tasks, start, stop, totals
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")


@in_both_modes
def test_stop_returns_to_all_batches_and_can_be_undone(page: Page, app: RunningApp) -> None:
    start(app, "stop-me")
    open_page(page, app, "/batch/stop-me")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page).to_have_url(f"{app.url}/")
    page.get_by_text("Stopped stop-me").hover()  # So that it stays.
    expect(page.locator("tr", has_text="stop-me").locator(".pill:visible")).to_have_text("Stopped")
    assert running_tasks(app) == []
    page.locator("[data-sonner-toast]").get_by_role("button", name="Start again").click()
    expect(page.locator("a.slot", has_text="stop-me")).to_be_visible()
    assert page.evaluate("window.same")


def test_an_ended_batch_shows_its_history_and_starts_again(page: Page, app: RunningApp) -> None:
    start(app, "history")
    open_page(page, app, "/batch/history")
    expect(page.locator("td.seq").first).to_be_visible()
    stop(app, "history")
    expect(page.locator(".status-line .pill")).to_have_text("Stopped")
    expect(page.locator("td.seq").first).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page.locator(".runs li")).to_have_count(1)
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".status-line .pill")).to_have_text("Running")
    page.get_by_role("button", name="Pause").click()
    stop(app, "history")
    expect(page.locator(".status-line .pill")).to_have_text("Stopped")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    page.wait_for_timeout(700)  # An earlier click would be part of a double click.
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".status-line .pill")).to_have_text("Running")
    expect(page.locator(".runs li")).to_have_count(3)


def test_rows_are_stopped_and_started_from_the_table(page: Page, app: RunningApp) -> None:
    start(app, "row")
    open_page(page, app, "/")
    page.get_by_role("button", name="Stop: row", exact=True).click()
    again = page.get_by_role("button", name="Start again: row", exact=True)
    again.click()
    expect(page.locator("a.slot", has_text="row")).to_be_visible()
    page.get_by_role("button", name="Ended").click()
    expect(again).to_have_count(0)


@in_both_modes
def test_an_unknown_batch_is_offered_and_looking_starts_nothing(
    page: Page, app: RunningApp
) -> None:
    before = totals(app)["batch_count"]
    open_page(page, app, "/batch/not-yet")
    expect(page.get_by_role("heading", level=1)).to_have_text("Batch not found")
    page.reload()
    expect(page.get_by_role("button", name="Start ")).to_be_visible()
    open_page(page, app, "/")
    assert totals(app)["batch_count"] == before
    assert running_tasks(app) == []
    open_page(page, app, "/batch/not-yet")
    page.get_by_role("button", name="Start ").click()
    # Not that in the toast.
    expect(page.locator("main").get_by_role("button", name="Stop", exact=True)).to_be_visible()
    expect(page.locator("td.seq").first).to_be_visible()


def test_the_ends_of_many_pages_are_one_click_away(page: Page, app: RunningApp) -> None:
    for number in range(101):
        start(app, f"one-of-{number:03d}")
        stop(app, f"one-of-{number:03d}")
    open_page(page, app, "/")
    page.get_by_label("Search batches").fill("one-of-")
    expect(page.get_by_text("Page 1 of 6")).to_be_visible()
    expect(page.get_by_role("button", name="First")).to_be_disabled()
    page.get_by_role("button", name="Last").click()
    expect(page.get_by_text("Page 6 of 6")).to_be_visible()
    expect(page.locator(".batches tbody tr")).to_have_count(1)
    page.get_by_role("button", name="First").click()
    expect(page.get_by_text("Page 1 of 6")).to_be_visible()


def test_the_theme_follows_the_system_until_chosen_and_is_kept(page: Page, app: RunningApp) -> None:
    page.emulate_media(color_scheme="dark")
    open_page(page, app, "/")
    html = page.locator("html")
    expect(html).to_have_class(re.compile("dark"))
    page.get_by_role("button", name="Theme: system").click()
    expect(html).to_have_class(re.compile("light"))
    page.reload()
    expect(html).to_have_class(re.compile("light"))
    page.get_by_role("button", name="Theme: light").click()
    expect(html).to_have_class(re.compile("dark"))
