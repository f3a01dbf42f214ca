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
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.app import raise_file_limit
from solo_app.config import HOST

_OPENED_AT_ONCE = 20
_SECONDS = 60
"""As many as the first page shows; a tick with so many tells all of them."""
_SELDOM = 1.0
"""Seconds after which a tick comes that has nothing to tell but the time."""
_TEXT, _CLOSE = 1, 8
"""Kinds of frames (RFC 6455)."""


@dataclass(slots=True)
class Seen:
    """What one page got within the time that counts.

    ``moments`` are those that the ticks tell of, in milliseconds, ``newest`` the number of the
    latest point that each tells of, ``delays`` the milliseconds from the moment to the receipt,
    ``sizes`` the bytes on the wire, with the frame's own; ``gaps`` says how often something was
    missing between two ticks.
    """

    path: str
    moments: list[float] = field(default_factory=list)
    newest: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """What all pages got from ``began`` to ``ended`` (seconds since 1970)."""

    began: float
    ended: float
    pages: list[Seen]
    apart: float

    @property
    def delays(self) -> list[float]:
        """Milliseconds from a tick's moment to its receipt, of every tick of every page."""
        return [delay for page in self.pages for delay in page.delays]

    @property
    def bytes_per_tick(self) -> float:
        """On the wire, the frames' own included."""
        return mean(size for page in self.pages for size in page.sizes)

    @property
    def ticks_per_second(self) -> float:
        """Of one page."""
        return len(self.delays) / len(self.pages) / (self.ended - self.began)

    @property
    def delivered(self) -> float:
        """Percent of the ticks that should have come: see ``missing``."""
        by_path: defaultdict[str, list[Seen]] = defaultdict(list)
        for page in self.pages:
            by_path[page.path].append(page)
        lacking = sum(missing(pages, self.apart) for pages in by_path.values())
        return 100 * len(self.delays) / (len(self.delays) + lacking)


def missing(pages: Sequence[Seen], apart: float) -> int:
    """Ticks that did not come to pages that show the same.

    Lost is what the numbers of the next tick tell of, as they tell a browser. And none came in
    time where a page was told nothing for long though another knew of newer points: two ticks
    should then be at most ``apart`` seconds from each other. While nothing is committed, as when
    the log is folded, there is nothing to tell but the time, once a second.
    """
    moments = np.concatenate([page.moments for page in pages])
    order = np.argsort(moments, kind="stable")
    moments = moments[order]
    known = np.maximum.accumulate(np.concatenate([page.newest for page in pages])[order])
    lacking = sum(page.gaps for page in pages)
    for page in pages:
        early, late = np.array(page.moments[:-1]), np.array(page.moments[1:])
        newer = np.searchsorted(known, page.newest[:-1], side="right")
        news = moments[np.minimum(newer, len(moments) - 1)].clip(early, late)
        lacking += _too_few(late - news, apart) + _too_few(late - early, apart + _SELDOM)
    return lacking


def _too_few(waits: NDArray[np.float64], apart: float) -> int:
    """How many ticks more should have come in these waits (milliseconds)."""
    return int(np.maximum(0, np.round(waits / apart / 1000) - 1).sum())


class _Page(asyncio.Protocol):
    """One open tab, on the bare protocol: what a library needs to read would count as delay."""

    def __init__(self, port: int, path: str) -> None:
        self.shown = asyncio.get_running_loop().create_future()
        self.seen = Seen(path)
        self._port = port
        self._path = path
        self._unread = b""
        self._upgraded = False
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
            if kind == _TEXT:
                self._take(body, size, now)
            elif kind == _CLOSE:
                self.transport.close()

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

    def _take(self, body: bytes, size: int, now: float) -> None:
        if body.startswith(b"0"):
            self._send("40/_event," + json.dumps({"event": _hydrate(self._path)}))
        elif body.startswith(b"2"):
            self._send("3")
        elif body.startswith(b"42") and (tick := _tick(body)):
            self._note(tick, size, now)

    def _note(self, tick: list[Any], size: int, now: float) -> None:
        told, self._told = self._told, _sequences(self._path, tick)
        self.seen.moments.append(tick[0])
        self.seen.newest.append(tick[1] if self._path == "/" else tick[2])
        self.seen.delays.append(now * 1000 - tick[0])
        self.seen.sizes.append(size)
        self.seen.gaps += any(
            last - count != before
            for (before, _, _), (last, count, whole) in zip(told, self._told, strict=False)
            if not whole
        )
        if not self.shown.done():
            self.shown.set_result(None)

    def begin(self) -> None:
        """Count from now on."""
        self.seen = Seen(self._path)

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


def watch(
    port: int, paths: Sequence[str], pages: int, settle: float, seconds: float, apart: float
) -> Watched:
    """Open so many pages, evenly over the paths, let them settle, then count; blocks.

    Two ticks of a page should be at most ``apart`` seconds from each other.
    """
    raise_file_limit()
    return asyncio.run(_watch(port, paths, pages, settle, seconds, apart))


async def _watch(
    port: int, paths: Sequence[str], pages: int, settle: float, seconds: float, apart: float
) -> Watched:
    loop = asyncio.get_running_loop()
    opened: list[_Page] = []
    while len(opened) < pages:
        few = range(len(opened), min(pages, len(opened) + _OPENED_AT_ONCE))
        for number in few:
            page = _Page(port, paths[number % len(paths)])
            await loop.create_connection(lambda page=page: page, HOST, port)  # type: ignore[misc]
            opened.append(page)
        await asyncio.gather(*(opened[number].shown for number in few))
    await asyncio.sleep(settle)
    for page in opened:
        page.begin()
    began = time.time()
    await asyncio.sleep(seconds)
    watched = Watched(began, time.time(), [page.seen for page in opened], apart)
    for page in opened:
        page.transport.close()
    return watched
