"""Many open pages without a browser: clients that speak Reflex's protocol over its real socket.

Meant for a process of its own, so that what reading costs does not count for who sends.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from solo_app.batches.live import TICK, interval_for, next_moment, phase_of

from bench.app import SEEN_FOR, raise_file_limit
from solo_app.config import HOST

_SECONDS = 60
"""As many as the first page shows; a tick with so many tells all of them."""
_SELDOM = 1.0
"""Seconds after which a tick comes that has nothing to tell but the time."""
_TEXT, _CLOSE = 1, 8
"""Kinds of frames (RFC 6455)."""


@dataclass(slots=True)
class Seen:
    """What one page, opened as the n-th, got within the time that counts.

    ``moments`` are those that the ticks tell of, in milliseconds, ``newest`` the number of the
    latest point that each tells of; before both stands what the page knew when that time began.
    ``received`` says when each tick came, in seconds of the clock that never jumps, ``ages`` how
    many milliseconds after its moment. ``size`` is in bytes on the wire, frames and whatever is
    no tick included; ``gaps`` says how often something was missing between two ticks.
    """

    path: str
    number: int = 1
    moments: list[float] = field(default_factory=list)
    newest: list[int] = field(default_factory=list)
    received: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    size: int = 0
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """What all pages got from ``began`` to ``ended`` (seconds since 1970), an ``interval`` apart.

    Two ticks in a row that both have something to tell are at most ``apart`` seconds from each
    other.
    """

    began: float
    ended: float
    pages: list[Seen]
    interval: float

    @property
    def apart(self) -> float:
        """A tick that has nothing to tell does not come, but of two in a row one has something."""
        return max(2 * TICK, self.interval)

    @property
    def delays(self) -> list[float]:
        """Milliseconds from when each tick of each page was due to its receipt."""
        return [delay for page in self.pages for delay in _delays(page, self.interval)]

    @property
    def bytes_per_tick(self) -> float:
        """On the wire, with all that came beside the ticks."""
        return sum(page.size for page in self.pages) / self._ticks

    @property
    def ticks_per_second(self) -> float:
        """Of one page."""
        return self._ticks / len(self.pages) / (self.ended - self.began)

    @property
    def delivered(self) -> float:
        """Percent of the ticks that should have come: see ``_missing``."""
        by_path: defaultdict[str, list[Seen]] = defaultdict(list)
        for page in self.pages:
            by_path[page.path].append(page)
        lacking = sum(_missing(pages, self.ended, self.apart) for pages in by_path.values())
        return 100 * self._ticks / (self._ticks + lacking)

    @property
    def _ticks(self) -> int:
        return sum(len(page.received) for page in self.pages)


def _delays(page: Seen, interval: float) -> NDArray[np.float64]:
    """How late a page got its ticks (milliseconds).

    They are due an interval from each other on the clock that never jumps, which is that of the
    whole machine; at which moments, the number of the page tells (``live.next_moment``). What is
    later than an interval counts from the moment after.
    """
    received = np.array(page.received)
    due = next_moment(0, phase_of(page.number), interval)
    late: NDArray[np.float64] = np.maximum((received - due) % interval * 1000, page.ages)
    return late


def _missing(pages: Sequence[Seen], ended: float, apart: float) -> int:
    """Ticks that did not come to pages that show the same.

    Lost is what the numbers of the next tick tell of, as they tell a browser. And none came in
    time where a page was told nothing for long, or until the end, though another knew of newer
    points: two ticks should then be at most ``apart`` seconds from each other. While nothing is
    committed, as when the log is folded, there is nothing to tell but the time, once a second.
    """
    moments = np.concatenate([page.moments for page in pages])
    order = np.argsort(moments, kind="stable")
    moments = moments[order]
    known = np.maximum.accumulate(np.concatenate([page.newest for page in pages])[order])
    lacking = sum(page.gaps for page in pages)
    for page in pages:
        early, late = np.array(page.moments), np.array([*page.moments[1:], ended * 1000])
        newer = np.searchsorted(known, page.newest, side="right")
        news = np.append(moments, np.inf)[newer].clip(early, np.maximum(early, late))
        lacking += _too_few(late - news, apart) + _too_few(late - early, apart + _SELDOM)
    return lacking


def _too_few(waits: NDArray[np.float64], apart: float) -> int:
    """How many ticks more should have come in these waits (milliseconds)."""
    return int(np.maximum(0, np.round(waits / apart / 1000) - 1).sum())


class _Page(asyncio.Protocol):
    """One open tab, on the bare protocol: what a library needs to read would count as delay."""

    def __init__(self, port: int, path: str, number: int = 1) -> None:
        self.shown = asyncio.get_running_loop().create_future()
        self.seen = Seen(path, number)
        self._port = port
        self._path = path
        self._unread = b""
        self._upgraded = False
        self.is_open = True
        self._told: list[tuple[int, int, bool]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        origin = f"localhost:{self._port}"
        transport.write(
            (
                f"GET /_event/?token={os.urandom(16).hex()}&EIO=4&transport=websocket HTTP/1.1\r\n"
                f"Host: {origin}\r\nOrigin: http://{origin}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
                "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                f"Sec-WebSocket-Protocol: {version('reflex')}\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._unread += data
        if not self._upgraded:
            head, end, rest = self._unread.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            assert b"permessage-deflate" not in head, "this client cannot read it"
            self._upgraded, self._unread = True, rest
        for kind, body, size in self._frames():
            self.seen.size += size
            if kind == _TEXT:
                self._take(body, now)
            elif kind == _CLOSE:
                self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if not self.shown.done():
            self.shown.set_exception(error or ConnectionError("the server closed a page"))

    def _frames(self) -> Iterator[tuple[int, bytes, int]]:
        """The whole frames that are here; those of a server are not masked."""
        while len(self._unread) >= 2:
            length, start = self._unread[1], 2
            if length >= 126:
                start = 4 if length == 126 else 10
                length = int.from_bytes(self._unread[2:start], "big")
            size = start + length
            if len(self._unread) < size:
                return
            frame, self._unread = self._unread[:size], self._unread[size:]
            yield frame[0] & 15, frame[start:], size

    def _take(self, body: bytes, now: float) -> None:
        if body.startswith(b"0"):
            self._send("40/_event," + json.dumps({"event": _hydrate(self._path)}))
        elif body.startswith(b"2"):
            self._send("3")
        elif body.startswith(b"42") and (tick := _tick(body)):
            self._note(tick, now)

    def _note(self, tick: list[Any], now: float) -> None:
        told, self._told = self._told, _sequences(self._path, tick)
        self.seen.moments.append(tick[0])
        self.seen.newest.append(tick[1] if self._path == "/" else tick[2])
        self.seen.received.append(time.monotonic())
        self.seen.ages.append(now * 1000 - tick[0])
        self.seen.gaps += any(
            last - count != before
            for (before, _, _), (last, count, whole) in zip(told, self._told, strict=False)
            if not whole
        )
        if not self.shown.done():
            self.shown.set_result(None)

    def begin(self) -> Seen:
        """Count from now on; what the page knows stays known. Gives what it got so far."""
        got = self.seen
        self.seen = Seen(self._path, got.number, got.moments[-1:], got.newest[-1:])
        return got

    def _send(self, text: str) -> None:
        body = text.encode()
        length = (
            bytes([128 | len(body)])
            if len(body) < 126
            else bytes([128 | 126]) + len(body).to_bytes(2, "big")
        )
        self.transport.write(bytes([128 | _TEXT]) + length + bytes(4) + body)


def _hydrate(path: str) -> dict[str, Any]:
    """What a browser sends first: which page it shows."""
    query = {} if path == "/" else {"id": path.removeprefix("/batch/")}
    return {
        "name": "reflex___state____state.hydrate_and_load",
        "router_data": {"pathname": path, "asPath": path, "query": query},
    }


def _tick(body: bytes) -> list[Any] | None:
    """The tick in a message; None when it holds none."""
    if b'"tick_rx_state_"' not in body:
        return None
    _, message = json.loads(body[body.index(b"[") :])
    ticks = [
        changed["tick_rx_state_"]
        for changed in message["delta"].values()
        if "tick_rx_state_" in changed
    ]
    # The first message of all has the tick that no page was told yet: it is of no moment.
    return next((tick for tick in ticks if tick[0]), None)


def _sequences(path: str, tick: list[Any]) -> list[tuple[int, int, bool]]:
    """The sequences that a tick goes on with: number of the latest item, items, all anew."""
    if path != "/":
        _, _, last, whole, _, keys, _, *drawn = tick
        points = (last, len(keys), bool(whole))
        # The line goes on with the points where it is not told, and else after some point.
        return [points, (last, last - drawn[0], not drawn[0]) if drawn else points]
    _, _, _, second, counts, trends = tick
    seconds = (second, len(counts), len(counts) == _SECONDS)
    return [seconds, *((last, len(keys), any(more[1:])) for last, keys, *more in trends)]


def watch(port: int, paths: Sequence[str], pages: int, settle: float, seconds: float) -> Watched:
    """Open so many pages, evenly over the paths, let them settle, then count; blocks.

    The app must have had no others. Raises ConnectionError when the server closed one of them.
    """
    raise_file_limit()
    return asyncio.run(_watch(port, paths, pages, settle, seconds))


async def _watch(
    port: int, paths: Sequence[str], pages: int, settle: float, seconds: float
) -> Watched:
    loop = asyncio.get_running_loop()
    opened: list[_Page] = []
    for number in range(1, pages + 1):  # One by one: by its number its ticks are due.
        page = _Page(port, paths[number % len(paths)], number)
        await loop.create_connection(lambda page=page: page, HOST, port)  # type: ignore[misc]
        opened.append(page)
        await page.shown
    await asyncio.sleep(max(settle, SEEN_FOR))
    for page in opened:
        page.begin()
    began = time.time()
    await asyncio.sleep(seconds)
    watched = Watched(began, time.time(), [page.begin() for page in opened], interval_for(pages))
    await asyncio.sleep(SEEN_FOR)
    closed = sum(not page.is_open for page in opened)
    if closed:
        raise ConnectionError(f"the server closed {closed} of {pages} pages")
    for page in opened:
        page.transport.close()
    return watched
