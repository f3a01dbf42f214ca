"""The latest points of a batch and the chart of its last minute."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from solo_app.batches.models import Block, Bucket, Point, to_microseconds
from solo_app.batches.read_backoff import ReadBackoff
from solo_app.batches.series import Chart, Series, read_buckets
from solo_app.batches.storage import Storage

RECENT_POINTS = 40
"""Number of latest points on a page."""

CACHED_POINTS = 1_024
"""Minimum number of latest points in memory for readers: four minutes at the default interval."""


@dataclass(frozen=True, slots=True)
class RecentData:
    """The latest points of a batch in order of ``seq``, and the chart and the point count of its
    last minute."""

    points: list[Point]
    chart: Chart
    count: int


class RecentPoints:
    """The latest committed points of a run, at least ``CACHED_POINTS`` if they exist, and those of
    earlier runs, once added."""

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()
        self._length = 0
        self._earlier: list[Point] = []
        self._last_read: tuple[int, list[Point]] | None = None

    def add(self, block: Block) -> None:
        """Add the next committed block."""
        surplus = max(0, len(block.ts) - CACHED_POINTS)
        if surplus:
            # Copy, because a view would keep the whole block in memory.
            block = Block(
                block.batch_no,
                block.first_seq + surplus,
                block.ts[surplus:].copy(),
                block.key[surplus:].copy(),
            )
        self._last_read = None
        self._blocks.append(block)
        self._length += len(block.ts)
        while self._length - len(self._blocks[0].ts) >= CACHED_POINTS:
            self._length -= len(self._blocks.popleft().ts)

    def add_earlier_points(self, points: Sequence[Point]) -> None:
        """Add the latest points of earlier runs, in order of ``seq``. Call this once."""
        self._earlier = [*points]

    @property
    def latest(self) -> Point | None:
        """The latest point of the run."""
        if not self._blocks:
            return None
        block = self._blocks[-1]
        return next(block.points(after=block.last_seq - 1))

    def since(self, after: int) -> list[Point] | None:
        """Return the points with ``seq > after``, in order; None if some are not in memory.

        The list is shared; callers must not change it.
        """
        # After a commit, all up-to-date readers request the same points.
        if self._last_read is not None and self._last_read[0] == after:
            return self._last_read[1]
        if not self._blocks or self._blocks[0].first_seq > after + 1:
            return None
        points = self._points(after)
        self._last_read = after, points
        return points

    def recent(self) -> list[Point]:
        """Return up to ``RECENT_POINTS`` latest points, including those of earlier runs."""
        own = self._points(self._blocks[-1].last_seq - RECENT_POINTS) if self._blocks else []
        return [*self._earlier, *own][-RECENT_POINTS:]

    def _points(self, after: int) -> list[Point]:
        # Search from the end: most readers need few points.
        blocks = list(takewhile(lambda block: block.last_seq > after, reversed(self._blocks)))
        return [point for block in reversed(blocks) for point in block.points(after)]


@dataclass(frozen=True, slots=True)
class StoredData:
    """The latest stored points of a batch, and the buckets of its last minute."""

    points: list[Point]
    buckets: list[Bucket]

    def recent(self, run_number: int, until: datetime) -> RecentData:
        """Return the data of the minute before ``until``."""
        series, until_us = Series(run_number), to_microseconds(until)
        series.add_buckets(self.buckets)
        return RecentData(self.points, series.chart(until_us), series.count(until_us))


class RecentReader:
    """Reads the latest points of ended runs from the store.

    Concurrent requests for the same points share one read, because all open pages of a batch
    request them when it ends. Failing reads are retried only after a backoff.
    """

    def __init__(self, store: Storage, backoff: ReadBackoff) -> None:
        self._store = store
        self._backoff = backoff
        self._reads: dict[tuple[int, int], asyncio.Task[StoredData]] = {}

    async def read(self, batch_no: int, before_seq: int, until: datetime) -> StoredData:
        """Read the latest points with ``seq < before_seq``, and the buckets of the minute before
        ``until``. Raises StoreUnavailableError."""
        key = batch_no, before_seq
        if key not in self._reads:
            read = self._backoff.read(batch_no, lambda: self._read(batch_no, before_seq, until))
            self._reads[key] = asyncio.create_task(read)
            self._reads[key].add_done_callback(lambda _: self._reads.pop(key))
        return await asyncio.shield(self._reads[key])

    async def _read(self, batch_no: int, before_seq: int, until: datetime) -> StoredData:
        after = max(0, before_seq - 1 - RECENT_POINTS)
        points = await self._store.points(batch_no, after, RECENT_POINTS)
        buckets = await read_buckets(self._store, batch_no, before_seq, to_microseconds(until))
        # A database that an earlier version repaired can have gaps in ``seq``.
        return StoredData([point for point in points if point.seq < before_seq], buckets)
