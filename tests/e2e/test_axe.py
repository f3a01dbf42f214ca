"""axe finds no violations on any page, in any state or theme, at any width."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.actions import open_page, push, start, start_by_form, stop, wait_until
from tests.helpers.history import FAILED, FINISHED, RUNNING
from tests.helpers.running_app import RunningApp, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

RUNNING_ANIMATIONS = "document.getAnimations().some((a) => a.playState === 'running')"
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
PATHS = [
    "/",
    f"/batch/{RUNNING[0]}",
    f"/batch/{FINISHED}",
    f"/batch/{FAILED}",
    "/batch/unknown",
    "/batch/-invalid",
    "/no/such/page",
]
THEMES: list[Any] = ["light", "dark"]
RUN_AXE = """(rules) => axe.run({ runOnly: rules, resultTypes: ["violations"] })
    .then((results) => results.violations)"""


def violations(page: Page) -> list[str]:
    """Return the violations on a page: rule, element, reason."""
    axe: Any = pytest.importorskip(
        "axe_playwright_python.base", reason="axe needs requirements-dev.txt"
    )
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe.AXE_SCRIPT)
    return [
        f"{violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in page.evaluate(RUN_AXE, RULES)
        for node in violation["nodes"]
    ]


def expect_no_violations(page: Page) -> None:
    """Expect no violations and no horizontal scrolling on a desktop and a phone in each theme."""
    for width, theme in product((1280, 360), THEMES):
        page.set_viewport_size({"width": width, "height": 900})
        # Changing the theme would start transitions of a second.
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.locator(f"html.{theme}").wait_for(state="attached")
        # Unlike `wait_for_function`, this needs no frames, which a headless browser can omit.
        wait_until(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
        wait_until(lambda: not page.evaluate(RUNNING_ANIMATIONS))
        assert violations(page) == [], (width, theme)


def test_no_violations_without_batches(empty_app: RunningApp, page: Page) -> None:
    open_page(page, empty_app, "/")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Waiting for the first point").wait_for()
    expect_no_violations(page)


@pytest.mark.parametrize("path", PATHS)
def test_no_violations(console: RunningApp, page: Page, path: str) -> None:
    open_page(page, console, path)
    expect_no_violations(page)


def test_no_violations_with_toast_and_error(console: RunningApp, page: Page) -> None:
    open_page(page, console, "/")
    page.get_by_role("button", name=f"Stop: {RUNNING[0]}").click()
    page.locator("[data-sonner-toast][data-mounted='true']").wait_for()
    start_by_form(page, RUNNING[1])
    page.locator("[role=alert]").wait_for()
    page.locator("[data-sonner-toast]").hover()  # Keeps the toast open.
    expect_no_violations(page)


def test_no_violations_in_the_form_of_a_source(console: RunningApp, page: Page) -> None:
    open_page(page, console, "/")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Source", exact=True).select_option("http")
    page.get_by_role("textbox", name="JSON Pointer").wait_for()
    expect_no_violations(page)
    page.get_by_role("textbox", name="JSON Pointer").fill("temperature")
    page.keyboard.press("Enter")
    page.get_by_role("alert").first.wait_for()
    expect_no_violations(page)


def test_no_violations_without_matches(console: RunningApp, page: Page) -> None:
    open_page(page, console, "/")
    page.get_by_label("Search batches").fill("no match")
    page.get_by_role("button", name="Clear filters").wait_for()
    expect_no_violations(page)


def test_no_violations_in_open_forms(console: RunningApp, page: Page) -> None:
    open_page(page, console, f"/batch/{RUNNING[0]}")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_role("dialog").wait_for()
    expect_no_violations(page)
    page.keyboard.press("Escape")
    page.get_by_text("Show as table").click()
    page.get_by_role("button", name="Download").click()
    form = page.get_by_role("form", name="Download")
    form.get_by_label("Range", exact=True).select_option("Custom")
    expect_no_violations(page)


def test_no_violations_in_the_panels_of_a_batch(app: RunningApp, page: Page) -> None:
    start(app, "axe-kiln", source="push", unit="°C", description="Kiln door")
    push(app, "axe-kiln", 21.5)
    parameters = {"url": f"http://127.0.0.1:{free_port()}/"}
    start(app, "axe-boiler", source="http", parameters=parameters)
    open_page(page, app, "/batch/axe-boiler")
    page.locator(".pill.retrying").wait_for()
    expect_no_violations(page)
    open_page(page, app, "/batch/axe-kiln")
    page.get_by_role("button", name="Edit unit").click()
    page.get_by_role("textbox", name="Unit").fill("degrees Celsius, upper")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    expect_no_violations(page)
    stop(app, "axe-kiln")
    page.get_by_role("button", name="Delete axe-kiln…").click()
    page.get_by_role("dialog").wait_for()
    expect_no_violations(page)


def test_no_violations_while_disconnected(console: RunningApp, page: Page) -> None:
    sockets: list[WebSocketRoute] = []
    are_refused = False

    def connect(socket: WebSocketRoute) -> None:
        if are_refused:
            socket.close()
        else:
            sockets.append(socket)
            socket.connect_to_server()

    page.context.route_web_socket(re.compile("_event"), connect)
    tabs: list[Page] = []
    for path in PATHS[:2]:
        tabs.append(page.context.new_page())
        open_page(tabs[-1], console, path)
    are_refused = True
    for socket in sockets:
        socket.close()
    for tab in tabs:
        tab.locator("p.banner.offline").wait_for()
        expect_no_violations(tab)
