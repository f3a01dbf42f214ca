"""Keyboard shortcuts, and the dialog that lists and disables them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page, start
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")


@pytest.mark.parametrize(("key", "field"), [("n", "Name"), ("/", "Search batches")])
def test_shortcut_focuses_its_field(app: RunningApp, page: Page, key: str, field: str) -> None:
    start(app, "live")  # Without batches, there is no table to search.
    open_page(page, app, "/")
    page.keyboard.press(key)
    focused = page.get_by_label(field, exact=True)
    expect(focused).to_be_focused()
    expect(focused).to_have_value("")
    page.keyboard.type("n/?")
    expect(focused).to_have_value("n/?")


def test_shortcuts_are_listed_in_a_dialog(app: RunningApp, page: Page) -> None:
    start(app, "live")
    open_page(page, app, "/batch/live")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.keyboard.press("?")
    expect(dialog.get_by_text("Show keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    button = page.get_by_role("button", name="Keyboard shortcuts")
    button.click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_dialog_lists_the_shortcuts_of_the_page(app: RunningApp, page: Page) -> None:
    start(app, "live")
    for path, count in (("/", 3), ("/batch/live", 1)):
        open_page(page, app, path)
        page.keyboard.press("?")
        for part in ("dt", "dd"):
            expect(page.get_by_role("dialog").locator(f"{part}:visible")).to_have_count(count)


def test_disabled_shortcuts_stay_disabled(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    field, hint = page.get_by_label("Name", exact=True), page.locator("kbd.key-hint").first
    expect(hint).to_be_visible()
    button = page.get_by_role("button", name="Keyboard shortcuts")
    switch = page.get_by_role("checkbox", name="Enable shortcuts")
    button.click()
    switch.uncheck()
    page.reload()
    expect(field).to_be_visible()
    expect(hint).to_be_hidden()
    page.keyboard.press("n")
    expect(field).not_to_be_focused()
    button.click()
    expect(switch).not_to_be_checked()
    switch.check()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(field).to_be_focused()
