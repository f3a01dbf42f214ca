"""The OpenAPI schema matches the responses, and the docs load nothing from other hosts."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from solo_app.batches.service import BatchService
from tests.helpers.service import wait_until

pytestmark = pytest.mark.anyio

CONTRACT = {
    ("/", "get"),
    ("/tasks", "get"),
    ("/stream/{batch_id}", "post"),
    ("/stream/{batch_id}", "delete"),
    ("/stream/{batch_id}", "get"),
    ("/agg/{batch_id}", "get"),
    ("/batches", "get"),
    ("/batches/{batch_id}", "get"),
    ("/batches/{batch_id}/runs", "get"),
    ("/batches/{batch_id}/points", "get"),
    ("/batches/{batch_id}/minutes", "get"),
    ("/batches/{batch_id}/download", "get"),
    ("/backup", "get"),
}


async def description(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


async def test_schema_describes_exactly_the_contract(client: httpx.AsyncClient) -> None:
    paths = (await description(client))["paths"]
    assert {(path, method) for path, item in paths.items() for method in item} == CONTRACT


async def test_every_error_is_described_as_a_problem(client: httpx.AsyncClient) -> None:
    for path, item in (await description(client))["paths"].items():
        for method, operation in item.items():
            errors = {s: r for s, r in operation["responses"].items() if int(s) >= 400}
            assert {"403", "413", "422", "500", "503"} <= set(errors), (method, path)
            for answer in errors.values():
                assert list(answer["content"]) == ["application/problem+json"], (method, path)
                schema = answer["content"]["application/problem+json"]["schema"]
                assert {"title", "status", "detail", "code"} <= set(schema["required"])


async def test_responses_match_the_schema(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("ended", "few")
    await wait_until(lambda: not service.running())
    await service.start("b")
    described = (await description(client))["paths"]
    requests = [
        ("get", "/", ""),
        ("get", "/tasks", ""),
        ("post", "/stream/{batch_id}", "new"),
        ("post", "/stream/{batch_id}", "b"),
        ("post", "/stream/{batch_id}", "~"),
        ("delete", "/stream/{batch_id}", "new"),
        ("delete", "/stream/{batch_id}", "nobody"),
        ("get", "/stream/{batch_id}", "ended"),
        ("get", "/stream/{batch_id}", "nobody"),
        ("get", "/stream/{batch_id}?after=6", "ended"),
        ("get", "/agg/{batch_id}", "b"),
        ("get", "/batches", ""),
        ("get", "/batches/{batch_id}", "b"),
        ("get", "/batches/{batch_id}/runs", "b"),
        ("get", "/batches/{batch_id}/points", "ended"),
        ("get", "/batches/{batch_id}/minutes", "ended"),
        ("get", "/batches/{batch_id}/download", "ended"),
        ("get", "/batches/{batch_id}/download", "nobody"),
        ("get", "/batches/{batch_id}/download?format=parquet", "ended"),
        ("get", "/batches/{batch_id}/download?format=json", "ended"),
        ("get", "/backup", ""),
    ]
    for method, path, batch_id in requests:
        answer = await client.request(method, path.replace("{batch_id}", batch_id))
        path = path.partition("?")[0]
        responses = described[path][method]["responses"]
        assert str(answer.status_code) in responses, (method, path, answer.status_code)
        if answer.content:
            kind = answer.headers["content-type"].split(";")[0]
            assert kind in responses[str(answer.status_code)]["content"], (method, path)


async def test_docs_load_nothing_from_other_hosts(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "swagger" in page.text.lower()
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text) == []
    files = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(files) >= 3
    for file in files:
        assert (await client.get(file)).status_code == 200, file


async def test_limits_of_parameters_are_described(client: httpx.AsyncClient) -> None:
    described = (await description(client))["paths"]

    def parameters(path: str) -> dict[str, Any]:
        found = {p["name"]: p for p in described[path]["get"].get("parameters", [])}
        return {name: found[name]["schema"] for name in found if name != "batch_id"}

    seq = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    stream = parameters("/stream/{batch_id}")
    assert {name.lower() for name in stream} == {"after", "lasteventid", "last-event-id"}
    assert all(seq.items() <= schema.items() for schema in stream.values())
    for path, longest in [("/batches", 1_000), ("/batches/{batch_id}/points", 10_000)]:
        limit = parameters(path)["limit"]
        assert (limit["minimum"], limit["maximum"]) == (1, longest)
    assert set(parameters("/batches/{batch_id}/runs")) == {"offset", "limit"}
    assert set(parameters("/batches/{batch_id}/download")) == {"format", "from", "to"}
    assert parameters("/tasks") == {}
