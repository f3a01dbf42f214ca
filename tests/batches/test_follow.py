"""Readers of a batch receive each committed point once, in order, to its end."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from solo_app.batches.errors import BatchNotFoundError
from solo_app.batches.follow import follow
from solo_app.batches.models import BatchStatus
from solo_app.batches.service import BatchService
from solo_app.sources.random import random_kind
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    counting,
    open_service,
    silent,
    wait_until,
)

pytestmark = pytest.mark.anyio


async def read(
    service: BatchService, after: int = 0, limit: int | None = None
) -> tuple[list[int], BatchStatus | None]:
    """Read batch ``b`` to its end or up to ``limit`` points.

    Returns the ``seq`` of the points, and the status of the run if it has ended.
    """
    seqs: list[int] = []
    async for update in follow(service, "b", after, idle_timeout=5):
        if isinstance(update, BatchStatus):
            return seqs, update
        seqs += [point.seq for point in update]
        if limit and len(seqs) >= limit:
            return seqs[:limit], None
    return seqs, None


async def test_concurrent_readers_receive_all_points() -> None:
    async with open_service(MemoryStorage(), many=counting(3_000)) as service:
        await service.start("b", "many")
        readers = [asyncio.create_task(read(service)) for _ in range(10)]
        for seqs, status in await asyncio.gather(*readers):
            assert seqs == list(range(1, 3_001))
            assert status is BatchStatus.FINISHED


async def test_reader_resumes_across_restarts(storage: MemoryStorage) -> None:
    received: list[int] = []
    for _ in range(3):
        async with open_service(storage) as service:
            await service.start("b")
            for limit in (2, 3):
                received += (await read(service, len(received), limit))[0]
    assert received == list(range(1, 16))


async def test_reader_of_an_ended_batch_receives_remaining_points_and_status() -> None:
    async with open_service(MemoryStorage(), few=counting(10)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        assert await read(service, 7) == ([8, 9, 10], BatchStatus.FINISHED)
        assert await read(service, 10) == ([], BatchStatus.FINISHED)


async def test_reader_receives_the_end_although_another_run_has_started(
    clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(MemoryStorage(), clock, script=script, few=counting(5)) as service:
        await service.start("b", "script")
        reader = follow(service, "b", 0, idle_timeout=5)
        script.emit(clock.now, 1.0)
        updates = [await anext(reader)]
        script.emit(clock.now, 2.0)
        script.finish()
        await wait_until(lambda: not service.running())
        await service.start("b", "few")
        await wait_until(lambda: service.totals().row_count == 7)
        updates += [update async for update in reader]
    assert updates.pop() is BatchStatus.FINISHED
    points = [point for update in updates if isinstance(update, list) for point in update]
    assert [point.seq for point in points] == [1, 2]


async def test_idle_reader_receives_an_empty_list() -> None:
    async with open_service(MemoryStorage(), silent=silent) as service:
        await service.start("b", "silent")
        assert await anext(follow(service, "b", 0, idle_timeout=0.01)) == []


async def test_readers_end_without_status_when_the_app_shuts_down() -> None:
    async with open_service(MemoryStorage()) as service:
        await service.start("b")
        readers = [asyncio.create_task(read(service)) for _ in range(5)]
        await wait_until(lambda: service.totals().row_count >= 3)
        service.end_streams()
        async with asyncio.timeout(30):
            for seqs, status in await asyncio.gather(*readers):
                assert seqs == list(range(1, len(seqs) + 1))
                assert status is None


async def test_unknown_batch_is_not_found() -> None:
    async with open_service(MemoryStorage()) as service:
        with pytest.raises(BatchNotFoundError):
            await anext(follow(service, "b", 0, idle_timeout=1))


async def test_stalled_readers_delay_no_commits_and_hold_no_points(tmp_path: Path) -> None:
    async with open_service(tmp_path / "solo.duckdb", flood=random_kind(0)) as service:
        await service.start("b", "flood")
        stalled = [follow(service, "b", 0, idle_timeout=5) for _ in range(40)]
        first, *_ = [await anext(reader) for reader in stalled]
        tracemalloc.start()
        row_count = service.totals().row_count
        await wait_until(lambda: service.totals().row_count > row_count + 400_000)
        allocated = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        # The points take 6.4 MB. Only uncommitted points are in memory.
        assert allocated < 5_300_000
        second = await anext(stalled[0])
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert second[0].seq == first[-1].seq + 1


@pytest.mark.parametrize("is_started_again", [False, True])
async def test_stream_of_a_deleted_batch_ends_without_a_status(is_started_again: bool) -> None:
    async with open_service(MemoryStorage(), many=counting(30), few=counting(20)) as service:
        await service.start("b", "many")
        await wait_until(lambda: not service.running())
        updates = follow(service, "b", 0, idle_timeout=5, page_size=10)
        assert [point.seq for point in await anext(updates)] == list(range(1, 11))  # type: ignore[union-attr]
        await service.delete("b")
        if is_started_again:
            await service.start("b", "few")
            await wait_until(lambda: not service.running())
        assert [update async for update in updates] == []


async def test_reader_with_all_points_receives_the_status_after_a_deletion() -> None:
    async with open_service(MemoryStorage(), many=counting(30)) as service:
        await service.start("b", "many")
        await wait_until(lambda: not service.running())
        updates = follow(service, "b", 0, idle_timeout=5)
        await anext(updates)
        await service.delete("b")
        assert [update async for update in updates] == [BatchStatus.FINISHED]
