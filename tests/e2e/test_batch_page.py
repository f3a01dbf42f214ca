"""The batch page: stopping and starting, runs, ranges, pause, and the live chart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page, running_tasks, start, stop, totals
from tests.e2e.modes import in_both_modes
from tests.helpers.history import FAST
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")


@in_both_modes
def test_stop_returns_to_the_home_page(page: Page, app: RunningApp) -> None:
    start(app, "stop-me")
    open_page(page, app, "/batch/stop-me")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page).to_have_url(f"{app.url}/")
    page.get_by_text("Stopped stop-me").hover()  # Keeps the toast open.
    expect(page.locator("tr", has_text="stop-me").locator(".pill:visible")).to_have_text("Stopped")
    assert running_tasks(app) == []
    page.locator("[data-sonner-toast]").get_by_role("button", name="Start again").click()
    expect(page.locator("a.slot", has_text="stop-me")).to_be_visible()
    assert page.evaluate("window.same")


def test_ended_batch_shows_its_history(page: Page, app: RunningApp) -> None:
    start(app, "history")
    open_page(page, app, "/batch/history")
    expect(page.locator("td.seq").first).to_be_visible()
    stop(app, "history")
    expect(page.locator(".status-line .pill")).to_have_text("Stopped")
    expect(page.locator("td.seq").first).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page.locator(".runs li")).to_have_count(1)


def test_start_button_keeps_the_focus_as_stop_button(app: RunningApp, page: Page) -> None:
    start(app, "ended")
    stop(app, "ended")
    open_page(page, app, "/batch/ended")
    page.get_by_role("button", name="Start again").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main").get_by_role("button", name="Stop")).to_be_focused()
    expect(page.locator(".runs li")).to_have_count(2)


@in_both_modes
def test_unknown_batch_is_started_only_by_its_button(page: Page, app: RunningApp) -> None:
    before = totals(app)["batch_count"]
    open_page(page, app, "/batch/not-yet")
    expect(page.get_by_role("heading", level=1)).to_have_text("Batch not found")
    page.reload()
    button = page.locator("main").get_by_role("button", name="Start ")
    expect(button).to_be_visible()
    assert totals(app)["batch_count"] == before
    assert running_tasks(app) == []
    button.click()
    expect(page.locator("main").get_by_role("button", name="Stop", exact=True)).to_be_visible()
    expect(page.locator("td.seq").first).to_be_visible()


def test_earlier_runs_are_shown_on_request(app: RunningApp, page: Page) -> None:
    for _ in range(12):
        start(app, "often")
        stop(app, "often")
    open_page(page, app, "/batch/often")
    runs = page.get_by_role("region", name="Runs")
    expect(runs.locator("li")).to_have_count(10)
    runs.get_by_role("button", name=re.compile("earlier")).click()
    expect(runs.get_by_text("Run 1", exact=True)).to_be_visible()
    expect(runs.get_by_role("button")).to_have_count(0)


def test_minute_chart_shows_the_chosen_range(app: RunningApp, page: Page) -> None:
    start(app, "live")
    open_page(page, app, "/batch/live")
    card = page.get_by_role("region", name="Per minute")
    hour = card.get_by_role("button", name="1 h", exact=True)
    day = card.get_by_role("button", name="24 h", exact=True)
    expect(hour).to_have_attribute("aria-pressed", "true")
    day.click()
    expect(day).to_have_attribute("aria-pressed", "true")
    expect(hour).to_have_attribute("aria-pressed", "false")


def test_paused_table_does_not_change(app: RunningApp, page: Page) -> None:
    start(app, "live")
    open_page(page, app, "/batch/live")
    card = page.get_by_role("region", name="Latest points")
    latest = card.locator("tbody tr").first.locator("td").first
    expect(latest).to_have_text(re.compile(r"\d"))
    card.get_by_role("button", name="Pause").click()
    resume = card.get_by_role("button", name="Resume")
    expect(resume).to_be_visible()
    paused = latest.inner_text()
    facts = page.locator(".status-line")
    expect(facts).not_to_have_text(facts.inner_text())
    assert latest.inner_text() == paused
    resume.click()
    expect(latest).not_to_have_text(paused)


def test_table_paused_at_the_end_of_a_run_can_resume(app: RunningApp, page: Page) -> None:
    start(app, "live")
    open_page(page, app, "/batch/live")
    page.get_by_role("button", name="Pause").click()
    stop(app, "live")
    expect(page.locator(".status-line .pill")).to_have_text("Stopped")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


LINE_ENDS = """() => {
    const curve = document.querySelector(".live-chart .recharts-line-curve");
    const chart = curve.closest("svg").querySelector(".recharts-cartesian-grid").getBBox();
    const x = curve.getAttribute("d").match(/-?[\\d.]+(?=,)/g).map(Number);
    return [x[0], x.at(-1)].map((at) => (at - chart.x) / chart.width);
}"""
"""The start and the end of the line in the live chart, as fractions of the chart's width."""


def test_chart_of_an_ended_batch_shows_its_last_minute(console: RunningApp, page: Page) -> None:
    open_page(page, console, f"/batch/{FAST}")
    expect(page.locator(".point-count")).to_have_text(re.compile(r"^(2.99|3.00)\d points · 60.s$"))
    assert page.evaluate(LINE_ENDS) == pytest.approx([0, 1], abs=0.01)


def test_live_chart_of_a_fast_batch_ends_now(app: RunningApp, page: Page) -> None:
    start(app, "fresh", source="random", parameters={"interval": 0.02})
    open_page(page, app, "/batch/fresh")
    expect(page.locator(".live-chart .time-labels")).to_contain_text("now")
    expect(page.locator(".live-chart .recharts-line-curve")).to_be_visible()
    first, last = page.evaluate(LINE_ENDS)
    assert first > 0.5
    assert last == pytest.approx(1, abs=0.05)
    page.wait_for_function(f"(before) => ({LINE_ENDS})()[0] < before - 0.05", arg=first)
    assert page.evaluate(LINE_ENDS)[1] == pytest.approx(1, abs=0.05)
