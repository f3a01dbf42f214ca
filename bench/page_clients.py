"""Open pages without a browser: clients that receive Reflex's deltas over its websocket.

Run them in a separate process, so that their cost is not attributed to the server.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from bench.app import SEEN_FOR, raise_file_limit
from solo_app.config import HOST

LATEST_ARRIVAL = 2.0
"""Seconds after the measured period in which updates of the period may still arrive."""

_SUFFIX = "_rx_state_"
"""Reflex appends it to the name of each var in a delta."""

_CONCURRENT_OPENS = 50

Vars = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """One delta of a page. Times are seconds since 1970.

    ``tick`` identifies the snapshot in the delta: its time (in microseconds) on the page of a
    running batch; second and row count on the home page, which has no exact time. ``latest`` is
    the sequence number of the latest point, or the row count.
    """

    received: float
    tick: tuple[int, ...]
    latest: int


@dataclass(slots=True)
class Received:
    """The updates that one page received, in order, and the bytes of all messages."""

    path: str
    updates: list[Update] = field(default_factory=list)
    size: int = 0
    interval: float = 0.25


class Measured:
    """The updates of all pages for the ticks from ``began`` to ``ended`` (seconds since 1970)."""

    def __init__(self, began: float, ended: float, pages: Sequence[Received]) -> None:
        self.began, self.ended, self.pages = began, ended, pages
        self.interval = max(page.interval for page in pages)
        self._times = _times_of_ticks(pages)
        self._counted = [
            [update for update in page.updates if began <= self._times[update.tick] < ended]
            for page in pages
        ]

    @property
    def update_count(self) -> int:
        """The number of updates received by all pages."""
        return sum(map(len, self._counted))

    @property
    def updates_per_second(self) -> float:
        """The mean rate of updates per page."""
        return self.update_count / len(self.pages) / (self.ended - self.began)

    @property
    def bytes_per_update(self) -> float:
        """The bytes on the wire per update, including all other messages."""
        return sum(page.size for page in self.pages) / self.update_count

    @property
    def delays(self) -> list[float]:
        """The milliseconds from each tick to the receipt of each page's update."""
        return [
            1000 * (update.received - self._times[update.tick])
            for updates in self._counted
            for update in updates
        ]

    @property
    def delivered(self) -> float:
        """The percentage of due updates that were received.

        An update is missing for each interval (on the home page at least a second) without a tick.
        An update counts as missing if it lacks a point that another page with the same path
        received for the same tick.
        """
        latest: dict[tuple[str, tuple[int, ...]], int] = {}
        shown = [(p.path, u) for p, us in zip(self.pages, self._counted, strict=True) for u in us]
        for path, update in shown:
            latest[path, update.tick] = max(latest.get((path, update.tick), 0), update.latest)
        stale = sum(update.latest < latest[path, update.tick] for path, update in shown)
        missing = sum(map(self._missing, self.pages, self._counted))
        return 100 * (self.update_count - stale) / (self.update_count + missing)

    def _missing(self, page: Received, updates: Iterable[Update]) -> int:
        # Without new rows, only the second changes on the home page.
        interval = max(self.interval, 1) if page.path == "/" else self.interval
        times = [self.began, *(self._times[update.tick] for update in updates), self.ended]
        waits = [late - early for early, late in pairwise(times)]
        return sum(max(0, round(wait / interval) - 1) for wait in waits)


def _times_of_ticks(pages: Iterable[Received]) -> dict[tuple[int, ...], float]:
    """Return the time of each tick, or its first receipt by any page if it has no exact time."""
    times: dict[tuple[int, ...], float] = {}
    for update in (update for page in pages for update in page.updates):
        exact = update.tick[0] / 1e6 if len(update.tick) == 1 else update.received
        times[update.tick] = min(exact, times.get(update.tick, exact))
    return times


class Page(asyncio.Protocol):
    """One open tab."""

    def __init__(self, port: int, path: str) -> None:
        self.received = Received(path)
        self.first_update = asyncio.get_running_loop().create_future()
        self.is_open = True
        self._address = f"localhost:{port}"
        self._vars: Vars = {}
        self._text = ""
        self._websocket = WSConnection(ConnectionType.CLIENT)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        target = f"/_event/?token={uuid.uuid4()}&EIO=4&transport=websocket"
        origin = (b"Origin", f"http://{self._address}".encode())
        request = Request(self._address, target, [], [origin], [version("reflex")])
        transport.write(self._websocket.send(request))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self.received.size += len(data)
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

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if not self.first_update.done():
            self.first_update.set_exception(error or ConnectionError("The server closed a page."))

    def handle_message(self, text: str, now: float) -> None:
        """Handle a message of Engine.IO (open 0, ping 2) or an event of Socket.IO (42)."""
        if text.startswith("0"):
            self._send("40/_event," + json.dumps({"event": _hydrate(self.received.path)}))
        elif text.startswith("2"):
            self._send("3")
        elif text.startswith("42") and '"delta"' in text:
            _, message = json.loads(text[text.index("[") :])
            self._apply(message["delta"], now)

    def _apply(self, delta: dict[str, Vars], now: float) -> None:
        is_home = self.received.path == "/"
        state = "home_state" if is_home else "batch_state"
        changed = next((delta[name] for name in delta if name.endswith(state)), {})
        self._vars |= changed
        ticking = ("server_time", "row_count") if is_home else ("chart_end",)
        if not any(name + _SUFFIX in changed for name in ticking):
            return
        tick = tuple(self._vars[name + _SUFFIX] for name in ticking)
        points = self._vars.get("points" + _SUFFIX)
        latest = tick[-1] if is_home else points[0]["seq"] if points else 0
        self.received.interval = self._vars["update_interval" + _SUFFIX]
        self.received.updates.append(Update(now, tick, latest))
        # The first delta contains only defaults.
        if latest and not self.first_update.done():
            self.first_update.set_result(None)

    def discard_updates(self) -> None:
        """Discard all received updates, but not the state."""
        self.received = Received(self.received.path, interval=self.received.interval)

    def _send(self, text: str) -> None:
        self.transport.write(self._websocket.send(TextMessage(text)))


def _hydrate(path: str) -> dict[str, Any]:
    """Return the event by which a browser loads the state of a page."""
    query = {} if path == "/" else {"id": path.removeprefix("/batch/")}
    return {
        "name": "reflex___state____state.hydrate_and_load",
        "router_data": {"pathname": path, "asPath": path, "query": query},
    }


def measure_pages(
    port: int, paths: Sequence[str], pages: int, settle: float, seconds: float
) -> Measured:
    """Open pages, distributed evenly over the paths, wait for ``settle`` seconds, and measure.

    Blocks. Raises ConnectionError if the server closes a page.
    """
    raise_file_limit()
    return asyncio.run(_measure_pages(port, paths, pages, settle, seconds))


async def _open(port: int, path: str) -> Page:
    loop = asyncio.get_running_loop()
    _, page = await loop.create_connection(lambda: Page(port, path), HOST, port)
    await page.first_update
    return page


async def _measure_pages(
    port: int, paths: Sequence[str], pages: int, settle: float, seconds: float
) -> Measured:
    opened: list[Page] = []
    for first in range(0, pages, _CONCURRENT_OPENS):
        numbers = range(first, min(pages, first + _CONCURRENT_OPENS))
        opened += await asyncio.gather(*(_open(port, paths[n % len(paths)]) for n in numbers))
    await asyncio.sleep(max(settle, SEEN_FOR))
    for page in opened:
        page.discard_updates()
    began = time.time()
    await asyncio.sleep(seconds)
    ended = time.time()
    sizes = [page.received.size for page in opened]
    await asyncio.sleep(LATEST_ARRIVAL)
    closed = sum(not page.is_open for page in opened)
    if closed:
        raise ConnectionError(f"The server closed {closed} of {pages} pages.")
    for page, size in zip(opened, sizes, strict=True):
        page.received.size = size
        page.transport.close()
    return Measured(began, ended, [page.received for page in opened])
