"""Who may speak, and to whom a request goes."""

from __future__ import annotations

import itertools

import httpx
import pytest
from starlette.responses import PlainTextResponse

from solo_app.api.gateway import Gateway
from solo_app.batches.service import BatchService
from tests.api.conftest import OWN

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


FOREIGN = ["http://evil.example", "null", "http://localhost:9999", "https://localhost:8000", ""]


async def test_a_foreign_origin_gets_403_and_changes_nothing(
    client: httpx.AsyncClient, service: BatchService
) -> None:
    before = service.batches()
    for method, path in [("POST", "/stream/b"), ("DELETE", "/stream/b"), ("GET", "/tasks")]:
        for origin in FOREIGN:
            answer = await client.request(method, path, headers={"Origin": origin})
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
    assert service.batches() == before


async def test_the_own_origin_and_none_are_let_through(client: httpx.AsyncClient) -> None:
    assert (await client.post("/stream/own", headers={"Origin": OWN})).status_code == 201
    assert (await client.post("/stream/none")).status_code == 201


async def test_a_page_of_another_site_may_link_here_and_no_more(
    client: httpx.AsyncClient,
) -> None:
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Sec-Fetch-User": "?1",
    }
    frame = {**link, "Sec-Fetch-Dest": "iframe"}
    sent_there_by_script = {name: value for name, value in link.items() if "User" not in name}
    for headers in (image, frame, sent_there_by_script):
        assert (await client.get("/backup", headers=headers)).status_code == 403
    assert (await client.get("/tasks", headers=link)).status_code == 200
    for near in ("same-origin", "same-site", "none"):
        assert (await client.get("/tasks", headers={"Sec-Fetch-Site": near})).status_code == 200


async def test_a_foreign_name_that_points_here_gains_nothing(client: httpx.AsyncClient) -> None:
    for host in ("evil.example:8000", "evil.example", "", "[", "[::1", "[abc]"):
        assert (await client.get("/tasks", headers={"Host": host})).status_code == 403
    for host in ("localhost:8000", "127.0.0.1:8000", "localhost"):
        assert (await client.get("/tasks", headers={"Host": host})).status_code == 200


async def test_a_foreign_page_gets_no_socket() -> None:
    sent: list[dict[str, object]] = []

    async def never(*_: object) -> None:
        raise AssertionError("let through")

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    gateway = Gateway(never, never, [OWN], pages_are_here=True)
    headers = [(b"host", b"localhost:8000"), (b"origin", b"http://evil.example")]
    scope = {"type": "websocket", "path": "/_event", "headers": headers}
    await gateway(scope, never, send)  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["websocket.close"]


WANTS_PAGE = {
    BROWSER: True,
    "text/html": True,
    "text/html;q=0.5, application/json": False,
    "text/html, application/json;q=0.5": True,
    "application/json": False,
    "*/*": False,
    "": False,
    "text/html;q=0": False,
    "text/html;q=nonsense": False,
}


async def test_production_gives_the_page_to_those_who_want_html(
    production: httpx.AsyncClient,
) -> None:
    for method, (accept, is_page) in itertools.product(("GET", "HEAD"), WANTS_PAGE.items()):
        answer = await production.request(method, "/", headers={"Accept": accept})
        assert answer.status_code == 200
        assert "Accept" in answer.headers["vary"]
        kind = "text/plain" if is_page else "application/json"
        assert answer.headers["content-type"].startswith(kind)
        if method == "HEAD":
            assert not answer.content or is_page


async def test_development_gives_everyone_the_data(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"Accept": BROWSER})
    assert answer.json()["row_count"] == 0
    assert "Accept" in answer.headers["vary"]


async def test_pages_and_files_go_to_the_pages_and_api_paths_to_the_api(
    production: httpx.AsyncClient,
) -> None:
    for path in ("/batch/b", "/assets/app.js"):
        for accept in (BROWSER, "*/*"):
            answer = await production.get(path, headers={"Accept": accept})
            assert answer.text.startswith("the ")
    for path in ("/tasks", "/batches", "/openapi.json"):
        answer = await production.get(path, headers={"Accept": BROWSER})
        assert answer.headers["content-type"] == "application/json"


async def test_an_unknown_path_is_a_page_to_browsers_and_a_problem_to_programs(
    production: httpx.AsyncClient,
) -> None:
    page = await production.get("/nothing", headers={"Accept": BROWSER})
    assert (page.status_code, page.text) == (404, "Not Found")
    program = await production.get("/nothing")
    assert program.json()["detail"] == "There is nothing at /nothing."


@pytest.mark.parametrize(
    ("status", "method", "detail"),
    [
        (405, "POST", "/batch/b does not take POST."),
        (500, "PUT", "Something went wrong here; the server's log says what."),
    ],
)
async def test_what_is_no_question_for_a_page_gets_a_problem_from_a_browser_too(
    status: int, method: str, detail: str
) -> None:
    pages = PlainTextResponse("no page", status)
    transport = httpx.ASGITransport(Gateway(pages, pages, [OWN], pages_are_here=True))
    async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
        answer = await client.request(method, "/batch/b", headers={"Accept": BROWSER})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == detail


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    for path in ("/", "/tasks", "/batches", "/openapi.json"):
        head, get = await client.head(path), await client.get(path)
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"]
    assert (await client.head("/batches/x")).status_code == 404
    assert (await client.head("/stream/x")).status_code == 405


async def test_what_is_said_twice_is_not_believed(client: httpx.AsyncClient) -> None:
    twice = [("Origin", OWN), ("Origin", "http://evil.example")]
    assert (await client.post("/stream/b", headers=twice)).status_code == 403
    twice = [("Host", "localhost"), ("Host", "evil.example")]
    assert (await client.get("/tasks", headers=twice)).status_code == 403


async def test_any_id_in_the_address_leads_to_the_page(production: httpx.AsyncClient) -> None:
    for odd in ("%0a", "a%0Ab", "%00", "..%20", "%3Cb%3E", "x" * 200):
        answer = await production.get(f"/batch/{odd}", headers={"Accept": BROWSER})
        assert answer.text == "the page", odd
