"""BatchService: start, stop, list, aggregate, points; one task per batch, never more than five."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import datetime
from typing import Any

from solo_app.batches.catalog import Catalog
from solo_app.batches.errors import StoreUnavailableError, WindowOutOfRangeError
from solo_app.batches.ingest import Ingest
from solo_app.batches.model import (
    Aggregate,
    Batch,
    BatchStatus,
    Block,
    Clock,
    Download,
    FileFormat,
    MinuteAggregate,
    Point,
    Run,
    Selection,
    Totals,
    Window,
    to_microseconds,
    utc_now,
)
from solo_app.batches.producer import Producer, RateMeter
from solo_app.batches.recent import RecentMinutes
from solo_app.batches.retention import Retention
from solo_app.batches.rollup import last_whole_minute
from solo_app.batches.runs import Runs
from solo_app.batches.sources import DEFAULT_SOURCE, Source
from solo_app.batches.storage import Storage
from solo_app.batches.trail import Trail, Trails

logger = logging.getLogger(__name__)

_LOOK_AGAIN = 0.1
"""Seconds until somebody who waits for a commit sees that the disk takes none."""


class BatchService:
    """The truth about batches. All methods belong on the event loop that opened it."""

    def __init__(
        self, store: Storage, sources: Mapping[str, Source], clock: Clock = utc_now
    ) -> None:
        self.clock = clock
        self.retention: Retention | None = None
        """Who archives old points, where somebody does."""
        self._store = store
        self._ingest = Ingest(store, clock, self._committed)
        self._recent = RecentMinutes(store, self._ingest, clock)
        self._rollup = self._recent.rollup
        self._trails = Trails(store)
        self._catalog = Catalog()
        self._runs = Runs(store, self._ingest, self._catalog, sources, clock)
        self._throughput = RateMeter(kept=60)
        self._commits: asyncio.Task[None] | None = None

    # -- opening and closing ----------------------------------------------------------------

    async def open(self, resume: bool = False) -> None:
        """Open the store and take up what is in it; runs without an end become ``interrupted``.

        With ``resume``, interrupted batches start again, at most five, the latest first.
        Raises StoreUnavailableError.
        """
        if await self._store.open():
            await self._take_up()
        self._commits = asyncio.create_task(self._ingest.run(), name="ingest")
        if resume:
            await self._runs.resume()

    async def _take_up(self) -> None:
        for batch_no, row_count in (await self._recent.load()).items():
            self._catalog.count(batch_no, row_count)
        for batch in await self._store.batches():
            self._catalog.keep(await self._runs.interrupted(batch) if batch.is_running else batch)

    @property
    def closing(self) -> bool:
        """Whether the end has begun: nothing starts any more."""
        return self._runs.closing

    async def end_runs(self) -> None:
        """End all runs as ``interrupted``, with what they produced committed and in the file.

        Nothing starts any more; what is stored can be read until ``close``.
        """
        self.end_streams()
        await self._runs.end_all()

    def end_streams(self) -> None:
        """Let everyone who follows or downloads a batch go, and start nothing any more."""
        self._store.stop_exports()
        self._runs.close()

    async def close(self) -> None:
        """End all runs as ``end_runs`` does, if that was not done, and close the store."""
        await self.end_runs()
        for producer in self._runs:
            if left := producer.buffer.uncommitted:
                name = producer.batch.batch_id
                logger.error("%d points of %s are not saved: %s", left, name, self._ingest.trouble)
        if self._commits:
            self._commits.cancel()
        self._recent.close()
        await self._store.close()

    # -- start and stop ---------------------------------------------------------------------

    async def start(self, batch_id: str, source: str = DEFAULT_SOURCE) -> Batch:
        """Start a batch, or a batch that ended once more, and say how it stands.

        Raises InvalidBatchIdError, UnknownSourceError, BatchRunningError,
        BatchLimitReachedError, ServiceClosedError; then nothing has changed.
        """
        return await self._runs.start(batch_id, source)

    async def stop(self, batch_id: str) -> Batch:
        """Stop a batch; returns when its last point is committed. One that ended stays as it is.

        Raises BatchNotFoundError.
        """
        return await self._runs.stop(batch_id)

    # -- asking -----------------------------------------------------------------------------

    def totals(self) -> Totals:
        """Everything at a glance."""
        return Totals(
            row_count=self._catalog.row_count,
            rows_per_second=sum(p.rate.per_second for p in self._runs),
            running=len(self._runs),
            batches=len(self._catalog),
            trouble=self._ingest.trouble,
            unarchived=self.retention.trouble if self.retention else None,
        )

    @property
    def throughput(self) -> tuple[int, list[int]]:
        """The second under way, and the points committed in each of the 60 before it.

        Seconds count on a clock that never jumps; the latest come last.
        """
        return self._throughput.history

    def free_name(self) -> str:
        """A name that no batch has: ``batch-1``, or the first after it."""
        number = 1
        while self._catalog.get(f"batch-{number}"):
            number += 1
        return f"batch-{number}"

    def batch(self, batch_id: str) -> Batch:
        """One batch. Raises BatchNotFoundError."""
        return self._catalog.find(batch_id)

    def batches(self, status: BatchStatus | None = None, search: str = "") -> list[Batch]:
        """The batches whose latest run has that status and whose name holds that text, if given.

        Those whose latest run began last come first.
        """
        return self._catalog.select(status, search)

    @property
    def revision(self) -> int:
        """Another number whenever a batch has started or ended."""
        return self._catalog.revision

    def running(self) -> list[Batch]:
        """The running batches in the order in which they took their slots."""
        return [producer.batch for producer in self._runs]

    def slot(self, batch: Batch) -> int:
        """Which slot a running batch holds, from 0 to ``BATCH_LIMIT`` - 1, as long as it runs."""
        producer = self._runs.of(batch.no)
        assert producer, f"{batch.batch_id} does not run"
        return producer.slot

    def producer(self, batch: Batch) -> Producer | None:
        """The run under way of a batch."""
        return self._runs.of(batch.no)

    def row_count(self, batch: Batch) -> int:
        """Committed points of a batch over all its runs."""
        return self._catalog.rows_of(batch.no)

    def rows_per_second(self, batch: Batch) -> float:
        """Points committed per second of late; 0 for a batch that does not run."""
        producer = self._runs.of(batch.no)
        return producer.rate.per_second if producer else 0.0

    def latest_point(self, batch: Batch) -> Point | None:
        """The newest committed point of the run under way."""
        producer = self._runs.of(batch.no)
        return producer.tail.latest if producer else None

    async def runs(self, batch_id: str, offset: int = 0, limit: int | None = None) -> list[Run]:
        """At most ``limit`` runs of a batch, newest first, after skipping ``offset``.

        Raises BatchNotFoundError, StoreUnavailableError.
        """
        runs = await self._store.runs(self.batch(batch_id).no)
        return runs[offset : None if limit is None else offset + limit]

    def last_seq(self, batch: Batch) -> int:
        """The highest ``seq`` of a batch, 0 before its first point."""
        return self._catalog.rows_of(batch.no)

    async def points(self, batch_id: str, after: int, limit: int) -> list[Point]:
        """At most ``limit`` committed points with ``seq > after``, in order.

        Raises BatchNotFoundError.
        """
        batch = self.batch(batch_id)
        if after >= self.row_count(batch):
            return []
        producer = self._runs.of(batch.no)
        recent = producer.tail.since(after) if producer else None
        return (
            await self._store.points(batch.no, after, limit) if recent is None else recent[:limit]
        )

    async def newest_points(self, batch_id: str, limit: int) -> list[Point]:
        """The last ``limit`` committed points, in order. Raises BatchNotFoundError."""
        after = max(0, self.row_count(self.batch(batch_id)) - limit)
        return await self.points(batch_id, after, limit)

    async def trail(self, batch: Batch, until: datetime) -> Trail:
        """The line of a batch over the last minute before ``until``: now, or the batch's end."""
        return await self._trails.of(batch, self.row_count(batch), to_microseconds(until))

    async def download(
        self,
        batch_id: str,
        file_format: FileFormat,
        start: datetime = datetime.min,
        end: datetime = datetime.max,
    ) -> Download:
        """The points with ``start <= ts < end`` that are committed now, as a file.

        Raises BatchNotFoundError, WindowOutOfRangeError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        if start >= end:
            raise WindowOutOfRangeError("`from` must lie before `to`.")
        chosen = Selection(batch.no, self.row_count(batch), start, end)
        return await self._store.download(file_format, chosen)

    async def backup(self) -> Download:
        """The database as it is now, every batch running on, as a file to keep.

        Raises StoreUnavailableError.
        """
        return await self._store.backup()

    def last_minute(self, batch: Batch) -> MinuteAggregate | None:
        """The last whole minute as far as it is committed; ``aggregate`` waits for the rest."""
        return self._rollup.minute(batch.no, last_whole_minute(self.clock()).start)

    def recent_minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """The minutes with points of a window within the last hour, as far as committed."""
        return self._rollup.between(batch.no, window)

    async def aggregate(self, batch_id: str, at: datetime | None = None) -> Aggregate:
        """The last whole minute before ``at`` (naive UTC, default now), every point counted.

        Raises BatchNotFoundError, WindowOutOfRangeError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        window = last_whole_minute(at if at is not None else self.clock())
        minutes = await self._minutes(batch, window)
        return Aggregate(batch_id, window, minutes[0] if minutes else None)

    async def minutes(self, batch_id: str, window: Window) -> list[MinuteAggregate]:
        """The minutes of a window that have points, oldest first, every point counted.

        Raises BatchNotFoundError; StoreUnavailableError when points of them wait for a disk
        that takes nothing.
        """
        return await self._minutes(self.batch(batch_id), window)

    async def minutes_so_far(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """The minutes of a window as far as they are recorded; ``minutes`` waits for the rest."""
        border = self._rollup.complete_since
        young = self._rollup.between(batch.no, Window(max(window.start, border), window.end))
        if window.start >= border:
            return young
        old = await self._store.minutes(batch.no, Window(window.start, min(window.end, border)))
        return old + young

    async def _minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        producer = self._runs.of(batch.no)
        if producer and producer.buffer.holds_older_than(to_microseconds(window.end)):
            await self._committed_by(self._ingest.flush())
        # The end of a run has recorded its minutes. Of one under way, points of a time that the
        # rollup does not hold may not be in them yet: those of a clock that was set back, say.
        if producer and window.start < self._rollup.complete_since:
            await self._committed_by(self._ingest.flush_minutes())
        return await self.minutes_so_far(batch, window)

    async def _committed_by(self, flush: Coroutine[Any, Any, None]) -> None:
        """Wait for a commit, unless the disk takes none: nobody knows how long that goes on."""
        waiting = asyncio.create_task(flush)
        try:
            while not waiting.done():
                if trouble := self._ingest.trouble:
                    raise StoreUnavailableError(f"New points wait to be written: {trouble}")
                await asyncio.wait({waiting}, timeout=_LOOK_AGAIN)
        finally:
            waiting.cancel()

    def _committed(self, block: Block, parts: list[MinuteAggregate]) -> None:
        self._catalog.count(block.batch_no, block.last_seq)
        self._recent.committed(block, parts)
        self._trails.add(block)
        self._throughput.add(len(block.ts))
        if producer := self._runs.of(block.batch_no):
            producer.commit(block)
