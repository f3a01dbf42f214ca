"""Requests over HTTP/1.1, kept alive, from as many connections as are asked for.

Meant for a process of its own: what asking costs is not to be taken from who answers. Written on
bare asyncio, because the clients to be had for Python cost more per request than the answer does.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from solo_app.config import HOST

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: answers per second over all connections, each answer's milliseconds."""

    per_second: float
    latencies: list[float]


def ask(
    port: int, path: str, connections: int, seconds: float, at_least: int = 0, longest: float = 0
) -> Load:
    """Ask for a path, each connection again as soon as it has its answer; blocks.

    Goes on for so many seconds, and until there are so many answers, but then not longer than
    ``longest`` seconds: of few answers the slowest hundredth cannot be told. Raises RuntimeError
    when an answer is not 200.
    """
    return asyncio.run(_ask(port, path, connections, seconds, at_least, longest))


async def _ask(
    port: int, path: str, connections: int, seconds: float, at_least: int, longest: float
) -> Load:
    latencies: list[float] = []
    asked = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: application/json\r\n\r\n"
    began = time.perf_counter()

    def is_over() -> bool:
        went = time.perf_counter() - began
        return went >= seconds and (len(latencies) >= at_least or went >= longest)

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_connection(port, asked.encode(), is_over, latencies))
    return Load(len(latencies) / (time.perf_counter() - began), latencies)


async def _connection(
    port: int, asked: bytes, is_over: Callable[[], bool], latencies: list[float]
) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    for number in count():
        if number and is_over():
            break
        began = time.perf_counter()
        writer.write(asked)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{head!r} {body!r}")
        latencies.append((time.perf_counter() - began) * 1000)
    writer.close()
