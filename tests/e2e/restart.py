"""Restarts of the server while a page is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.helpers.running_app import RunningApp

if TYPE_CHECKING:
    from playwright.sync_api import Page


@contextmanager
def restarted(page: Page, app: RunningApp) -> Iterator[None]:
    """Stop the app during the block, then start it and wait until the page is live again."""
    page.evaluate("window.same = true")
    app.stop()
    yield
    app.start()
    if app.mode == "dev":
        # Vite's client reloads the page. A click before that would be lost.
        page.wait_for_function("!window.same")
    page.locator(".connection.current").wait_for()
