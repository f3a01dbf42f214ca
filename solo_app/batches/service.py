"""BatchService: start, stop, list, aggregate, points; one task per batch, never more than five."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from solo_app.batches.backoff import ReadBackoff
from solo_app.batches.catalog import Catalog
from solo_app.batches.errors import WindowOutOfRangeError
from solo_app.batches.ingest import Ingest
from solo_app.batches.minutes import RecentMinutes, last_whole_minute, whole_minute
from solo_app.batches.model import (
    MINUTE,
    Aggregate,
    Batch,
    BatchCounter,
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
from solo_app.batches.retention import Retention
from solo_app.batches.runner import Runner
from solo_app.batches.sources import DEFAULT_SOURCE, Source
from solo_app.batches.storage import Storage
from solo_app.batches.trail import Trail, Trails
from solo_app.batches.writes import RETRY_AFTER, Writes

logger = logging.getLogger(__name__)

_CLOSE_STORE_WITHIN = 0.5
"""Seconds that the store has to close when its last writes did not complete."""


class BatchService:
    """The truth about batches. All methods belong on the event loop that opened it."""

    def __init__(
        self,
        store: Storage,
        sources: Mapping[str, Source],
        clock: Clock = utc_now,
        retention: Retention | None = None,
        retry_after: float = RETRY_AFTER,
        backoff: ReadBackoff | None = None,
    ) -> None:
        self.clock = clock
        self._store = store
        self._retention = retention
        self._writes = Writes(retry_after)
        self._ingest = Ingest(store, self._writes, clock, self._committed, self._ingest_failed)
        self._recent = RecentMinutes(store, clock)
        self._backoff = backoff or ReadBackoff()
        self._trails = Trails(store, self._backoff)
        self._catalog = Catalog()
        self._runner = Runner(store, self._writes, self._ingest, self._catalog, sources, clock)
        self._throughput = RateMeter(kept=60)
        self._commits: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[bool] | None = None

    # -- opening and closing ----------------------------------------------------------------

    async def open(self, resume: bool = False) -> None:
        """Open the store and load what is in it; runs without an end become ``interrupted``.

        With ``resume``, interrupted batches start again, at most five, the latest first.
        Raises StoreUnavailableError.
        """
        if await self._store.open():
            await self._take_up()
        self._commits = asyncio.create_task(self._ingest.run(), name="ingest")
        if resume:
            await self._runner.resume()

    async def _take_up(self) -> None:
        for batch_no, counter in (await self._recent.load()).items():
            self._catalog.add_points(batch_no, counter)
        for batch in await self._store.batches():
            self._catalog.keep(await self._runner.interrupted(batch) if batch.is_running else batch)

    @property
    def closing(self) -> bool:
        """Whether the app shuts down, so that nothing starts."""
        return self._runner.closing

    async def end_runs(self) -> None:
        """End all runs as ``interrupted``, with their points committed.

        Nothing starts from now on; stored data can be read until ``close``.
        """
        self.end_streams()
        await self._runner.end_all()

    def end_streams(self) -> None:
        """End all streams and downloads; nothing starts from now on."""
        self._store.stop_exports()
        self._runner.close()

    async def close(self) -> bool:
        """End all runs as ``end_runs`` does, if that was not done, and close the store.

        May be called again, also after a cancelled call. Returns whether no thread of the store
        is left, such as one with a write that never completes.
        """
        await self.end_runs()
        for producer in self._runner:
            if count := producer.buffer.uncommitted:
                batch_id, reason = producer.batch.batch_id, self._writes.error
                logger.error('%d points of "%s" are not saved: %s', count, batch_id, reason)
        self._runner.cancel_endings()
        if self._commits:
            self._commits.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._store.close(), name="close-store")
        limit = _CLOSE_STORE_WITHIN if self._runner.has_unfinished_writes else None
        await asyncio.wait({self._closing}, timeout=limit)
        if self._closing.done():
            return self._closing.result()
        logger.error("The database does not close: a write does not complete")
        return False

    # -- start and stop ---------------------------------------------------------------------

    async def start(self, batch_id: str, source: str = DEFAULT_SOURCE) -> Batch:
        """Start a batch, or a batch that ended once more, and say how it stands.

        Raises InvalidBatchIdError, UnknownSourceError, BatchRunningError,
        BatchLimitReachedError, ServiceClosedError; then nothing has changed.
        """
        return await self._runner.start(batch_id, source)

    async def stop(self, batch_id: str) -> Batch:
        """Stop a batch; returns when its last point is committed. One that ended stays as it is.

        Raises BatchNotFoundError, and StoreUnavailableError while the store accepts no writes: the
        source has stopped then, and the batch stops as soon as its points are written.
        """
        return await self._runner.stop(batch_id)

    # -- asking -----------------------------------------------------------------------------

    def totals(self) -> Totals:
        """Everything at a glance."""
        return Totals(
            row_count=self._catalog.row_count,
            rows_per_second=sum(p.rate.per_second for p in self._runner),
            running=len(self._runner),
            batches=len(self._catalog),
            write_error=self._writes.error or self._ingest.failure,
            archive_error=self._retention.archive_error if self._retention else None,
        )

    @property
    def throughput(self) -> tuple[int, list[int]]:
        """The second under way, and the points committed in each of the 60 before it.

        Seconds count on a clock that never jumps; the latest come last.
        """
        return self._throughput.history

    def free_name(self) -> str:
        """A name that no batch has: ``batch-1``, or the first after it."""
        return self._catalog.free_name()

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
        return [producer.batch for producer in self._runner]

    def slot(self, batch: Batch) -> int:
        """Which slot a running batch holds, from 0 to ``BATCH_LIMIT`` - 1, as long as it runs."""
        producer = self._runner.of(batch.no)
        assert producer, f"{batch.batch_id} does not run"
        return producer.slot

    def producer(self, batch: Batch) -> Producer | None:
        """The run under way of a batch."""
        return self._runner.of(batch.no)

    def row_count(self, batch: Batch) -> int:
        """Committed points of a batch over all its runs."""
        return self._catalog.counter(batch.no).row_count

    def last_seq(self, batch: Batch) -> int:
        """The ``seq`` of the last committed point of a batch; 0 before the first."""
        return self._catalog.counter(batch.no).last_seq

    def rows_per_second(self, batch: Batch) -> float:
        """Points committed per second of late; 0 for a batch that does not run."""
        producer = self._runner.of(batch.no)
        return producer.rate.per_second if producer else 0.0

    def latest_point(self, batch: Batch) -> Point | None:
        """The newest committed point of the run under way."""
        producer = self._runner.of(batch.no)
        return producer.tail.latest if producer else None

    async def runs(self, batch_id: str, offset: int = 0, limit: int = 100) -> list[Run]:
        """Runs of a batch, the latest first; there are ``batch.run.number`` of them.

        Raises BatchNotFoundError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        return await self._store.runs(batch.no, offset, limit)

    async def points(
        self, batch_id: str, after: int, limit: int, with_backoff: bool = False
    ) -> list[Point]:
        """At most ``limit`` committed points with ``seq > after``, in order.

        With ``with_backoff``, for pages, the store is not queried again at once after a failure.
        Raises BatchNotFoundError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        if after >= self.last_seq(batch):
            return []
        producer = self._runner.of(batch.no)
        recent = producer.tail.since(after) if producer else None
        if recent is not None:
            return recent[:limit]
        query = partial(self._store.points, batch.no, after, limit)
        return await (self._backoff.read(("points", batch.no), query) if with_backoff else query())

    async def trail(self, batch: Batch, until: datetime) -> Trail:
        """The line of a batch over the last minute before ``until``: now, or the batch's end."""
        return await self._trails.of(batch, self.last_seq(batch), to_microseconds(until))

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
        chosen = Selection(batch.no, self.last_seq(batch), start, end)
        return await self._store.download(file_format, chosen)

    async def backup(self) -> Download:
        """The database as it is now, every batch running on, as a file to keep.

        Raises StoreUnavailableError.
        """
        return await self._store.backup()

    def last_minute(self, batch: Batch) -> MinuteAggregate | None:
        """The last whole minute as far as it is committed; ``aggregate`` waits for the rest."""
        return self._recent.minute(batch.no, last_whole_minute(self.clock()).start)

    def recent_minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """The minutes with points of a window within the last hour, as far as committed."""
        return self._recent.between(batch.no, window)

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

        Raises BatchNotFoundError; StoreUnavailableError when points of them cannot be written.
        """
        return await self._minutes(self.batch(batch_id), window)

    async def minutes_so_far(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """The minutes of a window as far as they are recorded; ``minutes`` waits for the rest."""
        border = self._recent.complete_since
        young = self._recent.between(batch.no, Window(max(window.start, border), window.end))
        if window.start >= border:
            return young
        old = await self._store.minutes(batch.no, Window(window.start, min(window.end, border)))
        return old + young

    async def _minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        producer = self._runner.of(batch.no)
        if producer and producer.buffer.has_points_before(to_microseconds(window.end)):
            await self._wait_for_commit(self._ingest.flush())
        # An ended run has written its minutes. Those of a running batch that are not in memory
        # may lack points, for example after the clock was set back.
        if producer and window.start < self._recent.complete_since:
            await self._wait_for_commit(self._ingest.flush_minutes())
        return await self.minutes_so_far(batch, window)

    async def _wait_for_commit(self, flush: Coroutine[Any, Any, None]) -> None:
        flushing = asyncio.create_task(flush)
        try:
            await self._writes.wait_for(flushing)
        finally:
            flushing.cancel()

    def _committed(self, block: Block, parts: list[MinuteAggregate]) -> None:
        points = BatchCounter(len(block.ts), block.last_seq)
        self._catalog.add_points(block.batch_no, points)
        if producer := self._runner.of(block.batch_no):
            producer.commit(block)
        self._recent.add(block.batch_no, parts)
        self._trails.add(block)
        self._throughput.add(len(block.ts))

    def _ingest_failed(self, batch_no: int, reason: str) -> None:
        # The store has all committed points; the minutes in memory may lack some.
        self._recent.evict(whole_minute(self.clock()) + MINUTE)
        self._runner.fail(batch_no, reason)
