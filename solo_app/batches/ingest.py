"""Ingest: the buffers that producers fill, and the group commit that writes them to the store.

Points that are appended during a commit are written by the next one. Call all methods on the event
loop; the commit itself runs on the writer thread of the store.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.minutes import Minutes, aggregate_by_minute, merge, start_of_minute
from solo_app.batches.models import Block, Clock, MinuteAggregate, Receipt
from solo_app.batches.storage import Storage
from solo_app.batches.timing import Timing
from solo_app.batches.write_retry import WriteRetry

logger = logging.getLogger(__name__)

BUFFER_POINTS = 32_768
"""Capacity of the buffer of a batch. It limits the duration of a commit, and so the latency of a
point. Larger commits do not increase the throughput."""

MAX_POINTS_PER_APPEND = BUFFER_POINTS // 2

MAX_UNWRITTEN_ROWS = 5_000_000
"""Committed points after which minutes are written early. Limits the duration of the next start."""

CommitListener = Callable[[Block, list[MinuteAggregate]], None]
"""Receives each committed block and its aggregates per minute."""

FailureListener = Callable[[int, str], None]
"""Receives the number of a batch whose points could not be processed, and the reason."""


class PointBuffer:
    """Uncommitted points of one run.

    ``failure`` is why points were discarded, None if none were.
    """

    def __init__(
        self,
        batch_no: int,
        next_seq: int,
        notify: Callable[[], None],
        request_flush: Callable[[], None],
    ) -> None:
        self.batch_no = batch_no
        self.next_seq = next_seq
        self.committed_seq = next_seq - 1
        self.failure: str | None = None
        self._notify = notify
        self._request_flush = request_flush
        self._ts = array("q")
        self._key = array("d")
        self._receipts: list[Receipt] = []
        self._in_flight: Block | None = None
        self._has_capacity = asyncio.Event()
        self._has_capacity.set()
        self._closed = asyncio.Event()

    def append(self, ts: int, keys: NDArray[np.float64], receipt: Receipt | None = None) -> None:
        """Add points produced at ``ts`` microseconds since 1970, without waiting.

        They are committed in one transaction, with the receipt. ``keys`` has 1 to
        ``MAX_POINTS_PER_APPEND`` elements; more delay the other batches. A closed buffer ignores
        them.
        """
        if self.is_closed:
            return
        self._key.frombytes(keys.tobytes())
        self._ts.frombytes(np.full(len(keys), ts, np.int64).tobytes())
        self.next_seq += len(keys)
        if receipt:
            self._receipts.append(receipt)
        if len(self._ts) > BUFFER_POINTS - MAX_POINTS_PER_APPEND:
            self._has_capacity.clear()
            self._request_flush()
        self._notify()

    @property
    def has_capacity(self) -> bool:
        """Whether the buffer accepts another ``append``."""
        return self._has_capacity.is_set()

    async def wait_for_capacity(self) -> None:
        """Wait until the buffer has capacity or is closed."""
        await self._has_capacity.wait()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    async def wait_until_closed(self) -> None:
        await self._closed.wait()

    def close(self) -> None:
        """Reject further points. Points in the buffer are still committed."""
        self._closed.set()
        self._has_capacity.set()

    def fail(self, reason: str) -> None:
        """Reject further points and discard all uncommitted ones."""
        self.close()
        self.failure = reason
        self._ts, self._key, self._receipts = array("q"), array("d"), []
        self._in_flight = None

    @property
    def pending(self) -> int:
        """Number of points for the next commit."""
        return len(self._ts)

    @property
    def uncommitted(self) -> int:
        """Number of points that are pending or in flight."""
        return self.pending + (len(self._in_flight.ts) if self._in_flight else 0)

    @property
    def uncommitted_receipts(self) -> list[Receipt]:
        return [*self._receipts, *(self._in_flight.receipts if self._in_flight else ())]

    def has_points_before(self, ts: int) -> bool:
        """Return whether an uncommitted point was produced before ``ts``."""
        in_flight = self._in_flight
        return bool(self._ts and np.asarray(self._ts).min() < ts) or bool(
            in_flight and in_flight.ts.min() < ts
        )

    def drain(self) -> Block | None:
        """Remove and return all pending points. They are in flight until ``acknowledge``."""
        if not self._ts:
            return None
        ts, key = np.frombuffer(self._ts, np.int64), np.frombuffer(self._key, np.float64)
        self._ts, self._key = array("q"), array("d")
        first_seq, receipts = self.next_seq - len(ts), tuple(self._receipts)
        self._receipts = []
        self._in_flight = Block(self.batch_no, first_seq, ts, key, receipts)
        self._has_capacity.set()
        return self._in_flight

    def acknowledge(self, block: Block) -> None:
        """Mark the drained block as committed."""
        self.committed_seq = block.last_seq
        self._in_flight = None


class Ingest:
    """The group commit. A batch whose points cannot be processed fails; the others continue."""

    def __init__(
        self,
        store: Storage,
        write_retry: WriteRetry,
        clock: Clock,
        timing: Timing,
        on_commit: CommitListener,
        on_failure: FailureListener,
    ) -> None:
        self.failure: str | None = None
        """Why the points of a batch could not be processed; reset when a batch starts."""
        self._store = store
        self._write_retry = write_retry
        self._clock = clock
        self._timing = timing
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._buffers: dict[int, PointBuffer] = {}
        self._unwritten: dict[int, Minutes] = {}
        self._unwritten_rows = 0
        self._written_up_to = start_of_minute(clock())
        self._minutes_requested = False
        self._work = asyncio.Event()
        self._flush_requested = asyncio.Event()
        self._current_commit: asyncio.Event | None = None
        self._next_commit = asyncio.Event()

    def open_buffer(self, batch_no: int, next_seq: int) -> PointBuffer:
        """Create the buffer of a batch whose next point is ``next_seq``."""
        buffer = PointBuffer(batch_no, next_seq, self._work.set, self._flush_requested.set)
        self._buffers[batch_no] = buffer
        self._work.set()  # Check that the store is writable.
        self.failure = None
        return buffer

    def close_buffer(self, batch_no: int) -> None:
        """Remove a buffer that has been flushed."""
        del self._buffers[batch_no]

    async def flush(self) -> None:
        """Wait until every point appended before this call is committed."""
        if any(buffer.pending for buffer in self._buffers.values()):
            self._flush_requested.set()
            await self._next_commit.wait()
        elif self._current_commit:
            await self._current_commit.wait()

    async def flush_minutes(self) -> None:
        """Wait until the stored minutes include every point appended before this call."""
        self._minutes_requested = True
        self._work.set()
        self._flush_requested.set()
        await self._next_commit.wait()

    async def run(self) -> None:
        """Commit until cancelled. An unexpected error fails all running batches."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.store_check_interval):
                    await self._work.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.commit_delay):
                    await self._flush_requested.wait()
            self._flush_requested.clear()
            self._work.clear()
            self._current_commit, self._next_commit = self._next_commit, asyncio.Event()
            try:
                await self._commit()
            except Exception as error:
                for buffer in list(self._buffers.values()):
                    self._fail(buffer, error)
            finally:
                self._current_commit.set()
                self._current_commit = None

    async def _commit(self) -> None:
        minute = start_of_minute(self._clock())
        drained = []
        for buffer in list(self._buffers.values()):
            with self._isolate_failure(buffer):
                if block := buffer.drain():
                    drained.append((buffer, block, self._aggregate(block)))
        minutes = self._drain_minutes(minute) if self._are_minutes_due(minute) else {}
        blocks = [block for _, block, _ in drained]
        await self._write_retry.run("Commit", lambda: self._store.write(blocks, minutes))
        for buffer, block, aggregates in drained:
            buffer.acknowledge(block)
            with self._isolate_failure(buffer):
                self._on_commit(block, aggregates)

    def _aggregate(self, block: Block) -> list[MinuteAggregate]:
        aggregates = aggregate_by_minute(block.ts, block.key)
        merge(self._unwritten.setdefault(block.batch_no, {}), aggregates)
        self._unwritten_rows += len(block.ts)
        return aggregates

    def _are_minutes_due(self, minute: datetime) -> bool:
        return (
            self._minutes_requested
            or minute != self._written_up_to
            or self._unwritten_rows >= MAX_UNWRITTEN_ROWS
        )

    def _drain_minutes(self, minute: datetime) -> dict[int, list[MinuteAggregate]]:
        minutes = {no: list(unwritten.values()) for no, unwritten in self._unwritten.items()}
        self._unwritten = {}
        self._unwritten_rows = 0
        self._written_up_to = minute
        self._minutes_requested = False
        return minutes

    @contextmanager
    def _isolate_failure(self, buffer: PointBuffer) -> Iterator[None]:
        """Fail only the batch of this buffer if the block raises."""
        try:
            yield
        except Exception as error:
            self._fail(buffer, error)

    def _fail(self, buffer: PointBuffer, error: Exception) -> None:
        logger.error("Ingest of batch number %d failed", buffer.batch_no, exc_info=error)
        self.failure = f"Internal error: {type(error).__name__}: {error}"
        buffer.fail(self.failure)
        self._on_failure(buffer.batch_no, self.failure)
