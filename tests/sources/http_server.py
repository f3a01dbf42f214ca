"""A real HTTP server on loopback whose responses are written by the tests."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Writes the response to a request. It may close the connection."""


class HttpServer:
    """``requests`` has the headers of each request, ``open_connections`` the current number."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.url = ""
        self.requests: list[str] = []
        self.connection_count = 0
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        self.connection_count += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                await self.respond(reader, writer)
                await writer.drain()
        writer.close()
        self._connections.discard(task)

    def close(self) -> None:
        for connection in self._connections:
            connection.cancel()


@asynccontextmanager
async def serve(
    respond: Respond | bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpServer]:
    """Serve on a free port. Bytes are the response to every request."""
    opened = HttpServer(sending(respond) if isinstance(respond, bytes) else respond)
    server = await asyncio.start_server(opened.handle, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    opened.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
    try:
        yield opened
    finally:
        server.close()
        opened.close()


def response(body: bytes | str = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return a complete response. Underscores in the names of headers become hyphens."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def redirect(location: str) -> bytes:
    return response(status="302 Found", Location=location)


def sending(*responses: bytes) -> Respond:
    """Send these responses in order, the last one repeatedly."""
    remaining = list(responses)

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    return respond


def sending_then_closing(data: bytes) -> Respond:
    """Send these bytes and close the connection."""

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return respond


def flooding(head: bytes, chunk: bytes) -> Respond:
    """Send headers, then an endless sequence of chunks."""

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    return respond


def dripping(head: bytes) -> Respond:
    """Send headers, then one byte every 10 ms."""

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"1")
            await writer.drain()
            await asyncio.sleep(0.01)

    return respond


async def waiting(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Wait for the end of the connection without responding."""
    await reader.read()


async def resetting(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection in the middle of a response."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1")
    await writer.drain()
    closing_with_reset = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, closing_with_reset
    )
    writer.transport.abort()


async def aborting(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Abort the connection."""
    writer.transport.abort()
