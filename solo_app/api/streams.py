"""Points as server-sent events (WHATWG HTML, "Server-sent events").

Each point is an event with its ``seq`` as id, so a reader that comes back with
``Last-Event-ID`` goes on where it was. The last event is named ``end`` and tells the status;
it has no id. When the app shuts down a stream just closes: the reader comes back to the next.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from functools import lru_cache

from fastapi.sse import EventSourceResponse
from starlette.responses import Response

from solo_app.api.values import number
from solo_app.batches.follow import follow
from solo_app.batches.model import BatchStatus, Point
from solo_app.batches.service import BatchService

COMMENT_EVERY = 10.0
"""Seconds between two comment lines; 15 are promised."""

RETRY = 1_000
"""Milliseconds a reader is asked to wait before it comes back."""

EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "the seq of the point"},
        "event": {"type": "string", "description": "`end` for the last one"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer"},
    },
}
"""What each event is described as in OpenAPI."""


async def stream(service: BatchService, batch_id: str, after: int | None) -> Response:
    """The points of a batch with ``seq > after``, from now on when None.

    204 when the batch has ended and the reader has it all. Raises BatchNotFoundError, and
    StoreUnavailableError when the first of the points cannot be read.
    """
    batch = service.batch(batch_id)
    last_seq = service.last_seq(batch)
    if after is None:
        after = last_seq
    if not batch.is_running and after >= last_seq:
        return Response(status_code=204)
    # What is wrong with the archive is told as a problem: a stream could only break off.
    await service.points(batch_id, after, 1)
    return EventSourceResponse(
        _events(service, batch_id, after),
        # A proxy that gathers what it passes on would hold the points back.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(service: BatchService, batch_id: str, after: int) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY}\n\n".encode()
    commented = time.monotonic()
    async for news in follow(service, batch_id, after, COMMENT_EVERY):
        if isinstance(news, BatchStatus):
            yield f"event: end\ndata: {json.dumps({'status': news})}\n\n".encode()
            return
        if time.monotonic() - commented >= COMMENT_EVERY or not news:
            commented = time.monotonic()
            yield b": still here\n\n"
        if news:
            yield "".join(map(_event, news)).encode()


@lru_cache(maxsize=8_192)
def _event(point: Point) -> str:
    # Worded once for all who read it; written out, which is several times faster than json.
    ts = point.ts.isoformat(timespec="microseconds")
    data = f'{{"seq": {point.seq}, "ts": "{ts}Z", "data": {{"key": {number(point.key)}}}}}'
    return f"id: {point.seq}\ndata: {data}\n\n"
