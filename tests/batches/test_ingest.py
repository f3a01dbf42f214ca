"""Group commit: bounded buffers, no loss while writes fail, no batch that stalls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches import ingest
from solo_app.batches.ingest import BUFFER_POINTS, MAX_POINTS_PER_APPEND, PointBuffer
from solo_app.batches.minutes import aggregate_by_minute
from solo_app.batches.models import BatchStatus, MinuteAggregate
from solo_app.batches.source import Numbers
from solo_app.batches.timing import Timing
from solo_app.sources.random import random_numbers
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource, open_service, silent, wait_until

pytestmark = pytest.mark.anyio


async def test_a_refused_commit_is_repeated_and_reported_meanwhile() -> None:
    storage = MemoryStorage()
    storage.writes.fail("no room")
    async with open_service(storage) as service:
        await service.start("b")
        await wait_until(lambda: service.totals().write_error)
        assert "no room" in (service.totals().write_error or "")
        assert service.totals().row_count == 0
        storage.writes.open()
        await wait_until(lambda: service.totals().row_count > 5)
        assert service.totals().write_error is None
        await service.stop("b")
        stored = await service.points("b", 0, 10_000)
        assert [p.seq for p in stored] == list(range(1, len(stored) + 1))


async def test_a_full_buffer_makes_its_producer_wait_until_it_is_drained() -> None:
    flushes: list[bool] = []
    buffer = PointBuffer(1, 1, lambda: None, lambda: flushes.append(True))
    buffer.append(0, np.zeros(BUFFER_POINTS - MAX_POINTS_PER_APPEND))
    assert not flushes
    buffer.append(0, np.zeros(MAX_POINTS_PER_APPEND))
    assert flushes
    waiting = asyncio.create_task(buffer.wait_for_capacity())
    await asyncio.sleep(0)
    assert not waiting.done()
    block = buffer.drain()
    await waiting
    assert block is not None
    assert (block.first_seq, block.last_seq) == (1, BUFFER_POINTS)


async def test_a_waiting_caller_or_a_full_buffer_triggers_a_commit(
    tmp_path: Path,
) -> None:
    timing = Timing(commit_delay=3_600)
    async with (
        asyncio.timeout(10),
        open_service(tmp_path / "solo.duckdb", timing=timing, flood=random_numbers(0)) as s,
    ):
        batch = await s.start("b")
        producer = s.producer(batch)
        assert producer
        await wait_until(lambda: producer.buffer.pending >= 3)
        assert s.row_count(batch) == 0
        await s.stop("b")
        assert s.row_count(batch) >= 3
        full = await s.start("full", "flood")
        await wait_until(lambda: s.row_count(full) >= BUFFER_POINTS)


async def test_memory_is_bounded_while_writes_hang() -> None:
    storage = MemoryStorage()
    storage.writes.hold()
    async with open_service(storage, flood=random_numbers(0)) as service:
        producer = service.producer(await service.start("b", "flood"))
        assert producer
        buffer = producer.buffer
        await wait_until(lambda: storage.writes.waiting and buffer.pending >= BUFFER_POINTS)
        produced = buffer.next_seq
        await asyncio.sleep(0.05)  # The claim is that nothing happens.
        assert buffer.next_seq == produced
        storage.writes.open()
        await service.stop("b")


async def test_an_array_longer_than_the_buffer_is_split() -> None:
    numbers = np.arange(3.0 * BUFFER_POINTS + 7)

    async def long() -> AsyncIterator[Numbers]:
        yield numbers[:5]
        yield numbers[5:]

    storage = MemoryStorage()
    async with open_service(storage, long=long) as service:
        await service.start("b", "long")
        await wait_until(lambda: service.batch("b").status is BatchStatus.FINISHED)
        stored = await storage.points(1, 0, len(numbers) + 1)
        assert [point.key for point in stored] == list(numbers)
        assert [point.seq for point in stored] == list(range(1, len(numbers) + 1))
        assert max(len(block.ts) for block in storage.written) <= BUFFER_POINTS
        moments = [len(list(group)) for _, group in groupby(stored, lambda point: point.ts)]
        assert moments == [5, *[MAX_POINTS_PER_APPEND] * 6, 2]


async def test_an_array_of_nothing_holds_up_nobody(tmp_path: Path) -> None:
    async def sparse() -> AsyncIterator[Numbers]:
        while True:
            yield np.array([])

    async with open_service(tmp_path / "solo.duckdb", sparse=sparse) as service:
        batch = await service.start("b", "sparse")
        await service.start("calm")
        await wait_until(lambda: service.totals().row_count >= 3)
        producer = service.producer(batch)
        assert producer
        assert not producer.buffer.has_points_before(2**62)
        assert (await service.stop("b")).run.last_seq == 0


async def test_points_that_are_lost_at_shutdown_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def eleven() -> AsyncIterator[Numbers]:
        yield np.zeros(4)
        yield np.zeros(7)
        await asyncio.Event().wait()

    storage = MemoryStorage()
    storage.writes.fail("no room")
    async with open_service(
        storage, timing=Timing(shutdown_timeout=0.05), eleven=eleven
    ) as service:
        await service.start("b", "eleven")
        await wait_until(lambda: service.totals().write_error)
    assert '11 points of "b" are not saved: no room' in caplog.messages


def broken_fold(*_: object) -> list[MinuteAggregate]:
    raise ArithmeticError("cannot fold")


@pytest.mark.parametrize("where", ["fold", "listener"])
async def test_an_error_in_ingest_fails_its_batch_and_no_other(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage = MemoryStorage()
    clock = FakeClock("2012-11-11 10:10:30")
    script = ScriptedSource(clock)
    async with open_service(storage, clock, script=script) as service:
        bad = await service.start("bad", "script")
        good = await service.start("good")
        script.emit(clock.now, 1.0)
        await wait_until(lambda: service.row_count(bad) == 1)
        with monkeypatch.context() as patched:
            if where == "fold":
                patched.setattr(
                    ingest,
                    "aggregate_by_minute",
                    lambda ts, key: (
                        broken_fold() if 1000.0 in key else aggregate_by_minute(ts, key)
                    ),
                )
            else:
                producer = service.producer(bad)
                assert producer
                add = producer.series.add
                patched.setattr(
                    producer.series,
                    "add",
                    lambda block: broken_fold() if 1000.0 in block.key else add(block),
                )
            script.emit(clock.now, 1000.0)
            await wait_until(lambda: service.batch("bad").status is BatchStatus.FAILED)
        run = service.batch("bad").run
        assert "cannot fold" in (run.reason or "")
        assert "cannot fold" in (service.totals().write_error or "")
        assert any(record.exc_info for record in caplog.records)
        committed = [point.seq for point in await service.points("bad", 0, 10)]
        assert committed == ([1] if where == "fold" else [1, 2])
        assert (run.last_seq, service.row_count(bad)) == (len(committed), len(committed))
        count = service.row_count(good)
        await wait_until(lambda: service.row_count(good) > count + 3)
        await service.start("bad", "script")
        assert service.totals().write_error is None
        script.emit(clock.now, 3.0)
        await wait_until(lambda: service.row_count(bad) == len(committed) + 1)
        async with asyncio.timeout(5):
            await service.stop("good")
            await service.stop("bad")
        clock.advance(minutes=1)
        for batch in (bad, good):
            minute = (await service.aggregate(batch.batch_id)).minute
            points = await service.points(batch.batch_id, 0, 10_000)
            assert minute
            assert (minute.count, minute.sum) == (len(points), sum(p.key for p in points))
            assert [p.seq for p in points] == list(range(1, len(points) + 1))


async def test_a_stop_during_an_error_in_ingest_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_service(MemoryStorage()) as service:
        await service.start("b")
        monkeypatch.setattr(ingest, "aggregate_by_minute", broken_fold)
        async with asyncio.timeout(5):
            assert (await service.stop("b")).status in (BatchStatus.FAILED, BatchStatus.STOPPED)
            await service.aggregate("b")


async def test_an_error_between_two_batches_does_not_end_ingest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_service(MemoryStorage(), silent=silent) as service:
        await service.start("b", "silent")
        with monkeypatch.context() as patched:
            patched.setattr(ingest, "start_of_minute", broken_fold)
            async with asyncio.timeout(5):
                await service._ingest.flush_minutes()
        await wait_until(lambda: not service.running())
        assert "cannot fold" in (service.batch("b").run.reason or "")
        await service.start("b")
        await wait_until(lambda: service.totals().row_count > 3)


async def test_minutes_count_what_the_store_holds_after_every_flush(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb") as service:
        await service.start("b")
        for _ in range(3):
            await wait_until(lambda: service.totals().row_count >= 2)
            await service._ingest.flush_minutes()
            counters = (await service._store.stored_minutes(service.clock())).counters
            stored = await service._store.points(1, 0, 10_000)
            assert 2 <= counters[1].row_count == counters[1].last_seq <= len(stored)
        await service.stop("b")
        counters = (await service._store.stored_minutes(service.clock())).counters
        assert (
            counters[1].row_count
            == service.totals().row_count
            == len(await service.points("b", 0, 10_000))
        )
