"""The outermost ASGI app: checks requests, dispatches them, and completes their responses.

Every response is uncacheable unless it has an ETag, and every error is a problem document,
including errors of Reflex's server.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solo_app.api.access import AccessControl
from solo_app.api.bodies import MAX_BODY_BYTES, BodyError, BodyReader, media_type
from solo_app.api.problems import MEDIA_TYPE, default_detail, problem
from solo_app.api.push import NDJSON

MAX_PUSH_BYTES = 16 * 2**20
"""Maximum size of pushed JSON. NDJSON is not limited, because it is not kept in memory."""

_PUSH = re.compile(r"/batches/[^/]+/points")
_BATCH_PAGE = re.compile(r"/batch/[^/]+")
_MISSPELLED_BATCH_PAGE = re.compile(r"/(?!batch)(?i:batch)/([^/]+)")
_HASHED_FILE = re.compile(r"/assets/[^/]*-[\w-]{8}\.\w+")


class Gateway:
    """Dispatches paths below ``api_prefixes`` to ``api`` and all others to Reflex's ``pages``.

    ``origins`` are the origins of the pages. ``serves_pages`` is true if ``pages`` contains the
    compiled pages (production), false if only their socket (development).
    """

    def __init__(
        self,
        pages: ASGIApp,
        api: ASGIApp,
        api_prefixes: Collection[str],
        origins: Collection[str],
        serves_pages: bool,
    ) -> None:
        self._pages = pages
        # In development the pages have a different origin and need CORS to read responses.
        self._api = CORSMiddleware(api, origins, allow_methods=["*"], allow_headers=["*"])
        self._api_prefixes = api_prefixes
        self._bodies = BodyReader()
        self._access = AccessControl(origins)
        self._serves_pages = serves_pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._pages(scope, receive, send)
            return
        headers = Headers(scope=scope)
        wants_page = self._wants_page(scope, headers)
        is_document = wants_page or scope["path"] == "/docs"
        refusal = self._access.refusal_reason(scope, headers, is_document)
        if scope["type"] == "websocket":
            if refusal:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal})
            else:
                await self._pages(scope, receive, send)
            return
        send = _ResponseFilter(scope, send, html_errors=wants_page)
        if refusal:
            await problem(403, refusal)(scope, receive, send)
        elif _is_push(scope) and media_type(headers) == NDJSON:
            await self._api(scope, receive, send)
        else:
            try:
                limit = MAX_PUSH_BYTES if _is_push(scope) else MAX_BODY_BYTES
                async with self._bodies.read(headers, receive, limit) as body:
                    await self._route(scope, wants_page)(scope, _replay(body, receive), send)
            except BodyError as error:
                response = problem(error.status, error.detail, {"Connection": "close"})
                await response(scope, receive, send)

    def _wants_page(self, scope: Scope, headers: Headers) -> bool:
        """Return whether to respond with a page (the not-found page for unknown paths)."""
        return (
            self._serves_pages
            and scope.get("method") in ("GET", "HEAD")
            and "text/html" in headers.get("accept", "")
            and "application/json" not in headers.get("accept", "")
            and not self._is_api(scope["path"])
        )

    def _is_api(self, path: str) -> bool:
        return path.removeprefix("/").partition("/")[0] in self._api_prefixes

    def _route(self, scope: Scope, wants_page: bool) -> ASGIApp:
        path = scope["path"]
        if self._is_api(path) or (path == "/" and not wants_page):
            if scope["method"] == "HEAD":
                # RFC 9110: the response to HEAD is the response to GET without the body.
                scope["method"] = "GET"
                scope["state"] = {**scope.get("state", {}), "is_head": True}
            return self._api
        if wants_page and _BATCH_PAGE.fullmatch(path):
            # One page serves all ids, including those that the router of the pages rejects.
            scope.update(path="/batch/any", raw_path=b"/batch/any")
        elif wants_page and (found := _MISSPELLED_BATCH_PAGE.fullmatch(path)):
            # The router of the pages ignores case, but their state does not.
            return RedirectResponse(f"/batch/{quote(found[1], safe='')}")
        return self._pages


class _ResponseFilter:
    """A ``send`` that adds headers, converts errors to problems, and omits the body for HEAD."""

    def __init__(self, scope: Scope, send: Send, html_errors: bool) -> None:
        self._path, self._method = scope["path"], scope["method"]
        self._send = send
        self._html_errors = html_errors
        self._problem: Response | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if message["status"] >= 400 and not self._is_error_format(headers):
                self._problem = _to_problem(message["status"], headers, self._method, self._path)
                headers = self._problem.headers
                message = {**message, "headers": headers.raw}
            self._add_headers(message["status"], headers)
        elif self._problem or self._method == "HEAD":
            if message.get("more_body"):
                return
            # Also replaces "http.response.pathsend", which makes the server send a file.
            body = self._problem.body if self._problem and self._method != "HEAD" else b""
            message = {"type": "http.response.body", "body": body}
        await self._send(message)

    def _is_error_format(self, headers: Headers) -> bool:
        media_type = headers.get("content-type", "")
        return media_type == MEDIA_TYPE or (
            self._html_errors and media_type.startswith("text/html")
        )

    def _add_headers(self, status: int, headers: MutableHeaders) -> None:
        if self._path == "/":
            headers.add_vary_header("Accept")
        if "etag" not in headers:
            cache_control = "no-store"
        elif status < 400 and _HASHED_FILE.fullmatch(self._path):
            cache_control = "public, max-age=31536000, immutable"
        else:
            cache_control = "no-cache"
        headers["Cache-Control"] = cache_control
        # Prevents clickjacking in old browsers, which do not send Sec-Fetch-Dest.
        headers["Content-Security-Policy"] = "frame-ancestors 'self'"


def _to_problem(status: int, headers: Headers, method: str, path: str) -> Response:
    allow = {"Allow": headers["allow"]} if "allow" in headers else None
    return problem(status, default_detail(status, method, path), allow)


def _is_push(scope: Scope) -> bool:
    return scope["method"] == "POST" and bool(_PUSH.fullmatch(scope["path"]))


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that returns a body that has already been read."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
