"""Requests from pages of other sites in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import RunningApp, http

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

SAME_SITE, CROSS_SITE = "localhost", "127.0.0.1"


class OtherSite:
    """A web server with one page, whose body a test sets."""

    def __init__(self) -> None:
        site = self
        self.body = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = f"<!doctype html><link rel=icon href=data:,>{site.body}".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host: str) -> str:
        return f"http://{host}:{self.server.server_port}/"


@pytest.fixture(scope="module")
def site() -> Iterator[OtherSite]:
    site = OtherSite()
    yield site
    site.server.shutdown()
    site.server.server_close()


def request_status(page: Page, site: OtherSite, host: str, body: str, url: str) -> int:
    """Open a page with this body and return the status of its request to the URL."""
    site.body = body
    requested: set[str] = set()
    withheld: dict[str, int] = {}
    received: list[int] = []

    def request(event: dict[str, Any]) -> None:
        if event["request"]["url"] == url:
            requested.add(event["requestId"])

    def response(response: Response) -> None:
        if response.url == url:
            received.append(response.status)

    # Only these events report the status of responses that the browser hides from the page.
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.requestWillBeSent", request)
    session.on(
        "Network.responseReceivedExtraInfo",
        lambda event: withheld.update({event["requestId"]: event["statusCode"]}),
    )
    page.on("response", response)
    page.goto(site.url(host))
    for _ in range(600):
        if found := received + [withheld[number] for number in requested & withheld.keys()]:
            return found[0]
        page.wait_for_timeout(50)
    raise AssertionError(f"no response to {url} for {body}")


@pytest.mark.parametrize("host", [SAME_SITE, CROSS_SITE])
def test_elements_and_scripts_on_other_sites_are_refused(
    browser: Browser, app: RunningApp, site: OtherSite, host: str
) -> None:
    before = http.get(f"{app.api}/batches").json()["total"]
    backup, start = f"{app.api}/backup", f"{app.api}/stream/attacked"
    bodies = {
        backup: [
            f'<img src="{backup}">',
            f'<iframe src="{backup}"></iframe>',
            f'<script>fetch("{backup}", {{mode: "no-cors"}})</script>',
            f'<script>location = "{backup}"</script>',
            f'<meta http-equiv="refresh" content="0;url={backup}">',
        ],
        start: [
            f'<form method="post" action="{start}"></form><script>document.forms[0].submit()'
            "</script>",
            f'<script>fetch("{start}", {{method: "POST", mode: "no-cors"}})</script>',
        ],
        f"{app.api}/": [f'<iframe src="{app.api}/"></iframe>'],
    }
    for url, pages in bodies.items():
        for body in pages:
            page = browser.new_page()
            assert request_status(page, site, host, body, url) == 403, body
            page.close()
    assert http.get(f"{app.api}/batches").json()["total"] == before


@pytest.mark.parametrize("host", [SAME_SITE, CROSS_SITE])
def test_other_site_can_redirect_to_pages_and_docs(
    page: Page, app: RunningApp, site: OtherSite, host: str
) -> None:
    refresh = f'<meta http-equiv="refresh" content="0;url={app.url}/">'
    assert request_status(page, site, host, refresh, f"{app.url}/") == 200
    expect(page.get_by_role("heading", level=1)).to_have_text("Batches")
    redirect = f'<script>location = "{app.api}/docs"</script>'
    assert request_status(page, site, host, redirect, f"{app.api}/docs") == 200
    expect(page.get_by_text("Start a batch")).to_be_visible()


@in_both_modes
def test_link_on_a_page_downloads_the_points(page: Page, app: RunningApp) -> None:
    assert http.post(f"{app.api}/stream/b").status_code == 201
    page.goto(f"{app.url}/batch/b")
    page.evaluate(
        """url => {
            const link = Object.assign(document.createElement("a"), {href: url, download: ""});
            link.textContent = "a link";
            link.style = "position: fixed; inset: 0; z-index: 9999";
            document.body.append(link);
        }""",
        f"{app.api}/batches/b/download",
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="a link").click()
    assert download.value.suggested_filename.endswith(".csv")
    assert download.value.path().read_bytes().startswith(b"seq,ts,key\n")


def test_docs_offer_try_it_out_except_for_streams(page: Page, app: RunningApp) -> None:
    page.goto(f"{app.api}/docs")
    operations = page.locator(".opblock")
    stream = operations.filter(has_text="Stream the points of a batch")
    stream.locator(".opblock-summary").click()
    expect(stream.get_by_text("six HTTP/1.1 connections")).to_be_visible()
    expect(stream.get_by_role("button", name="Try it out")).to_have_count(0)
    tasks = operations.filter(has_text="Running batches")
    tasks.locator(".opblock-summary").click()
    tasks.get_by_role("button", name="Try it out").click()
    tasks.get_by_role("button", name="Execute").click()
    expect(tasks.locator(".live-responses-table")).to_contain_text('"tasks": []')
    stop = operations.filter(has_text="Stop a batch")
    stop.locator(".opblock-summary").click()
    expect(stop.get_by_role("button", name="Try it out")).to_be_visible()
