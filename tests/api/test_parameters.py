"""Invalid ids, query parameters, headers and bodies are refused and change nothing."""

from __future__ import annotations

import httpx
import pytest

from solo_app.batches.service import BatchService
from tests.api.requests import check_problem
from tests.helpers.batch_ids import INVALID_IDS

pytestmark = pytest.mark.anyio

HUGE = str(2**64)

ID_ROUTES = [
    ("POST", "/stream/{id}"),
    ("DELETE", "/stream/{id}"),
    ("GET", "/stream/{id}"),
    ("GET", "/agg/{id}"),
    ("GET", "/batches/{id}"),
    ("PATCH", "/batches/{id}"),
    ("DELETE", "/batches/{id}"),
    ("GET", "/batches/{id}/runs"),
    ("GET", "/batches/{id}/log"),
    ("GET", "/batches/{id}/points"),
    ("POST", "/batches/{id}/points"),
    ("GET", "/batches/{id}/minutes"),
    ("GET", "/batches/{id}/download"),
]

BODIES: list[tuple[bytes, str]] = [
    (b'{"source": ', "application/json"),
    (b"[" * 60_000, "application/json"),
    (b"hello", "application/json"),
    (b"\xff\xfe", "application/json"),
    (b"[]", "application/json"),
    (b'"random"', "application/json"),
    (b'{"source": "nonsense"}', "application/json"),
    (b'{"source": 5}', "application/json"),
    (b'{"sauce": "random"}', "application/json"),
    (b"source=random", "application/x-www-form-urlencoded"),
    (b'{"source": "random"}', "text/plain"),
]

TIME_PARAMETERS = [
    ("/agg/b", "at"),
    ("/batches/b/minutes", "from"),
    ("/batches/b/minutes", "to"),
    ("/batches/b/download", "from"),
    ("/batches/b/download", "to"),
]

TIMES = [
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

PATHS = ["/", "/tasks", "/backup", "/batches", "/stream/b", "/agg/b", "/batches/b"] + [
    f"/batches/b/{name}" for name in ("runs", "log", "points", "minutes", "download")
]

QUERIES = [
    "/agg/b?at=0001-01-01T00:00:00Z",
    "/agg/b?when=2012-11-11T10:11:10Z",
    "/batches?limit=-1",
    "/batches?limit=0",
    "/batches?limit=1001",
    "/batches?limit=ten",
    "/batches?limit=5.0",
    "/batches?offset=-1",
    "/batches?offset=%2B5",
    f"/batches?offset={HUGE}",
    "/batches?status=resting",
    "/batches?page=2",
    "/batches/b/runs?limit=0",
    "/batches/b/runs?offset=-1",
    "/batches/b/log?limit=501",
    "/batches/b/log?after=-1",
    "/batches/b/points?limit=-1",
    "/batches/b/points?limit=1000000",
    "/batches/b/points?after=-1",
    f"/batches/b/points?after={HUGE}",
    "/batches/b/points?after=1.5",
    "/batches/b/minutes?from=2012-11-11T10:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?from=2012-11-11T11:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?from=2012-01-01T00:00Z&to=2012-11-11T10:00Z",
    "/batches/b/minutes?to=0001-01-01T00:30:00Z",
    "/batches/b/download?format=xml",
    "/batches/b/download?format=",
    "/batches/b/download?after=5",
    "/stream/b?after=-1",
    "/stream/b?after=x",
    "/stream/b?after=1_0",
    "/stream/b?lastEventId=x",
    "/stream/b?last_event_id=1",
    *(f"{path}?x=1&_=2" for path in PATHS),
]


async def test_every_route_refuses_an_invalid_id(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    before = service.batches()
    for method, route in ID_ROUTES:
        response = await client.request(method, route.replace("{id}", "a%20b"))
        assert check_problem(response, 422)["code"] == "invalid-batch-id", route
    assert service.batches() == before


async def test_invalid_id_is_refused(client: httpx.AsyncClient, service: BatchService) -> None:
    before = service.batches()
    for batch_id in INVALID_IDS:
        if batch_id and "/" not in batch_id:  # Otherwise no route matches.
            encoded = "".join(f"%{byte:02x}" for byte in batch_id.encode())
            response = await client.post(f"/stream/{encoded}")
            assert check_problem(response, 422)["code"] == "invalid-batch-id", batch_id
    assert service.batches() == before


async def test_invalid_id_in_head_request_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.head("/batches/-a/download")
    assert (response.status_code, response.content) == (422, b"")


async def test_invalid_body_is_refused(client: httpx.AsyncClient, service: BatchService) -> None:
    before = service.batches()
    for content, media_type in BODIES:
        headers = {"Content-Type": media_type}
        response = await client.post("/stream/new", content=content, headers=headers)
        check_problem(response, 422)
    assert service.batches() == before


async def test_unknown_source_is_refused(client: httpx.AsyncClient) -> None:
    body = check_problem(await client.post("/stream/new", json={"source": "nonsense"}), 422)
    assert body["code"] == "unknown-source"
    assert '"nonsense"' in str(body["detail"])


@pytest.mark.parametrize(("path", "name"), TIME_PARAMETERS)
async def test_only_iso_8601_times_are_accepted(
    path: str, name: str, client: httpx.AsyncClient, service: BatchService
) -> None:
    await service.start("b")
    for time in TIMES:
        body = check_problem(await client.get(path, params={name: time}), 422)
        assert f"Query parameter {name}: use an ISO 8601 time" in str(body["detail"]), time


async def test_invalid_query_is_refused(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("b")
    for url in QUERIES:
        body = check_problem(await client.get(url), 422)
        assert len(str(body["detail"])) > 20
    for method in ("POST", "DELETE"):
        check_problem(await client.request(method, "/stream/b?force=true"), 422)


async def test_download_range_must_not_be_empty(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    await service.start("b")
    for end in ("2012-11-11T10:10Z", "2012-11-11T10:09Z"):
        url = f"/batches/b/download?from=2012-11-11T10:10Z&to={end}"
        body = check_problem(await client.get(url), 422)
        assert body["detail"] == "`from` must be before `to`."
        assert (await client.head(url)).status_code == 422


async def test_cache_buster_is_ignored(client: httpx.AsyncClient) -> None:
    assert (await client.post("/stream/b?_=1")).status_code == 201
    assert (await client.delete("/stream/b?_=1")).status_code == 200
    for path in PATHS:
        response = await client.get(f"{path}?_=1795061230000")
        assert response.status_code == (204 if path.startswith("/stream") else 200), path


async def test_invalid_last_event_id_is_refused(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    await service.start("b")
    for value in ("x", "-1", "1.5", "1_0", HUGE):
        check_problem(await client.get("/stream/b", headers={"Last-Event-ID": value}), 422)
