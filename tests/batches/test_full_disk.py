"""While writes fail, committed data is available and nothing hangs."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import MINUTE, BatchStatus, Window
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.batches.timing import Timing
from solo_app.sources.random import random_numbers
from tests.helpers.api import create_client
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FAST_RETRY,
    FakeClock,
    ScriptedSource,
    counting,
    open_service,
    producer_tasks,
    wait_until,
)

pytestmark = pytest.mark.anyio

TEN = datetime(2012, 11, 11, 10)
LONG_AGO = Window(TEN - timedelta(hours=3), TEN)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock("2012-11-11 07:00:30")


@pytest.fixture
def script(clock: FakeClock) -> ScriptedSource:
    return ScriptedSource(clock)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def timing() -> Timing:
    return FAST_RETRY


@pytest.fixture
async def service(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource, timing: Timing
) -> AsyncIterator[BatchService]:
    """One batch that ended three hours ago, with a point, and one that runs, with one of now."""
    async with open_service(storage, clock, timing=timing, script=script) as opened:
        for batch_id, now in (("ended", TEN - timedelta(hours=3)), ("b", TEN)):
            batch = await opened.start(batch_id, "script")
            script.emit(now, 1.0)
            await wait_until(lambda: opened.row_count(batch) == 1)  # noqa: B023
            if batch_id == "ended":
                await opened.stop(batch_id)
        yield opened
        storage.writes.open()


async def test_queries_that_need_unwritten_points_fail_with_the_reason(
    service: BatchService, storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    storage.writes.hold()
    script.emit(TEN + timedelta(seconds=59), 2.0)
    await wait_until(lambda: storage.writes.waiting)
    clock.now = TEN + MINUTE
    earlier = asyncio.create_task(service.aggregate("b"))
    await asyncio.sleep(0)  # It waits for the commit from here on.
    storage.writes.fail("no room")
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError, match="no room"):
            await earlier
        for question in (service.aggregate("b"), service.minutes("b", LONG_AGO)):
            with pytest.raises(StoreUnavailableError, match="no room"):
                await question
        async with create_client(service) as client:
            answer = await client.get("/agg/b")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "no room" in answer.json()["detail"]
    storage.writes.open()
    async with asyncio.timeout(5):
        await wait_until(lambda: not service.totals().write_error)
        minute = (await service.aggregate("b")).minute
    assert minute
    assert minute.count == 2


async def test_committed_points_are_available_while_writes_fail(
    service: BatchService, storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    storage.writes.fail()
    script.emit(TEN + MINUTE, 2.0)
    await wait_until(lambda: service.totals().write_error)
    async with asyncio.timeout(5):
        assert [m.count for m in await service.minutes("ended", LONG_AGO)] == [1]
        assert (await service.aggregate("ended")).minute is None
        committed = (await service.aggregate("b")).minute  # The unwritten point is of the next one.
        assert committed
        assert committed.count == 1
        clock.advance(minutes=1)
        with pytest.raises(StoreUnavailableError):
            await service.aggregate("b")


@pytest.mark.parametrize("gate", ["writes", "ends"])
@pytest.mark.parametrize("timing", [Timing(retry_interval=0.01, stop_grace_period=0.05)])
async def test_delete_returns_503_and_the_batch_stops_when_writes_succeed(
    service: BatchService,
    storage: MemoryStorage,
    script: ScriptedSource,
    gate: str,
) -> None:
    getattr(storage, gate).fail("no room")
    script.emit(TEN + timedelta(seconds=1), 2.0)
    await wait_until(
        lambda: service.totals().write_error or service.row_count(service.batch("b")) == 2
    )
    async with asyncio.timeout(5), create_client(service) as client:
        for _ in range(2):
            answer = await client.delete("/stream/b")
            assert answer.status_code == 503
            assert "no room" in answer.json()["detail"]
    assert [batch.batch_id for batch in service.running()] == ["b"]
    assert "no room" in (service.totals().write_error or "")
    assert not producer_tasks()
    getattr(storage, gate).open()
    await wait_until(lambda: not service.running())
    batch = service.batch("b")
    assert batch.status is BatchStatus.STOPPED
    assert batch.run.last_seq == service.row_count(batch)
    assert service.totals().write_error is None
    async with open_service(storage) as restarted:
        assert restarted.batch("b").status is BatchStatus.STOPPED


async def test_stop_waits_through_a_write_that_fails_once(
    service: BatchService, storage: MemoryStorage
) -> None:
    storage.ends.fail()
    stopping = asyncio.create_task(service.stop("b"))
    await wait_until(lambda: service.totals().write_error)
    storage.ends.open()
    assert (await stopping).status is BatchStatus.STOPPED


@pytest.mark.parametrize("timing", [Timing(write_timeout=0.05)])
async def test_stop_reports_a_write_that_never_completes(
    service: BatchService, storage: MemoryStorage
) -> None:
    storage.ends.hold()
    with pytest.raises(StoreUnavailableError, match="does not complete"):
        await service.stop("b")
    storage.ends.open()
    await wait_until(lambda: not service.running())


@pytest.mark.parametrize(
    ("source", "status"), [("few", BatchStatus.FINISHED), ("broken", BatchStatus.FAILED)]
)
async def test_a_run_that_ends_by_itself_is_recorded_when_writes_succeed(
    source: str, status: BatchStatus
) -> None:
    def broken() -> AsyncIterator[Numbers]:
        raise LookupError("nothing there")

    storage = MemoryStorage()
    unretrieved: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unretrieved.append(context))
    async with open_service(storage, few=counting(3), broken=broken) as service:
        storage.ends.fail()
        await service.start("b", source)
        await wait_until(lambda: storage.ends.calls > 3)
        assert service.batch("b").status is BatchStatus.RUNNING
        storage.ends.open()
        await wait_until(lambda: service.batch("b").status is status)
    gc.collect()
    assert not unretrieved
    async with open_service(storage) as restarted:
        assert restarted.batch("b").status is status


@pytest.mark.parametrize("gate", ["starts", "writes", "ends"])
async def test_shutdown_ends_within_two_seconds_while_a_write_hangs(gate: str) -> None:
    storage = MemoryStorage()
    service = BatchService(storage, {"random": random_numbers(0.01)})
    await service.open()
    await service.start("b")
    getattr(storage, gate).hold()
    starting = asyncio.create_task(service.start("other"))
    await wait_until(lambda: service.row_count(service.batch("b")) >= 1 or storage.writes.waiting)
    if gate == "starts":
        await wait_until(lambda: storage.starts.waiting)
    async with asyncio.timeout(2):
        await service.close()
    getattr(storage, gate).open()
    await asyncio.gather(starting, return_exceptions=True)
    async with open_service(storage) as restarted:
        assert restarted.batch("b").status is BatchStatus.INTERRUPTED


@pytest.mark.parametrize("gate", ["starts", "writes", "ends"])
async def test_shutdown_does_not_wait_for_a_store_that_cannot_close(gate: str) -> None:
    class Stuck(MemoryStorage):
        async def close(self) -> bool:
            return await asyncio.Event().wait()

    storage = Stuck()
    service = BatchService(storage, {"random": random_numbers(0.01)})
    await service.open()
    if gate != "starts":
        await service.start("b")
    getattr(storage, gate).hold()
    starting = asyncio.create_task(service.start("other"))
    await wait_until(lambda: storage.starts.waiting or starting.done())
    async with asyncio.timeout(5):
        assert not await service.close()
    getattr(storage, gate).open()
    await asyncio.gather(starting, return_exceptions=True)
