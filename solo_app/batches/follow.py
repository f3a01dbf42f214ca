"""Follows a batch: yields each committed point once, in order, until its run ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

from solo_app.batches.errors import BatchNotFoundError
from solo_app.batches.models import BatchStatus, Point
from solo_app.batches.service import BatchService

PAGE_SIZE = 1_000
"""Maximum number of points per update."""


async def follow(
    service: BatchService,
    batch_id: str,
    after: int,
    idle_timeout: float,
    page_size: int = PAGE_SIZE,
) -> AsyncIterator[list[Point] | BatchStatus]:
    """Yield committed points with ``seq > after``, once each and in order, as they are committed.

    Yields an empty list after ``idle_timeout`` seconds without points, or earlier. After the last
    point of the current (or else the latest) run, yields the status of the run and ends. During
    shutdown, or if the batch is deleted before that, ends without a status. No points are buffered
    for slow readers. Raises BatchNotFoundError.
    """
    batch = service.batch(batch_id)
    producer = service.producer(batch)
    while not service.is_closing:
        has_ended = producer is None or producer.has_ended
        run = producer.batch.run if producer else batch.run
        committed = producer.committed_seq if producer else after
        if has_ended and run.last_seq is not None and after >= run.last_seq:
            yield run.status
            return
        try:
            points = await service.points_of(batch, after, page_size)
        except BatchNotFoundError:
            return
        if has_ended and run.last_seq is not None:
            # Later points belong to the next run, which may have started in the meantime.
            points = [point for point in points if point.seq <= run.last_seq]
        if points:
            yield points
            after = points[-1].seq
        elif has_ended:
            yield run.status
            return
        else:
            assert producer is not None
            # Skip gaps in ``seq``. A database that an earlier version repaired can have them.
            after = max(after, committed)
            if not await producer.wait_for_points(after, idle_timeout) and not service.is_closing:
                yield []
