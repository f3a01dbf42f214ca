"""Everybody can use the pages: with any eyes, without a mouse, without things that move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.past import FAILED, FINISHED, RUNNING, write_past
from tests.running_app import RunningApp

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


@pytest.fixture(scope="module")
def console(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app in production with a past and five running batches."""
    database = tmp_path_factory.mktemp("data") / "solo.duckdb"
    write_past(database)
    app = RunningApp(project_in("prod"), database, "prod")
    try:
        app.start()
        for batch_id in RUNNING:
            assert httpx.post(f"{app.api}/stream/{batch_id}").status_code == 201
        yield app
    finally:
        app.stop()


def visit(page: Page, app: RunningApp, path: str) -> None:
    """Open a page and wait until it is all there."""
    page.goto(app.url + path)
    page.locator("main h1").wait_for()
    page.locator(".live.now").wait_for()
    page.wait_for_function(
        """() => !document.querySelector('.bone')
          && [...document.querySelectorAll('.minutes, .live-chart')]
            .every((part) => part.querySelector('svg, .nothing'))"""
    )


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
        visit(page, app, "/")
        assert wrong_at_any_width(page) == {}


@in_each_theme
@pytest.mark.parametrize("path", PLACES)
def test_axe_finds_nothing_wrong(console: RunningApp, page: Page, path: str, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    visit(page, console, path)
    assert page.locator(f"html.{theme}").count() == 1
    assert wrong_at_any_width(page) == {}


@in_each_theme
def test_axe_finds_nothing_wrong_with_answers(console: RunningApp, page: Page, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    visit(page, console, "/")
    page.get_by_role("button", name=f"Stop: {RUNNING[0]}").click()
    page.locator("[data-sonner-toast][data-mounted='true']").wait_for()
    page.get_by_label("New batch").fill(RUNNING[1])
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()
    page.wait_for_function("document.getAnimations().every((a) => a.playState !== 'running')")
    assert wrong_at_any_width(page) == {}
    assert httpx.post(f"{console.api}/stream/{RUNNING[0]}").status_code == 201


def focused(page: Page) -> str:
    """The name of what has the focus; what cannot be seen to have it is marked."""
    return str(
        page.evaluate(
            """() => {
              const it = document.activeElement;
              const name = it.getAttribute('aria-label') ?? it.labels?.[0]?.textContent
                ?? it.title ?? it.textContent;
              const { outlineStyle, outlineWidth } = getComputedStyle(it);
              const box = it.getBoundingClientRect();
              const seen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
                && box.width > 1 && box.height > 1;
              return (name || it.textContent) + (seen ? '' : ' (unseen)');
            }"""
        )
    )


def tabbed(page: Page, count: int) -> list[str]:
    """What gets the focus, one after another."""
    names = []
    for _ in range(count):
        page.keyboard.press("Tab")
        names.append(focused(page))
    return names


def test_the_keyboard_comes_to_everything_in_the_order_of_the_page(
    console: RunningApp, page: Page
) -> None:
    visit(page, console, "/")
    frame = ["Skip to the content", "SOLO, all batches", "Theme: as the system has it"]
    offer = page.get_by_role("button", name="Take the name").get_attribute("aria-label")
    form = ["New batch", "Start", offer, "Search batches", "All", "Running", "Ended"]
    running = [task["batch_id"] for task in httpx.get(f"{console.api}/tasks").json()["tasks"]]
    rows = [name for batch_id in running for name in (batch_id, f"Stop: {batch_id}")]
    assert tabbed(page, 3 + 5 + 7 + 10) == [*frame, *running, *form, *rows]
    visit(page, console, f"/batch/{RUNNING[0]}")
    assert tabbed(page, 4) == [*frame, "Stop"]


def test_the_skip_link_leads_past_the_frame(console: RunningApp, page: Page) -> None:
    visit(page, console, f"/batch/{RUNNING[0]}")
    assert tabbed(page, 1) == ["Skip to the content"]
    page.keyboard.press("Enter")
    assert tabbed(page, 1) == ["Stop"]


def test_a_batch_is_stopped_and_started_without_a_mouse(console: RunningApp, page: Page) -> None:
    visit(page, console, f"/batch/{RUNNING[4]}")
    page.get_by_role("button", name="Stop").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{console.url}/")
    free = page.get_by_role("button", name="Start a batch")
    free.focus()
    page.keyboard.press("Space")
    page.wait_for_function("document.activeElement.id === 'batch-id'")
    page.keyboard.type("not a name")
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()
    page.wait_for_timeout(700)  # A second Enter at once would pass for a double click.
    page.keyboard.press("Control+A")
    page.keyboard.type(RUNNING[4])
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Stop: {RUNNING[4]}").wait_for()
    free.wait_for(state="detached")


@pytest.mark.parametrize("path", ["/", f"/batch/{RUNNING[0]}"])
def test_nothing_moves_when_data_come(console: RunningApp, page: Page, path: str) -> None:
    page.add_init_script(
        """window.moved = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) window.moved += entry.value;
        }).observe({ type: 'layout-shift', buffered: true });"""
    )
    visit(page, console, path)
    page.wait_for_timeout(5000)  # About twenty ticks.
    assert page.evaluate("window.moved") < 0.01


def test_who_wants_no_motion_gets_none(console: RunningApp, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.add_init_script(
        """window.moving = new Set();
        (function look() {
          for (const animation of document.getAnimations()) {
            if (animation.playState === 'running') {
              window.moving.add(animation.effect.target.outerHTML.slice(0, 200));
            }
          }
          requestAnimationFrame(look);
        })();"""
    )
    visit(page, console, f"/batch/{RUNNING[2]}")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Start again", exact=True).click()
    page.get_by_text(f"Started {RUNNING[2]}").wait_for()
    page.get_by_role("button", name="Theme").click()
    page.wait_for_timeout(1000)  # As long as a motion might take.
    assert page.evaluate("[...window.moving]") == []


@pytest.mark.parametrize("path", ["/", f"/batch/{RUNNING[0]}"])
def test_digits_are_equally_wide(console: RunningApp, page: Page, path: str) -> None:
    visit(page, console, path)
    uneven = page.evaluate(
        """() => [...document.querySelectorAll('main *')]
          .filter((it) => /\\d/.test(it.textContent)
            && getComputedStyle(it).fontVariantNumeric !== 'tabular-nums')
          .map((it) => it.outerHTML.slice(0, 200))"""
    )
    assert uneven == []
