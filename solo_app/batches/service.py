"""The service: all operations on batches for the API and the pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.catalog import Catalog
from solo_app.batches.editor import BatchEditor
from solo_app.batches.errors import (
    BatchNotFoundError,
    InvalidConfigurationError,
    WindowOutOfRangeError,
)
from solo_app.batches.ingest import Ingest
from solo_app.batches.log import BatchLog
from solo_app.batches.minutes import RecentMinutes, last_full_minute, start_of_minute
from solo_app.batches.models import (
    MINUTE,
    Aggregate,
    Batch,
    BatchCounter,
    BatchStatus,
    Block,
    Clock,
    Download,
    FileFormat,
    IdempotencyKey,
    LogLine,
    MinuteAggregate,
    Point,
    RestartPolicy,
    Run,
    Selection,
    Totals,
    Window,
    to_microseconds,
    utc_now,
)
from solo_app.batches.producer import Producer
from solo_app.batches.push import Push, Pushes, PushResult
from solo_app.batches.rate import RateMeter
from solo_app.batches.read_backoff import ReadBackoff
from solo_app.batches.recent import RecentData, RecentReader
from solo_app.batches.retention import Retention
from solo_app.batches.runner import Runner, StartOptions
from solo_app.batches.source import SourceKind
from solo_app.batches.storage import Storage
from solo_app.batches.timing import DEFAULT_TIMING, Timing
from solo_app.batches.write_retry import WriteRetry

logger = logging.getLogger(__name__)


class BatchService:
    """The current state of all batches. Call all methods on the event loop that opened it.

    Methods with a ``batch_id`` raise BatchNotFoundError.
    """

    def __init__(
        self,
        store: Storage,
        sources: Mapping[str, SourceKind],
        clock: Clock = utc_now,
        retention: Retention | None = None,
        timing: Timing = DEFAULT_TIMING,
        backoff: ReadBackoff | None = None,
    ) -> None:
        self.clock = clock
        self.sources = sources
        """The available source kinds by name."""
        self._store = store
        self._timing = timing
        self._retention = retention
        self._write_retry = WriteRetry(timing)
        self._ingest = Ingest(
            store, self._write_retry, clock, timing, self._on_commit, self._on_ingest_failure
        )
        self._recent_minutes = RecentMinutes(store, clock)
        self._recent_reader = RecentReader(store, backoff or ReadBackoff())
        self._catalog = Catalog()
        self._log = BatchLog(store, self._write_retry, clock, timing)
        self._runner = Runner(
            store, self._write_retry, self._ingest, self._catalog, self._log, sources, clock, timing
        )
        self._pushes = Pushes(
            store, self._write_retry, self._ingest, self._catalog, self._runner, clock, timing
        )
        self._editor = BatchEditor(store, self._catalog, self._runner)
        self._throughput = RateMeter(history_seconds=60)
        self._writing: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[bool] | None = None

    # -- opening and closing ----------------------------------------------------------------

    async def open(self, resume: bool = False) -> None:
        """Open the store and load all batches. Runs without an end become ``interrupted``.

        With ``resume``, restart interrupted batches, most recent start first, up to the limit.
        Raises StoreUnavailableError.
        """
        await self._store.open()
        await self._load()
        self._writing = [
            asyncio.create_task(self._ingest.run(), name="ingest"),
            asyncio.create_task(self._log.run(), name="log"),
            asyncio.create_task(self._editor.run(), name="deletions"),
        ]
        if resume:
            await self._runner.resume()

    async def _load(self) -> None:
        for batch_no, counter in (await self._recent_minutes.load()).items():
            self._catalog.add_points(batch_no, counter)
        for batch in await self._store.batches():
            if batch.is_running:
                batch = await self._runner.mark_interrupted(batch)
            self._catalog.upsert(batch)

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

        Can be called again, even after a cancelled call. Returns False if a thread of the store
        keeps running, for example because a write never completes.
        """
        await self.end_runs()
        for producer in self._runner:
            if count := producer.buffer.uncommitted:
                batch_id, reason = producer.batch.batch_id, self._write_retry.error
                logger.error('%d points of "%s" are not saved: %s', count, batch_id, reason)
        self._runner.cancel_endings()
        for task in self._writing:
            task.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._store.close(), name="close-store")
        timeout = self._timing.close_timeout if self._runner.has_unfinished_writes else None
        await asyncio.wait({self._closing}, timeout=timeout)
        if self._closing.done():
            return self._closing.result()
        logger.error("Database not closed: a write did not complete")
        return False

    # -- start and stop ---------------------------------------------------------------------

    async def start(
        self,
        batch_id: str,
        source: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        restart: RestartPolicy | None = None,
        unit: str | None = None,
        description: str | None = None,
    ) -> Batch:
        """Start a new batch, or a new run of a batch that has ended. See ``StartOptions``.

        Raises InvalidBatchIdError, UnknownSourceError, InvalidConfigurationError,
        BatchRunningError, BatchLimitReachedError, StoreUnavailableError or ServiceClosedError,
        without having changed anything.
        """
        options = StartOptions(source, parameters, restart, unit, description)
        return await self._runner.start(batch_id, options)

    async def stop(self, batch_id: str) -> Batch:
        """Stop a batch and wait until its last point is committed. No effect if it has ended.

        Raises StoreUnavailableError while writes are failing. In that case the source has been
        stopped, and the batch stops as soon as its points are written.
        """
        return await self._runner.stop(batch_id)

    # -- pushed points ----------------------------------------------------------------------

    async def push(
        self, batch_id: str, keys: NDArray[np.float64], key: IdempotencyKey | None = None
    ) -> PushResult:
        """Store 1 to ``MAX_POINTS`` finite numbers atomically. Returns after their commit.

        Starts a batch with the source ``push`` if it does not exist, was interrupted or has
        finished. With a ``key`` that was used within 24 hours, only returns the earlier result.

        Raises BadNumberError, InvalidBatchIdError, BatchEndedError, SourceMismatchError,
        BatchLimitReachedError, PushInProgressError, IdempotencyKeyReusedError, ServiceClosedError,
        or StoreUnavailableError, without having changed anything. If a commit fails, the
        StoreUnavailableError states that the points may be stored later.
        """
        return await self._pushes.push(batch_id, keys, key)

    def open_push(self, batch_id: str) -> Push:
        """Return a push to a batch in several parts. Each part is stored atomically."""
        return self._pushes.open(batch_id)

    # -- changes ----------------------------------------------------------------------------

    async def change_labels(
        self, batch_id: str, unit: str | None = None, description: str | None = None
    ) -> Batch:
        """Change the unit and the description of a batch; None means unchanged.

        Raises InvalidConfigurationError, StoreUnavailableError or ServiceClosedError, without
        having changed anything.
        """
        return await self._editor.change_labels(batch_id, unit, description)

    async def delete(self, batch_id: str) -> None:
        """Delete an ended batch with its points, minutes, runs and log.

        Raises BatchNotEndedError, StoreUnavailableError or ServiceClosedError, without having
        changed anything.
        """
        await self._editor.delete(batch_id)

    # -- batches ----------------------------------------------------------------------------

    def totals(self) -> Totals:
        return Totals(
            row_count=self._catalog.row_count,
            rows_per_second=sum(producer.rate.per_second for producer in self._runner),
            running_count=len(self._runner),
            batch_count=len(self._catalog),
            write_error=self._write_retry.error or self._ingest.failure,
            archive_error=self._retention.archive_error if self._retention else None,
        )

    @property
    def throughput(self) -> list[int]:
        """The number of points committed in each of the last 60 whole seconds, newest last.

        Seconds are measured by the monotonic clock.
        """
        return self._throughput.history

    @property
    def revision(self) -> int:
        """Changes with every batch that starts, ends, is relabelled or is deleted, so that callers
        can cache lists of batches."""
        return self._catalog.revision

    def suggest_name(self) -> str:
        """Return the first unused name of ``batch-1``, ``batch-2``, ..."""
        return self._catalog.suggest_name()

    def batch(self, batch_id: str) -> Batch:
        return self._catalog.get(batch_id)

    def batches(self, status: BatchStatus | None = None, search: str = "") -> list[Batch]:
        """Return batches by status and text in the id (ignoring case), most recent start first."""
        return self._catalog.select(status, search)

    def running(self) -> list[Batch]:
        """Return the running batches in start order."""
        return [producer.batch for producer in self._runner]

    def producers(self) -> list[Producer]:
        """Return the producers of the running batches in start order."""
        return [*self._runner]

    def producer(self, batch: Batch) -> Producer | None:
        """Return the producer of a batch, None if it is not running."""
        return self._runner.find(batch.no)

    def _check_exists(self, batch: Batch) -> None:
        """Raise BatchNotFoundError if a batch was deleted while its data was read."""
        if self.batch(batch.batch_id).no != batch.no:
            raise BatchNotFoundError(batch.batch_id)

    def row_count(self, batch: Batch) -> int:
        """Return the number of committed points of a batch in all its runs."""
        return self._catalog.counter(batch.no).row_count

    def last_seq(self, batch: Batch) -> int:
        """Return the ``seq`` of the last committed point of a batch, 0 if there is none."""
        return self._catalog.counter(batch.no).last_seq

    def parameters(self, run: Run) -> dict[str, Any]:
        """Return the parameters of a run as JSON, including the current defaults of its source.

        The defaults are missing if the source is not available or does not accept the parameters.
        """
        with suppress(KeyError, InvalidConfigurationError):
            return self.sources[run.source].parse(run.parameters).model_dump(mode="json")
        return dict(run.parameters)

    async def runs(self, batch_id: str, offset: int = 0, limit: int = 100) -> list[Run]:
        """Return runs of a batch, newest first. Their total is ``batch.run.number``.

        Raises StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        runs = await self._store.runs(batch.no, offset, limit)
        self._check_exists(batch)
        return runs

    # -- logs -------------------------------------------------------------------------------

    async def log(self, batch_id: str) -> list[LogLine]:
        """Return the latest ``LOG_LINES`` lines of the log of a batch, in order.

        Only the log of an ended batch is read from the store. Raises StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        lines = await self._log.lines(batch.no)
        self._check_exists(batch)
        return lines

    def last_log_number(self, batch: Batch) -> int:
        """Return the number of the last log line of a running batch."""
        return self._log.last_number(batch.no)

    # -- points -----------------------------------------------------------------------------

    async def points(self, batch_id: str, after: int, limit: int) -> list[Point]:
        """Return at most ``limit`` committed points with ``seq > after``, in order of ``seq``.

        Raises StoreUnavailableError.
        """
        return await self.points_of(self.batch(batch_id), after, limit)

    async def points_of(self, batch: Batch, after: int, limit: int) -> list[Point]:
        """See ``points``. Raises BatchNotFoundError if the batch has been deleted."""
        self._check_exists(batch)
        if after >= self.last_seq(batch):
            return []
        producer = self._runner.find(batch.no)
        recent = producer.points.since(after) if producer else None
        if recent is not None:
            return recent[:limit]
        points = await self._store.points(batch.no, after, limit)
        self._check_exists(batch)
        return points

    async def load_earlier_runs(self, batch: Batch) -> None:
        """Load the points of earlier runs for ``Producer.recent``, unless they are loaded.

        No effect if the batch is not running. Raises StoreUnavailableError.
        """
        producer = self._runner.find(batch.no)
        if producer and not producer.has_earlier_runs:
            first_seq = producer.batch.run.first_seq
            producer.add_earlier_runs(
                await self._recent_reader.read(batch.no, first_seq, self.clock())
            )

    async def read_recent(self, batch: Batch) -> RecentData:
        """Return the latest points of an ended batch and the chart of the minute before its end.

        Raises StoreUnavailableError.
        """
        run = batch.run
        assert run.ended_at is not None, f"{batch.batch_id} is running"
        assert run.last_seq is not None, f"{batch.batch_id} is running"
        stored = await self._recent_reader.read(batch.no, run.last_seq + 1, run.ended_at)
        return stored.recent(run.number, run.ended_at)

    async def download(
        self,
        batch_id: str,
        file_format: FileFormat,
        start: datetime = datetime.min,
        end: datetime = datetime.max,
    ) -> Download:
        """Return the committed points with ``start <= ts < end`` as a file, with their unit.

        Raises WindowOutOfRangeError, StoreUnavailableError.
        """
        batch = self.batch(batch_id)
        if start >= end:
            raise WindowOutOfRangeError("`from` must be before `to`.")
        selection = Selection(batch.no, self.last_seq(batch), start, end)
        file = await self._store.download(file_format, selection, batch.labels.unit)
        return replace(file, chunks=self._chunks(batch, file))

    async def _chunks(self, batch: Batch, file: Download) -> AsyncIterator[bytes]:
        """Yield the chunks of a file while the batch exists."""
        async for chunk in file.chunks:
            self._check_exists(batch)
            yield chunk

    async def backup(self) -> Download:
        """Return a snapshot of the database as a file, while batches keep running.

        Raises StoreUnavailableError.
        """
        return await self._store.backup()

    # -- minutes ----------------------------------------------------------------------------

    def recent_minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """Return the committed minutes of a window within the last hour, oldest first."""
        return self._recent_minutes.between(batch.no, window)

    async def aggregate(self, batch_id: str, at: datetime | None = None) -> Aggregate:
        """Return the aggregate of the last full minute before ``at`` (naive UTC, default now).

        Raises BatchNotFoundError, WindowOutOfRangeError, StoreUnavailableError.
        """
        self.batch(batch_id)  # Checked before the window.
        window = last_full_minute(at if at is not None else self.clock())
        minutes = await self.minutes(batch_id, window)
        return Aggregate(batch_id, window, minutes[0] if minutes else None)

    async def minutes(self, batch_id: str, window: Window) -> list[MinuteAggregate]:
        """Return the minutes of a window that have points, oldest first. Waits for pending points.

        Raises StoreUnavailableError, including when some points cannot be written.
        """
        batch = self.batch(batch_id)
        producer = self._runner.find(batch.no)
        if producer and producer.buffer.has_points_before(to_microseconds(window.end)):
            await self._write_retry.limit(self._ingest.flush())
        # The stored minutes of a running batch may lack points, for example after the clock was
        # set back. Those of an ended run are complete.
        if producer and window.start < self._recent_minutes.complete_since:
            await self._write_retry.limit(self._ingest.flush_minutes())
        return await self.committed_minutes(batch, window)

    async def committed_minutes(self, batch: Batch, window: Window) -> list[MinuteAggregate]:
        """Return the committed part of the minutes of a window, without waiting for the rest."""
        cached_since = self._recent_minutes.complete_since
        start, end = window.start, window.end
        cached = self._recent_minutes.between(batch.no, Window(max(start, cached_since), end))
        if start >= cached_since:
            return cached
        stored = await self._store.minutes(batch.no, Window(start, min(end, cached_since)))
        self._check_exists(batch)
        return stored + cached

    # -- events of ingest -------------------------------------------------------------------

    def _on_commit(self, block: Block, minutes: list[MinuteAggregate]) -> None:
        self._catalog.add_points(block.batch_no, BatchCounter(len(block.ts), block.last_seq))
        if producer := self._runner.find(block.batch_no):
            producer.add(block)
        self._recent_minutes.add(block.batch_no, minutes)
        self._throughput.add(len(block.ts))

    def _on_ingest_failure(self, batch_no: int, reason: str) -> None:
        # The minutes in memory may lack committed points, so read them from the store.
        self._recent_minutes.evict(start_of_minute(self.clock()) + MINUTE)
        self._runner.fail(batch_no, reason)
