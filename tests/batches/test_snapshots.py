"""The ticker: one snapshot per tick for all viewers, with all live data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import pytest

from solo_app.batches.models import RestartPolicy, Retry
from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import Snapshot, Ticker
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource, open_service, silent, wait_until

pytestmark = pytest.mark.anyio

NEVER = 1e9
"""An interval longer than any test."""


@pytest.fixture
async def service(storage: MemoryStorage) -> AsyncIterator[BatchService]:
    async with open_service(storage, silent=silent) as opened:
        yield opened


@asynccontextmanager
async def subscribers(ticker: Ticker, count: int) -> AsyncIterator[list[list[Snapshot]]]:
    """Run subscribers. Yields the snapshots that each of them has received."""
    received: list[list[Snapshot]] = [[] for _ in range(count)]

    async def collect(mine: list[Snapshot]) -> None:
        async with aclosing(ticker.subscribe()) as snapshots:
            async for snapshot in snapshots:
                mine.append(snapshot)

    tasks = [asyncio.create_task(collect(mine)) for mine in received]
    try:
        yield received
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_subscriber_receives_a_snapshot_immediately(service: BatchService) -> None:
    await service.start("b")
    await wait_until(lambda: service.totals().row_count >= 1)
    async with aclosing(Ticker(service, NEVER).subscribe()) as snapshots:
        snapshot = await anext(snapshots)
    assert snapshot.interval == NEVER
    assert snapshot.totals.running_count == 1
    running = snapshot.find("b")
    assert running
    assert snapshot.running == (running,)
    assert running.row_count == len(running.recent.points) == running.recent.count >= 1
    assert snapshot.find("c") is None


async def test_snapshot_has_all_live_data(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    clock.set("2012-11-11 10:10:59")
    async with open_service(storage, clock, script=script, silent=silent) as service:
        for batch_id, source in (("batch-1", "silent"), ("b", "script"), ("c", "silent")):
            await service.start(batch_id, source)
        await service.stop("batch-1")
        batch = service.batch("b")
        for seconds, key in ((0, 1), (1, 4), (2, 5), (121, 7)):
            script.emit(clock.now + timedelta(seconds=seconds), key)
        await wait_until(lambda: service.row_count(batch) == 4)
        snapshot = Ticker(service).snapshot()
        assert snapshot.at == clock.now
        assert (snapshot.revision, snapshot.suggested_name) == (service.revision, "batch-2")
        assert len(snapshot.throughput) == 60
        assert [(r.batch.batch_id, r.slot, r.row_count) for r in snapshot.running] == [
            ("b", 1, 4),
            ("c", 2, 0),
        ]
        b, c = snapshot.running
        assert b.recent == service.producers()[0].recent(clock.now)
        assert (b.retry, b.last_log_number) == (None, 1)
        assert b.hour == [None] * 57 + [1.0, 4.5, None]
        assert c.hour == [None] * 60
        assert b.minute is None
        clock.advance(minutes=1)
        (b, _) = Ticker(service).snapshot().running
        assert b.minute
        assert (b.minute.average, b.hour[-1]) == (7, 7)


async def test_averages_of_the_hour_are_rounded(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(storage, clock, script=script) as service:
        batch = await service.start("b", "script")
        for key in (1, 1, 2):
            script.emit(clock.now, key)
        await wait_until(lambda: service.row_count(batch) == 3)
        clock.advance(minutes=1)
        assert Ticker(service).snapshot().running[0].hour[-1] == 1.33


async def test_snapshot_has_the_next_restart_and_log_line(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(storage, clock, script=script) as service:
        await service.start("b", "script", restart=RestartPolicy.ON_FAILURE)
        script.fail(LookupError("nothing there"))
        await wait_until(lambda: service.producers()[0].retry)
        (b,) = Ticker(service).snapshot().running
        next_at = clock.now + timedelta(seconds=1)
        assert b.retry == Retry(1, next_at, "LookupError: nothing there")
        assert b.last_log_number == len(await service.log("b")) == 2


async def test_subscribers_share_the_snapshot_of_a_tick(service: BatchService) -> None:
    ticker = Ticker(service, NEVER)
    async with subscribers(ticker, 50) as received:
        await wait_until(lambda: all(received))
        assert ticker.viewers == 50
        assert len({id(snapshot) for mine in received for snapshot in mine}) == 1
        assert received[0] == [ticker.snapshot()]
    assert ticker.viewers == 0


async def test_subscriber_receives_each_snapshot_once(service: BatchService) -> None:
    async with subscribers(Ticker(service, tick=0.005), 2) as received:
        await wait_until(lambda: all(len(mine) > 20 for mine in received))
        for mine in received:
            assert len({id(snapshot) for snapshot in mine}) == len(mine)
            assert [s.at for s in mine] == sorted(s.at for s in mine)


async def test_started_batch_is_in_the_snapshot_of_the_same_tick(service: BatchService) -> None:
    ticker = Ticker(service, NEVER)
    assert not ticker.snapshot().running
    await service.start("b", "silent")
    assert [r.batch.batch_id for r in ticker.snapshot().running] == ["b"]
    await service.stop("b")
    assert not ticker.snapshot().running
    assert ticker.snapshot() is ticker.snapshot()


async def test_slow_subscriber_skips_ticks(service: BatchService) -> None:
    ticker = Ticker(service, tick=0.005)
    async with subscribers(ticker, 1) as received, aclosing(ticker.subscribe()) as slow:
        await anext(slow)
        await wait_until(lambda: len(received[0]) > 5)
        latest = received[0][-1]
        assert (await anext(slow)).at >= latest.at


async def test_ticks_are_slower_for_many_viewers(service: BatchService) -> None:
    ticker = Ticker(service, tick=0.005, slow_tick=0.01, many_viewers=3)
    async with subscribers(ticker, 3) as received:
        await wait_until(lambda: all(received))
        assert {snapshot.interval for mine in received for snapshot in mine} == {0.005}
        async with aclosing(ticker.subscribe()) as fourth:
            assert (await anext(fourth)).interval == 0.01
            await wait_until(lambda: all(mine[-1].interval == 0.01 for mine in received))
        await wait_until(lambda: all(mine[-1].interval == 0.005 for mine in received))


async def test_interval_is_a_quarter_second_for_up_to_100_viewers(service: BatchService) -> None:
    ticker = Ticker(service)
    intervals = []
    for ticker.viewers in (0, 1, 100, 101, 1_000):
        intervals.append(ticker.interval)
    assert intervals == [0.25, 0.25, 0.25, 1.0, 1.0]


async def test_other_subscribers_continue_when_one_unsubscribes(service: BatchService) -> None:
    ticker = Ticker(service, tick=0.005)
    async with subscribers(ticker, 1) as received:
        async with subscribers(ticker, 1):
            await wait_until(lambda: ticker.viewers == 2)
        count = len(received[0])
        await wait_until(lambda: len(received[0]) > count)
        assert ticker.viewers == 1


async def test_subscription_ends_when_the_service_closes(service: BatchService) -> None:
    ticker = Ticker(service, tick=0.005)
    async with aclosing(ticker.subscribe()) as snapshots:
        await anext(snapshots)
        service.end_streams()
        async with asyncio.timeout(30):
            assert [snapshot async for snapshot in snapshots] == []
    assert ticker.viewers == 0
