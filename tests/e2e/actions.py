"""Actions and conditions on the pages, and requests to the API."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.running_app import RunningApp, http

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

ID_RULE = "beginning with a letter or digit"
"""Part of the message about an invalid batch id."""

POLLING = 100
"""Milliseconds between checks. By default Playwright checks once per frame, and frames can be
throttled."""

OPEN_VIEWERS = """(count) => {
    const path = { pathname: "/", asPath: "/", query: {} };
    const open = { event: { name: "reflex___state____state.hydrate_and_load", router_data: path } };
    const address = location.origin.replace("http", "ws") + "/_event/?EIO=4&transport=websocket";
    window.viewers = Array.from({ length: count }, () => {
        const socket = new WebSocket(`${address}&token=${crypto.randomUUID()}`);
        socket.onmessage = ({ data }) => {
            if (data.startsWith("0")) socket.send("40/_event," + JSON.stringify(open));
            if (data === "2") socket.send("3");
        };
        return socket;
    });
}"""
"""Open ``count`` connections to the home page without tabs, using Reflex's protocol."""


def start(app: RunningApp, batch_id: str, **configuration: Any) -> None:
    body = configuration or None
    http.post(f"{app.api}/stream/{batch_id}", json=body).raise_for_status()


def push(app: RunningApp, batch_id: str, value: float) -> None:
    http.post(f"{app.api}/batches/{batch_id}/points", json=value).raise_for_status()


def stop(app: RunningApp, batch_id: str) -> None:
    http.delete(f"{app.api}/stream/{batch_id}").raise_for_status()


def running_tasks(app: RunningApp) -> list[dict[str, object]]:
    response = http.get(f"{app.api}/tasks").raise_for_status()
    return list(response.json()["tasks"])


def totals(app: RunningApp) -> dict[str, int]:
    response = http.get(f"{app.api}/", headers={"Accept": "application/json"}).raise_for_status()
    return dict(response.json())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "condition not met within 30 s"
        time.sleep(0.05)


def wait_for_points(app: RunningApp, count: int) -> None:
    """Wait until ``count`` more points are committed."""
    row_count = totals(app)["row_count"]
    wait_until(lambda: totals(app)["row_count"] >= row_count + count)


def open_page(page: Page, app: RunningApp, path: str) -> None:
    """Open a page and wait until it is connected and shows all its data."""
    page.goto(f"{app.url}{path}")
    expect(page.locator(".connection.current")).to_be_visible()
    page.locator("main h1").wait_for()
    page.wait_for_function(
        """() => !document.querySelector('.skeleton')
          && [...document.querySelectorAll('.minutes, .live-chart')]
            .every((part) => part.querySelector('svg, .empty'))""",
        polling=POLLING,
    )


def start_by_form(page: Page, batch_id: str) -> None:
    page.get_by_label("Name", exact=True).fill(batch_id)
    page.get_by_role("button", name="Start", exact=True).click()


def latest_seq(page: Page) -> int:
    """Return the highest seq on the batch page."""
    text = page.locator("td.seq").first.inner_text()
    return int(re.sub(r"\D", "", text))


def expect_new_points(page: Page) -> None:
    """Expect the batch page to show a point later than the latest one now."""
    page.wait_for_function(
        "seen => Number(document.querySelector('td.seq')?.innerText.replace(/\\D/g, '')) > seen",
        arg=latest_seq(page),
        polling=POLLING,
    )


def expect_update(page: Page) -> None:
    """Expect the page to show a different row count."""
    rows = page.locator(".stat dd, .status-line .facts").first
    expect(rows).not_to_have_text(rows.inner_text())
