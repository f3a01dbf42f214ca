"""Open pages without a browser: clients that receive Reflex's deltas over its websocket."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from bench.app import Server
from bench.clients import Client, measure
from solo_app.batches.snapshots import MANY_VIEWERS, SLOW_TICK, TICK

BATCH_VAR, HOME_VAR = "chart_end", "row_count"
"""The vars of ``BatchState`` and ``HomeState`` that identify a snapshot.

``chart_end`` is the time of the snapshot in microseconds. The home page has no exact time."""

_VAR_SUFFIX = "_rx_state_"
"""Reflex appends it to the name of each var in a delta."""


class Page(Client):
    """One open tab. ``channel`` is the path of the page."""

    def __init__(self, port: int, path: str, interval: float) -> None:
        self._is_home = path == "/"
        # A tick without new points does not change the row count.
        super().__init__(path, max(interval, 1.0) if self._is_home else interval)
        self._address = f"localhost:{port}"
        self._text = ""
        self._websocket = WSConnection(ConnectionType.CLIENT)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        target = f"/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        origin = (b"Origin", f"http://{self._address}".encode())
        request = Request(self._address, target, [], [origin], [version("reflex")])
        self.transport.write(self._websocket.send(request))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._websocket.receive_data(data)
        for event in self._websocket.events():
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    text, self._text = self._text, ""
                    self.handle_message(text, now)
            elif isinstance(event, CloseConnection):
                self.transport.close()
            else:
                assert isinstance(event, AcceptConnection), event

    def handle_message(self, text: str, now: float) -> None:
        """Handle a message of Engine.IO (open 0, ping 2) or an event of Socket.IO (42)."""
        if text.startswith("0"):
            self._send("40/_event," + json.dumps({"event": _load_event(self.channel)}))
        elif text.startswith("2"):
            self._send("3")
        elif text.startswith("42") and '"delta"' in text:
            _, message = json.loads(text[text.index("[") :])
            self._add_snapshot(message["delta"], now)

    def _add_snapshot(self, delta: dict[str, dict[str, Any]], now: float) -> None:
        state, var = ("home_state", HOME_VAR) if self._is_home else ("batch_state", BATCH_VAR)
        changed = next((delta[name] for name in delta if name.endswith(state)), {})
        # The first delta contains the defaults.
        if key := changed.get(var + _VAR_SUFFIX):
            self.add(key, now if self._is_home else key / 1e6, now)

    def _send(self, text: str) -> None:
        self.transport.write(self._websocket.send(TextMessage(text)))


def _load_event(path: str) -> dict[str, Any]:
    """Return the event with which a browser loads the state of a page."""
    query = {} if path == "/" else {"id": path.removeprefix("/batch/")}
    return {
        "name": "reflex___state____state.hydrate_and_load",
        "router_data": {"pathname": path, "asPath": path, "query": query},
    }


async def measure_pages(
    server: Server, paths: Sequence[str], count: int, settle: float, seconds: float
) -> dict[str, float]:
    """Measure open pages, distributed evenly over the paths. See ``clients.measure``."""
    interval = TICK if count <= MANY_VIEWERS else SLOW_TICK

    def create(number: int) -> Page:
        return Page(server.port, paths[number % len(paths)], interval)

    return await measure(server, create, count, settle, seconds)
