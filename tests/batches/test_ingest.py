"""Group commit: buffers are bounded, no points are lost, and an error fails only its batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches.ingest import BUFFER_POINTS, MAX_POINTS_PER_APPEND, Ingest, PointBuffer
from solo_app.batches.models import (
    BatchStatus,
    Block,
    Clock,
    LogLevel,
    MinuteAggregate,
    RestartPolicy,
    Run,
    to_microseconds,
)
from solo_app.batches.series import Series
from solo_app.batches.storage import Storage
from solo_app.batches.timing import Timing
from solo_app.batches.write_retry import WriteRetry
from solo_app.storage.duckdb.store import DuckDBStore
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource, open_service, wait_until

pytestmark = pytest.mark.anyio

NOW = datetime(2012, 11, 11, 10, 10, 30)
NOW_US = to_microseconds(NOW)
FAST = Timing(retry_interval=0.001, commit_delay=0.001, store_check_interval=0.001)
NEVER = Timing(retry_interval=0.001, commit_delay=3_600, store_check_interval=3_600)


class Commits:
    """Records committed blocks and failed batches."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.failures: dict[int, str] = {}
        self.error: Exception | None = None
        """Raised for the blocks of batch 1."""

    def on_commit(self, block: Block, _: list[MinuteAggregate]) -> None:
        if self.error and block.batch_no == 1:
            raise self.error
        self.blocks.append(block)

    def on_failure(self, batch_no: int, reason: str) -> None:
        self.failures[batch_no] = reason

    def seqs(self, batch_no: int) -> list[int]:
        blocks = [block for block in self.blocks if block.batch_no == batch_no]
        return [point.seq for block in blocks for point in block.points()]


@asynccontextmanager
async def run_ingest(
    storage: Storage, commits: Commits, timing: Timing = FAST, clock: Clock = lambda: NOW
) -> AsyncIterator[Ingest]:
    retry = WriteRetry(timing)
    ingest = Ingest(storage, retry, clock, timing, commits.on_commit, commits.on_failure)
    task = asyncio.create_task(ingest.run())
    try:
        yield ingest
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def append(buffer: PointBuffer, *keys: float, ts: int = NOW_US) -> None:
    buffer.append(ts, np.array(keys, float))


# -- buffers ---------------------------------------------------------------------------------


async def test_full_buffer_requests_a_flush_and_has_no_capacity() -> None:
    flushes: list[bool] = []
    buffer = PointBuffer(1, 1, lambda: None, lambda: flushes.append(True))
    buffer.append(0, np.zeros(BUFFER_POINTS - MAX_POINTS_PER_APPEND))
    await buffer.wait_for_capacity()
    assert not flushes
    buffer.append(0, np.zeros(MAX_POINTS_PER_APPEND))
    assert flushes
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(buffer.wait_for_capacity(), 0)
    block = buffer.drain()
    await buffer.wait_for_capacity()
    assert block
    assert (block.first_seq, block.last_seq) == (1, BUFFER_POINTS)


async def test_buffer_reports_uncommitted_points_by_time() -> None:
    buffer = PointBuffer(1, 1, lambda: None, lambda: None)
    append(buffer)
    assert not buffer.has_points_before(2**62)
    append(buffer, 1, 2, ts=10)
    append(buffer, 3, ts=5)
    assert [buffer.has_points_before(ts) for ts in (5, 6)] == [False, True]
    block = buffer.drain()
    assert block
    assert (buffer.pending, buffer.uncommitted) == (0, 3)
    assert [buffer.has_points_before(ts) for ts in (5, 6)] == [False, True]
    buffer.acknowledge(block)
    assert (buffer.committed_seq, buffer.uncommitted) == (3, 0)
    assert not buffer.has_points_before(2**62)


async def test_closed_buffer_ignores_points_and_keeps_earlier_ones() -> None:
    buffer = PointBuffer(1, 1, lambda: None, lambda: None)
    append(buffer, 1)
    buffer.close()
    append(buffer, 2)
    assert (buffer.next_seq, buffer.pending) == (2, 1)


async def test_failed_buffer_discards_its_points() -> None:
    buffer = PointBuffer(1, 1, lambda: None, lambda: None)
    append(buffer, 1)
    buffer.fail("no reason")
    assert (buffer.uncommitted, buffer.failure) == (0, "no reason")


# -- commits ---------------------------------------------------------------------------------


async def test_points_are_committed_in_order() -> None:
    commits = Commits()
    async with run_ingest(MemoryStorage(), commits) as ingest:
        buffer = ingest.open_buffer(1, 5)
        for key in range(10):
            append(buffer, key)
            await asyncio.sleep(0)
        await ingest.flush()
    assert commits.seqs(1) == list(range(5, 15))


async def test_flush_and_full_buffer_skip_the_commit_delay() -> None:
    commits = Commits()
    async with run_ingest(MemoryStorage(), commits, NEVER) as ingest, asyncio.timeout(30):
        buffer = ingest.open_buffer(1, 1)
        append(buffer, 1, 2, 3)
        await ingest.flush()
        assert commits.seqs(1) == [1, 2, 3]
        buffer.append(NOW_US, np.zeros(MAX_POINTS_PER_APPEND))
        buffer.append(NOW_US, np.zeros(MAX_POINTS_PER_APPEND))
        await wait_until(lambda: buffer.committed_seq == 3 + BUFFER_POINTS)


async def test_flush_waits_for_a_commit_in_progress() -> None:
    storage, commits = MemoryStorage(), Commits()
    async with run_ingest(storage, commits) as ingest:
        storage.writes.hold()
        append(ingest.open_buffer(1, 1), 1)
        await wait_until(lambda: storage.writes.waiting)
        flush = asyncio.create_task(ingest.flush())
        storage.writes.open()
        await flush
        assert commits.seqs(1) == [1]


async def test_failed_write_is_retried_with_the_same_points() -> None:
    storage, commits = MemoryStorage(), Commits()
    async with run_ingest(storage, commits) as ingest:
        storage.writes.fail("no room")
        buffer = ingest.open_buffer(1, 1)
        append(buffer, 1, 2)
        await wait_until(lambda: storage.writes.calls > 3)
        append(buffer, 3)
        assert commits.blocks == []
        storage.writes.open()
        await ingest.flush()
    assert commits.seqs(1) == [1, 2, 3]


async def test_idle_store_is_checked() -> None:
    storage = MemoryStorage()
    async with run_ingest(storage, Commits()):
        await wait_until(lambda: storage.writes.calls > 3)
    assert storage.written == []


async def test_flushed_minutes_include_all_points(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "solo.duckdb")
    await store.open()
    batch = await store.open_run("b", Run(1, "random", BatchStatus.RUNNING, NOW, first_seq=1))
    async with run_ingest(store, Commits(), NEVER) as ingest:
        buffer = ingest.open_buffer(batch.no, 1)
        for count in (1, 2, 3):
            append(buffer, count)
            await ingest.flush_minutes()
            counter = (await store.stored_minutes(NOW)).counters[batch.no]
            assert counter.row_count == counter.last_seq == count
            assert len(await store.points(batch.no, 0, 10)) == count
    await store.close()


# -- errors ----------------------------------------------------------------------------------


async def test_block_that_cannot_be_aggregated_fails_only_its_batch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage, commits = MemoryStorage(), Commits()
    async with run_ingest(storage, commits) as ingest:
        bad, good = ingest.open_buffer(1, 1), ingest.open_buffer(2, 1)
        append(bad, 1, ts=2**62)  # Beyond the range of a datetime.
        append(good, 2)
        await ingest.flush()
        assert list(commits.failures) == [1]
        assert "OverflowError" in commits.failures[1]
        assert ingest.failure == bad.failure == commits.failures[1]
        append(good, 3)
        await ingest.flush()
        assert commits.seqs(2) == [1, 2]
        ingest.open_buffer(1, 1)
        assert ingest.failure is None
    assert {block.batch_no for block in storage.written} == {2}
    assert caplog.records[0].exc_info


async def test_error_in_the_listener_fails_only_its_batch() -> None:
    storage, commits = MemoryStorage(), Commits()
    async with run_ingest(storage, commits) as ingest:
        commits.error = LookupError("no listener")
        for no in (1, 2):
            append(ingest.open_buffer(no, 1), no)
        await ingest.flush()
        assert list(commits.failures) == [1]
        assert "no listener" in commits.failures[1]
        assert commits.seqs(2) == [1]
    assert {block.batch_no for block in storage.written} == {1, 2}


async def test_other_error_fails_all_batches_but_not_ingest() -> None:
    commits, errors = Commits(), list[Exception]()

    def clock() -> datetime:
        if errors:
            raise errors.pop()
        return NOW

    async with run_ingest(MemoryStorage(), commits, NEVER, clock) as ingest:
        buffers = [ingest.open_buffer(no, 1) for no in (1, 2)]
        await ingest.flush_minutes()
        errors.append(OSError("no time"))
        for buffer in buffers:
            append(buffer, 1)
        await ingest.flush()
        assert list(commits.failures) == [1, 2]
        append(ingest.open_buffer(3, 1), 1)
        await ingest.flush()
        assert commits.seqs(3) == [1]


class FailingSeries(Series):
    def add(self, block: Block) -> None:
        raise LookupError("no series")


async def test_failed_batch_can_be_restarted_without_loss(
    clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(MemoryStorage(), clock, script=script) as service:
        batch = await service.start("b", "script")
        producer = service.producer(batch)
        assert producer
        producer.series = FailingSeries(1)
        script.emit(clock.now, 1.0)
        await wait_until(lambda: service.batch("b").status is BatchStatus.FAILED)
        run = service.batch("b").run
        assert (run.last_seq, run.reason) == (1, "Internal error: LookupError: no series")
        assert service.totals().write_error == run.reason
        await service.start("b", "script")
        assert service.totals().write_error is None
        script.emit(clock.now, 2.0)
        await wait_until(lambda: service.row_count(batch) == 2)
        clock.advance(minutes=1)
        minute = (await service.aggregate("b")).minute
        assert minute
        assert (minute.count, minute.sum) == (2, 3.0)


async def test_stop_during_an_error_in_ingest_returns() -> None:
    async with open_service(MemoryStorage()) as service, asyncio.timeout(30):
        producer = service.producer(await service.start("b"))
        assert producer
        producer.series = FailingSeries(1)
        assert (await service.stop("b")).status in (BatchStatus.FAILED, BatchStatus.STOPPED)
        await service.aggregate("b")


async def test_failed_batch_does_not_restart_its_source(
    clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(MemoryStorage(), clock, script=script) as service:
        batch = await service.start("b", "script", restart=RestartPolicy.ON_FAILURE)
        producer = service.producer(batch)
        assert producer
        producer.series = FailingSeries(1)
        script.emit(clock.now, 1.0)
        await wait_until(lambda: service.batch("b").status is BatchStatus.FAILED)
        last = (await service.log("b"))[-1]
        assert (last.level, last.text) == (LogLevel.ERROR, service.batch("b").run.reason)
