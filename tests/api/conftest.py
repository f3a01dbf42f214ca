"""The API behind its gateway, on a real service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from solo_app.api.gateway import Gateway
from solo_app.api.routes import build_api
from solo_app.batches.service import BatchService
from tests.workbench import Bench, HandClock, Script, open_bench, stop_all

OWN = "http://localhost:8000"


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where Reflex's server stands: it has one page and one file."""
    known = {
        "/": "the page",
        "/batch/any": "the page",
        "/batch/b": "the page",
        "/assets/app.js": "the file",
    }
    text = known.get(scope["path"])
    await PlainTextResponse(text or "Not Found", 200 if text else 404)(scope, receive, send)


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """What the tests of a module share; each uses ``batch_id`` or another id of its own."""
    async with open_bench(tmp_path_factory.mktemp("bench")) as opened:
        yield opened


@pytest.fixture
async def service(bench: Bench) -> AsyncIterator[BatchService]:
    """That of the bench, where nothing runs yet."""
    bench.begin()
    yield bench.service
    await stop_all(bench.service)


@pytest.fixture
def clock(service: BatchService, bench: Bench) -> HandClock:
    return bench.clock


@pytest.fixture
def script(service: BatchService, bench: Bench) -> Script:
    return bench.script


the_api = cache(build_api)
"""Made once: FastAPI takes longer to make its routes than a test takes to ask one of them."""


def client_of(service: BatchService | None, pages_are_here: bool = False) -> httpx.AsyncClient:
    """A client of the whole: gateway, API, pages."""
    api = the_api()
    api.state.service = service
    gateway = Gateway(pages, api, [OWN, "http://127.0.0.1:8000"], pages_are_here)
    transport = httpx.ASGITransport(gateway, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=OWN)


@pytest.fixture
async def client(service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service) as opened:
        yield opened


@pytest.fixture
async def production(service: BatchService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service, pages_are_here=True) as opened:
        yield opened
