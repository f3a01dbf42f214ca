"""Source kinds in the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from solo_app.batches.models import utc_now
from solo_app.config import Settings
from solo_app.sources import create_sources
from tests.api.requests import check_problem
from tests.helpers.api import create_client
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, open_service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def kinds_client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with the source kinds of the app."""
    kinds = create_sources(Settings())
    async with (
        open_service(MemoryStorage(), utc_now, False, FAST_RETRY, **kinds) as service,
        create_client(service) as client,
    ):
        yield client


async def test_sources_have_the_schema_of_their_parameters(
    kinds_client: httpx.AsyncClient,
) -> None:
    sources: list[dict[str, Any]] = (await kinds_client.get("/sources")).json()["sources"]
    assert [source["name"] for source in sources] == list(create_sources(Settings()))
    http = next(source for source in sources if source["name"] == "http")
    schema = http.pop("parameters")
    assert http == {
        "name": "http",
        "kind": "http",
        "description": "A number in an HTTP response.",
        "restart": "on-failure",
    }
    assert schema["required"] == ["url"]
    assert schema["properties"]["timeout"] == {
        "type": "number",
        "title": "Timeout",
        "description": "Seconds for a response with its redirects",
        "default": 5,
        "minimum": 0.1,
        "maximum": 3600,
    }


async def test_invalid_parameters_return_422_with_their_names(
    kinds_client: httpx.AsyncClient,
) -> None:
    parameters = {"url": "file:///etc/passwd", "timeout": True, "other": 1}
    response = await kinds_client.post(
        "/stream/b", json={"source": "http", "parameters": parameters}
    )
    assert check_problem(response, 422)["errors"] == {
        "parameters.url": "URL scheme should be 'http' or 'https'",
        "parameters.timeout": "Input should be a valid number",
        "parameters.other": "Unknown parameter",
    }
    assert (await kinds_client.get("/batches/b")).status_code == 404
