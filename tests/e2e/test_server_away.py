"""Open pages while the server hangs, restarts or is unreachable, and during navigation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import expect_new_points, open_page, start, stop
from tests.e2e.modes import in_both_modes
from tests.e2e.restart import restarted
from tests.helpers.running_app import RunningApp

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocket


@in_both_modes
def test_open_page_recovers_from_a_restart(page: Page, app: RunningApp, mode: str) -> None:
    start(app, "survivor")
    open_page(page, app, "/batch/survivor")
    expect(page.locator("td.seq").first).to_be_visible()
    with restarted(page, app):
        expect(page.get_by_text("Connection lost at")).to_be_visible()
    expect(page.locator(".status-line .pill")).to_have_text("Interrupted")
    expect(page.get_by_text("Connection lost at")).to_have_count(0)
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".status-line .pill")).to_have_text("Running")
    expect_new_points(page)
    assert page.evaluate("window.same") or mode == "dev"


TOAST_IS_ABOVE_THE_BANNER = """() => {
    const box = (selector) => document.querySelector(selector).getBoundingClientRect();
    return box("[data-sonner-toast]").bottom <= box("p.banner.offline").top;
}"""


def test_lost_connection_greys_out_the_page_above_the_banner(page: Page, app: RunningApp) -> None:
    start(app, "toasted")
    open_page(page, app, "/")
    page.get_by_role("button", name="Stop: toasted", exact=True).click()
    toast = page.locator("[data-sonner-toast]")
    toast.hover()  # Keeps the toast open.
    label = "getComputedStyle(document.querySelector('.button.primary')).color"
    legible = page.evaluate(label)
    banner, main = page.locator("p.banner.offline"), page.locator("main")
    app.suspend()
    try:
        expect(banner).to_be_visible()
        toast.hover()
        expect(main).to_have_css("filter", "grayscale(1)")
        assert page.evaluate(label) == legible
        expect(toast.get_by_role("button")).to_have_count(0)
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 800})
            toast.hover()
            page.wait_for_function(TOAST_IS_ABOVE_THE_BANNER)
    finally:
        app.resume()
    expect(main).to_have_css("filter", "none")


def test_links_work_while_the_server_is_unreachable(app: RunningApp, page: Page) -> None:
    start(app, "live")
    open_page(page, app, "/")
    expect(page.get_by_text("1 of 5")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.evaluate("window.same = true")
    app.suspend()
    try:
        expect(page.get_by_text("Connection lost at")).to_be_visible()
        page.locator("table.batches").get_by_role("link", name="live", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("live")
        assert page.evaluate("window.same")
    finally:
        app.resume()
    expect(page.locator(".status-line .pill")).to_have_text("Running")


def test_form_and_filters_keep_their_input_across_a_restart(app: RunningApp, page: Page) -> None:
    for name in ("kept-1", "kept-2"):
        start(app, name)
    stop(app, "kept-1")
    open_page(page, app, "/")
    source, url = page.get_by_label("Source", exact=True), page.get_by_label("URL")
    source.select_option("http")
    url.fill("http://localhost/kept")
    rows = page.locator("table.batches tbody tr")
    page.get_by_label("Search batches").fill("KEPT")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Running", exact=True).click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("kept-2")
    with restarted(page, app):
        pass
    expect(url).to_be_visible()
    expect(url).to_have_value("http://localhost/kept")
    expect(source).to_have_value("http")
    expect(page.get_by_role("button", name="Running", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(page.get_by_label("Search batches")).to_have_value("KEPT")
    expect(page.get_by_text("No matches")).to_be_visible()
    page.get_by_role("button", name="Interrupted", exact=True).click()
    expect(rows).to_contain_text("kept-2")
    page.get_by_label("Search batches").fill("nothing like it")
    expect(page.get_by_text("No matches")).to_be_visible()


def test_unresponsive_server_is_shown_with_the_age_of_the_data(app: RunningApp, page: Page) -> None:
    start(app, "live")
    open_page(page, app, "/batch/live")
    # In development, the indicator is rendered before the code of the page is loaded.
    expect(page.locator("td.seq").first).to_be_visible()
    expect(page.locator(".connection.current")).to_be_visible()
    expect(page.locator(".time-labels time:visible")).to_have_count(1)
    expect(page.locator(".time-labels .now")).to_be_visible()
    app.suspend()
    try:
        expect(page.locator(".connection")).to_have_text(re.compile(r"\d\s+s behind"))
        expect(page.locator(".time-labels time:visible")).to_have_count(2)
        expect(page.locator(".time-labels .now")).to_be_hidden()
        expect(page.get_by_text("Connection lost at")).to_be_visible()
    finally:
        app.resume()
    expect(page.locator(".connection.current")).to_be_visible()
    expect(page.get_by_text("Connection lost at")).to_have_count(0)


_RECORD_UNLOAD = "addEventListener('beforeunload', () => { window.isUnloading = true }, true)"


@in_both_modes
@pytest.mark.parametrize("address", ["{api}/backup", "/nothing", "mailto:a@example.org"])
def test_navigation_that_stays_on_the_page_keeps_it_connected(
    app: RunningApp, page: Page, address: str
) -> None:
    sockets: list[WebSocket] = []
    page.on("websocket", lambda it: sockets.append(it) if "_event" in it.url else None)
    page.route("**/nothing", lambda route: route.fulfill(status=204))
    page.add_init_script(_RECORD_UNLOAD)
    open_page(page, app, "/")
    page.evaluate("url => { location.href = url }", address.format(api=app.api))
    page.wait_for_function("window.isUnloading")
    with sockets[0].expect_event("framereceived", lambda frame: "server_time" in str(frame)):
        pass
    assert len(sockets) == 1
    expect(page.locator(".connection.current")).to_be_visible()
