"""Request bodies in memory: their size, their number, and the time to receive them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.datastructures import Headers
from starlette.types import Receive

MAX_BODY_BYTES = 65_536

MAX_LARGE_BODIES = 4
"""Maximum number of bodies over ``MAX_BODY_BYTES`` in memory. Further clients wait."""

LARGE_BODY_TIMEOUT = 30.0
"""Seconds to receive a large body, so that a client that stops sending does not block others."""


class BodyError(Exception):
    """The body of a request cannot be received."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def media_type(headers: Headers) -> str:
    """Return the content type of a request in lower case, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


class BodyReader:
    """Reads bodies into memory."""

    def __init__(self, timeout: float = LARGE_BODY_TIMEOUT) -> None:
        self._timeout = timeout
        self._large_bodies = asyncio.Semaphore(MAX_LARGE_BODIES)

    @asynccontextmanager
    async def read(self, headers: Headers, receive: Receive, limit: int) -> AsyncIterator[bytes]:
        """Yield a body of up to ``limit`` bytes. The block must not retain it. Raises BodyError."""
        too_large = BodyError(413, f"The body is larger than {limit} bytes.")
        if int(headers.get("content-length", "0")) > limit:
            raise too_large
        body = bytearray()
        async with AsyncExitStack() as stack:
            if not await _receive(receive, body, MAX_BODY_BYTES) and limit > MAX_BODY_BYTES:
                await stack.enter_async_context(self._large_bodies)
                try:
                    async with asyncio.timeout(self._timeout):
                        await _receive(receive, body, limit)
                except TimeoutError:
                    detail = f"The body was not received within {self._timeout:g} s."
                    raise BodyError(408, detail) from None
            if len(body) > limit:
                raise too_large
            yield bytes(body)


async def _receive(receive: Receive, body: bytearray, limit: int) -> bool:
    """Append parts to a body until it exceeds ``limit``. Returns whether it is complete."""
    more = True
    while more and len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyError(422, "The body is incomplete.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return not more
