"""An answer without any work: what a server and HTTP take by themselves."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

BODY = b'{"row_count":0,"task_count":0}'


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything with the same JSON; served by granian, as the app itself is."""
    assert scope["type"] == "http"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
