"""A restart of the server under an open page, seen through to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.helpers.running_app import RunningApp

if TYPE_CHECKING:
    from playwright.sync_api import Page


@contextmanager
def restart_under(page: Page, app: RunningApp) -> Iterator[None]:
    """The server is away while the block runs; after it both server and page are back."""
    page.evaluate("window.same = true")
    app.stop()
    yield
    app.start()
    if app.mode == "dev":
        # Vite's client loads the page anew when its server is back; a click before that is lost.
        page.wait_for_function("!window.same")
    page.locator(".connection.current").wait_for()
