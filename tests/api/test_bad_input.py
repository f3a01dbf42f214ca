"""Invalid input is refused with a problem and changes nothing."""

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
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == status
    assert "Traceback" not in answer.text
    return body


def encoded(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


async def test_bad_ids_on_every_route(client: httpx.AsyncClient, service: BatchService) -> None:
    before = service.batches()
    for bad_id in BAD_IDS:
        name = encoded(bad_id)
        if not bad_id or "/" in bad_id:
            continue  # No route matches; see test_unknown_paths_and_methods.
        for method, path in [
            ("POST", f"/stream/{name}"),
            ("DELETE", f"/stream/{name}"),
            ("GET", f"/stream/{name}"),
            ("GET", f"/agg/{name}"),
            ("GET", f"/batches/{name}"),
            ("GET", f"/batches/{name}/runs"),
            ("GET", f"/batches/{name}/points"),
            ("GET", f"/batches/{name}/minutes"),
            ("GET", f"/batches/{name}/download"),
            ("HEAD", f"/batches/{name}/download"),
        ]:
            answer = await client.request(method, path)
            if method == "HEAD":
                assert (answer.status_code, answer.content) == (422, b"")
            else:
                assert is_problem(answer, 422)["code"] == "invalid-batch-id", (method, path)
    assert service.batches() == before


async def test_invalid_bodies(client: httpx.AsyncClient, service: BatchService) -> None:
    before = service.batches()
    as_json = {"Content-Type": "application/json"}
    for content, headers in [
        (b'{"source": ', as_json),
        (b"[" * 60_000, as_json),
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


async def test_unknown_source_is_named_by_the_error_of_the_service(
    client: httpx.AsyncClient,
) -> None:
    body = is_problem(await client.post("/stream/new", json={"source": "nonsense"}), 422)
    assert body["code"] == "unknown-source"
    assert '"nonsense"' in str(body["detail"])


BAD_TIMES = [
    "yesterday",
    "",
    "5",
    "1795061230000",
    "1795061230",
    "20121111",
    "20121111T101110Z",
    "2012-11-11",
    "2012-11-11x10:11",
    "2012-11-11\n10:11",
    "2012-11-11T10",
    "2012-11-11T10:11:10 Z",
    "2012-11-11T10:11Europe/Berlin",
    "2012-W45-7T10:11",
    "2012-316T10:11",
    "2012-13-01T00:00Z",
    "2012-11-11T25:00Z",
    "٢٠١٢-11-11T10:11Z",
    " 2012-11-11T10:11Z",
    "0001-01-01T00:00:00+10:00",
    "9999-12-31T23:59:59-10:00",
]


async def test_only_iso_8601_times_are_accepted(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    await service.start("b")
    for path, name in [
        ("/agg/b", "at"),
        ("/batches/b/minutes", "from"),
        ("/batches/b/minutes", "to"),
        ("/batches/b/download", "from"),
        ("/batches/b/download", "to"),
    ]:
        for time in BAD_TIMES:
            body = is_problem(await client.get(path, params={name: time}), 422)
            assert f"Query parameter {name}: use a time in ISO 8601" in str(body["detail"]), time


BAD_QUERIES = [
    "/agg/b?at=0001-01-01T00:00:00Z",
    "/agg/b?when=2012-11-11T10:11:10Z",
    "/batches?limit=-1",
    "/batches?limit=0",
    "/batches?limit=1001",
    "/batches?limit=ten",
    "/batches?offset=-1",
    f"/batches?offset={HUGE}",
    "/batches?status=resting",
    "/batches?page=2",
    "/batches/b/runs?limit=0",
    "/batches/b/runs?offset=-1",
    "/batches/b/points?limit=-1",
    "/batches/b/points?limit=1000000",
    "/batches/b/points?after=-1",
    f"/batches/b/points?after={HUGE}",
    "/batches/b/points?after=1.5",
    "/batches/b/minutes?from=2012-11-11T10:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?from=2012-11-11T11:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?from=2012-01-01T00:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?to=0001-01-01T00:30:00Z",
    "/stream/b?after=-1",
    "/stream/b?after=x",
    "/stream/b?after=1_0",
    "/stream/b?lastEventId=x",
    "/stream/b?last_event_id=1",
    "/batches?limit=5.0",
    "/batches?offset=%2B5",
]
PATHS = ["/", "/tasks", "/backup", "/batches", "/stream/b", "/agg/b", "/batches/b"] + [
    f"/batches/b/{name}" for name in ("runs", "points", "minutes", "download")
]


async def test_bad_queries(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("b")
    for address in [*BAD_QUERIES, *(f"{path}?x=1&_=2" for path in PATHS)]:
        body = is_problem(await client.get(address), 422)
        assert len(str(body["detail"])) > 20
    for method in ("POST", "DELETE"):
        is_problem(await client.request(method, "/stream/b?force=true"), 422)


async def test_cache_buster_is_ignored_on_every_route(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    assert (await client.post("/stream/b?_=1")).status_code == 201
    assert (await client.delete("/stream/b?_=1")).status_code == 200
    for path in PATHS:
        answer = await client.get(f"{path}?_=1795061230000")
        assert answer.status_code == (204 if path.startswith("/stream") else 200), path


async def test_bad_last_event_id(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("b")
    for value in ("x", "-1", "1.5", "1_0", HUGE):
        is_problem(await client.get("/stream/b", headers={"Last-Event-ID": value}), 422)


async def test_unknown_paths_and_methods(client: httpx.AsyncClient) -> None:
    paths = ["/nothing", "/tasks/", "/stream", "/stream/", "/stream/a/b", "/stream/a%2Fb", "/agg"]
    paths += ["/batch/b2", "/docs/x", "/batches/", "/batches//download", "/batches/a/b/download"]
    for path in paths:
        body = is_problem(await client.get(path, headers={"Accept": "*/*"}), 404)
        assert body["code"] == "not-found"
    for method, path, allowed in [
        ("PUT", "/tasks", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("PATCH", "/stream/b", "DELETE, GET, HEAD, POST"),
        ("POST", "/docs", "GET, HEAD"),
    ]:
        answer = await client.request(method, path)
        assert is_problem(answer, 405)["code"] == "method-not-allowed"
        assert answer.headers["allow"] == allowed, path


async def test_unexpected_error_is_a_problem_without_its_text(
    client: httpx.AsyncClient, service: BatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service, "totals", broken)
    body = is_problem(await client.get("/"), 500)
    assert body["code"] == "internal-error"
    assert "secret" not in str(body)
