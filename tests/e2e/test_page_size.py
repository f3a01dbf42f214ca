"""The pages are small and quick: measured in the browser, on the app in production."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.helpers.running_app import RunningApp, http

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BATCH = "sensor-a"
PATHS = ["/", f"/batch/{BATCH}"]
MOST_SCRIPT = 320_000
FIRST_CONTENT_WITHIN = 1_000
LONGEST_TASK = 100
MOST_LOADS = 20

_OBSERVE = """window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.tasks.push(entry.duration);
}).observe({ type: 'longtask', buffered: true });"""


@dataclass
class Load:
    """One load of a page in a browser that knows nothing yet; times in ms, sizes in bytes."""

    first_content: float = 0
    longest_task: float = 0
    sizes: dict[str, int] = field(default_factory=dict)
    encodings: dict[str, str | None] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)

    @property
    def scripts(self) -> list[str]:
        """The addresses of what is JavaScript."""
        return [url for url in self.sizes if urlsplit(url).path.endswith(".js")]


@pytest.fixture(scope="module")
def app(prod_app: RunningApp) -> Iterator[RunningApp]:
    """The app in production with a running batch."""
    assert http.post(f"{prod_app.api}/stream/{BATCH}").status_code == 201
    yield prod_app
    assert http.delete(f"{prod_app.api}/stream/{BATCH}").status_code == 200


def load(browser: Browser, app: RunningApp, path: str) -> Load:
    """Load a page and watch it for some ticks."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, seen = context.new_page(), Load()
    note_network(page, seen)
    page.on("request", lambda request: seen.strangers.append(request.url))
    page.on("websocket", lambda socket: seen.strangers.append(socket.url))
    page.add_init_script(_OBSERVE)
    page.goto(app.url + path)
    page.locator(".slot .value, .latest-value").first.wait_for()
    page.wait_for_timeout(1500)
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    seen.first_content = page.evaluate(paint)
    seen.longest_task = page.evaluate("Math.max(0, ...window.tasks)")
    seen.strangers = [url for url in seen.strangers if urlsplit(url).hostname != "localhost"]
    context.close()
    return seen


def note_network(page: Page, seen: Load) -> None:
    """Note what comes over the network, in bytes as transferred."""
    network = page.context.new_cdp_session(page)
    asked: dict[str, str] = {}

    def answered(event: dict[str, Any]) -> None:
        answer = event["response"]
        asked[event["requestId"]] = answer["url"]
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        seen.encodings[answer["url"]] = headers.get("content-encoding")

    def finished(event: dict[str, Any]) -> None:
        if url := asked.get(event["requestId"]):
            seen.sizes[url] = int(event["encodedDataLength"])

    network.on("Network.responseReceived", answered)
    network.on("Network.loadingFinished", finished)
    network.send("Network.enable")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_small_compressed_and_from_here(
    browser: Browser, app: RunningApp, path: str
) -> None:
    seen = load(browser, app, path)
    assert seen.strangers == []
    assert len(seen.scripts) >= 5
    # A script of a few bytes is not worth compressing.
    assert {seen.encodings[url] for url in seen.scripts if seen.sizes[url] > 2_000} == {"gzip"}
    assert sum(seen.sizes[url] for url in seen.scripts) < MOST_SCRIPT


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_there_within_a_second_and_never_hangs(
    browser: Browser, app: RunningApp, path: str
) -> None:
    # Others use this machine too: what the page can do shows in the best of several loads.
    loads: list[Load] = []
    while len(loads) < MOST_LOADS and not is_quick(loads):
        loads.append(load(browser, app, path))
    assert is_quick(loads), loads


def is_quick(loads: list[Load]) -> bool:
    first_content = min((seen.first_content for seen in loads), default=math.inf)
    longest_task = min((seen.longest_task for seen in loads), default=math.inf)
    return first_content < FIRST_CONTENT_WITHIN and longest_task < LONGEST_TASK
