"""The runs under way: one task per batch, never more than five; how each begins and ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from solo_app.batches.catalog import Catalog, check_batch_id
from solo_app.batches.errors import (
    BatchLimitReachedError,
    BatchRunningError,
    ServiceClosedError,
    StoreUnavailableError,
    UnknownSourceError,
)
from solo_app.batches.ingest import Ingest
from solo_app.batches.model import Batch, BatchStatus, Clock, Point, Run
from solo_app.batches.producer import Producer
from solo_app.batches.sources import Source
from solo_app.batches.storage import Storage

logger = logging.getLogger(__name__)

BATCH_LIMIT = 5
"""How many batches may run at once."""

_ASK_AGAIN_AFTER = (0.05, 0.2, 0.5, 1, 2)
_CLOSE_WITHIN = 1.2
_LET_GO_WITHIN = 1.0


class Runs:
    """The producers of the running batches, in the order in which they took their slots.

    All methods belong on the event loop that opened the store.
    """

    def __init__(
        self,
        store: Storage,
        ingest: Ingest,
        catalog: Catalog,
        sources: Mapping[str, Source],
        clock: Clock,
    ) -> None:
        self.closing = False
        """Whether nothing starts any more."""
        self._store = store
        self._ingest = ingest
        self._catalog = catalog
        self._sources = sources
        self._clock = clock
        self._by_id: dict[str, Producer] = {}
        self._by_no: dict[int, Producer] = {}
        self._starting = asyncio.Lock()
        self._all_end: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._by_no)

    def __iter__(self) -> Iterator[Producer]:
        return iter(self._by_no.values())

    def of(self, batch_no: int) -> Producer | None:
        """The run under way of a batch."""
        return self._by_no.get(batch_no)

    # -- beginning --------------------------------------------------------------------------

    async def start(self, batch_id: str, source: str) -> Batch:
        """See ``BatchService.start``."""
        check_batch_id(batch_id)
        if source not in self._sources:
            raise UnknownSourceError(source, sorted(self._sources))
        # Shielded: a caller who goes away must not leave a run recorded that nobody carries out.
        return await asyncio.shield(asyncio.create_task(self._start(batch_id, source)))

    async def resume(self) -> None:
        """Start interrupted batches again, as many as may run, the latest first."""
        interrupted = self._catalog.select(BatchStatus.INTERRUPTED, "")
        for batch in [b for b in interrupted if b.run.source not in self._sources]:
            logger.warning("%s is not resumed: its source is gone.", batch.batch_id)
        for batch in [b for b in interrupted if b.run.source in self._sources][:BATCH_LIMIT]:
            await self.start(batch.batch_id, batch.run.source)

    async def _start(self, batch_id: str, source: str) -> Batch:
        async with self._starting:
            self._check_room_for(batch_id)
            known = self._catalog.get(batch_id)
            run = Run(
                number=known.run.number + 1 if known else 1,
                source=source,
                status=BatchStatus.RUNNING,
                started_at=self._clock(),
                first_seq=self._catalog.counter(known.no).last_seq + 1 if known else 1,
            )
            batch = await self._store.open_run(batch_id, run)
            buffer = self._ingest.open_buffer(batch.no, run.first_seq)
            producer = Producer(
                batch, self._free_slot(), buffer, self._sources[source], self._clock
            )
            producer.task.add_done_callback(lambda _: self._ended_by_itself(producer))
            self._by_id[batch_id] = self._by_no[batch.no] = producer
            self._catalog.keep(batch)
            return batch

    def _check_room_for(self, batch_id: str) -> None:
        if self.closing:
            raise ServiceClosedError
        if batch_id in self._by_id:
            raise BatchRunningError(batch_id)
        if len(self) >= BATCH_LIMIT:
            raise BatchLimitReachedError(BATCH_LIMIT, list(self._by_id))

    def _free_slot(self) -> int:
        taken = {producer.slot for producer in self}
        return next(slot for slot in range(BATCH_LIMIT) if slot not in taken)

    # -- ending -----------------------------------------------------------------------------

    async def stop(self, batch_id: str) -> Batch:
        """See ``BatchService.stop``."""
        producer = self._by_id.get(batch_id)
        if producer is None:
            return self._catalog.find(batch_id)
        await asyncio.shield(self._end(producer, BatchStatus.STOPPED))
        return producer.batch

    def close(self) -> None:
        """Let everyone who follows a batch go, and start nothing any more."""
        self.closing = True
        for producer in self:
            producer.wake()

    async def end_all(self) -> None:
        """End all runs as ``interrupted``, with what they produced committed and in the file."""
        if self._all_end is None:
            self._all_end = asyncio.create_task(self._end_all(), name="end-runs")
        await asyncio.shield(self._all_end)

    async def interrupted(self, batch: Batch) -> Batch:
        """A batch whose run was cut off with an earlier process, that run ended and recorded so."""
        last_seq = self._catalog.counter(batch.no).last_seq
        newest: list[Point] = []
        if last_seq >= batch.run.first_seq:
            with suppress(StoreUnavailableError):  # In an archive that is not there just now.
                newest = await self._store.points(batch.no, last_seq - 1, 1)
        ended_at = newest[0].ts if newest else batch.run.started_at
        run = replace(
            batch.run, status=BatchStatus.INTERRUPTED, ended_at=ended_at, last_seq=last_seq
        )
        batch = replace(batch, run=run)
        await self._store.end_run(batch)
        return batch

    async def _end_all(self) -> None:
        self.close()
        async with self._starting:
            endings = [self._end(producer, BatchStatus.INTERRUPTED) for producer in self]
        if endings:
            # A disk that takes nothing must not hold up the end of the process for ever.
            _, pending = await asyncio.wait(endings, timeout=_CLOSE_WITHIN)
            if not pending:
                with suppress(StoreUnavailableError):  # The log stays; nothing is lost by that.
                    await self._store.checkpoint()

    def _ended_by_itself(self, producer: Producer) -> None:
        if producer.ending is None:
            self._end(producer, *producer.outcome())

    def _end(
        self, producer: Producer, status: BatchStatus, reason: str | None = None
    ) -> asyncio.Task[None]:
        """End a run, once: whoever asks second waits for the first one's outcome."""
        if producer.ending is None:
            producer.ending = asyncio.create_task(
                self._carry_out_end(producer, status, reason), name=f"end:{producer.batch.batch_id}"
            )
        return producer.ending

    async def _carry_out_end(
        self, producer: Producer, status: BatchStatus, reason: str | None
    ) -> None:
        producer.task.cancel()
        _, pending = await asyncio.wait({producer.task}, timeout=_LET_GO_WITHIN)
        if pending:
            logger.warning("The source of %s does not end; it is left.", producer.batch.batch_id)
            producer.left = True
        # The next start relies on it: a run whose end is recorded has its minutes recorded.
        await self._ingest.flush_minutes()
        run = replace(
            producer.batch.run,
            status=status,
            reason=reason,
            ended_at=self._clock(),
            last_seq=producer.committed_seq,
        )
        batch = replace(producer.batch, run=run)
        try:
            await self._record_end(batch)
        finally:
            # Even when its end could not be recorded, nobody holds the slot any more.
            self._ingest.close_buffer(batch.no)
            del self._by_id[batch.batch_id], self._by_no[batch.no]
            self._catalog.keep(batch)
            producer.end(batch)

    async def _record_end(self, batch: Batch) -> None:
        """Record how a run ended; a disk that refuses is asked again for some seconds."""
        for pause in _ASK_AGAIN_AFTER:
            try:
                await self._store.end_run(batch)
            except StoreUnavailableError as error:
                logger.warning("The end of %s is not recorded yet: %s", batch.batch_id, error)
                await asyncio.sleep(pause)
            else:
                return
        await self._store.end_run(batch)
