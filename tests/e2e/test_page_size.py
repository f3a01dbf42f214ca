"""The scripts of each page are small and compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.actions import open_page, start
from tests.helpers.running_app import RunningApp

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.usefixtures("expect_no_page_errors")

MAX_SCRIPT_BYTES = 320_000
"""The limit for all scripts of a page, as transferred."""

MIN_COMPRESSED_BYTES = 2_000
"""Smaller scripts need no compression."""


@pytest.mark.parametrize("path", ["/", "/batch/live"])
def test_scripts_are_small_and_compressed(page: Page, app: RunningApp, path: str) -> None:
    start(app, "live")
    responses: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    network = page.context.new_cdp_session(page)
    network.on("Network.responseReceived", lambda e: responses.update({e["requestId"]: e}))
    network.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    network.send("Network.enable")
    open_page(page, app, path)
    page.wait_for_load_state("networkidle")
    scripts = {
        request_id: event["response"]
        for request_id, event in responses.items()
        if urlsplit(event["response"]["url"]).path.endswith(".js")
    }
    assert len(scripts) >= 5
    assert sum(sizes[request_id] for request_id in scripts) < MAX_SCRIPT_BYTES
    for request_id, response in scripts.items():
        if sizes[request_id] > MIN_COMPRESSED_BYTES:
            headers = {name.lower(): value for name, value in response["headers"].items()}
            assert headers.get("content-encoding") == "gzip", response["url"]
