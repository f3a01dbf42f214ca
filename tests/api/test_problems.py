"""All errors are problem documents."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from solo_app.batches.models import Totals
from tests.api.requests import check_problem
from tests.helpers.api import create_client

pytestmark = pytest.mark.anyio

UNKNOWN_PATHS = [
    "/nothing",
    "/tasks/",
    "/stream",
    "/stream/",
    "/stream/a/b",
    "/stream/a%2Fb",
    "/agg",
    "/batch/b2",
    "/docs/x",
    "/batches/",
    "/batches//download",
    "/batches/a/b/download",
]


async def test_unknown_path_is_not_found(client: httpx.AsyncClient) -> None:
    for path in UNKNOWN_PATHS:
        body = check_problem(await client.get(path, headers={"Accept": "*/*"}), 404)
        assert body["code"] == "not-found"


async def test_unsupported_method_lists_the_allowed_ones(client: httpx.AsyncClient) -> None:
    for method, path, allowed in [
        ("PUT", "/tasks", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("PATCH", "/stream/b", "DELETE, GET, HEAD, POST"),
        ("POST", "/docs", "GET, HEAD"),
    ]:
        response = await client.request(method, path)
        assert check_problem(response, 405)["code"] == "method-not-allowed"
        assert response.headers["allow"] == allowed, path


async def test_unexpected_error_does_not_expose_its_message() -> None:
    class BrokenService:
        def totals(self) -> Totals:
            raise RuntimeError("secret detail")

    broken: Any = BrokenService()
    async with create_client(broken) as client:
        body = check_problem(await client.get("/"), 500)
    assert body["code"] == "internal-error"
    assert "secret" not in str(body)


async def test_request_before_the_service_opens_returns_503() -> None:
    async with create_client(None) as client:
        assert check_problem(await client.get("/"), 503)["title"] == "Service Unavailable"
