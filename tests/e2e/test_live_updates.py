"""Open pages are updated in every tab, and closed tabs receive no further updates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import OPEN_VIEWERS, expect_new_points, open_page, start, wait_for_points
from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp, http

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")


@in_both_modes
def test_values_on_both_pages_are_updated(page: Page, app: RunningApp) -> None:
    start(app, "alive")
    open_page(page, app, "/")
    rows = page.locator(".stat dd").first
    before = rows.inner_text()
    expect(rows).not_to_have_text(before)
    page.locator("td .id", has_text="alive").click()
    expect(page.locator("td.seq").first).to_be_visible()
    expect_new_points(page)
    expect(page.locator(".recharts-line path").first).to_be_visible()
    expect(page).to_have_title("alive · Running · SOLO")


HYDRATED = '"is_hydrated_rx_state_":true'
"""Part of the message with the first state of a page."""


def test_page_is_marked_live_only_once_loaded(page: Page, app: RunningApp) -> None:
    page.route("**/assets/_batch_*", lambda route: None)  # Never fulfilled.
    with page.expect_websocket() as opened:
        page.goto(f"{app.url}/batch/slow", wait_until="commit")
    opened.value.wait_for_event("framereceived", lambda frame: HYDRATED in str(frame))
    page.evaluate("() => new Promise((drawn) => setTimeout(() => requestAnimationFrame(drawn)))")
    expect(page.locator("header .connection")).to_have_text("connecting…")
    page.unroute_all()
    expect(page.locator("header .connection")).to_have_text("live")


def shown_points(page: Page) -> list[tuple[int, str, str]]:
    """Return the rows of the table of latest points: seq, time in UTC, value; newest first."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll("table.points tbody tr")].map((row) => [
            Number(row.querySelector(".seq").innerText.replace(/\\D/g, "")),
            row.querySelector("time").dateTime,
            row.querySelector(".key").innerText,
        ])"""
    )
    return [tuple(row) for row in rows]


def committed_points(app: RunningApp, batch_id: str, last: int, count: int) -> list[object]:
    """Return the same rows from the API, for the points up to ``last``."""
    query = {"after": last - count, "limit": count}
    response = http.get(f"{app.api}/batches/{batch_id}/points", params=query).raise_for_status()
    points = reversed(response.json()["points"])
    return [(p["seq"], f"{p['ts'][:23]}Z", str(p["data"]["key"])) for p in points]


def test_page_is_complete_after_a_reconnect(page: Page, app: RunningApp) -> None:
    start(app, "lossy")
    sockets: list[WebSocketRoute] = []
    lost: list[object] = []

    def intercept(socket: WebSocketRoute) -> None:
        """Drop server messages to the sockets in ``broken``."""
        server = socket.connect_to_server()
        sockets.append(socket)
        server.on_message(
            lambda message: lost.append(message) if socket in broken else socket.send(message)
        )

    broken: list[WebSocketRoute] = []
    page.route_web_socket(re.compile("_event"), intercept)
    open_page(page, app, "/batch/lossy")
    expect(page.locator("table.points tbody tr")).to_have_count(10)
    page.evaluate("window.same = true")
    broken.append(sockets[-1])
    while len(lost) < 5:
        page.wait_for_timeout(50)
    sockets[-1].close()
    expect_new_points(page)
    assert len(sockets) == 2
    assert page.evaluate("window.same")
    shown = shown_points(page)
    assert shown == committed_points(app, "lossy", shown[0][0], 10)


@in_both_modes
def test_navigation_between_pages_needs_no_full_load(page: Page, app: RunningApp) -> None:
    start(app, "walk-a")
    start(app, "walk-b")
    open_page(page, app, "/")
    page.evaluate("window.same = true")
    for batch_id in ("walk-a", "walk-b"):
        page.locator("td .id", has_text=batch_id).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(batch_id)
        expect(page.locator("td.seq").first).to_be_visible()
        expect_new_points(page)
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Batches")
    page.go_forward()
    expect(page.get_by_role("heading", level=1)).to_have_text("walk-b")
    expect_new_points(page)
    assert page.evaluate("window.same")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("walk-b")
    expect(page.locator("td.seq").first).to_be_visible()
    expect_new_points(page)
    page.go_back()
    expect(page.locator("a.slot")).to_have_count(2)


def test_stop_in_one_tab_is_shown_in_another(page: Page, app: RunningApp) -> None:
    start(app, "shared")
    other = page.context.new_page()
    for tab in (other, page):
        tab.bring_to_front()  # Browsers throttle tabs in the background.
        open_page(tab, app, "/batch/shared")
        expect(tab.locator("td.seq").first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page).to_have_url(f"{app.url}/")
    expect(other.locator(".status-line .pill")).to_have_text("Stopped")
    expect(other.get_by_role("button", name="Start again")).to_be_visible()


def test_more_than_100_pages_show_the_high_load_notice(page: Page, app: RunningApp) -> None:
    start(app, "busy")
    open_page(page, app, "/batch/busy")
    notice = page.get_by_text("High load: updating every")
    expect(page.locator("td.seq").first).to_be_visible()
    expect(notice).to_have_count(0)
    page.evaluate(OPEN_VIEWERS, 100)
    expect(notice).to_contain_text(re.compile(r"every 1\s+s"))
    expect_new_points(page)
    expect(page.locator(".connection.current")).to_be_visible()
    page.evaluate("window.viewers.forEach((socket) => socket.close())")
    expect(notice).to_have_count(0)


@in_both_modes
def test_closed_tabs_receive_no_more_updates(page: Page, app: RunningApp) -> None:
    start(app, "left")
    for path in ("/", "/batch/left", "/batch/unknown"):
        tab = page.context.new_page()
        open_page(tab, app, path)
        tab.reload()
        expect(tab.locator(".connection.current")).to_be_visible()
        tab.goto(f"{app.url}/batch/elsewhere")
        expect(tab.locator(".connection.current")).to_be_visible()
        tab.go_back()
        expect(tab.locator(".connection.current")).to_be_visible()
        tab.close()
    wait_for_points(app, 8)
    failed_sends = app.output().count("disconnected client")
    wait_for_points(app, 8)
    assert app.output().count("disconnected client") == failed_sends
