"""A tab that several tests use, one after the other: opening one takes a second of a core."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

DESK: ViewportSize = {"width": 1280, "height": 900}

_FORGET = "localStorage.clear(); sessionStorage.clear()"

# Nothing of the app, at its origin. Without an icon of its own Chromium asks for /favicon.ico, some
# time later, and the next test had a 404 in its console.
_ELSEWHERE = "/elsewhere"
_NOTHING = '<!doctype html><link rel="icon" href="data:,">'


class Tab:
    """Gives a page that knows nothing of the tests before."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._page: Page | None = None

    def page(self) -> Page:
        """The page, in a new profile when there is none or the last one could not be tidied."""
        if self._page is None:
            self._page = self._browser.new_context(viewport=DESK).new_page()
        return self._page

    def tidy(self) -> None:
        """Leave the app and take back what a test did to the tab."""
        from playwright.sync_api import Error

        page = self.page()
        try:
            for other in page.context.pages:
                if other is not page:
                    other.close()
            page.unroute_all(behavior="ignoreErrors")
            # Away from the app first: its scripts could keep something after it was forgotten.
            page.route(
                f"**{_ELSEWHERE}",
                lambda route: route.fulfill(body=_NOTHING, content_type="text/html"),
            )
            address = urlsplit(page.url)
            page.goto(f"{address.scheme}://{address.netloc}{_ELSEWHERE}")
            page.unroute_all(behavior="ignoreErrors")
            page.evaluate(_FORGET)
            page.context.clear_cookies()
            page.set_viewport_size(DESK)
            page.emulate_media(color_scheme="null", forced_colors="null", reduced_motion="null")
        except Error:  # Its server is gone, say.
            self.close()

    def close(self) -> None:
        """Give the tab up with its profile."""
        if self._page is not None:
            self._page.context.close()
            self._page = None
