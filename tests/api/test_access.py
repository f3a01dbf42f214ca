"""Access control: only the app's own pages and programs may use the API and the socket."""

from __future__ import annotations

import itertools

import httpx
import pytest
from starlette.types import Message

from solo_app.api.gateway import Gateway
from solo_app.batches.service import BatchService
from tests.api.requests import BROWSER, check_problem
from tests.helpers.api import FILES, ORIGIN

pytestmark = pytest.mark.anyio

FOREIGN_ORIGINS = [
    "http://evil.example",
    "null",
    "http://localhost:9999",
    "https://localhost:8000",
    "",
]
OTHER_SITES = ["cross-site", "same-site", "nonsense", ""]
PAGES = ["/", "/batch/b", "/nothing", "/docs"]
API = ["/tasks", "/batches/b/download", "/backup", "/openapi.json"]


def fetch_metadata(site: str, mode: str, dest: str, by_user: bool = False) -> dict[str, str]:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    return headers | ({"Sec-Fetch-User": "?1"} if by_user else {})


def link_from(site: str) -> dict[str, str]:
    return fetch_metadata(site, "navigate", "document", by_user=True)


def redirect_from(site: str) -> dict[str, str]:
    return fetch_metadata(site, "navigate", "document")


async def test_requests_from_foreign_origins_are_refused(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    before = service.batches()
    for method, path in [
        ("POST", "/stream/b"),
        ("DELETE", "/stream/b"),
        ("GET", "/tasks"),
        ("POST", "/batches/b/points"),
        ("PATCH", "/batches/b"),
        ("DELETE", "/batches/b"),
    ]:
        for origin in FOREIGN_ORIGINS:
            response = await client.request(method, path, headers={"Origin": origin}, content=b"1")
            assert check_problem(response, 403)["code"] == "foreign-request"
            assert "access-control-allow-origin" not in response.headers
    assert service.batches() == before


async def test_own_origin_and_programs_are_served(client: httpx.AsyncClient) -> None:
    assert (await client.post("/stream/own", headers={"Origin": ORIGIN})).status_code == 201
    assert (await client.post("/stream/program")).status_code == 201


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_subresource_requests_from_other_sites_are_refused(
    site: str, production_client: httpx.AsyncClient
) -> None:
    attacks = {
        "img": fetch_metadata(site, "no-cors", "image"),
        "script": fetch_metadata(site, "no-cors", "script"),
        "fetch": fetch_metadata(site, "no-cors", "empty"),
        "prefetch": fetch_metadata(site, "no-cors", "empty") | {"Sec-Purpose": "prefetch"},
        "iframe": fetch_metadata(site, "navigate", "iframe"),
        "link into an iframe": fetch_metadata(site, "navigate", "iframe", by_user=True),
        "object": fetch_metadata(site, "navigate", "object"),
        "embed": fetch_metadata(site, "navigate", "embed", by_user=True),
    }
    paths = [*PAGES, *API, "/stream/b", *FILES]
    targets = [*((path, "*/*") for path in paths), ("/", BROWSER), ("/tasks", BROWSER)]
    for headers, (path, accept) in itertools.product(attacks.values(), targets):
        response = await production_client.get(path, headers={**headers, "Accept": accept})
        check_problem(response, 403)


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_forms_on_other_sites_are_refused(
    site: str, client: httpx.AsyncClient, service: BatchService
) -> None:
    for by_user, origin in itertools.product((True, False), (None, "null", "http://evil.example")):
        headers = fetch_metadata(site, "navigate", "document", by_user)
        headers |= {"Origin": origin} if origin is not None else {}
        check_problem(await client.post("/stream/form", headers=headers), 403)
    assert "form" not in [batch.batch_id for batch in service.batches()]


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_other_sites_can_only_link_to_the_api(
    site: str, production_client: httpx.AsyncClient, service: BatchService
) -> None:
    await service.start("b")
    for path, accept in itertools.product(API, (BROWSER, "*/*")):
        redirected = {**redirect_from(site), "Accept": accept}
        check_problem(await production_client.get(path, headers=redirected), 403)
        linked = {**link_from(site), "Accept": accept}
        assert (await production_client.get(path, headers=linked)).status_code == 200


@pytest.mark.parametrize("site", OTHER_SITES)
async def test_pages_and_docs_open_from_any_navigation(
    site: str, production_client: httpx.AsyncClient
) -> None:
    for headers, path in itertools.product((link_from(site), redirect_from(site)), PAGES):
        response = await production_client.get(path, headers={**headers, "Accept": BROWSER})
        assert response.status_code == (404 if path == "/nothing" else 200)
        assert response.headers["content-type"].startswith("text/html")
        assert response.headers["content-security-policy"] == "frame-ancestors 'self'"
    # Without ``Accept: text/html``, the same path returns the JSON of the API.
    check_problem(await production_client.get("/", headers=redirect_from(site)), 403)


async def test_own_pages_and_typed_urls_are_served(production_client: httpx.AsyncClient) -> None:
    kinds = [("navigate", "document"), ("cors", "empty"), ("no-cors", "image")]
    for site, kind in itertools.product(("same-origin", "none"), kinds):
        for path in ("/tasks", "/", *FILES):
            headers = fetch_metadata(site, *kind)
            assert (await production_client.get(path, headers=headers)).status_code == 200


async def test_all_own_origins_are_served(client: httpx.AsyncClient) -> None:
    for site in ("same-site", "cross-site"):
        headers = fetch_metadata(site, "cors", "empty") | {"Origin": "http://127.0.0.1:8000"}
        response = await client.get("/tasks", headers=headers)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "http://127.0.0.1:8000"
        preflight = headers | {"Access-Control-Request-Method": "DELETE"}
        response = await client.options("/stream/b", headers=preflight)
        assert "DELETE" in response.headers["access-control-allow-methods"]


async def test_unknown_hosts_are_refused(client: httpx.AsyncClient) -> None:
    for host in ("evil.example:8000", "evil.example", "", "[", "[::1", "[abc]"):
        for path in ("/tasks", "/", "/docs"):
            for headers in ({}, {"Accept": BROWSER} | redirect_from("none")):
                check_problem(await client.get(path, headers={**headers, "Host": host}), 403)
    for host in ("localhost:8000", "127.0.0.1:8000", "localhost"):
        assert (await client.get("/tasks", headers={"Host": host})).status_code == 200


async def test_all_values_of_a_repeated_header_are_checked(client: httpx.AsyncClient) -> None:
    for name, own, foreign in [
        ("Origin", ORIGIN, "http://evil.example"),
        ("Host", "localhost", "evil.example"),
        ("Sec-Fetch-Site", "same-origin", "cross-site"),
    ]:
        response = await client.post("/stream/b", headers=[(name, own), (name, foreign)])
        check_problem(response, 403)


@pytest.mark.parametrize(
    ("origins", "is_served"),
    [([ORIGIN], True), ([], False), (["http://evil.example"], False), (["null"], False)],
)
async def test_socket_accepts_only_own_origins(origins: list[str], is_served: bool) -> None:
    sent: list[str] = []

    async def app(*_: object) -> None:
        sent.append("served")

    async def send(message: Message) -> None:
        sent.append(message["type"])

    gateway = Gateway(app, app, (), [ORIGIN], serves_pages=True)
    headers = [(b"host", b"localhost:8000"), *((b"origin", o.encode()) for o in origins)]
    scope = {"type": "websocket", "path": "/_event", "headers": headers}
    await gateway(scope, app, send)  # type: ignore[arg-type]
    assert sent == ["served" if is_served else "websocket.close"]
