"""The source ``http``: a number in an HTTP response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import cache
from ssl import SSLContext
from typing import Annotated, Any

import httpx
from jsonpointer import JsonPointer
from pydantic import AfterValidator, Field, HttpUrl

from solo_app.batches.errors import SourceError
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.pacing import Pacer
from solo_app.sources.pointer import Pointer, find_number

MAX_REDIRECTS = 5
MAX_BODY_BYTES = 1024 * 1024

_KEEPALIVE_SECONDS = 1.0
"""Idle connections are reused for less than the time after which servers close them, so that
no request is sent while the server closes the connection."""


def _check_url(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise ValueError("Must not contain a user name or password")
    httpx.Request("GET", str(url))  # Raises for host names that IDNA does not allow.
    return url


class HttpParameters(Parameters):
    url: Annotated[HttpUrl, AfterValidator(_check_url)] = Field(
        title="URL", description="Without a user name or password"
    )
    pointer: Pointer = Field(
        "",
        max_length=200,
        title="JSON Pointer",
        description="Such as /main/temp; empty: the whole response",
    )
    interval: float = Field(
        5, ge=0.1, le=3600, title="Interval", description="Seconds between two requests"
    )
    timeout: float = Field(
        5, ge=0.1, le=3600, title="Timeout", description="Seconds for a response with its redirects"
    )


async def _numbers(parameters: HttpParameters, _: RunContext) -> AsyncIterator[Numbers]:
    pointer = JsonPointer(parameters.pointer)
    async with _create_client() as client:
        pacer = Pacer(parameters.interval)
        while True:
            body = await _read(client, str(parameters.url), parameters.timeout)
            yield find_number(body, pointer, "Response")
            await pacer.wait()


@cache
def _ssl_context() -> SSLContext:
    """Loading the certificates blocks the event loop for about 20 ms."""
    return httpx.create_ssl_context()


def _create_client() -> httpx.AsyncClient:
    """Create a client without timeouts and redirects, which ``_read`` and ``_fetch`` handle.

    It uses the proxies of the environment.
    """
    return httpx.AsyncClient(
        verify=_ssl_context(),
        # The size of the data is checked as it arrives. A few compressed kilobytes can become
        # gigabytes in one step.
        headers={"Accept-Encoding": "identity"},
        timeout=httpx.Timeout(None),
        limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_SECONDS),
    )


async def _read(client: httpx.AsyncClient, url: str, timeout: float) -> bytes:
    """Return the body of the response. ``timeout`` is for the whole read. Raises SourceError."""
    client.cookies.clear()  # Otherwise a server could fill the memory with cookies.
    try:
        async with asyncio.timeout(timeout), _closing_new_connections() as extensions:
            return await _fetch(client, client.build_request("GET", url, extensions=extensions))
    except TimeoutError:
        raise SourceError(f"Timed out after {timeout:g} s") from None
    except (httpx.RequestError, httpx.InvalidURL, UnicodeError) as error:
        raise SourceError(_describe(error)) from error


@asynccontextmanager
async def _closing_new_connections() -> AsyncIterator[dict[str, Any]]:
    """Yield extensions of a request. If it fails, close the connections that it has opened.

    httpx does not close a connection whose TLS handshake is cancelled.
    """
    connections = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            connections.append(info["return_value"])

    try:
        yield {"trace": trace}
    except BaseException:
        for connection in connections:
            await connection.aclose()
        raise


def _describe(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        return f"Cannot connect: {text}"
    if isinstance(error, httpx.NetworkError):
        return "Connection lost"
    return f"Request failed: {text}"


async def _fetch(client: httpx.AsyncClient, request: httpx.Request) -> bytes:
    # httpx would read the bodies of redirects, however long they are.
    for _ in range(MAX_REDIRECTS + 1):
        async with aclosing(await client.send(request, stream=True)) as response:
            if response.next_request is None:
                return await _read_body(response)
            request = response.next_request
            if request.url.scheme not in ("http", "https") or request.url.userinfo:
                raise SourceError("Redirected to a URL that is not allowed")
    raise SourceError(f"More than {MAX_REDIRECTS} redirects")


async def _read_body(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise SourceError(f"HTTP {response.status_code}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise SourceError(f"Response is compressed ({encoding}), although this was not requested")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise SourceError("Response is larger than 1 MiB")
        await asyncio.sleep(0)  # Thousands of tiny chunks can arrive at once.
    return bytes(body)


HTTP = SourceKind("http", "A number in an HTTP response.", HttpParameters, _numbers)
