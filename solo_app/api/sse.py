"""Points as server-sent events (WHATWG HTML, "Server-sent events").

Each point is an event with its ``seq`` as id, so clients can resume with ``Last-Event-ID``. The
last event is named ``end`` and contains the status; it has no id. During shutdown, and when the
batch is deleted, the stream ends without it, and the client reconnects.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

from fastapi.sse import EventSourceResponse
from starlette.responses import Response

from solo_app.api.schemas import point_json
from solo_app.batches.errors import SeqNotReachedError
from solo_app.batches.follow import follow
from solo_app.batches.models import BatchStatus
from solo_app.batches.service import BatchService

KEEP_ALIVE_INTERVAL = 10.0
"""Seconds between two comment lines. Clients rely on at most 15."""

RETRY_MS = 1_000
"""Milliseconds after which a client reconnects."""

EVENT_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "the seq of the point"},
        "event": {"type": "string", "description": "`end` for the last event"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer"},
    },
}
"""The OpenAPI schema of an event."""


async def stream_response(
    service: BatchService, batch_id: str, after: int | None, headers_only: bool = False
) -> Response:
    """Stream the points of a batch with ``seq > after``; with None, only new points.

    Returns 204 if the batch has ended and has no such point. Raises BatchNotFoundError,
    SeqNotReachedError, and StoreUnavailableError if the first point cannot be read.
    """
    batch = service.batch(batch_id)
    last_seq = service.last_seq(batch)
    if after is None:
        after = last_seq
    elif after > last_seq:
        raise SeqNotReachedError(batch_id, after, last_seq)
    if not batch.is_running and after == last_seq:
        return Response(status_code=204)
    # Report an unreadable archive as a problem, because a started stream can only be aborted.
    await service.points(batch_id, after, 1)
    return EventSourceResponse(
        () if headers_only else events(service, batch_id, after),
        # A buffering proxy would delay the points.
        headers={"X-Accel-Buffering": "no"},
    )


async def events(
    service: BatchService,
    batch_id: str,
    after: int,
    keep_alive_interval: float = KEEP_ALIVE_INTERVAL,
) -> AsyncIterator[bytes]:
    """Yield the encoded events of a stream. Raises StoreUnavailableError."""
    yield f"retry: {RETRY_MS}\n\n".encode()
    commented = time.monotonic()
    async for update in follow(service, batch_id, after, keep_alive_interval):
        if isinstance(update, BatchStatus):
            yield f"event: end\ndata: {json.dumps({'status': update})}\n\n".encode()
            return
        if time.monotonic() - commented >= keep_alive_interval or not update:
            commented = time.monotonic()
            yield b": keep-alive\n\n"
        if update:
            yield "".join(f"id: {p.seq}\ndata: {point_json(p)}\n\n" for p in update).encode()
