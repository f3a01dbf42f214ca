"""The gateway: access control, dispatch and headers."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.types import Message

from solo_app.api.app import api_prefixes
from solo_app.api.gateway import MAX_BODY_BYTES, Gateway
from solo_app.batches.service import BatchService
from tests.api.test_bad_input import is_problem
from tests.helpers.api import FILE, FILES, OWN, PAGE, cached_api, create_gateway

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
FOREIGN = ["http://evil.example", "null", "http://localhost:9999", "https://localhost:8000", ""]
OTHER_SITES = ("cross-site", "same-site", "nonsense", "")

PAGES = ["/", "/batch/b", "/nothing", "/docs"]
API = ["/tasks", "/batches/b/download", "/backup", "/stream/b", "/openapi.json"]


def fetched(site: str, mode: str, dest: str, by_user: bool = False) -> dict[str, str]:
    """The Fetch Metadata headers of a request."""
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    return headers | ({"Sec-Fetch-User": "?1"} if by_user else {})


def link(site: str) -> dict[str, str]:
    return fetched(site, "navigate", "document", by_user=True)


def redirect(site: str) -> dict[str, str]:
    return fetched(site, "navigate", "document")


async def test_foreign_origin_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    before = service.batches()
    for method, path in [("POST", "/stream/b"), ("DELETE", "/stream/b"), ("GET", "/tasks")]:
        for origin in FOREIGN:
            answer = await client.request(method, path, headers={"Origin": origin})
            assert is_problem(answer, 403)["code"] == "foreign-request"
            assert "access-control-allow-origin" not in answer.headers
    assert service.batches() == before


async def test_own_origin_and_programs_are_served(client: httpx.AsyncClient) -> None:
    assert (await client.post("/stream/own", headers={"Origin": OWN})).status_code == 201
    assert (await client.post("/stream/none")).status_code == 201


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_subresources_of_other_sites_are_refused(
    site: str, production: httpx.AsyncClient
) -> None:
    attacks = {
        "img": fetched(site, "no-cors", "image"),
        "script": fetched(site, "no-cors", "script"),
        "fetch": fetched(site, "no-cors", "empty"),
        "prefetch": fetched(site, "no-cors", "empty") | {"Sec-Purpose": "prefetch"},
        "iframe": fetched(site, "navigate", "iframe"),
        "link into an iframe": fetched(site, "navigate", "iframe", by_user=True),
        "object": fetched(site, "navigate", "object"),
        "embed": fetched(site, "navigate", "embed", by_user=True),
    }
    for headers, path, accept in itertools.product(
        attacks.values(), [*PAGES, *API, *FILES], (BROWSER, "*/*")
    ):
        answer = await production.get(path, headers={**headers, "Accept": accept})
        is_problem(answer, 403)


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_forms_of_other_sites_are_refused(
    site: str, client: httpx.AsyncClient, service: BatchService
) -> None:
    for by_user, origin in itertools.product((True, False), (None, "null", "http://evil.example")):
        headers = fetched(site, "navigate", "document", by_user)
        headers |= {"Origin": origin} if origin is not None else {}
        is_problem(await client.post("/stream/form", headers=headers), 403)
    assert "form" not in [batch.batch_id for batch in service.batches()]


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_api_opens_from_other_sites_only_by_a_click(
    site: str, production: httpx.AsyncClient, service: BatchService
) -> None:
    await service.start("b")
    for path in (path for path in API if not path.startswith("/stream")):
        for accept in (BROWSER, "*/*"):
            headers = {"Accept": accept}
            is_problem(await production.get(path, headers=headers | redirect(site)), 403)
            assert (await production.get(path, headers=headers | link(site))).status_code == 200


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_pages_and_docs_open_from_any_navigation(
    site: str, production: httpx.AsyncClient
) -> None:
    for headers, path in itertools.product((link(site), redirect(site)), PAGES):
        answer = await production.get(path, headers={**headers, "Accept": BROWSER})
        assert answer.status_code == (404 if path == "/nothing" else 200)
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"
    is_problem(await production.get("/", headers=redirect(site)), 403)  # The API's JSON.


async def test_requests_of_the_own_site_and_typed_urls_are_served(
    production: httpx.AsyncClient,
) -> None:
    for site, path in itertools.product(("same-origin", "none"), ("/tasks", "/", *FILES)):
        for mode, dest in (("navigate", "document"), ("cors", "empty"), ("no-cors", "image")):
            assert (
                await production.get(path, headers=fetched(site, mode, dest))
            ).status_code == 200


async def test_own_origin_of_another_port_or_name_is_served(client: httpx.AsyncClient) -> None:
    for site in ("same-site", "cross-site"):
        headers = fetched(site, "cors", "empty") | {"Origin": "http://127.0.0.1:8000"}
        answer = await client.get("/tasks", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:8000"
        preflight = headers | {"Access-Control-Request-Method": "DELETE"}
        answer = await client.options("/stream/b", headers=preflight)
        assert "DELETE" in answer.headers["access-control-allow-methods"]


async def test_foreign_host_name_is_refused(client: httpx.AsyncClient) -> None:
    for host in ("evil.example:8000", "evil.example", "", "[", "[::1", "[abc]"):
        for path in ("/tasks", "/", "/docs"):
            for headers in ({}, {"Accept": BROWSER} | redirect("none")):
                is_problem(await client.get(path, headers={**headers, "Host": host}), 403)
    for host in ("localhost:8000", "127.0.0.1:8000", "localhost"):
        assert (await client.get("/tasks", headers={"Host": host})).status_code == 200


async def test_headers_sent_twice_are_all_checked(client: httpx.AsyncClient) -> None:
    for name, own, foreign in [
        ("Origin", OWN, "http://evil.example"),
        ("Host", "localhost", "evil.example"),
        ("Sec-Fetch-Site", "same-origin", "cross-site"),
    ]:
        is_problem(await client.post("/stream/b", headers=[(name, own), (name, foreign)]), 403)


@pytest.mark.parametrize(
    ("origins", "is_served"),
    [([OWN], True), ([], False), (["http://evil.example"], False), (["null"], False)],
)
async def test_socket_accepts_only_own_origins(origins: list[str], is_served: bool) -> None:
    sent: list[str] = []

    async def app(*_: object) -> None:
        sent.append("served")

    async def send(message: Message) -> None:
        sent.append(message["type"])

    gateway = Gateway(app, app, (), [OWN], serves_pages=True)
    headers = [(b"host", b"localhost:8000"), *((b"origin", o.encode()) for o in origins)]
    scope = {"type": "websocket", "path": "/_event", "headers": headers}
    await gateway(scope, app, send)  # type: ignore[arg-type]
    assert sent == ["served" if is_served else "websocket.close"]


WANTS_PAGE = {
    BROWSER: True,
    "text/html": True,
    "text/html, application/json;q=0.5": False,
    "application/json": False,
    "*/*": False,
    "": False,
}


async def test_root_is_the_page_for_clients_that_prefer_html(
    production: httpx.AsyncClient,
) -> None:
    for method, (accept, is_page) in itertools.product(("GET", "HEAD"), WANTS_PAGE.items()):
        answer = await production.request(method, "/", headers={"Accept": accept})
        assert answer.status_code == 200
        assert "Accept" in answer.headers["vary"]
        kind = "text/html" if is_page else "application/json"
        assert answer.headers["content-type"].startswith(kind)
        assert bool(answer.content) is (method == "GET")


async def test_root_is_json_for_all_clients_in_development(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"Accept": BROWSER})
    assert answer.json()["row_count"] == 0
    assert "Accept" in answer.headers["vary"]


async def test_paths_of_the_api_reach_the_api_and_all_others_the_pages(
    production: httpx.AsyncClient,
) -> None:
    for path in FILES:
        for accept in (BROWSER, "*/*"):
            answer = await production.get(path, headers={"Accept": accept})
            assert answer.text == FILE
    for path in ("/tasks", "/batches", "/openapi.json"):
        answer = await production.get(path, headers={"Accept": BROWSER})
        assert answer.headers["content-type"] == "application/json"


async def test_every_route_is_reachable(client: httpx.AsyncClient) -> None:
    for path in (await client.get("/openapi.json")).json()["paths"]:
        answer = await client.request("TRACE", path.replace("{batch_id}", "b"))
        assert "GET" in answer.headers["allow"], path


async def test_unknown_path_is_a_page_for_browsers_and_a_problem_for_programs(
    production: httpx.AsyncClient,
) -> None:
    page = await production.get("/nothing", headers={"Accept": BROWSER})
    assert (page.status_code, page.text) == (404, PAGE)
    body = is_problem(await production.get("/nothing"), 404)
    assert (body["detail"], body["code"]) == (
        "Nothing found at /nothing. The API is documented at /docs.",
        "not-found",
    )
    assert (await production.head("/nothing")).content == b""


async def test_errors_of_the_pages_server_become_problems(production: httpx.AsyncClient) -> None:
    body = is_problem(await production.post("/batch/b", headers={"Accept": BROWSER}), 405)
    assert body["detail"] == "/batch/b does not support POST."
    assert body["code"] == "method-not-allowed"


async def test_head_is_get_without_body(
    production: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    batch = f"/batches/{batch_id}"
    for path in ("/", "/tasks", "/batches", batch, f"{batch}/runs", f"{batch}/points", "/docs"):
        head, get = await production.head(path), await production.get(path)
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"]
    assert (await production.head("/batches/x")).status_code == 404
    assert (await production.head("/batches?limit=x")).status_code == 422
    assert (await production.head("/batches/x")).content == b""


async def test_head_of_a_stream_ends(client: httpx.AsyncClient, service: BatchService) -> None:
    await service.start("b")
    head = await client.head("/stream/b")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in head.headers
    assert (await client.head("/stream/nobody")).status_code == 404
    assert (await client.head("/stream/b?after=100")).status_code == 409


async def test_any_id_in_the_path_opens_the_page(production: httpx.AsyncClient) -> None:
    for odd in ("b", "%0a", "a%0Ab", "%00", "..%20", "%3Cb%3E", "x" * 200):
        answer = await production.get(f"/batch/{odd}", headers={"Accept": BROWSER})
        assert (answer.status_code, answer.text) == (200, PAGE), odd


async def test_caching_is_allowed_only_for_names_with_a_hash(
    production: httpx.AsyncClient, batch_id: str
) -> None:
    as_browser = {"Accept": BROWSER}
    for path in ("/", f"/batch/{batch_id}", "/nothing", "/solo.css", "/docs"):
        answer = await production.get(path, headers=as_browser)
        assert answer.headers["cache-control"] == "no-cache", path
    for path in FILES - {"/solo.css"}:
        for method in ("GET", "HEAD"):
            answer = await production.request(method, path)
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    await production.post(f"/stream/{batch_id}")
    for path in ("/", "/tasks", f"/batches/{batch_id}/download", "/backup", "/unknown", "/agg/x"):
        assert (await production.get(path)).headers["cache-control"] == "no-store", path
    missing = await production.get("/assets/old-D2YP3ywt.js", headers=as_browser)
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-cache")


Send = Callable[[Message], Awaitable[None]]


async def posted(length: int | None, chunk: bytes, chunks: int) -> tuple[int, list[Message]]:
    """POST a body to a path that ignores it. Returns the number of read chunks and the response."""
    headers = [(b"host", b"localhost:8000"), (b"content-type", b"application/json")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/tasks", "root_path": ""}
    scope |= {"raw_path": b"/tasks", "query_string": b"", "headers": headers, "scheme": "http"}
    read = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal read
        read += 1
        assert read <= chunks
        return {"type": "http.request", "body": chunk, "more_body": read < chunks}

    async def send(message: Message) -> None:
        sent.append(message)

    await create_gateway(None)(scope, receive, send)
    return read, sent


async def test_body_with_a_large_content_length_is_not_read() -> None:
    read, sent = await posted(MAX_BODY_BYTES + 1, b"x" * 1_000, 1_000)
    assert (read, sent[0]["status"]) == (0, 413)
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_chunked_body_is_read_up_to_the_limit() -> None:
    read, sent = await posted(None, b"x" * 1_000, 1_000)
    assert (read, sent[0]["status"]) == (MAX_BODY_BYTES // 1_000 + 1, 413)


async def test_body_of_disconnected_client_is_discarded(service: BatchService) -> None:
    before = service.batches()
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/stream/gone"}
    scope |= {"raw_path": b"/stream/gone", "query_string": b"", "root_path": "", "scheme": "http"}
    scope["headers"] = [(b"host", b"localhost"), (b"content-length", b"10")]

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        pass

    await create_gateway(service)(scope, receive, send)
    assert service.batches() == before


async def test_body_limit_applies_to_every_route(
    production: httpx.AsyncClient, service: BatchService, batch_id: str
) -> None:
    await service.start(batch_id)
    large, largest = b"x" * (MAX_BODY_BYTES + 1), b" " * MAX_BODY_BYTES
    for method, path in [
        ("POST", "/stream/large"),
        ("DELETE", f"/stream/{batch_id}"),
        ("GET", "/tasks"),
        ("POST", "/batch/b"),
        ("GET", "/solo.css"),
    ]:
        body = is_problem(await production.request(method, path, content=large), 413)
        assert body["code"] == "body-too-large"
        assert [batch.batch_id for batch in service.running()] == [batch_id]
    for method, path in [("DELETE", f"/stream/{batch_id}"), ("GET", "/tasks")]:
        assert (await production.request(method, path, content=largest)).status_code == 200
    assert service.running() == []


def test_prefixes_come_from_the_routes() -> None:
    assert api_prefixes(cached_api()) == {
        *("tasks", "stream", "agg", "batches", "backup"),
        *("docs", "openapi.json", "static-offline-docs"),
    }
