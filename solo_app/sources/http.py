"""The source ``http``: a number in an HTTP response."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, Literal

import httpx
from jsonpointer import JsonPointer
from pydantic import AfterValidator, Field, HttpUrl, ValidationInfo, field_validator

from solo_app.batches.errors import SourceError
from solo_app.batches.source import Numbers, Parameters, RunContext, SourceKind
from solo_app.sources.connection import CaFile, create_ssl_context, describe_connect_error
from solo_app.sources.pacing import delays
from solo_app.sources.pointer import Pointer, find_number

MAX_REDIRECTS = 5
MAX_BODY_BYTES = 1024 * 1024

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # They log URLs and headers.


def _check_host(url: HttpUrl) -> HttpUrl:
    try:
        httpx.Request("GET", str(url))
    except (httpx.InvalidURL, UnicodeError):  # IDNA does not allow the host name.
        raise ValueError("Must have a valid host name") from None
    return url


def _check_credentials(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise ValueError("Must not contain a user name or password")
    return url


Url = Annotated[HttpUrl, AfterValidator(_check_host)]

_NAME = re.compile(r"(?i)^(?!content-length\Z|transfer-encoding\Z)[!#$%&'*+.^_`|~0-9a-z-]+\Z")
HeaderName = Annotated[str, Field(pattern=_NAME)]
HeaderValue = Annotated[str, Field(pattern=r"^([!-~]([ -~\t]*[!-~])?)?$")]


class HttpParameters(Parameters):
    url: Annotated[Url, AfterValidator(_check_credentials)] = Field(
        title="URL", description="Without a user name or password"
    )
    pointer: Pointer = Field("", description="Such as /main/temp; empty: the whole response")
    interval: float = Field(5, ge=0.1, le=3600, description="Seconds between two requests")
    timeout: float = Field(
        5, ge=0.1, le=3600, description="Time limit in seconds, including redirects"
    )


class DeclaredHttpParameters(HttpParameters):
    url: Url
    method: Literal["GET", "POST", "PUT"] = "GET"
    headers: dict[HeaderName, HeaderValue] = Field({})
    body: str = ""
    ca_file: CaFile | None = None

    @field_validator("body")
    @classmethod
    def _check_body(cls, body: str, info: ValidationInfo) -> str:
        if body and info.data.get("method") == "GET":
            raise ValueError("Requires the method POST or PUT")
        return body


async def _numbers(parameters: HttpParameters, _: RunContext) -> AsyncIterator[Numbers]:
    declared = DeclaredHttpParameters.model_construct(**dict(parameters))
    pointer = JsonPointer(declared.pointer)
    client = httpx.AsyncClient(
        verify=await asyncio.to_thread(create_ssl_context, declared.ca_file),
        # The size of the data is checked as it arrives. A few compressed kilobytes can become
        # gigabytes in one step.
        headers={"Accept-Encoding": "identity"},
        timeout=httpx.Timeout(None),  # ``_read`` has a time limit.
        # Close idle connections before servers do: a request could race with the close.
        limits=httpx.Limits(keepalive_expiry=1),
    )
    async with client:
        for delay in delays(declared.interval):
            await asyncio.sleep(delay)
            yield find_number(await _read(client, declared), pointer, "Response")


async def _read(client: httpx.AsyncClient, parameters: DeclaredHttpParameters) -> bytes:
    """Return the body of the response. Raises SourceError, whose text contains no parameter."""
    client.cookies.clear()  # Otherwise a server could fill the memory with cookies.
    request = client.build_request(
        parameters.method,
        str(parameters.url),  # httpx sends the credentials in it as a header.
        headers=parameters.headers,
        content=parameters.body or None,
    )
    try:
        async with asyncio.timeout(parameters.timeout), _closing_connections(request):
            return await _fetch(client, request, parameters)
    except TimeoutError:
        raise SourceError("Timed out") from None
    except httpx.RequestError as error:
        raise SourceError(_describe(error)) from None
    except (httpx.InvalidURL, UnicodeError):
        raise SourceError("Redirected to an invalid URL") from None


@asynccontextmanager
async def _closing_connections(request: httpx.Request) -> AsyncIterator[None]:
    """If the request fails, close the connections that it has opened.

    httpx does not close a connection whose TLS handshake is cancelled.
    """
    connections = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            connections.append(info["return_value"])

    request.extensions["trace"] = trace
    try:
        yield
    except BaseException:
        for connection in connections:
            await connection.aclose()
        raise


def _describe(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.ConnectError):
        return f"Cannot connect: {describe_connect_error(error)}"
    if isinstance(error, httpx.NetworkError):
        return "Connection lost"
    if isinstance(error, httpx.RemoteProtocolError):  # The text describes the server's data.
        return f"Request failed: {error}"
    return "Request failed"  # Other texts may contain parameters.


async def _fetch(
    client: httpx.AsyncClient, request: httpx.Request, parameters: DeclaredHttpParameters
) -> bytes:
    # httpx would read the bodies of redirects, of any length.
    for _ in range(MAX_REDIRECTS + 1):
        async with aclosing(await client.send(request, stream=True)) as response:
            if response.next_request is None:
                return await _read_body(response)
            request = _follow(request, response.next_request, parameters)
    raise SourceError(f"More than {MAX_REDIRECTS} redirects")


def _follow(
    request: httpx.Request, redirected: httpx.Request, parameters: DeclaredHttpParameters
) -> httpx.Request:
    """Return the request that follows a redirect. Declared headers and the body may be secret, so
    they are not sent to another origin."""
    url = redirected.url
    if url.scheme not in ("http", "https") or url.userinfo not in (b"", request.url.userinfo):
        raise SourceError("Redirected to a URL that is not allowed")
    # httpx omits default ports.
    if (url.scheme, url.host, url.port) != (request.url.scheme, request.url.host, request.url.port):
        if url.userinfo or (parameters.body and redirected.method != "GET"):
            raise SourceError("Redirected to another origin; credentials or body not sent there")
        for name in {name.lower() for name in parameters.headers} - {"host"} | {"authorization"}:
            redirected.headers.pop(name, None)
    return redirected


async def _read_body(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise SourceError(f"HTTP {response.status_code}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise SourceError(f"Response is compressed ({encoding})")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise SourceError("Response is larger than 1 MiB")
        await asyncio.sleep(0)  # Thousands of tiny chunks can arrive at once.
    return bytes(body)


HTTP = SourceKind(
    "http",
    "A number in an HTTP response.",
    HttpParameters,
    _numbers,
    declared_parameters=DeclaredHttpParameters,
)
