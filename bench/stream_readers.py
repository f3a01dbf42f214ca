"""Many readers of the event streams, and what each of them got.

Meant for a process of its own, so that what reading costs does not count for who sends.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from bench.app import SEEN_FOR, raise_file_limit
from solo_app.config import HOST

_EVENT = re.compile(rb'data: \{"seq": (\d+), "ts": "([^"]+)"[^\n]*\n')

GRACE = 1.0
"""Seconds that the last point has to arrive; later, it counts as missing."""


@dataclass(frozen=True, slots=True)
class Read:
    """What all readers got of the points that were produced from ``began`` to ``ended`` (seconds
    since 1970).

    ``delays`` are milliseconds from produced to received, one for each point of each reader;
    ``due`` is how many there should be: the points that are stored, for every reader of their
    batch.
    """

    began: float
    ended: float
    delays: list[float]
    due: int

    @property
    def delivered(self) -> float:
        """Percent of what was due that arrived, each point counted once."""
        return 100 * len(self.delays) / self.due


class _Reader(asyncio.Protocol):
    """One stream. On the bare protocol: a thousand readers share this process's one core, and
    how long it takes them to read would count as delay."""

    def __init__(self, port: int, batch_id: str, began: float, end: float) -> None:
        self.batch_id = batch_id
        self.delays: dict[int, float] = {}
        self._asked = f"GET /stream/{batch_id} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
        self._began, self._end = began, end
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._asked.encode())

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._unread += data
        read = 0
        for event in _EVENT.finditer(self._unread):
            read = event.end()
            self._note(now, int(event[1]), event[2].decode())
        self._unread = self._unread[read:]

    def _note(self, now: float, seq: int, ts: str) -> None:
        produced = _seconds(ts)
        if self._began <= produced < self._end:
            assert seq not in self.delays, f"{self.batch_id} sent {seq} twice"
            self.delays[seq] = (now - produced) * 1000


def read(port: int, batch_ids: Sequence[str], readers: int, settle: float, seconds: float) -> Read:
    """Open so many streams, evenly over the batches, let them settle, then count; blocks."""
    raise_file_limit()
    rows_before = {batch_id: _row_count(port, batch_id) for batch_id in batch_ids}
    began = time.time() + max(settle, SEEN_FOR)
    end = began + seconds
    opened = asyncio.run(_read(port, batch_ids, readers, began, end))
    stored = {
        batch_id: sum(began <= produced < end for produced in _produced(port, batch_id, after))
        for batch_id, after in rows_before.items()
    }
    delays = [delay for reader in opened for delay in reader.delays.values()]
    return Read(began, end, delays, sum(stored[reader.batch_id] for reader in opened))


async def _read(
    port: int, batch_ids: Sequence[str], readers: int, began: float, end: float
) -> list[_Reader]:
    loop = asyncio.get_running_loop()
    opened: list[tuple[asyncio.Transport, _Reader]] = []
    for number in range(readers):
        batch_id = batch_ids[number % len(batch_ids)]
        opened.append(await loop.create_connection(_reader(port, batch_id, began, end), HOST, port))
    await asyncio.sleep(end + GRACE - time.time())
    for transport, _ in opened:
        transport.close()
    return [reader for _, reader in opened]


def _row_count(port: int, batch_id: str) -> int:
    return int(_ask(f"http://localhost:{port}/batches/{batch_id}")["row_count"])


def _produced(port: int, batch_id: str, after: int) -> Iterator[float]:
    """When each stored point of a batch was produced, in seconds since 1970."""
    path: str | None = f"/batches/{batch_id}/points?after={after}"
    while path:
        page = _ask(f"http://localhost:{port}{path}")
        yield from (_seconds(point["ts"]) for point in page["points"])
        path = page["next"]


def _ask(url: str) -> Any:
    return httpx.get(url).raise_for_status().json()


def _seconds(ts: str) -> float:
    return datetime.fromisoformat(ts).timestamp()


def _reader(port: int, batch_id: str, began: float, end: float) -> Callable[[], _Reader]:
    return lambda: _Reader(port, batch_id, began, end)
