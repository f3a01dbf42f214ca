"""Bad input gets a problem that says what is wrong, and changes nothing."""

from __future__ import annotations

import httpx
import pytest

from solo_app.batches.service import BatchService
from tests.batches.test_service import BAD_IDS

pytestmark = pytest.mark.anyio

HUGE = str(2**64)


def is_problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, f"{answer.request.url}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    assert "Traceback" not in answer.text
    return body


def encoded(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


async def test_bad_ids_on_every_route(client: httpx.AsyncClient, service: BatchService) -> None:
    before = service.batches()
    for bad_id in BAD_IDS:
        name = encoded(bad_id)
        for method, path in [
            ("POST", f"/stream/{name}"),
            ("DELETE", f"/stream/{name}"),
            ("GET", f"/stream/{name}"),
            ("GET", f"/agg/{name}"),
            ("GET", f"/batches/{name}"),
            ("GET", f"/batches/{name}/points"),
            ("GET", f"/batches/{name}/minutes"),
        ]:
            body = is_problem(await client.request(method, path), 422)
            assert body["code"] == "invalid-batch-id", (method, path)
    assert service.batches() == before


async def test_bodies_that_are_no_request(client: httpx.AsyncClient, service: BatchService) -> None:
    before = service.batches()
    as_json = {"Content-Type": "application/json"}
    for content, headers in [
        (b'{"source": ', as_json),
        (b"[" * 100_000, as_json),
        (b"hello", as_json),
        (b"\xff\xfe", as_json),
        (b"[]", as_json),
        (b'"random"', as_json),
        (b'{"source": "nonsense"}', as_json),
        (b'{"source": 5}', as_json),
        (b'{"sauce": "random"}', as_json),
        (b"source=random", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b'{"source": "random"}', {"Content-Type": "text/plain"}),
    ]:
        is_problem(await client.post("/stream/new", content=content, headers=headers), 422)
    assert service.batches() == before


BAD_QUERIES = [
    "/agg/b?at=yesterday",
    "/agg/b?at=",
    "/agg/b?at=5",
    "/agg/b?at=2012-13-01T00:00Z",
    "/agg/b?at=0001-01-01T00:00:00Z",
    "/agg/b?at=0001-01-01T00:00:00%2B10:00",
    "/agg/b?when=2012-11-11T10:11:10Z",
    "/batches?limit=-1",
    "/batches?limit=0",
    "/batches?limit=1001",
    "/batches?limit=ten",
    "/batches?offset=-1",
    f"/batches?offset={HUGE}",
    "/batches?status=resting",
    "/batches?page=2",
    "/batches/b/points?limit=-1",
    "/batches/b/points?limit=1000000",
    "/batches/b/points?after=-1",
    f"/batches/b/points?after={HUGE}",
    "/batches/b/points?after=1.5",
    "/batches/b/minutes?from=then",
    "/batches/b/minutes?from=2012-11-11T10:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?from=2012-11-11T11:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?from=2012-01-01T00:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?to=0001-01-01T00:30:00Z",
    "/stream/b?after=-1",
    "/stream/b?after=x",
    "/stream/b?after=1_0",
    "/batches?limit=5.0",
    "/batches?offset=%2B5",
    "/tasks?limit=1",
    "/?x=1",
]


async def test_bad_queries(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("b")
    for address in BAD_QUERIES:
        body = is_problem(await client.get(address), 422)
        assert len(str(body["detail"])) > 20


async def test_a_bad_last_event_id(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("b")
    for value in ("x", "-1", "1.5", "1_0", HUGE):
        is_problem(await client.get("/stream/b", headers={"Last-Event-ID": value}), 422)


async def test_what_is_not_there_and_what_is_not_taken(client: httpx.AsyncClient) -> None:
    for path in ("/nothing", "/tasks/", "/stream", "/agg", "/batch/b2", "/docs/x", "/batches/"):
        status = 422 if path == "/batches/" else 404
        is_problem(await client.get(path, headers={"Accept": "*/*"}), status)
    for method, path in [("PUT", "/tasks"), ("POST", "/"), ("PATCH", "/stream/b")]:
        answer = await client.request(method, path)
        is_problem(answer, 405)
        assert "GET" in answer.headers["allow"]


async def test_an_unexpected_error_is_a_problem_too(
    client: httpx.AsyncClient, service: BatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service, "totals", broken)
    body = is_problem(await client.get("/"), 500)
    assert "secret" not in str(body)
