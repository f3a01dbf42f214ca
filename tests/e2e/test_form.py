"""The form that starts a batch, and its errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import (
    ID_RULE,
    expect_new_points,
    open_page,
    running_tasks,
    start,
    start_by_form,
    stop,
)
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp, http

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")

FULL = "5 batches are running. Stop one to start another."


@in_both_modes
def test_started_batch_is_shown_in_a_slot(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    start_by_form(page, "form-a")
    expect(page.locator("a.slot", has_text="form-a")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("")
    expect(page.get_by_text("Started form-a")).to_be_visible()
    expect(page.locator(".stat dd").last).to_have_text("1 of 5")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("form-a")
    expect_new_points(page)


def test_enter_in_the_name_starts_a_batch(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    page.keyboard.press("n")
    page.keyboard.type("form-b")
    page.keyboard.press("Enter")
    expect(page.locator("a.slot", has_text="form-b")).to_be_visible()


def test_suggested_name_starts_with_one_click(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    suggestion = page.get_by_role("button", name="Start batch-")
    expect(suggestion).to_have_text(re.compile(r"batch-\d+"))
    name = suggestion.inner_text()
    suggestion.click()
    expect(page.locator(".slot").filter(has_text=name)).to_be_visible()
    expect(suggestion).not_to_have_text(name)


def test_double_click_starts_one_run(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    page.get_by_label("Name", exact=True).fill("twice")
    page.get_by_role("button", name="Start", exact=True).dblclick()
    expect(page.locator("a.slot", has_text="twice")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    runs = http.get(f"{app.api}/batches/twice").json()["runs"]
    assert len(runs) == 1


def test_two_names_submitted_in_succession_both_start(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    field = page.get_by_label("Name", exact=True)
    field.click()
    page.keyboard.type("first-of-two")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("second-of-two")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("and-a-third")
    for name in ("first-of-two", "second-of-two"):
        expect(page.locator(".slot").filter(has_text=name)).to_be_visible()
    expect(field).to_have_value("and-a-third")


def test_invalid_name_is_kept_with_its_error_until_edited(page: Page, app: RunningApp) -> None:
    open_page(page, app, "/")
    field = page.get_by_label("Name", exact=True)
    start_by_form(page, "not one")
    expect(page.get_by_role("alert")).to_contain_text(ID_RULE)
    expect(field).to_have_value("not one")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    field.press_sequentially("!")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(field).to_have_attribute("aria-invalid", "false")


def test_error_about_a_running_batch_disappears_once_it_ends(page: Page, app: RunningApp) -> None:
    start(app, "taken")
    open_page(page, app, "/")
    start_by_form(page, "taken")
    expect(page.get_by_role("alert")).to_contain_text("taken is already running.")
    stop(app, "taken")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_error_about_a_running_batch_links_to_it(page: Page, app: RunningApp) -> None:
    start(app, "taken")
    open_page(page, app, "/")
    start_by_form(page, "taken")
    page.get_by_role("alert").get_by_role("link", name="Open").click()
    expect(page).to_have_url(f"{app.url}/batch/taken")


def test_sixth_batch_is_refused(page: Page, app: RunningApp) -> None:
    for i in range(5):
        start(app, f"full-{i}")
    open_page(page, app, "/")
    expect(page.locator("a.slot")).to_have_count(5)
    expect(page.get_by_text(FULL)).to_be_visible()
    expect(page.get_by_text("Suggestion")).to_have_count(0)
    start_by_form(page, "sixth")
    expect(page.get_by_role("alert")).to_have_text(FULL)
    expect(page.get_by_label("Name", exact=True)).to_have_value("sixth")
    open_page(page, app, "/batch/sixth")
    page.locator("main").get_by_role("button", name="Start ").click()
    expect(page.get_by_role("alert")).to_have_text(FULL)
    assert len(running_tasks(app)) == 5
