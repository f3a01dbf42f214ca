"""Following a batch: each committed point once, in order, to the end of its run."""

from __future__ import annotations

from collections.abc import AsyncIterator

from solo_app.batches.model import BatchStatus, Point
from solo_app.batches.service import BatchService

_AT_ONCE = 1_000


async def follow(
    service: BatchService, batch_id: str, after: int, quiet: float
) -> AsyncIterator[list[Point] | BatchStatus]:
    """Committed points with ``seq > after``, in order and once each, as they come.

    An empty list says that nothing came of late; it comes after ``quiet`` seconds at most. When
    the run that goes on (or, if none does, the last one) has ended and all its points were given,
    its status comes and the iteration ends; it ends without when the app shuts down. A slow
    reader holds nothing but its place. Raises BatchNotFoundError.
    """
    batch = service.batch(batch_id)
    producer = service.producer(batch)
    while not service.closing:
        over = producer is None or producer.over
        run = producer.batch.run if producer else batch.run
        committed = producer.committed_seq if producer else after
        points = await service.points(batch_id, after, _AT_ONCE)
        if over and run.last_seq is not None:
            # What comes after is of another run, which may have begun meanwhile.
            points = [point for point in points if point.seq <= run.last_seq]
        if points:
            yield points
            after = points[-1].seq
        elif over:
            yield run.status
            return
        else:
            assert producer is not None
            # No point up to there remains: of a once-repaired database, some may be missing.
            after = max(after, committed)
            if not await producer.news(after, quiet) and not service.closing:
                yield []
