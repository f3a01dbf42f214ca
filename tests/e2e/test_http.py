"""The API over real HTTP: concurrent requests, other origins, other machines."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.modes import in_both_modes
from tests.helpers.running_app import PROJECT, RunningApp, http


def post_concurrently(app: RunningApp, ids: list[str]) -> Counter[int]:
    """POST to all ids concurrently on separate connections. Returns the count of each status."""
    together = threading.Barrier(len(ids))

    def post(batch_id: str) -> httpx.Response:
        with httpx.Client(base_url=app.api, timeout=30) as client:
            client.get("/tasks")  # Open the connection before the race.
            together.wait()
            return client.post(f"/stream/{batch_id}")

    with ThreadPoolExecutor(len(ids)) as pool:
        responses = list(pool.map(post, ids))
    for response in responses:
        if response.status_code == 429:
            assert response.json()["limit"] == 5
    return Counter(response.status_code for response in responses)


@in_both_modes
def test_concurrent_posts_respect_the_limit_and_the_name(app: RunningApp) -> None:
    assert post_concurrently(app, [f"b{n}" for n in range(50)]) == {201: 5, 429: 45}
    assert len(http.get(f"{app.api}/tasks").json()["tasks"]) == 5
    app.stop_batches()
    assert post_concurrently(app, ["one"] * 50) == {201: 1, 409: 49}
    assert len(http.get(f"{app.api}/batches/one").json()["runs"]) == 1


@in_both_modes
def test_other_origins_may_not_use_the_api_or_the_socket(app: RunningApp) -> None:
    for method in ("POST", "DELETE"):
        response = http.request(
            method, f"{app.api}/stream/b", headers={"Origin": "http://evil.example"}
        )
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"
        assert "access-control-allow-origin" not in response.headers
    for origin, allowed in [("http://evil.example", False), (app.url, True)]:
        handshake = {
            "Origin": origin,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "c29sby1zb2xvLXNvbG8hIQ==",
        }
        url = f"{app.api}/_event/?EIO=4&transport=websocket&token=t"
        response = http.get(url, headers=handshake)
        assert (response.status_code == 101) is allowed, (origin, response.status_code)
    own = http.post(f"{app.api}/stream/own", headers={"Origin": app.url})
    assert own.status_code == 201


def test_production_refuses_the_origin_of_the_development_server(
    prod_app: RunningApp,
) -> None:
    headers = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    assert http.post(f"{prod_app.api}/stream/b", headers=headers).status_code == 403


@in_both_modes
def test_errors_outside_the_routes_are_problems(app: RunningApp) -> None:
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "DELETE"}
    for method, path, headers, status in [
        ("POST", "/stream/a%0Ab", {}, 422),
        ("GET", "/nothing%0A", {}, 404),
        ("GET", "/%0A", {}, 404),
        ("OPTIONS", "/stream/b", preflight, 403),
        ("OPTIONS", "/stream/b", {}, 405),
        ("POST", "/ping", {}, 405),
    ]:
        response = http.request(method, f"{app.api}{path}", headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (
            status,
            "application/problem+json",
        ), (method, path)
        assert response.json()["code"]


def oversized(app: RunningApp, method: str, head: str, chunk: bytes) -> tuple[bytes, int]:
    """Send 300 MB unless the server disconnects. Returns the response and the bytes sent."""
    sent = 0
    with socket.create_connection(("127.0.0.1", app.backend_port), timeout=60) as connection:
        head = f"{method} /stream/large HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(OSError):
            while sent < 300_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        response = b""
        with suppress(ConnectionResetError):
            while received := connection.recv(65_536):
                response += received
    return response, sent


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_server_stops_reading_a_body_at_the_limit(app: RunningApp, method: str) -> None:
    data = b" " * 65_536
    before = app.memory_usage()
    for head, chunk in [
        ("Content-Length: 300000000", data),
        ("Transfer-Encoding: chunked", b"10000\r\n" + data + b"\r\n"),
    ]:
        response, sent = oversized(app, method, head, chunk)
        assert response.startswith(b"HTTP/1.1 413 ")
        assert b'"code": "body-too-large"' in response
        assert sent < 30_000_000  # The excess is in socket buffers.
    assert app.memory_usage() - before < 30_000_000
    assert http.get(f"{app.api}/batches/large").status_code == 404


def test_head_has_no_body_and_ends(app: RunningApp) -> None:
    assert http.post(f"{app.api}/stream/b").status_code == 201
    paths = ["/", "/tasks", "/stream/b", "/batches/b", "/batches/b/download", "/backup", "/docs"]
    paths += [f"/batches/b/download?format={kind}" for kind in ("json", "parquet")]
    for path in paths:
        head = http.head(f"{app.api}{path}")
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers.get("content-length") != "0", path


def test_browsers_revalidate_pages_and_cache_hashed_files(prod_app: RunningApp) -> None:
    build = prod_app.folder / ".web" / "build" / "client"
    files = [f"/{file.relative_to(build)}" for file in build.rglob("*") if file.is_file()]
    files = [path for path in files if not path.endswith((".gz", ".html"))]
    assert len(files) > 10
    for path in [*files, "/", "/batch/b"]:
        response = http.get(f"{prod_app.api}{path}", headers={"Accept": "text/html"})
        assert response.status_code == 200
        is_hashed = path.startswith("/assets/")
        expected = "public, max-age=31536000, immutable" if is_hashed else "no-cache"
        assert response.headers["cache-control"] == expected, path
        headers = {"Accept": "text/html", "If-None-Match": response.headers["etag"]}
        again = http.get(f"{prod_app.api}{path}", headers=headers)
        assert (again.status_code, again.headers["cache-control"]) == (304, expected)


def test_production_serves_browsers_and_programs_at_one_url(prod_app: RunningApp) -> None:
    page = http.get(f"{prod_app.api}/", headers={"Accept": "text/html,*/*;q=0.8"})
    data = http.get(f"{prod_app.api}/")
    assert page.headers["content-type"].startswith("text/html")
    assert data.json()["task_limit"] == 5
    assert "Accept" in page.headers["vary"]
    assert "Accept" in data.headers["vary"]
    deep = http.get(f"{prod_app.api}/batch/abc", headers={"Accept": "text/html"})
    assert (deep.status_code, deep.headers["content-type"][:9]) == (200, "text/html")
    missing = http.get(f"{prod_app.api}/nothing")
    assert missing.status_code == missing.json()["status"] == 404
    assert missing.headers["content-type"] == "application/problem+json"
    assert (
        http.get(f"{prod_app.api}/batches/abc").status_code == 404
    )  # The page has not started the batch.


@in_both_modes
def test_server_listens_on_loopback_only(app: RunningApp) -> None:
    ports = {app.backend_port, app.frontend_port}
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            address, state = row.split()[1], row.split()[3]
            host, port = address.split(":")
            if state == "0A" and int(port, 16) in ports:
                listening.add((host, int(port, 16)))
    assert {port for _, port in listening} == ports
    assert {host for host, _ in listening} == {"0100007F"}  # 127.0.0.1


@in_both_modes
def test_start_does_not_change_project_files(app: RunningApp) -> None:
    for file in (PROJECT / "reflex.lock").iterdir():
        assert (app.folder / "reflex.lock" / file.name).read_bytes() == file.read_bytes()
