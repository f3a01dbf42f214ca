"""The service while writes fail, and its shutdown."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import numpy as np
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import MINUTE, BatchStatus, Window
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers
from solo_app.batches.timing import DEFAULT_TIMING, Timing
from solo_app.sources.random import random_kind
from tests.helpers.memory_storage import Gate, MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    open_service,
    producer_tasks,
    wait_until,
)

pytestmark = pytest.mark.anyio

TEN = datetime(2012, 11, 11, 10)
EARLIER = Window(TEN - timedelta(hours=3), TEN)
FAST = Timing(
    retry_interval=0.001, stop_grace_period=0.01, shutdown_timeout=0.05, close_timeout=0.05
)


@pytest.fixture
async def service(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> AsyncIterator[BatchService]:
    """A service with batches of one point each: ``ended`` at 7:00, the running ``b`` at 10:00."""
    clock.now = TEN - timedelta(hours=3)
    async with open_service(storage, clock, timing=FAST, script=script) as opened:
        for batch_id, now in (("ended", TEN - timedelta(hours=3)), ("b", TEN)):
            await opened.start(batch_id, "script")
            await produce(opened, script, now)
        yield opened
        storage.writes.open()


async def produce(service: BatchService, script: ScriptedSource, ts: datetime) -> None:
    """Produce a point in the running batch and stop the batch if its id is ``ended``."""
    (batch,) = service.running()
    script.emit(ts, 1.0)
    await wait_until(lambda: service.row_count(batch) == 1)
    if batch.batch_id == "ended":
        await service.stop("ended")


def get_gate(storage: MemoryStorage, name: str) -> Gate:
    gate: Gate = getattr(storage, name)
    return gate


# -- while writes fail -----------------------------------------------------------------------


async def test_queries_that_need_unwritten_points_fail(
    service: BatchService, storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    storage.writes.hold()
    script.emit(TEN + timedelta(seconds=59), 2.0)
    await wait_until(lambda: storage.writes.waiting)
    clock.now = TEN + MINUTE
    query = asyncio.create_task(service.aggregate("b"))
    storage.writes.fail("no room")
    for waiting in (query, service.aggregate("b"), service.minutes("b", EARLIER)):
        with pytest.raises(StoreUnavailableError, match="no room"):
            await waiting
    storage.writes.open()
    await wait_until(lambda: not service.totals().write_error)
    minute = (await service.aggregate("b")).minute
    assert minute
    assert minute.count == 2


async def test_committed_points_are_available(
    service: BatchService, storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    storage.writes.fail()
    script.emit(TEN + MINUTE, 2.0)
    await wait_until(lambda: service.totals().write_error)
    async with asyncio.timeout(30):
        assert [m.count for m in await service.minutes("ended", EARLIER)] == [1]
        assert (await service.aggregate("ended")).minute is None
        last = (await service.aggregate("b")).minute
        assert last
        assert last.count == 1
        clock.advance(minutes=1)
        with pytest.raises(StoreUnavailableError):  # The unwritten point is in this minute.
            await service.aggregate("b")


@pytest.mark.parametrize("gate", ["writes", "ends", "log_writes"])
async def test_failed_stop_is_completed_when_writes_succeed(
    service: BatchService, storage: MemoryStorage, script: ScriptedSource, gate: str
) -> None:
    get_gate(storage, gate).fail("no room")
    script.emit(TEN + timedelta(seconds=1), 2.0)
    await wait_until(lambda: service.totals().write_error or service.totals().row_count == 3)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="no room"):
            await service.stop("b")
    assert [batch.batch_id for batch in service.running()] == ["b"]
    assert service.totals().write_error == "no room"
    assert not producer_tasks()
    get_gate(storage, gate).open()
    await wait_until(lambda: not service.running())
    batch = service.batch("b")
    assert batch.status is BatchStatus.STOPPED
    assert batch.run.last_seq == service.row_count(batch) == 2
    assert service.totals().write_error is None
    assert (await service.runs("b"))[0].status is BatchStatus.STOPPED


@pytest.mark.parametrize("status", [BatchStatus.FINISHED, BatchStatus.FAILED])
async def test_end_of_a_source_is_recorded_when_writes_succeed(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource, status: BatchStatus
) -> None:
    unretrieved: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unretrieved.append(context))
    async with open_service(storage, clock, timing=FAST, script=script) as service:
        storage.ends.fail()
        await service.start("b", "script")
        if status is BatchStatus.FAILED:
            script.fail(LookupError("nothing there"))
        else:
            script.finish()
        await wait_until(lambda: storage.ends.calls > 3)
        assert service.batch("b").status is BatchStatus.RUNNING
        storage.ends.open()
        await wait_until(lambda: service.batch("b").status is status)
        assert (await service.runs("b"))[0].status is status
    gc.collect()
    assert not unretrieved


# -- shutdown --------------------------------------------------------------------------------


def test_shutdown_takes_less_than_two_seconds() -> None:
    assert DEFAULT_TIMING.shutdown_timeout + DEFAULT_TIMING.close_timeout < 2


async def test_close_continues_after_its_caller_is_cancelled(storage: MemoryStorage) -> None:
    async with open_service(storage) as service:
        await service.start("b")
        closing = asyncio.create_task(service.close())
        await wait_until(lambda: not service.running())
        closing.cancel()
        assert await service.close()
        assert await service.close()


async def test_points_that_cannot_be_saved_are_logged(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    async def eleven() -> AsyncIterator[Numbers]:
        yield np.zeros(4)
        yield np.zeros(7)
        await asyncio.Event().wait()

    storage.writes.fail("no room")
    async with open_service(storage, timing=FAST, eleven=eleven) as service:
        await service.start("b", "eleven")
        await wait_until(lambda: service.totals().write_error)
    assert '11 points of "b" are not saved: no room' in caplog.messages


class StuckStorage(MemoryStorage):
    """A store that never closes."""

    async def close(self) -> bool:
        return await asyncio.Event().wait()


@pytest.mark.parametrize("storage_type", [MemoryStorage, StuckStorage])
@pytest.mark.parametrize("gate", ["starts", "writes", "ends", "log_writes"])
async def test_shutdown_does_not_wait_for_a_write_that_hangs(
    gate: str, storage_type: type[MemoryStorage]
) -> None:
    storage = storage_type()
    service = BatchService(storage, {"random": random_kind(0.001)}, timing=FAST)
    await service.open()
    batch = await service.start("b")
    await wait_until(lambda: service.row_count(batch))
    get_gate(storage, gate).hold()
    start = asyncio.create_task(service.start("other"))
    await wait_until(lambda: storage.starts.waiting or storage.writes.waiting or start.done())
    async with asyncio.timeout(30):
        assert await service.close() is (storage_type is MemoryStorage)
    get_gate(storage, gate).open()
    await asyncio.gather(start, return_exceptions=True)
    if storage_type is MemoryStorage:
        async with open_service(storage) as restarted:
            assert restarted.batch("b").status is BatchStatus.INTERRUPTED
