"""Clients that do nothing right: others are served, and nothing grows without bound."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, product
from typing import Any

import httpx
import pytest
from simple_websocket import Client, ConnectionClosed

from tests.helpers.running_app import RunningApp

NewApp = Callable[..., RunningApp]

HALF_A_REQUEST = (b"", b"GET /tasks HTT", b"POST /stream/c HTTP/1.1\r\nHost: localhost\r\nContent-")


FILES = 1_024
"""What most systems let a process have open unless it asks for more."""


@contextmanager
def few_files() -> Iterator[None]:
    """What is started in the block may have ``FILES`` open, and may ask for more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def app(new_app: NewApp) -> Iterator[RunningApp]:
    """In production, with one batch, and a memory that has come to rest."""
    with few_files():
        app = new_app("prod", SOLO_INTERVAL="0.01").start()
    assert httpx.post(f"{app.api}/stream/b").status_code == 201
    app.wait_for_points()
    yield app
    assert app.stop() < 3


def is_served(app: RunningApp) -> None:
    """Whoever asks is answered, and the batch goes on."""
    app.wait_for_points(30)
    assert [task["batch_id"] for task in httpx.get(f"{app.api}/tasks").json()["tasks"]] == ["b"]
    assert httpx.get(f"{app.url}/", headers={"Accept": "text/html"}).status_code == 200


def test_a_thousand_idle_sockets(app: RunningApp) -> None:
    before = app.memory_usage()
    idle = []
    for number in range(1_000):
        connection = socket.create_connection(("127.0.0.1", app.backend_port), timeout=20)
        connection.sendall(HALF_A_REQUEST[number % 3])
        idle.append(connection)
    is_served(app)
    assert app.memory_usage() - before < 100_000_000
    # They stay while the app ends.
    assert app.stop() < 3
    for connection in idle:
        connection.close()
    app.start()


@contextmanager
def on_socket(app: RunningApp, token: str) -> Iterator[Client]:
    """A client of Reflex's socket (Engine.IO 4, Socket.IO 5), connected to its namespace."""
    url = f"ws://localhost:{app.backend_port}/_event/?EIO=4&transport=websocket&token={token}"
    client = Client(url, headers={"Origin": app.url})
    try:
        client.send("40/_event,")
        while not str(client.receive(30)).startswith("40/_event"):
            assert client.connected
        yield client
    finally:
        with suppress(OSError, ConnectionClosed):  # The server may have been first.
            client.close()


HOME = "reflex___state____state.solo_app___ui___states___home____home_state"
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


def odd_messages() -> Iterator[str]:
    """Messages of every kind that no page sends."""
    for event, name, payload in product(EVENTS, NAMES, PAYLOADS):
        content = {"name": name, "payload": payload, "token": "other", "router_data": payload}
        for form in (content, json.dumps(content), content | {"more": payload}):
            yield f"42/_event,{json.dumps([event, form])}"
    yield from ("42/_event,[", "42/_event,", "42", "9", "", "4", "42/other,[]", "41/_event,x", "5")
    yield "42/_event," + json.dumps(["event", "x" * 500_000])


def test_events_that_no_page_sends(app: RunningApp, rounds: int) -> None:
    before = app.memory_usage()
    sent = 0
    for number in range(max(1, rounds // 10)):
        messages = odd_messages()
        while some := list(islice(messages, 50)):
            # Some of them end the socket, which is a right answer too.
            with on_socket(app, f"tab{number}") as client:
                for message in some:
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
    is_served(app)
    assert httpx.get(f"{app.api}/batches").json()["total"] == 1
