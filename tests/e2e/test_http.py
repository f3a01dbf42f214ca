"""The API over real HTTP: many at once, slow readers, foreign pages."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import httpx
import pytest

from tests.running_app import RunningApp, http

NewApp = Callable[..., RunningApp]


def fifty(app: RunningApp, ids: list[str]) -> Counter[int]:
    """POST all of them at once, each on a connection of its own; how often each status came."""
    together = threading.Barrier(len(ids))

    def post(batch_id: str) -> httpx.Response:
        with httpx.Client(base_url=app.api, timeout=30) as client:
            client.get("/tasks")  # The connection is open before the race begins.
            together.wait()
            return client.post(f"/stream/{batch_id}")

    with ThreadPoolExecutor(len(ids)) as pool:
        answers = list(pool.map(post, ids))
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["limit"] == 5
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize("mode", ["dev_app", "prod_app"])
def test_fifty_posts_at_once_start_exactly_five_or_one(
    mode: str, request: pytest.FixtureRequest
) -> None:
    app: RunningApp = request.getfixturevalue(mode)
    app.free_slots()
    assert fifty(app, [f"b{n}" for n in range(50)]) == {201: 5, 429: 45}
    assert len(http.get(f"{app.api}/tasks").json()["tasks"]) == 5
    app.free_slots()
    assert fifty(app, ["one"] * 50) == {201: 1, 409: 49}
    assert len(http.get(f"{app.api}/batches/one").json()["runs"]) == 1
    app.free_slots()


def memory_of(app: RunningApp) -> int:
    """Bytes that all processes of the app hold."""
    assert app.process
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getsid(int(status.parent.name)) == app.process.pid:
                found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
                total += int(found[1]) * 1024 if found else 0
        except (ProcessLookupError, FileNotFoundError):
            continue
    return total


def rows(app: RunningApp) -> int:
    return int(http.get(f"{app.api}/").json()["row_count"])


def produced_in(app: RunningApp, seconds: float) -> int:
    before = rows(app)
    time.sleep(seconds)  # The measure is how much comes in that time.
    return rows(app) - before


def test_readers_that_do_not_read_slow_nobody_and_hold_no_memory(new_app: NewApp) -> None:
    app = new_app("prod", SOLO_INTERVAL="0.002").start()
    http.post(f"{app.api}/stream/b")
    alone = produced_in(app, 2)
    idle = []
    for _ in range(50):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.connect(("127.0.0.1", app.backend_port))
        reader.sendall(b"GET /stream/b?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.append(reader)
    produced_in(app, 1)  # They are answered, and what the network holds for them fills up.
    before = memory_of(app)
    # Others use this machine too: what the app can do shows in the best of some spans.
    spans = (produced_in(app, 4) / 2 for _ in range(5))
    assert any(together > 0.8 * alone for together in spans)
    assert memory_of(app) - before < 30_000_000
    for reader in idle:
        reader.close()
    assert app.stop() < 2


def test_a_reader_that_takes_nothing_does_not_hold_the_end_up(new_app: NewApp) -> None:
    app = new_app("prod", SOLO_INTERVAL="0").start()
    http.post(f"{app.api}/stream/b")
    while rows(app) < 1_000_000:  # More than the network holds for a reader.
        time.sleep(0.1)
    readers = []
    for path in ("/stream/b?after=0", "/batches/b/download", "/batches/b/download?format=parquet"):
        reader = socket.create_connection(("127.0.0.1", app.backend_port))
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert reader.recv(64).startswith(b"HTTP/1.1 200")
        readers.append(reader)
    assert app.stop() < 5
    assert [path.name for path in app.database.parent.iterdir() if "download" in path.name] == []
    with duckdb.connect(app.database, read_only=True) as connection:
        ended = connection.execute("SELECT status FROM runs WHERE ended_at IS NOT NULL").fetchall()
    assert ended == [("interrupted",)]
    for reader in readers:
        reader.close()


def test_a_foreign_page_may_not_speak(dev_app: RunningApp, prod_app: RunningApp) -> None:
    for app in (dev_app, prod_app):
        for method in ("POST", "DELETE"):
            answer = http.request(
                method, f"{app.api}/stream/b", headers={"Origin": "http://evil.example"}
            )
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
            assert "access-control-allow-origin" not in answer.headers
        for origin, allowed in [("http://evil.example", False), (app.url, True)]:
            handshake = {
                "Origin": origin,
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "c29sby1zb2xvLXNvbG8hIQ==",
            }
            url = f"{app.api}/_event/?EIO=4&transport=websocket&token=t"
            answer = http.get(url, headers=handshake)
            assert (answer.status_code == 101) is allowed, (origin, answer.status_code)
        own = http.post(f"{app.api}/stream/own", headers={"Origin": app.url})
        assert own.status_code == 201
        app.free_slots()


def test_production_answers_browsers_and_programs_on_one_address(prod_app: RunningApp) -> None:
    page = http.get(f"{prod_app.api}/", headers={"Accept": "text/html,*/*;q=0.8"})
    data = http.get(f"{prod_app.api}/")
    assert page.headers["content-type"].startswith("text/html")
    assert data.json()["task_limit"] == 5
    assert "Accept" in page.headers["vary"]
    assert "Accept" in data.headers["vary"]
    deep = http.get(f"{prod_app.api}/batch/abc", headers={"Accept": "text/html"})
    assert (deep.status_code, deep.headers["content-type"][:9]) == (200, "text/html")
    missing = http.get(f"{prod_app.api}/nothing")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
    assert http.get(f"{prod_app.api}/batches/abc").status_code == 404  # Looking started nothing.
