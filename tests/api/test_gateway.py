"""The gateway: dispatch to the API or the pages, headers, HEAD, and the body limit."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest
from starlette.types import Message

from solo_app.api.bodies import MAX_BODY_BYTES
from solo_app.api.push import JSON, NDJSON
from solo_app.batches.service import BatchService
from tests.api.requests import BROWSER, check_problem
from tests.helpers.api import FILE, FILES, PAGE, create_gateway

pytestmark = pytest.mark.anyio

HASHED_FILES = [path for path in FILES if path.startswith("/assets/")]

PREFERS_PAGE = {
    BROWSER: True,
    "text/html": True,
    "text/html, application/json;q=0.5": False,
    "application/json": False,
    "*/*": False,
    "": False,
}


async def test_root_is_the_page_for_clients_that_prefer_html(
    production_client: httpx.AsyncClient,
) -> None:
    for method, (accept, is_page) in itertools.product(("GET", "HEAD"), PREFERS_PAGE.items()):
        response = await production_client.request(method, "/", headers={"Accept": accept})
        assert response.status_code == 200
        assert "Accept" in response.headers["vary"]
        media_type = "text/html" if is_page else "application/json"
        assert response.headers["content-type"].startswith(media_type)
        assert bool(response.content) is (method == "GET")


async def test_root_is_json_in_development(client: httpx.AsyncClient) -> None:
    response = await client.get("/", headers={"Accept": BROWSER})
    assert response.json()["row_count"] == 0
    assert "Accept" in response.headers["vary"]


async def test_only_api_paths_reach_the_api(production_client: httpx.AsyncClient) -> None:
    for path, accept in itertools.product(FILES, (BROWSER, "*/*")):
        response = await production_client.get(path, headers={"Accept": accept})
        assert response.text == FILE
    for path in ("/tasks", "/batches", "/openapi.json"):
        response = await production_client.get(path, headers={"Accept": BROWSER})
        assert response.headers["content-type"] == "application/json"


async def test_every_route_is_reachable(client: httpx.AsyncClient) -> None:
    for path in (await client.get("/openapi.json")).json()["paths"]:
        response = await client.request("TRACE", path.replace("{batch_id}", "b"))
        assert "GET" in response.headers["allow"], path


async def test_unknown_path_is_a_page_only_for_browsers(
    production_client: httpx.AsyncClient,
) -> None:
    page = await production_client.get("/nothing", headers={"Accept": BROWSER})
    assert (page.status_code, page.text) == (404, PAGE)
    body = check_problem(await production_client.get("/nothing"), 404)
    assert body["detail"] == "Nothing found at /nothing. The API is documented at /docs."
    assert body["code"] == "not-found"
    assert (await production_client.head("/nothing")).content == b""


async def test_errors_of_the_pages_are_problems(production_client: httpx.AsyncClient) -> None:
    response = await production_client.post("/batch/b", headers={"Accept": BROWSER})
    body = check_problem(response, 405)
    assert body["detail"] == "/batch/b does not support POST."
    assert body["code"] == "method-not-allowed"


async def test_page_opens_for_any_batch_id(production_client: httpx.AsyncClient) -> None:
    for batch_id in ("b", "%0a", "a%0Ab", "%00", "..%20", "%3Cb%3E", "x" * 200):
        url = f"/batch/{batch_id}"
        response = await production_client.get(url, headers={"Accept": BROWSER})
        assert (response.status_code, response.text) == (200, PAGE), url


@pytest.mark.parametrize("batch_id", ["a", "A.b", "a%20b", "%C3%A9"])
async def test_page_in_other_case_is_redirected(
    production_client: httpx.AsyncClient, batch_id: str
) -> None:
    for path in ("/BATCH", "/Batch"):
        response = await production_client.get(f"{path}/{batch_id}", headers={"Accept": BROWSER})
        assert response.status_code == 307
        assert response.headers["location"] == f"/batch/{batch_id}"


async def test_head_is_get_without_body(
    production_client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    batch = f"/batches/{batch_id}"
    for path in (
        "/",
        "/tasks",
        "/batches",
        batch,
        f"{batch}/runs",
        f"{batch}/points",
        f"{batch}/log",
        "/sources",
        "/docs",
    ):
        head, get = await production_client.head(path), await production_client.get(path)
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"]
    for path, status in [("/batches/x", 404), ("/batches?limit=x", 422)]:
        head = await production_client.head(path)
        assert (head.status_code, head.content) == (status, b"")


async def test_only_hashed_files_are_cacheable(
    production_client: httpx.AsyncClient, batch_id: str
) -> None:
    as_browser = {"Accept": BROWSER}
    for path in ("/", f"/batch/{batch_id}", "/nothing", "/solo.css", "/docs"):
        response = await production_client.get(path, headers=as_browser)
        assert response.headers["cache-control"] == "no-cache", path
    for path, method in itertools.product(HASHED_FILES, ("GET", "HEAD")):
        response = await production_client.request(method, path)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    await production_client.post(f"/stream/{batch_id}")
    for path in ("/", "/tasks", f"/batches/{batch_id}/download", "/backup", "/unknown", "/agg/x"):
        response = await production_client.get(path)
        assert response.headers["cache-control"] == "no-store", path
    missing = await production_client.get("/assets/old-D2YP3ywt.js", headers=as_browser)
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-cache")


async def post_chunks(chunk: bytes, count: int, length: int | None) -> tuple[int, Message]:
    """POST a body to a path that ignores it.

    Returns the number of chunks that were read, and the start of the response.
    """
    headers = [(b"host", b"localhost:8000"), (b"content-type", b"application/json")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    read_count = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal read_count
        read_count += 1
        return {"type": "http.request", "body": chunk, "more_body": read_count < count}

    async def send(message: Message) -> None:
        sent.append(message)

    await create_gateway(None)(http_scope("/tasks", headers), receive, send)
    return read_count, sent[0]


def http_scope(path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    scope = {"type": "http", "method": "POST", "scheme": "http", "path": path, "headers": headers}
    return scope | {"raw_path": path.encode(), "query_string": b"", "root_path": ""}


async def test_body_with_a_large_content_length_is_not_read() -> None:
    read_count, response = await post_chunks(b"x" * 1_000, 1_000, MAX_BODY_BYTES + 1)
    assert (read_count, response["status"]) == (0, 413)
    assert (b"connection", b"close") in response["headers"]


async def test_chunked_body_is_read_up_to_the_limit() -> None:
    read_count, response = await post_chunks(b"x" * 1_000, 1_000, None)
    assert (read_count, response["status"]) == (MAX_BODY_BYTES // 1_000 + 1, 413)


async def test_body_of_a_disconnected_client_is_discarded(service: BatchService) -> None:
    before = service.batches()
    headers = [(b"host", b"localhost"), (b"content-length", b"10")]

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        pass

    await create_gateway(service)(http_scope("/stream/gone", headers), receive, send)
    assert service.batches() == before


async def test_body_limit_applies_to_every_route(
    production_client: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    too_large, largest = b"x" * (MAX_BODY_BYTES + 1), b" " * MAX_BODY_BYTES
    for method, path in [
        ("POST", "/stream/large"),
        ("DELETE", f"/stream/{batch_id}"),
        ("PATCH", f"/batches/{batch_id}"),
        ("GET", "/tasks"),
        ("POST", "/batch/b"),
        ("GET", "/solo.css"),
    ]:
        for media_type in (JSON, NDJSON):
            response = await production_client.request(
                method, path, content=too_large, headers={"Content-Type": media_type}
            )
            assert check_problem(response, 413)["code"] == "body-too-large"
        assert [batch.batch_id for batch in service.running()] == [batch_id]
    for method, path in [("DELETE", f"/stream/{batch_id}"), ("GET", "/tasks")]:
        response = await production_client.request(method, path, content=largest)
        assert response.status_code == 200
    assert service.running() == []
