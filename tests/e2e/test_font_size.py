"""Pages with the default font size of the browser raised from 16 to 24 px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page
from tests.helpers.history import FAILED, FINISHED, RUNNING
from tests.helpers.running_app import RunningApp

if TYPE_CHECKING:
    from playwright.sync_api import Page

NORMAL, LARGE = 16, 24
PATHS = ["/", f"/batch/{RUNNING[0]}", f"/batch/{FAILED}", f"/batch/{FINISHED}", "/batch/unknown"]

WIDTHS = (1280, 360)

FONT_SIZES = """() => [...document.querySelectorAll('body *')]
  .filter((it) => it.checkVisibility()
    && [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((it) => parseFloat(getComputedStyle(it).fontSize))"""
"""The font size of each visible element with text."""

CUT = """() => [...document.querySelectorAll('.page *')]
  .filter((it) => it.textContent.trim()
    && !it.closest('svg, .skip, .visually-hidden, .location, .slot, .batches .reason'))
  .filter((it) => it.matches('button, .button, dd, td, header')
    && it.scrollHeight > it.clientHeight + 1
    || getComputedStyle(it).overflowX !== 'visible' && it.scrollWidth > it.clientWidth + 1)
  .map((it) => it.outerHTML.slice(0, 200))"""
"""Elements that clip their text, except those with an ellipsis, whose title is the text."""


def set_font_size(page: Page, size: int) -> None:
    """Set the font size of the browser's settings, which also applies to media queries."""
    session = page.context.new_cdp_session(page)
    session.send("Page.enable")
    session.send("Page.setFontSizes", {"fontSizes": {"standard": size}})


def open_with_font_size(
    page: Page, app: RunningApp, path: str, width: int, size: int = LARGE
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    set_font_size(page, size)
    open_page(page, app, path)
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == f"{size}px"


@pytest.mark.parametrize("path", PATHS)
def test_no_text_is_cut(console: RunningApp, page: Page, path: str) -> None:
    for width in WIDTHS:
        open_with_font_size(page, console, path, width)
        for summary in page.locator("details:not([open]) > summary").all()[::-1]:
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(CUT) == [], width


@pytest.mark.parametrize("path", PATHS[:2])
def test_all_text_grows(console: RunningApp, page: Page, path: str) -> None:
    for width in WIDTHS:
        sizes = {}
        for size in (NORMAL, LARGE):
            open_with_font_size(page, console, path, width, size)
            sizes[size] = {round(found / size, 3) for found in page.evaluate(FONT_SIZES)}
        assert sizes[NORMAL] == sizes[LARGE], width


def test_desktop_window_has_the_phone_layout_at_200_percent(
    console: RunningApp, page: Page
) -> None:
    open_with_font_size(page, console, "/", 1280, 32)
    assert (
        page.locator(".batches tr").nth(1).evaluate("it => getComputedStyle(it).display") == "flex"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    assert page.evaluate(CUT) == []
