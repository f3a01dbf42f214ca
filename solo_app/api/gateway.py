"""The API beside the pages, on one port: who may speak, and to whom a request goes.

Only the app's own origins are let through, for pages, API and the pages' socket alike, and
only under the host names of those origins, so that a foreign name made to point here gains
nothing. A page of another site that asks without an ``Origin``, as for an image, is known by the
``Sec-Fetch-Site`` that its browser sends (W3C Fetch Metadata); only following a link from there
is no harm. A request with neither comes from no web page and is let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solo_app.api.problems import nothing_to_do, problem

_PAGE_OF_A_BATCH = re.compile(r"/batch/[^/]+")
_API_PATHS = {
    "tasks",
    "stream",
    "agg",
    "batches",
    "backup",
    "docs",
    "openapi.json",
    "static-offline-docs",
}
_ONLY_GET = re.compile(r"/stream.*|/batches/.+/download|/backup", re.DOTALL)


class Gateway:
    """An ASGI app in front of Reflex's and the API's."""

    def __init__(
        self, pages: ASGIApp, api: ASGIApp, origins: Iterable[str], pages_are_here: bool
    ) -> None:
        """``pages_are_here`` says whether ``pages`` serves the pages themselves (production)
        or only their socket (development)."""
        self._pages = pages
        self._api = api
        self._origins = set(origins)
        self._hosts = {urlsplit(origin).hostname for origin in self._origins}
        self._pages_are_here = pages_are_here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] not in ("http", "websocket"):
            await self._pages(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        elif refusal:
            await problem(403, refusal)(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._pages(scope, receive, send)
        else:
            await self._serve(scope, headers, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        if "*" in self._origins:
            return None
        origins = headers.getlist("origin")
        cross_site = headers.get("sec-fetch-site") == "cross-site" and not _follows_a_link(headers)
        if not self._origins.issuperset(origins) or (cross_site and not origins):
            return "Only this app's own pages may speak to it; this request comes from elsewhere."
        hosts = [_host_name(host) for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "This app does not answer to that host name."
        return None

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        wants_page = (
            self._pages_are_here
            and method in ("GET", "HEAD")
            and _prefers_html(headers.get("accept", ""))
        )
        if path == "/":
            send = _with_vary(send)
        if path.split("/")[1] in _API_PATHS or (path == "/" and not wants_page):
            await self._ask_api(scope, receive, send)
        else:
            if wants_page and _PAGE_OF_A_BATCH.fullmatch(path):
                # Whatever the id: the same page, which says of an odd one that it is none.
                scope = {**scope, "path": "/batch/any", "raw_path": b"/batch/any"}
            await self._pages(
                scope, receive, send if wants_page else _ErrorsAsProblems(scope, send)
            )

    async def _ask_api(self, scope: Scope, receive: Receive, send: Send) -> None:
        # RFC 9110: HEAD is GET without the body. A stream has no end to wait for, and a download
        # would be made for nothing.
        if scope["method"] == "HEAD" and not _ONLY_GET.fullmatch(scope["path"]):
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        await self._api(scope, receive, send)


class _ErrorsAsProblems:
    """A ``send`` that words the plain-text errors of the pages' server as problems."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._replaced = True
            await self._replace(message)
        elif not self._replaced:
            await self._send(message)

    async def _replace(self, message: Message) -> None:
        status, method = message["status"], self._scope["method"]
        detail = nothing_to_do(method, self._scope["path"], status)
        headers = Headers(raw=message.get("headers", []))
        kept = {"Allow": headers["allow"]} if "allow" in headers else None
        response = problem(status, detail, kept)
        await self._send(
            {"type": "http.response.start", "status": status, "headers": response.raw_headers}
        )
        body = b"" if method == "HEAD" else response.body
        await self._send({"type": "http.response.body", "body": body})


def _follows_a_link(headers: Headers) -> bool:
    return (
        headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and headers.get("sec-fetch-user") == "?1"
    )


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _with_vary(send: Send) -> Send:
    async def varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).add_vary_header("Accept")
        await send(message)

    return varying


def _without_body(send: Send) -> Send:
    async def bodiless(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return bodiless


def _prefers_html(accept: str) -> bool:
    """Whether the header likes HTML better than JSON (RFC 9110, 12.5.1)."""
    return _quality(accept, "text/html") > _quality(accept, "application/json", default="*/*")


def _quality(accept: str, media_type: str, default: str | None = None) -> float:
    found = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            found[name.lower()] = float(quality)
        except ValueError:
            found[name.lower()] = 0.0
    return found.get(media_type, found.get(default, 0.0) if default else 0.0)
