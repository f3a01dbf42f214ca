"""Misbehaving clients: other clients are served, and memory is bounded."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, product
from typing import Any

import pytest
from simple_websocket import Client, ConnectionClosed

from solo_app.ui.state.home import HomeState
from tests.helpers.running_app import EXIT_TIMEOUT, RunningApp, http

NewApp = Callable[..., RunningApp]

INCOMPLETE_REQUESTS = (
    b"",
    b"GET /tasks HTT",
    b"POST /stream/c HTTP/1.1\r\nHost: localhost\r\nContent-",
)


OPEN_FILES = 1_024
"""The default limit of most systems. A process can raise it."""


@contextmanager
def default_file_limit() -> Iterator[None]:
    """Lower the limit of open files for processes started in the block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def app(new_app: NewApp) -> RunningApp:
    """The app with a running batch."""
    with default_file_limit():
        app = new_app(SOLO_INTERVAL="0.01").start()
    assert http.post(f"{app.api}/stream/b").status_code == 201
    app.wait_for_points()
    return app


def expect_service(app: RunningApp) -> None:
    """Expect responses, and further points of the running batch."""
    app.wait_for_points(30)
    assert [task["batch_id"] for task in http.get(f"{app.api}/tasks").json()["tasks"]] == ["b"]


def test_thousand_idle_connections_do_not_block_other_clients(app: RunningApp) -> None:
    before = app.memory_usage()
    idle = []
    for number in range(1_000):
        connection = socket.create_connection(("127.0.0.1", app.backend_port), timeout=20)
        connection.sendall(INCOMPLETE_REQUESTS[number % 3])
        idle.append(connection)
    expect_service(app)
    assert app.memory_usage() - before < 100_000_000
    # The connections stay open while the app exits.
    assert app.stop() < EXIT_TIMEOUT
    for connection in idle:
        connection.close()


@contextmanager
def on_socket(app: RunningApp, token: str) -> Iterator[Client]:
    """Connect to Reflex's socket (Engine.IO 4, Socket.IO 5) and its namespace."""
    url = f"ws://localhost:{app.backend_port}/_event/?EIO=4&transport=websocket&token={token}"
    client = Client(url, headers={"Origin": app.url})
    try:
        client.send("40/_event,")
        while not str(client.receive(30)).startswith("40/_event"):
            assert client.connected
        yield client
    finally:
        with suppress(OSError, ConnectionClosed):  # The server may have closed the socket.
            client.close()


HOME = HomeState.get_full_name()
NAMES = [
    HOME + ".start",
    HOME + ".stop",
    HOME + ".nothing",
    "nothing",
    "",
    None,
    5,
    ["start"],
    "x." * 999,
]
PAYLOADS: list[Any] = [
    None,
    5,
    "text",
    [],
    {},
    {"form": 5},
    {"form": {"batch_id": ["x"]}},
    {"batch_id": {}},
]
EVENTS = ["event", "nothing", "", "connect", "__init__", "state"]


def invalid_messages() -> Iterator[str]:
    """Yield messages that no page sends."""
    for event, name, payload in product(EVENTS, NAMES, PAYLOADS):
        content = {"name": name, "payload": payload, "token": "other", "router_data": payload}
        for form in (content, json.dumps(content), content | {"more": payload}):
            yield f"42/_event,{json.dumps([event, form])}"
    yield from ("42/_event,[", "42/_event,", "42", "9", "", "4", "42/other,[]", "41/_event,x", "5")
    yield "42/_event," + json.dumps(["event", "x" * 500_000])


def test_invalid_socket_messages_do_not_block_other_clients(app: RunningApp, rounds: int) -> None:
    before = app.memory_usage()
    sent = 0
    for number in range(max(1, rounds // 10)):
        messages = invalid_messages()
        while chunk := list(islice(messages, 50)):
            # The server may close the socket.
            with on_socket(app, f"tab{number}") as client:
                for message in chunk:
                    try:
                        client.send(message)
                    except (ConnectionClosed, OSError):
                        break
                    sent += 1
    assert sent > 1_000
    deadline = time.monotonic() + 30
    while app.memory_usage() - before > 60_000_000:
        assert time.monotonic() < deadline, app.memory_usage() - before
        time.sleep(0.2)
    expect_service(app)
    assert http.get(f"{app.api}/batches").json()["total"] == 1
    assert app.stop() < EXIT_TIMEOUT
