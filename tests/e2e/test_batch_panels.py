"""The batch page: log, labels, the command that sends a value, and deletion."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page, start, stop, wait_for_points
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp, free_port, http

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")

SCROLL_TOP = "it => it.scrollTop"


def test_log_follows_its_end_unless_scrolled_up(app: RunningApp, page: Page) -> None:
    for _ in range(10):
        start(app, "log-runs")
        stop(app, "log-runs")
    open_page(page, app, "/batch/log-runs")
    log = page.get_by_role("log")
    log.scroll_into_view_if_needed()
    start(app, "log-runs")
    last_run = log.get_by_text("Run 11", exact=False)
    expect(last_run).to_be_attached()
    assert log.evaluate(SCROLL_TOP) == 0
    log.scroll_into_view_if_needed()  # The page can have moved while it was loading.
    expect(last_run).to_be_in_viewport()
    log.hover()
    page.mouse.wheel(0, -150)
    page.wait_for_function("document.querySelector('[role=log]').scrollTop < -100")
    first = log.get_by_text("Started with source random.").nth(6)
    before = first.bounding_box()
    stop(app, "log-runs")
    button = page.get_by_role("button", name="1 new line", exact=False)
    expect(button).to_be_visible()
    assert first.bounding_box() == before
    start(app, "log-runs")
    page.get_by_role("button", name="2 new lines", exact=False).click()
    expect(page.get_by_role("button", name="new line")).to_have_count(0)
    assert log.evaluate(SCROLL_TOP) == 0


def test_failing_source_shows_its_error_and_attempt(app: RunningApp, page: Page) -> None:
    parameters = {"url": f"http://127.0.0.1:{free_port()}/"}
    start(app, "panel-boiler", source="http", parameters=parameters)
    open_page(page, app, "/batch/panel-boiler")
    expect(page.locator(".status-line .pill")).to_have_text(re.compile("Retrying · attempt [12]"))
    expect(page.locator(".batch-title .reason")).to_contain_text("Cannot connect")
    expect(page.get_by_role("status").filter(has_text="Retrying: ")).to_have_count(1)
    card = page.locator(".log-card")
    card.get_by_role("button", name=re.compile(r"Errors \d")).click()
    log = page.get_by_role("log")
    expect(log.get_by_text("Started with source")).to_have_count(0)
    expect(log.get_by_role("img", name="Retry").first).to_be_visible()


def test_copied_log_has_its_lines(app: RunningApp, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    start(app, "copied")
    stop(app, "copied")
    open_page(page, app, "/batch/copied")
    page.locator(".log-card").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert [line.split(" UTC info ")[1] for line in lines] == [
        "Started with source random.",
        "Stopped.",
    ]


def test_log_is_closed_on_a_phone(app: RunningApp, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    start(app, "small")
    open_page(page, app, "/batch/small")
    expect(page.get_by_role("log")).to_be_hidden()
    page.locator(".log-card summary").click()
    expect(page.get_by_role("log")).to_contain_text("Started with source random.")


def test_labels_are_edited_with_the_keyboard(app: RunningApp, page: Page) -> None:
    start(app, "panel-kiln")
    open_page(page, app, "/batch/panel-kiln")
    page.get_by_role("button", name="Add unit").press("Enter")
    field = page.get_by_role("textbox", name="Unit")
    expect(field).to_be_focused()
    field.fill("degrees Celsius, upper")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Must have at most 16 characters")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("°C")
    field.press("Enter")
    edit_unit = page.get_by_role("button", name="Edit unit")
    expect(edit_unit).to_be_focused()
    expect(page.locator(".latest-value")).to_have_text(re.compile(r"^\d+\s°C$"))
    expect(page.get_by_role("columnheader", name="Value (°C)")).to_be_visible()
    expect(page.locator(".live-chart .axis-unit")).to_have_text("°C")
    edit_unit.press("Enter")
    field.fill("K")
    field.press("Escape")
    expect(edit_unit).to_be_focused()
    assert http.get(f"{app.api}/batches/panel-kiln").json()["unit"] == "°C"
    page.locator("header").get_by_role("link").first.click()
    expect(page.locator("a.slot .value")).to_have_text(re.compile(r"^\d+\s°C$"))
    expect(page.locator(".running td.latest")).to_have_text(re.compile(r"^\d+\s°C$"))


@in_both_modes
def test_shown_command_sends_a_value(app: RunningApp, page: Page) -> None:
    start(app, "pushed", source="push")
    open_page(page, app, "/batch/pushed")
    command = page.get_by_role("region", name="Send a value").locator("code").inner_text()
    program, option, body, url = shlex.split(command)
    assert (program, option) == ("curl", "-d")
    http.post(url, content=body).raise_for_status()
    expect(page.locator(".latest-value")).to_have_text(body)


def test_ended_batch_is_deleted_after_a_confirmation(app: RunningApp, page: Page) -> None:
    start(app, "old")
    wait_for_points(app, 2)
    open_page(page, app, "/batch/old")
    button = page.get_by_role("button", name="Delete old…")
    expect(button).to_have_count(0)
    stop(app, "old")
    button.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(re.compile(r"Delete \d+ points and 1 run of old\?"))
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    dialog.get_by_role("button", name="Delete old", exact=True).click()
    expect(page).to_have_url(f"{app.url}/")
    expect(page.get_by_text("Deleted old")).to_be_visible()
    assert http.get(f"{app.api}/batches/old").status_code == 404
