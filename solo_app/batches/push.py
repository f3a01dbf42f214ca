"""Pushed points: appends the points that clients send to the run of their batch.

Points of one call of ``append`` are stored atomically. The receipt of a push with an idempotency
key is stored with its points, so that a repetition stores nothing and returns the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.catalog import Catalog
from solo_app.batches.errors import (
    BatchEndedError,
    BatchRunningError,
    IdempotencyKeyReusedError,
    PushInProgressError,
    ServiceClosedError,
    SourceMismatchError,
    StoreUnavailableError,
)
from solo_app.batches.ingest import Ingest
from solo_app.batches.models import (
    RECEIPT_LIFETIME,
    Batch,
    BatchStatus,
    Clock,
    IdempotencyKey,
    Receipt,
)
from solo_app.batches.producer import Producer
from solo_app.batches.runner import Runner, StartOptions
from solo_app.batches.source import PUSH_SOURCE, to_finite_doubles
from solo_app.batches.storage import Storage
from solo_app.batches.timing import Timing
from solo_app.batches.write_retry import WriteRetry

MAX_POINTS = 100_000
"""Maximum number of points that are stored atomically."""

IDLE_SECONDS = 3_600
"""Time without points after which a batch that was started by a push ends. Otherwise a mistyped
name would occupy a slot."""

_RETRY_ADVICE = "A retry can store them twice, except with the same Idempotency-Key."

_REFUSING = (BatchStatus.STOPPED, BatchStatus.FAILED)
"""The statuses of ended batches that a push does not start again."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """Committed points. Other clients can have stored points between the first and the last."""

    first_seq: int
    last_seq: int
    count: int


class Pushes:
    """Adds pushed points to batches. Starts a batch that is not running, if that is allowed."""

    def __init__(
        self,
        store: Storage,
        write_retry: WriteRetry,
        ingest: Ingest,
        catalog: Catalog,
        runner: Runner,
        clock: Clock,
        timing: Timing,
    ) -> None:
        self._store = store
        self._write_retry = write_retry
        self._ingest = ingest
        self._catalog = catalog
        self._runner = runner
        self._clock = clock
        self._timing = timing
        self._claims: dict[tuple[str, str], str] = {}
        """The body hashes of requests in progress, by batch id and idempotency key."""

    def open(self, batch_id: str) -> Push:
        return Push(batch_id, self)

    async def push(
        self, batch_id: str, keys: NDArray[np.float64], key: IdempotencyKey | None = None
    ) -> PushResult:
        """See ``BatchService.push``."""
        if key is None:
            return await self._push(batch_id, keys, None)
        with self._claim(batch_id, key):
            if receipt := await self._find_receipt(batch_id, key):
                count = receipt.last_seq - receipt.first_seq + 1
                return PushResult(receipt.first_seq, receipt.last_seq, count)
            return await self._push(batch_id, keys, key)

    async def _push(
        self, batch_id: str, keys: NDArray[np.float64], key: IdempotencyKey | None
    ) -> PushResult:
        push = self.open(batch_id)
        await push.append(keys, key)
        result = await push.commit()
        assert result
        return result

    # -- runs -------------------------------------------------------------------------------

    async def append(
        self, batch_id: str, keys: NDArray[np.float64], key: IdempotencyKey | None
    ) -> tuple[Producer, int]:
        """Append points to the run of a batch. Returns the run and the ``seq`` of the last point.

        See ``BatchService.push`` for the errors.
        """
        keys = to_finite_doubles(keys)
        producer = await self._writable_run(batch_id)
        # No await from here on: the run can end, and its buffer can fill, in the meantime.
        first_seq = producer.buffer.next_seq
        last_seq = first_seq + len(keys) - 1
        receipt = Receipt(key, self._clock(), first_seq, last_seq) if key else None
        producer.append(keys, receipt)
        return producer, last_seq

    async def _writable_run(self, batch_id: str) -> Producer:
        """Return the run of a batch as soon as its buffer has capacity."""
        while True:
            if self._write_retry.error:
                raise StoreUnavailableError(f"Writes are failing: {self._write_retry.error}")
            producer = await self._run(batch_id)
            if producer.buffer.has_capacity:
                return producer
            await self._write_retry.limit(producer.buffer.wait_for_capacity())

    async def _run(self, batch_id: str) -> Producer:
        """Return the current run of a batch. Starts the batch if that is allowed."""
        while True:
            if self._runner.is_closing:
                raise ServiceClosedError
            batch = self._catalog.find(batch_id)
            if batch and batch.run.source != PUSH_SOURCE:
                raise SourceMismatchError(batch_id, batch.run.source)
            producer = self._runner.find(batch.no) if batch else None
            if producer and not producer.ending:
                return producer
            if producer and producer.ending:
                await self._write_retry.wait_for(producer.ending)
            elif batch and batch.status in _REFUSING:
                raise BatchEndedError(batch_id, batch.status)
            else:
                with suppress(BatchRunningError):  # Another client has started it.
                    await self._runner.start(batch_id, _start_options(batch))

    async def wait_for_commit(self, producer: Producer, last_seq: int) -> None:
        """Wait until a point is committed. If this raises, the point may be committed later."""
        try:
            grace_period = self._timing.stop_grace_period
            await self._write_retry.limit(self._ingest.flush(), grace_period)
        except StoreUnavailableError as error:
            raise StoreUnavailableError(
                f"{error} The points are stored if writes succeed before the app ends. "
                f"{_RETRY_ADVICE}"
            ) from error
        if producer.committed_seq < last_seq:
            if failure := producer.buffer.failure:
                raise StoreUnavailableError(f"Points not stored: {failure}")
            # The commit was cancelled, but its transaction can still complete.
            raise StoreUnavailableError(
                f"The app is shutting down. The points may be stored. {_RETRY_ADVICE}"
            )

    async def wait_for_end(self, producer: Producer) -> None:
        """Wait until a run ends. Then raises BatchEndedError or ServiceClosedError, unless the
        batch has finished: the next points start it again."""
        await producer.buffer.wait_until_closed()
        if self._runner.is_closing:
            raise ServiceClosedError
        if producer.ending:
            await self._write_retry.wait_for(producer.ending)
        if producer.batch.status in _REFUSING:
            raise BatchEndedError(producer.batch.batch_id, producer.batch.status)

    # -- idempotency ------------------------------------------------------------------------

    @contextmanager
    def _claim(self, batch_id: str, key: IdempotencyKey) -> Iterator[None]:
        """Reserve a key for the block. Raises IdempotencyKeyReusedError, PushInProgressError."""
        claim = batch_id, key.key
        body_hash = self._claims.get(claim) or self._uncommitted_hash(batch_id, key)
        if body_hash:
            raise PushInProgressError if body_hash == key.body_hash else IdempotencyKeyReusedError
        self._claims[claim] = key.body_hash
        try:
            yield
        finally:
            del self._claims[claim]

    def _uncommitted_hash(self, batch_id: str, key: IdempotencyKey) -> str | None:
        """Return the hash of a request that has ended before its points could be committed."""
        batch = self._catalog.find(batch_id)
        producer = self._runner.find(batch.no) if batch else None
        receipts = producer.buffer.uncommitted_receipts if producer else []
        return next((r.key.body_hash for r in receipts if r.key.key == key.key), None)

    async def _find_receipt(self, batch_id: str, key: IdempotencyKey) -> Receipt | None:
        """Return the receipt of an earlier push. Raises IdempotencyKeyReusedError."""
        batch = self._catalog.find(batch_id)
        if batch is None:
            return None
        since = self._clock() - RECEIPT_LIFETIME
        receipt = await self._store.receipt(batch.no, key.key, since)
        if receipt and receipt.key.body_hash != key.body_hash:
            raise IdempotencyKeyReusedError
        return receipt


class Push:
    """One request that pushes points to a batch, in one or several parts."""

    def __init__(self, batch_id: str, pushes: Pushes) -> None:
        self.count = 0
        self._batch_id = batch_id
        self._pushes = pushes
        self._producer: Producer | None = None
        self._first_seq = 0
        self._last_seq = 0

    async def append(self, keys: NDArray[np.float64], key: IdempotencyKey | None = None) -> None:
        """Append points without waiting for their commit. Waits while the buffer is full.

        See ``BatchService.push`` for the errors.
        """
        self._producer, self._last_seq = await self._pushes.append(self._batch_id, keys, key)
        self._first_seq = self._first_seq or self._last_seq - len(keys) + 1
        self.count += len(keys)

    async def commit(self) -> PushResult | None:
        """Wait until all appended points are committed. Returns None if there are none.

        Raises StoreUnavailableError; the points may be committed later.
        """
        if self._producer is None:
            return None
        # Points of an earlier run were committed before the current run started.
        await self._pushes.wait_for_commit(self._producer, self._last_seq)
        return PushResult(self._first_seq, self._last_seq, self.count)

    async def wait_for_end(self) -> None:
        """Wait until the run that received the last points ends.

        Then raises BatchEndedError or ServiceClosedError if the batch accepts no more points.
        Raises StoreUnavailableError.
        """
        if self._producer:
            await self._pushes.wait_for_end(self._producer)


def _start_options(batch: Batch | None) -> StartOptions:
    """Return the latest configuration of a batch, or that of a new batch started by a push."""
    if batch is None:
        return StartOptions(PUSH_SOURCE, {"idle_seconds": IDLE_SECONDS})
    return StartOptions(PUSH_SOURCE, batch.run.parameters, batch.run.restart)
