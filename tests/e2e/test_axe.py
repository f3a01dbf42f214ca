"""axe finds nothing wrong on any page, in any state, theme and width."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.actions import open_page
from tests.helpers.history import FAILED, FINISHED, RUNNING
from tests.helpers.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = (1280, 360)
PLACES = [
    "/",
    f"/batch/{RUNNING[0]}",
    f"/batch/{FINISHED}",
    f"/batch/{FAILED}",
    "/batch/nobody",
    "/batch/-cannot-be",
    "/no/such/page",
]
in_each_theme = pytest.mark.parametrize("theme", ["light", "dark"])


def wrong(page: Page) -> list[str]:
    """What axe finds wrong on the page as it is now: rule, place, why."""
    axe: Any = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe needs requirements-dev.txt"
    )
    found = axe.Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
    return [
        f"{violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ]


def wrong_at_any_width(page: Page) -> dict[int, list[str]]:
    """The same at each width at which something is wrong; no width may scroll sideways."""
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
        found[width] = wrong(page)
    return {width: faults for width, faults in found.items() if faults}


def test_axe_finds_nothing_wrong_before_the_first_batch(
    new_app: Callable[..., RunningApp], page: Page
) -> None:
    app = new_app("prod").start()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        open_page(page, app, "/")
        assert wrong_at_any_width(page) == {}


@in_each_theme
@pytest.mark.parametrize("path", PLACES)
def test_axe_finds_nothing_wrong(console: RunningApp, page: Page, path: str, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    open_page(page, console, path)
    assert page.locator(f"html.{theme}").count() == 1
    assert wrong_at_any_width(page) == {}


@in_each_theme
def test_axe_finds_nothing_wrong_with_answers(console: RunningApp, page: Page, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    open_page(page, console, "/")
    page.get_by_role("button", name=f"Stop: {RUNNING[0]}").click()
    page.locator("[data-sonner-toast][data-mounted='true']").wait_for()
    page.get_by_label("New batch").fill(RUNNING[1])
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()
    page.locator("[data-sonner-toast]").hover()  # So that it stays.
    page.wait_for_function("document.getAnimations().every((a) => a.playState !== 'running')")
    assert wrong_at_any_width(page) == {}
    assert http.post(f"{console.api}/stream/{RUNNING[0]}").status_code == 201
