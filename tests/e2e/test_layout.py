"""Loaded data does not shift the layout, and text fits at every width."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import expect_update, open_page, push, start, stop
from tests.helpers.history import FINISHED, RUNNING
from tests.helpers.running_app import RunningApp

if TYPE_CHECKING:
    from playwright.sync_api import Page

BATCH_PARTS = [
    ".status-line",
    ".live-chart",
    ".last-minute",
    ".minute-chart",
    ".log-card",
    ".latest-points",
    ".source-card",
]


PARTS = {
    "/": [".page-header", ".start-form", ".slots", ".table-card", ".batches tbody"],
    f"/batch/{RUNNING[0]}": BATCH_PARTS,
    f"/batch/{FINISHED}": BATCH_PARTS,
}


def tops(page: Page, parts: list[str]) -> dict[str, int]:
    """Return the vertical position of each part, in pixels."""
    top = "it => Math.round(it.getBoundingClientRect().top + scrollY)"
    return {part: page.locator(part).first.evaluate(top) for part in parts}


@pytest.mark.parametrize("path", PARTS)
def test_skeleton_has_the_layout_of_the_page(console: RunningApp, page: Page, path: str) -> None:
    skeleton = page.context.new_page()
    skeleton.route_web_socket(re.compile("_event"), lambda _: None)  # No response.
    for width in (1920, 1280, 360, 320):
        for tab in (skeleton, page):
            tab.set_viewport_size({"width": width, "height": 900})
        skeleton.goto(console.url + path)
        skeleton.locator("main .skeleton").first.wait_for()
        skeleton.evaluate("document.fonts.ready")
        open_page(page, console, path)
        assert tops(skeleton, PARTS[path]) == tops(page, PARTS[path]), width


def test_new_batch_has_the_same_layout(console: RunningApp, page: Page) -> None:
    stop(console, RUNNING[1])
    start(console, "fresh")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        open_page(page, console, "/batch/fresh")
        new = tops(page, BATCH_PARTS)
        open_page(page, console, f"/batch/{RUNNING[0]}")
        assert new == tops(page, BATCH_PARTS)


@pytest.mark.parametrize("width", [360, 1280])
def test_long_values_are_not_cut(console: RunningApp, page: Page, width: int) -> None:
    stop(console, RUNNING[1])
    start(console, "large", source="push", unit="B/s")
    push(console, "large", -123456789012345)
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, console, "/")
    value = page.locator(".slot .value", has_text="-123,456,789,012,345")
    value.wait_for()
    assert value.evaluate("it => it.scrollWidth <= it.clientWidth")
    open_page(page, console, "/batch/large")
    page.locator(".latest-value", has_text="-123,456,789,012,345").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [320, 360, 900])
def test_tables_show_all_text(console: RunningApp, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, console, "/")
    cut = "all => all.filter((it) => it.scrollWidth > it.clientWidth + 1).map((it) => it.innerText)"
    assert page.locator(".batches td:visible").evaluate_all(cut) == []
    for figure in (".average", ".rows", ".started"):
        assert page.locator(f".batches .running {figure}").first.is_visible()
    open_page(page, console, f"/batch/{RUNNING[4]}")
    assert page.locator(".minute-table tr:visible").count() == 0
    page.get_by_role("button", name="24 h", exact=True).click()
    page.get_by_text("Show as table").click()
    page.get_by_text("The latest 60 of").wait_for()
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".minute-chart td").evaluate_all(cut) == []
    assert page.get_by_text("Show as table").bounding_box()["height"] >= 24  # type: ignore[index]


def test_filters_have_space_around_their_text(console: RunningApp, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    open_page(page, console, "/")
    spaces = page.locator(".table-filters .segmented button").evaluate_all(
        """all => all.map((button) => {
          const text = document.createRange();
          text.selectNodeContents(button);
          return (button.clientWidth - text.getBoundingClientRect().width) / 2;
        })"""
    )
    assert len(spaces) == 5
    assert min(spaces) >= 6


def test_label_of_a_narrow_gap_is_hidden_on_a_phone(console: RunningApp, page: Page) -> None:
    label = page.locator(".minutes text", has_text="No data")
    for width, is_visible in ((1280, True), (360, False)):
        page.set_viewport_size({"width": width, "height": 900})
        open_page(page, console, f"/batch/{RUNNING[0]}")
        label.wait_for(state="visible" if is_visible else "hidden")
        assert label.count() == 1


def test_table_buttons_are_aligned(console: RunningApp, page: Page) -> None:
    open_page(page, console, "/")
    for width in (1280, 900, 760, 640, 480, 412, 360, 320):
        page.set_viewport_size({"width": width, "height": 900})
        ends = page.locator(".batches td.action .button").evaluate_all(
            "all => all.map((it) => Math.round(it.getBoundingClientRect().right))"
        )
        assert len(ends) > 5
        assert len(set(ends)) == 1, width
        assert page.locator(".batches tbody tr").evaluate_all(
            """all => all.every((row) => row.querySelector('.action').getBoundingClientRect().top
              < row.querySelector('.status').getBoundingClientRect().bottom)"""
        ), width


def test_start_error_spans_the_width_on_a_phone(console: RunningApp, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    open_page(page, console, f"/batch/{FINISHED}")
    heading = page.get_by_role("heading", level=1)
    before = heading.bounding_box()
    page.get_by_role("button", name="Start again").click()
    error = page.get_by_role("alert").filter(has_text="5 batches are running")
    error.wait_for()
    assert heading.bounding_box() == before
    box = error.bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (16, 328)


@pytest.mark.parametrize("path", ["/", f"/batch/{RUNNING[0]}"])
def test_updates_do_not_shift_the_layout(console: RunningApp, page: Page, path: str) -> None:
    page.add_init_script(
        """window.moved = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) window.moved += entry.value;
        }).observe({ type: 'layout-shift', buffered: true });"""
    )
    open_page(page, console, path)
    for _ in range(20):
        expect_update(page)
    assert page.evaluate("window.moved") < 0.01


@pytest.mark.parametrize("path", ["/", f"/batch/{RUNNING[0]}"])
def test_digits_have_equal_widths(console: RunningApp, page: Page, path: str) -> None:
    open_page(page, console, path)
    uneven = page.evaluate(
        """() => [...document.querySelectorAll('main *')]
          .filter((it) => /\\d/.test(it.textContent)
            && getComputedStyle(it).fontVariantNumeric !== 'tabular-nums')
          .map((it) => it.outerHTML.slice(0, 200))"""
    )
    assert uneven == []
