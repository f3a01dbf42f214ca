"""BatchService: the domain operations used by the API and the pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import datetime
from typing import Any

from solo_app.batches.catalog import Catalog
from solo_app.batches.errors import WindowOutOfRangeError
from solo_app.batches.ingest import Ingest
from solo_app.batches.minutes import RecentMinutes, last_whole_minute, start_of_minute
from solo_app.batches.models import (
    MINUTE,
    Aggregate,
    Batch,
    BatchCounter,
    BatchStatus,
    Block,
    Bucket,
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
from solo_app.batches.producer import RECENT_POINTS, Producer, RateMeter
from solo_app.batches.read_backoff import ReadBackoff
from solo_app.batches.retention import Retention
from solo_app.batches.runner import Runner
from solo_app.batches.series import RecentData, Series, read_buckets
from solo_app.batches.source import DEFAULT_SOURCE, Source
from solo_app.batches.storage import Storage
from solo_app.batches.timing import DEFAULT_TIMING, Timing
from solo_app.batches.write_retry import WriteRetry

logger = logging.getLogger(__name__)


class BatchService:
    """The current state of all batches. Call all methods on the event loop that opened it."""

    def __init__(
        self,
        store: Storage,
        sources: Mapping[str, Source],
        clock: Clock = utc_now,
        retention: Retention | None = None,
        timing: Timing = DEFAULT_TIMING,
        backoff: ReadBackoff | None = None,
    ) -> None:
        self.clock = clock
        self._store = store
        self._timing = timing
        self._retention = retention
        self._write_retry = WriteRetry(timing)
        self._ingest = Ingest(
            store, self._write_retry, clock, timing, self._committed, self._ingest_failed
        )
        self._recent = RecentMinutes(store, clock)
        self._backoff = backoff or ReadBackoff()
        self._catalog = Catalog()
        self._runner = Runner(
            store, self._write_retry, self._ingest, self._catalog, sources, clock, timing
        )
        self._throughput = RateMeter(history_seconds=60)
        self._recent_reads: dict[Batch, asyncio.Task[RecentData]] = {}
        self._commits: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[bool] | None = None

    # -- opening and closing ----------------------------------------------------------------

    async def open(self, resume: bool = False) -> None:
        """Open the store and load all batches. Runs without an end become ``interrupted``.

        With ``resume``, restart interrupted batches, latest first, up to the limit.
        Raises StoreUnavailableError.
        """
        if await self._store.open():
            await self._load()
        self._commits = asyncio.create_task(self._ingest.run(), name="ingest")
        if resume:
            await self._runner.resume()

    async def _load(self) -> None:
        for batch_no, counter in (await self._recent.load()).items():
            self._catalog.add_points(batch_no, counter)
        for batch in await self._store.batches():
            self._catalog.upsert(
                await self._runner.mark_interrupted(batch) if batch.is_running else batch
            )

    @property
    def is_closing(self) -> bool:
        """Whether the app is shutting down and no batch can be started."""
        return self._runner.is_closing

    async def end_runs(self) -> None:
        """End all runs as ``interrupted`` and commit their points.

        No batch can be started afterwards. Stored data can be read until ``close``.
        """
        self.end_streams()
        await self._runner.end_all()

    def end_streams(self) -> None:
        """End all streams and downloads. No batch can be started afterwards."""
        self._store.stop_exports()
        self._runner.close()

    async def close(self) -> bool:
        """End all runs as ``end_runs`` does, then close the store.

        May be called again, also after a cancelled call. Returns False if a thread of the store
        keeps running, for example because a write never completes.
        """
        await self.end_runs()
        for producer in self._runner:
            if count := producer.buffer.uncommitted:
                batch_id, reason = producer.batch.batch_id, self._write_retry.error
                logger.error('%d points of "%s" are not saved: %s', count, batch_id, reason)
        self._runner.cancel_endings()
        if self._commits:
            self._commits.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._store.close(), name="close-store")
        limit = self._timing.close_timeout if self._runner.has_unfinished_writes else None
        await asyncio.wait({self._closing}, timeout=limit)
        if self._closing.done():
            return self._closing.result()
        logger.error("Database not closed: a write did not complete")
        return False

    # -- start and stop ---------------------------------------------------------------------

    async def start(self, batch_id: str, source: str = DEFAULT_SOURCE) -> Batch:
        """Start a new batch, or a new run of a batch that has ended.

        Raises InvalidBatchIdError, UnknownSourceError, BatchRunningError, BatchLimitReachedError,
        StoreUnavailableError, ServiceClosedError, and then has changed nothing.
        """
        return await self._runner.start(batch_id, source)

    async def stop(self, batch_id: str) -> Batch:
        """Stop a batch and wait until its last point is committed. No effect if it has ended.

        Raises BatchNotFoundError, and StoreUnavailableError while writes are failing. In that case
        the source has been stopped, and the batch stops as soon as its points are written.
        """
        return await self._runner.stop(batch_id)

    # -- queries ----------------------------------------------------------------------------

    def totals(self) -> Totals:
        """Return the overall data."""
        return Totals(
            row_count=self._catalog.row_count,
            rows_per_second=sum(p.rate.per_second for p in self._runner),
            running_count=len(self._runner),
            batch_count=len(self._catalog),
            write_error=self._write_retry.error or self._ingest.failure,
            archive_error=self._retention.archive_error if self._retention else None,
        )

    @property
    def throughput(self) -> list[int]:
        """The number of points committed in each of the last 60 whole seconds, latest last.

        Seconds are those of the monotonic clock.
        """
        return self._throughput.history

    def suggest_name(self) -> str:
        """Return the first unused name of ``batch-1``, ``batch-2``, ..."""
        return self._catalog.suggest_name()

    def batch(self, batch_id: str) -> Batch:
        """Return a batch. Raises BatchNotFoundError."""
        return self._catalog.get(batch_id)

    def batches(self, status: BatchStatus | None = None, search: str = "") -> list[Batch]:
        """Return the batches with this status whose name contains ``search``, if given.

        The latest start comes first.
        """
        return self._catalog.select(status, search)

    @property
    def revision(self) -> int:
        """A number that increases when a batch starts or ends."""
        return self._catalog.revision

    def running(self) -> list[Batch]:
        """Return the running batches in start order."""
        return [producer.batch for producer in self._runner]

    def slot(self, batch: Batch) -> int:
        """Return the slot of a running batch, from 0 to ``BATCH_LIMIT`` - 1."""
        producer = self._runner.find(batch.no)
        assert producer, f"{batch.batch_id} is not running"
        return producer.slot

    def producer(self, batch: Batch) -> Producer | None:
        """Return the producer of a batch, None if it is not running."""
        return self._runner.find(batch.no)

    def row_count(self, batch: Batch) -> int:
        """Return the number of committed points of a batch in all its runs."""
        return self._catalog.counter(batch.no).row_count

    def last_seq(self, batch: Batch) -> int:
        """Return the ``seq`` of the last committed point of a batch, 0 if there is none."""
        return self._catalog.counter(batch.no).last_seq

    def rows_per_second(self, batch: Batch) -> float:
        """Return the current rate of committed points; 0 for a batch that is not running."""
        producer = self._runner.find(batch.no)
        return producer.rate.per_second if producer else 0.0

    def latest_point(self, batch: Batch) -> Point | None:
        """Return the latest committed point of the current run."""
        producer = self._runner.find(batch.no)
        return producer.points.latest if producer else None

    async def runs(self, batch_id: str, offset: int = 0, limit: int = 100) -> list[Run]:
        """Return runs of a batch, latest first; it has ``batch.run.number`` of them.

        Raises BatchNotFoundError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        return await self._store.runs(batch.no, offset, limit)

    async def points(self, batch_id: str, after: int, limit: int) -> list[Point]:
        """Return at most ``limit`` committed points with ``seq > after``, in order of ``seq``.

        Raises BatchNotFoundError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        if after >= self.last_seq(batch):
            return []
        producer = self._runner.find(batch.no)
        recent = producer.points.since(after) if producer else None
        if recent is not None:
            return recent[:limit]
        return await self._store.points(batch.no, after, limit)

    async def load_earlier_runs(self, batch: Batch) -> None:
        """Load the points of earlier runs for ``recent``, unless they are loaded.

        No effect if the batch is not running. Failing reads are retried only after a backoff.
        Raises StoreUnavailableError.
        """
        producer = self._runner.find(batch.no)
        if producer is None or producer.has_earlier_runs:
            return
        async with producer.loading_lock:
            if not producer.has_earlier_runs:
                until, before_seq = self.clock(), producer.batch.run.first_seq
                producer.add_earlier_runs(
                    *await self._read_points_and_buckets(batch, until, before_seq)
                )

    def recent(self, batch: Batch, until: datetime) -> RecentData:
        """Return the latest points of a running batch and the chart of the minute before ``until``.

        Points of earlier runs are included once they are loaded (``load_earlier_runs``).
        """
        producer = self._runner.find(batch.no)
        assert producer, f"{batch.batch_id} is not running"
        series, until_us = producer.series, to_microseconds(until)
        return RecentData(producer.points.recent(), series.chart(until_us), series.count(until_us))

    async def read_recent(self, batch: Batch) -> RecentData:
        """Return the latest points of an ended batch and the chart of the minute before its end.

        Concurrent calls share one read: all open pages of a batch call this when it ends. Failing
        reads are retried only after a backoff. Raises StoreUnavailableError.
        """
        reading = self._recent_reads.get(batch)
        if reading is None:
            reading = asyncio.create_task(self._read_recent(batch))
            self._recent_reads[batch] = reading
            reading.add_done_callback(lambda _: self._recent_reads.pop(batch))
        return await asyncio.shield(reading)

    async def _read_recent(self, batch: Batch) -> RecentData:
        run = batch.run
        assert run.ended_at is not None, f"{batch.batch_id} is running"
        assert run.last_seq is not None, f"{batch.batch_id} is running"
        points, buckets = await self._read_points_and_buckets(batch, run.ended_at, run.last_seq + 1)
        series, until_us = Series(run.number), to_microseconds(run.ended_at)
        series.add_buckets(buckets)
        return RecentData(points, series.chart(until_us), series.count(until_us))

    async def _read_points_and_buckets(
        self, batch: Batch, until: datetime, before_seq: int
    ) -> tuple[list[Point], list[Bucket]]:
        """Read the latest points before ``before_seq`` and the buckets of a minute to ``until``."""

        async def read() -> tuple[list[Point], list[Bucket]]:
            after = max(0, before_seq - 1 - RECENT_POINTS)
            points = await self._store.points(batch.no, after, RECENT_POINTS)
            buckets = await read_buckets(self._store, batch.no, before_seq, to_microseconds(until))
            # A database that an earlier release repaired can have gaps in ``seq``.
            return [point for point in points if point.seq < before_seq], buckets

        return await self._backoff.read(("recent", batch.no), read)

    async def download(
        self,
        batch_id: str,
        file_format: FileFormat,
        start: datetime = datetime.min,
        end: datetime = datetime.max,
    ) -> Download:
        """Return the committed points with ``start <= ts < end`` as a file.

        Raises BatchNotFoundError, WindowOutOfRangeError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        if start >= end:
            raise WindowOutOfRangeError("`from` must be before `to`.")
        chosen = Selection(batch.no, self.last_seq(batch), start, end)
        return await self._store.download(file_format, chosen)

    async def backup(self) -> Download:
        """Return a snapshot of the database as a file, while batches keep running.

        Raises StoreUnavailableError.
        """
        return await self._store.backup()

    def last_minute(self, batch: Batch) -> MinuteAggregate | None:
        """Return the committed part of the last whole minute, without waiting for the rest."""
        return self._recent.minute(batch.no, last_whole_minute(self.clock()).start)

    def recent_minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """Return the committed minutes with points of a window within the last hour."""
        return self._recent.between(batch.no, window)

    async def aggregate(self, batch_id: str, at: datetime | None = None) -> Aggregate:
        """Return the last whole minute before ``at`` (naive UTC, default now), with all points.

        Raises BatchNotFoundError, WindowOutOfRangeError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        window = last_whole_minute(at if at is not None else self.clock())
        minutes = await self._minutes(batch, window)
        return Aggregate(batch_id, window, minutes[0] if minutes else None)

    async def minutes(self, batch_id: str, window: Window) -> list[MinuteAggregate]:
        """Return the minutes with points of a window, oldest first, with all points.

        Raises BatchNotFoundError, and StoreUnavailableError if some points cannot be written.
        """
        return await self._minutes(self.batch(batch_id), window)

    async def committed_minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """Return the committed part of the minutes of a window, without waiting for the rest."""
        border = self._recent.complete_since
        young = self._recent.between(batch.no, Window(max(window.start, border), window.end))
        if window.start >= border:
            return young
        old = await self._store.minutes(batch.no, Window(window.start, min(window.end, border)))
        return old + young

    async def _minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        producer = self._runner.find(batch.no)
        if producer and producer.buffer.has_points_before(to_microseconds(window.end)):
            await self._wait_for_commit(self._ingest.flush())
        # The stored minutes of a running batch may lack points, for example after the clock was
        # set back. Those of an ended run are complete.
        if producer and window.start < self._recent.complete_since:
            await self._wait_for_commit(self._ingest.flush_minutes())
        return await self.committed_minutes(batch, window)

    async def _wait_for_commit(self, flush: Coroutine[Any, Any, None]) -> None:
        flushing = asyncio.create_task(flush)
        try:
            await self._write_retry.wait_for(flushing)
        finally:
            flushing.cancel()

    def _committed(self, block: Block, parts: list[MinuteAggregate]) -> None:
        points = BatchCounter(len(block.ts), block.last_seq)
        self._catalog.add_points(block.batch_no, points)
        if producer := self._runner.find(block.batch_no):
            producer.add(block)
        self._recent.add(block.batch_no, parts)
        self._throughput.add(len(block.ts))

    def _ingest_failed(self, batch_no: int, reason: str) -> None:
        # The minutes in memory may lack committed points, so read them from the store.
        self._recent.evict(start_of_minute(self.clock()) + MINUTE)
        self._runner.fail(batch_no, reason)
