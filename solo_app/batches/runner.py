"""The runner: starts and stops runs, at most five at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from solo_app.batches.catalog import Catalog, check_batch_id
from solo_app.batches.errors import (
    BatchLimitReachedError,
    BatchRunningError,
    InvalidConfigurationError,
    ServiceClosedError,
    StoreUnavailableError,
    UnknownSourceError,
)
from solo_app.batches.ingest import Ingest
from solo_app.batches.labels import change_labels
from solo_app.batches.log import BatchLog
from solo_app.batches.models import (
    NO_LABELS,
    Batch,
    BatchStatus,
    Clock,
    Labels,
    LogLevel,
    Point,
    RestartPolicy,
    Run,
)
from solo_app.batches.producer import Producer
from solo_app.batches.source import DEFAULT_SOURCE, SourceKind
from solo_app.batches.storage import Storage
from solo_app.batches.timing import Timing
from solo_app.batches.write_retry import WriteRetry

logger = logging.getLogger(__name__)

BATCH_LIMIT = 5
"""Maximum number of running batches."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration of a new run, complete and valid."""

    source: str
    parameters: Mapping[str, Any]
    restart: RestartPolicy
    labels: Labels


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What a caller specifies for a new run.

    Without ``source``, the run has the source of the latest run, with its parameters and restart
    policy unless they are specified. The first run of a batch has the source ``random``.
    """

    source: str | None = None
    parameters: Mapping[str, Any] | None = None
    restart: RestartPolicy | None = None
    unit: str | None = None
    description: str | None = None


class Runner:
    """The producers of the running batches, in start order.

    Call all methods on the event loop that opened the store.
    """

    def __init__(
        self,
        store: Storage,
        write_retry: WriteRetry,
        ingest: Ingest,
        catalog: Catalog,
        log: BatchLog,
        sources: Mapping[str, SourceKind],
        clock: Clock,
        timing: Timing,
    ) -> None:
        self.is_closing = False
        """Whether the app is shutting down and no run can be started."""
        self._store = store
        self._write_retry = write_retry
        self._ingest = ingest
        self._catalog = catalog
        self._log = log
        self._sources = sources
        self._clock = clock
        self._timing = timing
        self._by_no: dict[int, Producer] = {}
        self.changing = asyncio.Lock()
        """Held while a start, new labels or a deletion is recorded."""
        self._all_end: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._by_no)

    def __iter__(self) -> Iterator[Producer]:
        return iter(self._by_no.values())

    def find(self, batch_no: int) -> Producer | None:
        """Return the producer of a batch, None if it is not running."""
        return self._by_no.get(batch_no)

    @property
    def has_unfinished_writes(self) -> bool:
        """Whether the start or end of a run, or a change of a batch, is not recorded yet."""
        return bool(self._by_no) or self.changing.locked()

    # -- starting ---------------------------------------------------------------------------

    async def start(self, batch_id: str, options: StartOptions) -> Batch:
        check_batch_id(batch_id)
        # Shielded: a cancelled caller must not leave a run that is recorded but not executed.
        return await asyncio.shield(asyncio.create_task(self._start(batch_id, options)))

    async def resume(self) -> None:
        """Restart interrupted batches, most recent start first, up to the limit."""
        interrupted = self._catalog.select(BatchStatus.INTERRUPTED, "")
        for batch in interrupted:
            if len(self) == BATCH_LIMIT:
                return
            try:
                await self.start(batch.batch_id, StartOptions())
            except (UnknownSourceError, InvalidConfigurationError) as error:
                logger.warning('Batch "%s" not restarted: %s', batch.batch_id, error)

    async def _start(self, batch_id: str, options: StartOptions) -> Batch:
        async with self.changing:
            existing = self._catalog.find(batch_id)
            configuration = self._configure(existing, options)
            self._check_can_start(batch_id)
            kind = self._sources[configuration.source]
            run = Run(
                number=existing.run.number + 1 if existing else 1,
                source=configuration.source,
                parameters=configuration.parameters,
                restart=configuration.restart,
                status=BatchStatus.RUNNING,
                started_at=self._clock(),
                first_seq=self._catalog.counter(existing.no).last_seq + 1 if existing else 1,
            )
            log_lines = await self._store.log(existing.no) if existing else []
            batch = await self._store.open_run(batch_id, run, configuration.labels)
            if self.is_closing:  # The next start of the app records the run as interrupted.
                raise ServiceClosedError
            buffer = self._ingest.open_buffer(batch.no, run.first_seq)
            read = partial(kind.read, kind.parse(run.parameters))
            self._log.open(batch, log_lines)
            log = partial(self._log.add, batch.no)
            log(LogLevel.INFO, f"Started with source {run.source}.")
            slot = self._free_slot()
            producer = Producer(batch, slot, buffer, read, log, self._clock, self._timing)
            producer.task.add_done_callback(lambda _: self._on_task_end(producer))
            self._by_no[batch.no] = producer
            self._catalog.upsert(batch)
            return batch

    def _configure(self, batch: Batch | None, options: StartOptions) -> Configuration:
        """Raises UnknownSourceError, InvalidConfigurationError."""
        previous = batch.run if batch and options.source is None else None
        source = previous.source if previous else options.source
        if source is None:
            source = DEFAULT_SOURCE
        if source not in self._sources:
            raise UnknownSourceError(source, sorted(self._sources))
        kind = self._sources[source]
        parameters, restart = options.parameters, options.restart
        if parameters is None:
            parameters = previous.parameters if previous else {}
        if restart is None:
            restart = previous.restart if previous else kind.restart
        labels = batch.labels if batch else NO_LABELS
        errors: dict[str, str] = {}
        try:
            kind.parse(parameters)
        except InvalidConfigurationError as error:
            errors |= error.errors
        try:
            labels = change_labels(labels, options.unit, options.description)
        except InvalidConfigurationError as error:
            errors |= error.errors
        if errors:
            raise InvalidConfigurationError(errors)
        return Configuration(source, parameters, restart, labels)

    def _check_can_start(self, batch_id: str) -> None:
        if self.is_closing:
            raise ServiceClosedError
        running = [producer.batch.batch_id for producer in self]
        if batch_id in running:
            raise BatchRunningError(batch_id)
        if len(running) >= BATCH_LIMIT:
            raise BatchLimitReachedError(BATCH_LIMIT, running)

    def _free_slot(self) -> int:
        occupied = {producer.slot for producer in self}
        return next(slot for slot in range(BATCH_LIMIT) if slot not in occupied)

    # -- stopping ---------------------------------------------------------------------------

    async def stop(self, batch_id: str) -> Batch:
        batch = self._catalog.get(batch_id)
        producer = self.find(batch.no)
        if producer is None:
            return batch
        await self._write_retry.wait_for(
            self._end(producer, BatchStatus.STOPPED), self._timing.stop_grace_period
        )
        return producer.batch

    def fail(self, batch_no: int, reason: str) -> None:
        """End a run as ``failed``."""
        if producer := self.find(batch_no):
            self._end(producer, BatchStatus.FAILED, reason)

    def close(self) -> None:
        """Reject new runs and wake waiting readers."""
        self.is_closing = True
        for producer in self:
            producer.wake()

    async def end_all(self) -> None:
        """End all runs as ``interrupted`` and commit their points."""
        if self._all_end is None:
            self._all_end = asyncio.create_task(self._end_all(), name="end-runs")
        await asyncio.shield(self._all_end)

    def cancel_endings(self) -> None:
        """Abandon runs whose end cannot be recorded. The next start of the app records it."""
        for producer in self:
            if producer.ending:
                producer.ending.cancel()

    async def mark_interrupted(self, batch: Batch) -> Batch:
        """Record the end of a run that an earlier process did not record. Returns its batch."""
        last_seq = self._catalog.counter(batch.no).last_seq
        latest: list[Point] = []
        if last_seq >= batch.run.first_seq:
            with suppress(StoreUnavailableError):  # The point is in a missing archive file.
                latest = await self._store.points(batch.no, last_seq - 1, 1)
        ended_at = latest[0].ts if latest else batch.run.started_at
        run = replace(
            batch.run, status=BatchStatus.INTERRUPTED, ended_at=ended_at, last_seq=last_seq
        )
        batch = replace(batch, run=run)
        await self._store.end_run(batch)
        text = "Interrupted: the app ended during the run."
        await self._log.add_to_ended(batch, LogLevel.INFO, text)
        return batch

    async def _end_all(self) -> None:
        self.close()
        endings = [self._end(producer, BatchStatus.INTERRUPTED) for producer in self]
        if endings:
            # Failing writes must not delay the shutdown.
            await asyncio.wait(endings, timeout=self._timing.shutdown_timeout)

    def _on_task_end(self, producer: Producer) -> None:
        if producer.ending is None:
            self._end(producer, *producer.outcome())

    def _end(
        self, producer: Producer, status: BatchStatus, reason: str | None = None
    ) -> asyncio.Task[None]:
        """Cancel the source of a run. The returned task ends when the outcome is recorded."""
        if producer.ending is None:
            producer.task.cancel()
            name = f"end:{producer.batch.batch_id}"
            ending = self._record_end(producer, status, reason)
            producer.ending = asyncio.create_task(ending, name=name)
        return producer.ending

    async def _record_end(
        self, producer: Producer, status: BatchStatus, reason: str | None
    ) -> None:
        batch_id, buffer = producer.batch.batch_id, producer.buffer
        timing, is_closing = self._timing, self.is_closing
        timeout = timing.shutdown_cancel_timeout if is_closing else timing.cancel_timeout
        _, pending = await asyncio.wait({producer.task}, timeout=timeout)
        if pending and not is_closing:
            logger.warning('Source of "%s" ignored cancellation; abandoning it', batch_id)
            self._log.add(producer.batch.no, LogLevel.ERROR, "The source ignored its cancellation.")
        buffer.close()
        ended_at = self._clock()
        # The stored minutes must include all points of an ended run.
        await self._ingest.flush_minutes()
        if buffer.failure:
            status, reason = BatchStatus.FAILED, buffer.failure
        run = replace(
            producer.batch.run,
            status=status,
            reason=reason,
            ended_at=ended_at,
            last_seq=buffer.committed_seq,
        )
        ended = replace(producer.batch, run=run)
        await self._write_retry.run(f'End of "{batch_id}"', lambda: self._store.end_run(ended))
        self._log.add(ended.no, *_last_line(run))
        await self._log.close(ended.no)
        batch = replace(producer.batch, run=run)  # Its labels may have changed in the meantime.
        self._ingest.close_buffer(batch.no)
        del self._by_no[batch.no]
        self._catalog.upsert(batch)
        producer.end(batch)


def _last_line(run: Run) -> tuple[LogLevel, str]:
    """Return the log line for the end of a run."""
    if run.status is BatchStatus.FAILED:
        return LogLevel.ERROR, run.reason or ""
    texts = {
        BatchStatus.STOPPED: "Stopped.",
        BatchStatus.FINISHED: "Finished.",
        BatchStatus.INTERRUPTED: "Interrupted: the app is shutting down.",
    }
    return LogLevel.INFO, texts[run.status]
