"""Requests to the API, and checks of its responses."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import numpy as np

from tests.helpers.service import Harness, wait_until

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
"""The ``Accept`` header of a browser that opens a page."""

START = datetime(2012, 11, 11, 10, 10)


def check_problem(response: httpx.Response, status: int) -> dict[str, object]:
    """Check that a response is a problem document with this status. Returns the document."""
    assert response.status_code == status, f"{response.request.url}: {response.text}"
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == status
    assert "Traceback" not in response.text
    return body


async def produce(harness: Harness, *values: Any, interval: float = 1) -> None:
    """Produce values from ``START`` on, and wait until they are committed."""
    count = harness.service.totals().row_count + sum(np.size(value) for value in values)
    for n, value in enumerate(values):
        harness.script.emit(START + timedelta(seconds=n * interval), value)
    await wait_until(lambda: harness.service.totals().row_count == count)


async def read_pages(client: httpx.AsyncClient, url: str, items: str) -> list[dict[str, object]]:
    """Return the items of all pages of a list."""
    found: list[dict[str, object]] = []
    next_url: str | None = url
    while next_url:
        page = (await client.get(next_url)).json()
        found += page[items]
        next_url = page["next"]
    return found
