"""The API behind its gateway, without a server."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import httpx
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from solo_app.api.app import api_prefixes, create_api
from solo_app.api.gateway import Gateway
from solo_app.batches.service import BatchService

ORIGIN = "http://localhost:8000"
PAGE, FILE = "the page", "the file"
FILES = {"/assets/app-D2YP3ywt.js", "/assets/p5-f7VGD-a_-bC9x0.css", "/solo.css"}


@cache
def stored(name: str, text: str) -> Path:
    """A file with that text, kept until the tests end."""
    path = Path(mkdtemp()) / name
    path.write_text(text)
    return path


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """A fake of Reflex's server: two pages, some files, and a not-found page."""
    path, page = scope["path"], stored("page.html", PAGE)
    response: Response
    if scope["method"] not in ("GET", "HEAD"):
        response = PlainTextResponse("Method Not Allowed", 405)
    elif path in FILES:
        response = FileResponse(stored("file.js", FILE))
    else:
        response = FileResponse(page, 200 if path in ("/", "/batch/any") else 404)
    await response(scope, receive, send)


cached_api = cache(create_api)
"""Created once, because creating the routes takes FastAPI longer than a test."""


def create_gateway(service: BatchService | None, serves_pages: bool = False) -> Gateway:
    """The gateway in front of the API and the pages."""
    api = cached_api()
    api.state.service = service
    return Gateway(pages, api, api_prefixes(api), [ORIGIN, "http://127.0.0.1:8000"], serves_pages)


def create_client(service: BatchService | None, serves_pages: bool = False) -> httpx.AsyncClient:
    """A client of the gateway."""
    gateway = create_gateway(service, serves_pages)
    transport = httpx.ASGITransport(gateway, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN)
