"""Holds many connections open, and measures delivery and the resource usage of the server."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from bench.app import Server, Usage
from solo_app.config import HOST

DELIVERED, P50, P99 = "delivered (%)", "delay p50 (ms)", "delay p99 (ms)"
CPU, MEMORY = "CPU (% of a core)", "memory per client (KiB)"
COLUMNS = (DELIVERED, P50, P99, CPU, MEMORY)

_CONCURRENT_OPENS = 50
_LATEST_ARRIVAL = 2.0
"""Seconds after the period during which its events still count as delivered."""

_FEW_CLIENTS = 100
"""With fewer clients, memory growth is noise."""


class Client(asyncio.Protocol):
    """A connection that receives the events of a channel, which have unique keys.

    ``interval`` is the time in seconds between two events; None if keys are numbers without gaps.
    ``ready`` completes with the first event. Subclasses send their request when the connection is
    made, and pass received events to ``add``.
    """

    def __init__(self, channel: str, interval: float | None = None) -> None:
        self.channel = channel
        self.interval = interval
        self.events: dict[int, tuple[float, float]] = {}
        self.ready = asyncio.get_running_loop().create_future()
        self.is_open = True
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("The server closed a connection."))

    def add(self, key: int, created: float, received: float) -> None:
        """Add an event. Times are in seconds since 1970."""
        self.events[key] = created, received
        if not self.ready.done():
            self.ready.set_result(None)


async def measure(
    server: Server, create: Callable[[int], Client], count: int, settle: float, seconds: float
) -> dict[str, float]:
    """Open clients, wait for ``settle`` seconds, measure for ``seconds``, and return ``COLUMNS``.

    ``create`` receives the number of the client. Raises ConnectionError if the server closes a
    connection.
    """
    _raise_file_limit()
    usage = Usage(server)
    memory = usage.memory()
    clients = await _open(server.port, create, count)
    await asyncio.sleep(settle)
    began, cpu_seconds = time.time(), usage.cpu_seconds()
    await asyncio.sleep(seconds)
    ended = time.time()
    cpu = 100 * (usage.cpu_seconds() - cpu_seconds) / (ended - began)
    await asyncio.sleep(_LATEST_ARRIVAL)
    memory = usage.memory() - memory
    if closed := sum(not client.is_open for client in clients):
        raise ConnectionError(f"The server closed {closed} of {count} connections.")
    delivered, delays = evaluate(clients, began, ended)
    p50, p99 = (float(value) for value in np.percentile(delays, (50, 99)))
    figures = {DELIVERED: delivered, P50: p50, P99: p99, CPU: cpu}
    return figures if count < _FEW_CLIENTS else {**figures, MEMORY: memory / count / 1024}


async def _open(port: int, create: Callable[[int], Client], count: int) -> list[Client]:
    async def connect(number: int) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: create(number), HOST, port)
        await client.ready
        return client

    clients: list[Client] = []
    for first in range(0, count, _CONCURRENT_OPENS):
        numbers = range(first, min(count, first + _CONCURRENT_OPENS))
        clients += await asyncio.gather(*map(connect, numbers))
    return clients


def evaluate(clients: Iterable[Client], began: float, ended: float) -> tuple[float, list[float]]:
    """Return the percentage of delivered events of a period, and their delays in milliseconds.

    An event is due for each client if any client of the channel received it. Events that no client
    received are detected as skipped numbers, or as pauses longer than an interval.
    """
    channels: dict[str, list[Client]] = {}
    for client in clients:
        channels.setdefault(client.channel, []).append(client)
    due, delays = 0, list[float]()
    for members in channels.values():
        keys = {key: at for key, at in _creation_times(members).items() if began <= at < ended}
        for client in members:
            received = client.events.items()
            delays += [1000 * (at - keys[key]) for key, (_, at) in received if key in keys]
        interval = members[0].interval
        if interval is None:
            skipped = _count_skipped(sorted(keys), 1)
        else:
            skipped = _count_skipped([began, *sorted(keys.values()), ended], interval)
        due += len(members) * (len(keys) + skipped)
    return 100 * len(delays) / due, delays


def _creation_times(clients: Iterable[Client]) -> dict[int, float]:
    """Return the time of each event. If it is unknown, the first receipt by a client counts."""
    times: dict[int, float] = {}
    for client in clients:
        for key, (created, _) in client.events.items():
            times[key] = min(created, times.get(key, created))
    return times


def _count_skipped(values: Sequence[float], step: float) -> int:
    return sum(max(0, round((b - a) / step) - 1) for a, b in pairwise(values))


def _raise_file_limit() -> None:
    """Allow as many open files as the system does. Each connection is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
