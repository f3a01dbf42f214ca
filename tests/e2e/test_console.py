"""What makes the console quick to use: keys, a free name, time ranges, a pause, the tab's icon."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.running_app import RunningApp

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip(
    "playwright.sync_api", reason="browser tests need requirements-dev.txt"
).expect


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterator[RunningApp]:
    """The app with one running batch: in production, or as SOLO_TEST_PAGES=dev says."""
    mode = os.environ.get("SOLO_TEST_PAGES", "prod")
    running: RunningApp = request.getfixturevalue(f"{mode}_app")
    stop_all(running)
    httpx.post(f"{running.api}/stream/live").raise_for_status()
    yield running
    stop_all(running)


def stop_all(app: RunningApp) -> None:
    for task in httpx.get(f"{app.api}/tasks").json()["tasks"]:
        httpx.delete(f"{app.api}/stream/{task['batch_id']}").raise_for_status()


def test_keys_lead_to_the_field_and_are_left_alone_in_it(app: RunningApp, page: Page) -> None:
    page.goto(f"{app.url}/")
    field = page.get_by_label("New batch")
    expect(page.get_by_text("1 of 5")).to_be_visible()
    for key in ("/", "n"):
        page.locator("h1").click()
        page.keyboard.press(key)
        expect(field).to_be_focused()
        expect(field).to_have_value("")
    page.keyboard.type("n/n")
    expect(field).to_have_value("n/n")


def test_a_free_name_is_offered_and_taken_with_one_click(app: RunningApp, page: Page) -> None:
    page.goto(f"{app.url}/")
    offer = page.get_by_role("button", name="Take the name")
    expect(offer).to_have_text(re.compile(r"batch-\d+"))
    name = offer.inner_text()
    offer.click()
    field = page.get_by_label("New batch")
    expect(field).to_have_value(name)
    expect(field).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".slot").filter(has_text=name)).to_be_visible()
    expect(offer).not_to_have_text(name)


def test_the_tab_says_what_runs(app: RunningApp, page: Page) -> None:
    page.goto(f"{app.url}/")
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", "/icon-running.svg")
    expect(page).to_have_title("1 running · SOLO")
    httpx.delete(f"{app.api}/stream/live")
    expect(icon).to_have_attribute("href", "/icon.svg")
    expect(page).to_have_title("Batches · SOLO")


def test_minutes_are_shown_over_the_time_one_chooses(app: RunningApp, page: Page) -> None:
    page.goto(f"{app.url}/batch/live")
    card = page.get_by_role("region", name="By minute")
    hour = card.get_by_role("button", name="1 h", exact=True)
    day = card.get_by_role("button", name="24 h", exact=True)
    expect(hour).to_have_attribute("aria-pressed", "true")
    day.click()
    expect(day).to_have_attribute("aria-pressed", "true")
    expect(hour).to_have_attribute("aria-pressed", "false")


def test_the_newest_points_hold_still_when_paused(app: RunningApp, page: Page) -> None:
    page.goto(f"{app.url}/batch/live")
    card = page.get_by_role("region", name="Newest points")
    newest = card.locator("tbody tr").first.locator("td").first
    expect(newest).to_have_text(re.compile(r"\d"))
    card.get_by_role("button", name="Pause").click()
    go_on = card.get_by_role("button", name="Go on")
    expect(go_on).to_be_visible()
    held = newest.inner_text()
    shown = page.locator(".standing")
    before = shown.inner_text()
    expect(shown).not_to_have_text(before)  # The page goes on, ...
    assert newest.inner_text() == held  # ... the table does not.
    go_on.click()
    expect(newest).not_to_have_text(held)
