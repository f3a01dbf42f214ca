"""Pushed points through a real server: long, concurrent, broken and repeated requests."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from solo_app.api.bodies import MAX_LARGE_BODIES
from tests.faults.clients import worker_pid
from tests.helpers.integrity import check_integrity
from tests.helpers.running_app import BACKEND_ONLY, EXIT_TIMEOUT, RunningApp, http, wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}


pytestmark = pytest.mark.xdist_group("push")


@pytest.fixture(scope="module")
def shared_app(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """An app that is not started yet. Its database is checked at the end."""
    database = tmp_path_factory.mktemp("push") / "solo.duckdb"
    app = RunningApp(folder, database, "prod", BACKEND_ONLY)
    try:
        yield app
        assert app.stop() < EXIT_TIMEOUT
        check_integrity(database)
    finally:
        app.kill()


@pytest.fixture
def app(shared_app: RunningApp) -> Iterator[RunningApp]:
    """The app of the module, which a test may stop."""
    if not shared_app.is_ready(f"{shared_app.api}/tasks"):
        shared_app.start()
    yield shared_app
    if shared_app.is_ready(f"{shared_app.api}/tasks"):
        shared_app.stop_batches()


def points_url(app: RunningApp, batch_id: str) -> str:
    return f"{app.api}/batches/{batch_id}/points"


def lines(count: int, value: str = "{}") -> Iterator[bytes]:
    """Yield lines in parts that end within a line."""
    rest = ""
    for start in range(0, count, 20_000):
        text = rest + "".join(f"{number}\n" for number in range(start, min(count, start + 20_000)))
        yield text[:-3].encode()
        rest = text[-3:]
    yield rest.encode()


def row_count(app: RunningApp, batch_id: str) -> int:
    return int(http.get(f"{app.api}/batches/{batch_id}").json()["row_count"])


def push_lines(app: RunningApp, batch_id: str, count: int) -> dict[str, Any]:
    response = http.post(points_url(app, batch_id), content=lines(count), headers=NDJSON)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


def raw_request(app: RunningApp, batch_id: str, headers: bytes, body: bytes) -> socket.socket:
    """Send a request, which may be incomplete."""
    connection = socket.create_connection(("127.0.0.1", app.backend_port), timeout=20)
    head = f"POST /batches/{batch_id}/points HTTP/1.1\r\nHost: localhost\r\n"
    connection.sendall(head.encode() + headers + b"\r\n" + body)
    return connection


def test_million_points_are_stored_in_order(app: RunningApp, batch_id: str) -> None:
    count = 1_000_000
    result = push_lines(app, batch_id, count)
    assert result == {"batch_id": batch_id, "first_seq": 1, "last_seq": count, "count": count}
    text = http.get(f"{app.api}/batches/{batch_id}/download").text.splitlines()[1:]
    assert len(text) == count
    for number, line in enumerate(text):
        seq, _, key = line.split(",")
        assert (int(seq), int(key)) == (number + 1, number)


def test_ten_clients_lose_no_points(app: RunningApp, batch_id: str) -> None:
    def push(number: int) -> int:
        if number % 2:
            return int(push_lines(app, batch_id, 50_000)["count"])
        count = 0
        with httpx.Client() as client:
            for size in (1, 1_000, 49_999):
                response = client.post(points_url(app, batch_id), json=[float(number)] * size)
                result = response.json()
                assert result["last_seq"] - result["first_seq"] + 1 == result["count"] == size
                count += size
        return count

    with ThreadPoolExecutor(10) as clients:
        count = sum(clients.map(push, range(10)))
    assert row_count(app, batch_id) == count


def test_error_in_a_long_body_reaches_the_client(app: RunningApp, batch_id: str) -> None:
    body = b"1\n" * 1_000 + b"warm\n" + b"1\n" * 10_000_000
    problem = http.post(points_url(app, batch_id), content=body, headers=NDJSON).json()
    assert (problem["line"], problem["count"], problem["last_seq"]) == (1_001, 1_000, 1_000)
    large = http.post(points_url(app, batch_id), content=b" " * 17_000_000)
    assert large.status_code == 413


def test_aborted_requests_store_whole_lines_only(app: RunningApp, batch_id: str) -> None:
    for number, (headers, body) in enumerate(
        [
            (b"Content-Length: 100\r\n", b"1\n23"),
            (b"Transfer-Encoding: chunked\r\n", b"4\r\n1\n23\r\n"),
            (b"Transfer-Encoding: chunked\r\n", b"4\r\n1\n23\r\nZZ"),
        ],
        start=1,
    ):
        headers += b"Content-Type: application/x-ndjson\r\n"
        connection = raw_request(app, batch_id, headers, body)
        connection.shutdown(socket.SHUT_WR)
        response = connection.recv(10_000)
        assert b" 422 " in response.splitlines()[0], response
        connection.close()
        assert row_count(app, batch_id) == number
    raw_request(app, batch_id, b"Content-Length: 100\r\n", b"12").close()
    assert push_lines(app, batch_id, 1)["first_seq"] == number + 1


def test_stalled_clients_hold_little_memory_and_delay_nothing(
    app: RunningApp, batch_id: str
) -> None:
    push_lines(app, batch_id, 1_000)
    before = app.memory_usage()
    media_types = (b"application/json", b"application/x-ndjson")
    head = b"Content-Length: 16000000\r\nContent-Type: %s\r\n"
    stalled = [
        raw_request(app, batch_id, head % media_type, b"5\n") for media_type in media_types * 20
    ]
    unsent = dict.fromkeys(stalled[::2], 15_000_000)

    def send() -> int:
        """Send what the app reads, and return the number of bodies that are almost complete."""
        for connection in unsent:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                while unsent[connection]:
                    unsent[connection] -= connection.send(b" " * min(unsent[connection], 2**20))
        return sum(count == 0 for count in unsent.values())

    wait_for(lambda: send() >= MAX_LARGE_BODIES)
    time.sleep(0.5)  # The app could read further bodies.
    assert send() == MAX_LARGE_BODIES
    assert app.memory_usage() - before < 200_000_000
    assert push_lines(app, batch_id, 1_000)["count"] == 1_000
    assert http.delete(f"{app.api}/stream/{batch_id}", timeout=20).status_code == 200
    assert b" 409 " in stalled[1].recv(100)
    assert app.stop() < EXIT_TIMEOUT
    for connection in stalled:
        connection.close()


def test_repeated_key_is_stored_once_across_kills(
    app: RunningApp, batch_id: str, rounds: int
) -> None:
    url, stored = points_url(app, batch_id), 0
    for number in range(max(2, rounds // 5)):
        key, values = {"Idempotency-Key": f"key-{number}"}, [float(number)] * 3
        others = threading.Thread(target=push_until_killed, args=(url,), daemon=True)
        others.start()
        responses: list[httpx.Response] = []

        def push() -> None:
            with suppress(httpx.TransportError):
                responses.append(http.post(url, json=values, headers=key))  # noqa: B023

        first = threading.Thread(target=push, daemon=True)
        time.sleep(random.uniform(0, 0.1))
        first.start()
        time.sleep(random.uniform(0, 0.01))
        os.kill(worker_pid(app), signal.SIGKILL)
        first.join(20)
        others.join(20)
        app.kill()
        app.start()
        again = [http.post(url, json=values, headers=key) for _ in range(2)]
        assert {response.status_code for response in again} == {200}
        assert {response.text for response in (*responses, *again)} == {again[0].text}
        other_body = http.post(url, json=[1], headers=key)
        assert other_body.status_code == 422
        stored += 3
    download = http.get(f"{app.api}/batches/{batch_id}/download").text.splitlines()[1:]
    assert sum(not line.endswith(",-1") for line in download) == stored


def push_until_killed(url: str) -> None:
    with suppress(httpx.TransportError), httpx.Client() as client:
        while True:
            client.post(url, json=-1)


def test_idle_batch_finishes(app: RunningApp, batch_id: str) -> None:
    body = {"source": "push", "parameters": {"idle_seconds": 0.5}}
    assert http.post(f"{app.api}/stream/{batch_id}", json=body).status_code == 201
    push_lines(app, batch_id, 10)
    wait_for(lambda: http.get(f"{app.api}/batches/{batch_id}").json()["status"] == "finished")
    assert push_lines(app, batch_id, 10)["first_seq"] == 11
