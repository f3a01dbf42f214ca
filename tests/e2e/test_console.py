"""What makes the console quick to use: keys, a free name, time ranges, a pause, the tab's icon."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page
from tests.helpers.history import HistoricRun, write_history
from tests.helpers.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip(
    "playwright.sync_api", reason="browser tests need requirements-dev.txt"
).expect


@pytest.fixture
def app(mode: str, request: pytest.FixtureRequest) -> Iterator[RunningApp]:
    """The app with one running batch."""
    running: RunningApp = request.getfixturevalue(f"{mode}_app")
    running.stop_batches()
    http.post(f"{running.api}/stream/live").raise_for_status()
    yield running
    running.stop_batches()


def test_shortcuts_focus_the_fields_and_are_typed_in_them(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    for key, field in (("n", "New batch"), ("/", "Search batches")):
        page.locator("h1").click()
        page.keyboard.press(key)
        expect(page.get_by_label(field)).to_be_focused()
        expect(page.get_by_label(field)).to_have_value("")
        page.keyboard.type("n/?")
        expect(page.get_by_label(field)).to_have_value("n/?")


def test_shortcuts_are_listed_in_a_dialog(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/batch/live")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.keyboard.press("?")
    expect(dialog).to_contain_text("Search batches")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    button = page.get_by_role("button", name="Keyboard shortcuts")
    button.click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_disabled_shortcuts_stay_disabled(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    field, hint = page.get_by_label("New batch"), page.locator("kbd.key-hint").first
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


def test_a_start_can_be_taken_back_and_a_stop_too(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    expect(page.get_by_text("1 of 5")).to_be_visible()
    page.get_by_label("New batch").fill("back")
    page.keyboard.press("Enter")
    toast = page.locator("[data-sonner-toast]")
    toast.filter(has_text="Started back").get_by_role("button", name="Stop").click()
    toast.filter(has_text="Stopped back").get_by_role("button", name="Start again").click()
    expect(toast.filter(has_text="Started back").last).to_be_visible()
    expect(page.get_by_role("button", name="Stop: back")).to_be_visible()
    http.delete(f"{app.api}/stream/back")


def test_the_one_button_of_a_batch_keeps_the_focus(app: RunningApp, page: Page) -> None:
    http.delete(f"{app.api}/stream/live")
    open_page(page, app, "/batch/live")
    page.get_by_role("button", name="Start again").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main").get_by_role("button", name="Stop")).to_be_focused()
    toast = page.locator("[data-sonner-toast]").filter(has_text="Started live")
    expect(toast.get_by_role("button", name="Stop")).to_be_visible()


def test_a_free_name_is_offered_and_taken_with_one_click(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    offer = page.get_by_role("button", name="Start batch-")
    expect(offer).to_have_text(re.compile(r"batch-\d+"))
    name = offer.inner_text()
    offer.click()
    expect(page.locator(".slot").filter(has_text=name)).to_be_visible()
    expect(offer).not_to_have_text(name)


def test_a_refusal_goes_with_its_cause(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    field = page.get_by_label("New batch")
    expect(page.get_by_text("1 of 5")).to_be_visible()
    field.fill("no name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Use 1 to 64")
    field.press_sequentially("!")
    expect(page.locator("form [role=alert]")).to_have_count(0)
    expect(field).to_have_attribute("aria-invalid", "false")
    field.fill("live")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is already running")
    http.delete(f"{app.api}/stream/live")
    expect(page.locator("form [role=alert]")).to_have_count(0)


def test_the_button_in_a_row_keeps_the_focus(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    page.get_by_role("button", name="Stop: live").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start again: live")).to_be_focused()


def test_all_runs_of_a_batch_can_be_seen(app: RunningApp, page: Page) -> None:
    for _ in range(12):
        http.post(f"{app.api}/stream/often").raise_for_status()
        http.delete(f"{app.api}/stream/often").raise_for_status()
    open_page(page, app, "/batch/often")
    runs = page.get_by_role("region", name="Runs")
    expect(runs.locator("li")).to_have_count(10)
    runs.get_by_role("button", name=re.compile("earlier")).click()
    expect(runs.get_by_text("Run 1", exact=True)).to_be_visible()
    expect(runs.get_by_role("button")).to_have_count(0)


def test_the_tab_says_what_runs(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/")
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", "/icon-running.svg")
    expect(page).to_have_title("1 running · SOLO")
    http.delete(f"{app.api}/stream/live")
    expect(icon).to_have_attribute("href", "/icon.svg")
    expect(page).to_have_title("Batches · SOLO")


def test_minutes_are_shown_over_the_time_one_chooses(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/batch/live")
    card = page.get_by_role("region", name="Per minute")
    hour = card.get_by_role("button", name="1 h", exact=True)
    day = card.get_by_role("button", name="24 h", exact=True)
    expect(hour).to_have_attribute("aria-pressed", "true")
    day.click()
    expect(day).to_have_attribute("aria-pressed", "true")
    expect(hour).to_have_attribute("aria-pressed", "false")


def test_the_newest_points_hold_still_when_paused(app: RunningApp, page: Page) -> None:
    open_page(page, app, "/batch/live")
    card = page.get_by_role("region", name="Latest points")
    newest = card.locator("tbody tr").first.locator("td").first
    expect(newest).to_have_text(re.compile(r"\d"))
    card.get_by_role("button", name="Pause").click()
    go_on = card.get_by_role("button", name="Resume")
    expect(go_on).to_be_visible()
    held = newest.inner_text()
    shown = page.locator(".status-line")
    before = shown.inner_text()
    expect(shown).not_to_have_text(before)  # The page goes on, ...
    assert newest.inner_text() == held  # ... the table does not.
    go_on.click()
    expect(newest).not_to_have_text(held)


DRAWN = """() => {
    const curve = document.querySelector(".live-chart .recharts-line-curve");
    const chart = curve.closest("svg").querySelector(".recharts-cartesian-grid").getBBox();
    const x = curve.getAttribute("d").match(/-?[\\d.]+(?=,)/g).map(Number);
    return [x[0], x.at(-1)].map((at) => (at - chart.x) / chart.width);
}"""
"""Where the line of the last minute begins and ends, as shares of the chart's width."""


def test_the_line_is_of_the_last_minute_at_fifty_points_a_second(
    new_app: Callable[..., RunningApp], tmp_path: Path, page: Page
) -> None:
    database = tmp_path / "fast.duckdb"
    past = HistoricRun("past", timedelta(seconds=90), timedelta(seconds=80))
    write_history(database, [past], interval=timedelta(seconds=0.02))
    app = new_app("prod", database, SOLO_INTERVAL="0.02").start()
    open_page(page, app, "/batch/past")
    expect(page.locator(".point-count")).to_have_text(re.compile(r"^(2.99|3.00)\d points · 60.s$"))
    begin, end = page.evaluate(DRAWN)
    assert begin == pytest.approx(0, abs=0.01)
    assert end == pytest.approx(1, abs=0.01)

    http.post(f"{app.api}/stream/fresh").raise_for_status()
    open_page(page, app, "/batch/fresh")
    expect(page.locator(".live-chart .time-labels")).to_contain_text("now")
    expect(page.locator(".live-chart .recharts-line-curve")).to_be_visible()
    begin, end = page.evaluate(DRAWN)
    assert begin > 0.5
    assert end == pytest.approx(1, abs=0.05)
    page.wait_for_function(f"(before) => ({DRAWN})()[0] < before - 0.05", arg=begin)
    assert page.evaluate(DRAWN)[1] == pytest.approx(1, abs=0.05)
