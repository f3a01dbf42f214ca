"""The OpenAPI schema matches the responses, and the documentation loads."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from solo_app.api.app import api_prefixes
from solo_app.batches.service import BatchService
from tests.helpers.api import cached_api
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio

OPERATIONS = {
    ("/", "get"),
    ("/tasks", "get"),
    ("/stream/{batch_id}", "post"),
    ("/stream/{batch_id}", "delete"),
    ("/stream/{batch_id}", "get"),
    ("/agg/{batch_id}", "get"),
    ("/batches", "get"),
    ("/batches/{batch_id}", "get"),
    ("/batches/{batch_id}", "patch"),
    ("/batches/{batch_id}", "delete"),
    ("/batches/{batch_id}/runs", "get"),
    ("/batches/{batch_id}/log", "get"),
    ("/sources", "get"),
    ("/batches/{batch_id}/points", "get"),
    ("/batches/{batch_id}/points", "post"),
    ("/batches/{batch_id}/minutes", "get"),
    ("/batches/{batch_id}/download", "get"),
    ("/backup", "get"),
}

REQUESTS = [
    ("get", "/", ""),
    ("get", "/tasks", ""),
    ("post", "/stream/{batch_id}", "new"),
    ("post", "/stream/{batch_id}", "b"),
    ("post", "/stream/{batch_id}", "~"),
    ("delete", "/stream/{batch_id}", "new"),
    ("delete", "/stream/{batch_id}", "unknown"),
    ("get", "/stream/{batch_id}", "ended"),
    ("get", "/stream/{batch_id}", "unknown"),
    ("get", "/stream/{batch_id}?after=6", "ended"),
    ("get", "/agg/{batch_id}", "b"),
    ("get", "/batches", ""),
    ("get", "/batches/{batch_id}", "b"),
    ("patch", "/batches/{batch_id}", "b"),
    ("get", "/batches/{batch_id}/runs", "b"),
    ("get", "/batches/{batch_id}/log", "ended"),
    ("get", "/sources", ""),
    ("get", "/batches/{batch_id}/points", "ended"),
    ("post", "/batches/{batch_id}/points", "b"),
    ("get", "/batches/{batch_id}/minutes", "ended"),
    ("get", "/batches/{batch_id}/download", "ended"),
    ("get", "/batches/{batch_id}/download", "unknown"),
    ("get", "/batches/{batch_id}/download?format=parquet", "ended"),
    ("get", "/batches/{batch_id}/download?format=json", "ended"),
    ("get", "/backup", ""),
    ("delete", "/batches/{batch_id}", "ended"),
    ("delete", "/batches/{batch_id}", "ended"),
    ("delete", "/batches/{batch_id}", "b"),
]


async def read_paths(client: httpx.AsyncClient) -> dict[str, Any]:
    paths: dict[str, Any] = (await client.get("/openapi.json")).json()["paths"]
    return paths


async def test_schema_describes_exactly_the_operations(client: httpx.AsyncClient) -> None:
    paths = await read_paths(client)
    assert {(path, method) for path, item in paths.items() for method in item} == OPERATIONS


async def test_every_error_is_described_as_a_problem(client: httpx.AsyncClient) -> None:
    for path, item in (await read_paths(client)).items():
        for method, operation in item.items():
            errors = {s: r for s, r in operation["responses"].items() if int(s) >= 400}
            assert {"403", "413", "422", "500", "503"} <= set(errors), (method, path)
            for error in errors.values():
                assert list(error["content"]) == ["application/problem+json"], (method, path)
                schema = error["content"]["application/problem+json"]["schema"]
                assert {"title", "status", "detail", "code"} <= set(schema["required"])


async def test_responses_match_the_schema(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("ended", "few")
    await wait_until(lambda: not service.running())
    await service.start("b")
    paths = await read_paths(client)
    for method, url, batch_id in REQUESTS:
        response = await client.request(method, url.replace("{batch_id}", batch_id))
        responses = paths[url.partition("?")[0]][method]["responses"]
        status = str(response.status_code)
        assert status in responses, (method, url, status)
        if response.content:
            media_type = response.headers["content-type"].split(";")[0]
            assert media_type in responses[status]["content"], (method, url)


async def test_limits_of_parameters_are_described(client: httpx.AsyncClient) -> None:
    paths = await read_paths(client)

    def parameters(path: str) -> dict[str, Any]:
        found = {p["name"]: p["schema"] for p in paths[path]["get"].get("parameters", [])}
        return {name: schema for name, schema in found.items() if name != "batch_id"}

    seq = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    stream = parameters("/stream/{batch_id}")
    assert {name.lower() for name in stream} == {"after", "lasteventid", "last-event-id"}
    assert all(seq.items() <= schema.items() for schema in stream.values())
    for path, maximum in [
        ("/batches", 1_000),
        ("/batches/{batch_id}/log", 500),
        ("/batches/{batch_id}/points", 10_000),
    ]:
        limit = parameters(path)["limit"]
        assert (limit["minimum"], limit["maximum"]) == (1, maximum)
    assert set(parameters("/batches/{batch_id}/runs")) == {"offset", "limit"}
    assert set(parameters("/batches/{batch_id}/download")) == {"format", "from", "to"}
    assert parameters("/tasks") == {}


async def test_docs_load_nothing_from_other_hosts(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "swagger" in page.text.lower()
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text) == []
    files = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(files) >= 3
    for file in files:
        assert (await client.get(file)).status_code == 200, file


def test_prefixes_match_the_routes() -> None:
    assert api_prefixes(cached_api()) == {
        *("tasks", "stream", "agg", "batches", "sources", "backup"),
        *("docs", "openapi.json", "static-offline-docs"),
    }
