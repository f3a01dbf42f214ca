"""The home page: starting and stopping from its rows and toasts, pagination, theme, tab icon."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page, start, stop
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")


def test_toast_buttons_undo_a_start_and_a_stop(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    page.get_by_label("Name", exact=True).fill("undo")
    page.keyboard.press("Enter")
    toast = page.locator("[data-sonner-toast]")
    toast.filter(has_text="Started undo").get_by_role("button", name="Stop").click()
    toast.filter(has_text="Stopped undo").get_by_role("button", name="Start again").click()
    expect(toast.filter(has_text="Started undo").last).to_be_visible()
    expect(page.get_by_role("button", name="Stop: undo")).to_be_visible()


def test_button_in_a_row_keeps_the_focus(app: RunningApp, page: Page) -> None:
    start(app, "row")
    open_page(page, app, "/")
    page.get_by_role("button", name="Stop: row").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start again: row")).to_be_focused()


def test_started_batch_leaves_the_ended_filter(app: RunningApp, page: Page) -> None:
    start(app, "row")
    stop(app, "row")
    open_page(page, app, "/")
    page.get_by_role("button", name="Ended", exact=True).click()
    again = page.get_by_role("button", name="Start again: row", exact=True)
    again.click()
    expect(page.locator("a.slot", has_text="row")).to_be_visible()
    expect(again).to_have_count(0)


def test_first_and_last_page_are_one_click_away(app: RunningApp, page: Page) -> None:
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


def test_clear_filters_shows_all_batches(app: RunningApp, page: Page) -> None:
    start(app, "hidden")
    open_page(page, app, "/")
    page.get_by_role("button", name="Failed", exact=True).click()
    page.get_by_label("Search batches").fill("nothing matches")
    expect(page.get_by_text("No matches")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_role("button", name="Stop: hidden")).to_be_visible()
    expect(page.get_by_label("Search batches")).to_have_value("")


def test_search_announces_the_number_of_matches(app: RunningApp, page: Page) -> None:
    start(app, "announced")
    open_page(page, app, "/")
    for search, announcement in [("announced", "1 batch found"), ("nothing", "0 batches found")]:
        page.get_by_label("Search batches").fill(search)
        expect(page.get_by_role("status").get_by_text(announcement, exact=True)).to_be_attached()


def test_theme_follows_the_system_until_chosen(app: RunningApp, page: Page) -> None:
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


def test_title_and_icon_show_running_batches(app: RunningApp, page: Page) -> None:
    start(app, "live")
    open_page(page, app, "/")
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", "/icon-running.svg")
    expect(page).to_have_title("1 running · SOLO")
    stop(app, "live")
    expect(icon).to_have_attribute("href", "/icon.svg")
    expect(page).to_have_title("Batches · SOLO")
