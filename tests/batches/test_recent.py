"""The latest points and the chart of the last minute, while a batch runs and after its end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import Batch, Block, Point, to_microseconds
from solo_app.batches.read_backoff import ReadBackoff
from solo_app.batches.recent import RECENT_POINTS, RecentData, RecentPoints
from solo_app.batches.service import BatchService
from tests.batches.charts import START, at, extremes, extremes_of_points, line, without_first
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    counting,
    open_service,
    silent,
    simple_kinds,
    wait_until,
)


def create_block(first_seq: int, count: int) -> Block:
    ts = np.full(count, to_microseconds(START))
    return Block(1, first_seq, ts, np.arange(first_seq, first_seq + count, dtype=float))


def points(*seqs: int) -> list[Point]:
    return [Point(seq, START, float(seq)) for seq in seqs]


@pytest.mark.parametrize("lengths", [[1], [1] * 60, [7] * 20, [5_000], [30, 5_000, 3]])
def test_latest_points_of_the_run_are_in_memory(lengths: list[int]) -> None:
    recent, last_seq = RecentPoints(), 0
    for length in lengths:
        recent.add(create_block(last_seq + 1, length))
        last_seq += length
    assert recent.recent() == points(*range(max(1, last_seq - RECENT_POINTS + 1), last_seq + 1))


def test_points_of_earlier_runs_precede_those_of_the_run() -> None:
    recent = RecentPoints()
    earlier = points(*range(3, 20), *range(40, 63))  # Some points are missing.
    recent.add_earlier_points(earlier)
    assert recent.recent() == earlier
    assert recent.latest is None
    recent.add(create_block(63, 1))
    recent.add(create_block(64, 2))
    assert recent.recent() == [*earlier[3:], *points(63, 64, 65)]
    recent.add(create_block(66, 100))
    assert recent.recent() == points(*range(126, 166))


def test_streams_read_no_points_of_earlier_runs() -> None:
    recent = RecentPoints()
    recent.add(create_block(63, 2))
    recent.add_earlier_points(points(60, 62))
    assert recent.since(62) == points(63, 64)
    assert recent.since(63) == points(64)
    assert recent.since(61) is None


@pytest.fixture(params=["duckdb", "memory"])
def each_storage(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStorage | Path:
    return tmp_path / "solo.duckdb" if request.param == "duckdb" else MemoryStorage()


async def produce(
    service: BatchService, script: ScriptedSource, *points: tuple[float, Any]
) -> None:
    """Produce values at these seconds after ``START`` in batch ``b``, and wait for the commit."""
    batch = service.batch("b")
    count = service.row_count(batch) + sum(np.size(value) for _, value in points)
    for second, value in points:
        script.emit(at(second), value)
    await wait_until(lambda: service.row_count(batch) == count)


def recent_data(service: BatchService, batch: Batch) -> RecentData:
    producer = service.producer(batch)
    assert producer
    return producer.recent(service.clock())


def seqs(recent: RecentData) -> list[int]:
    return [point.seq for point in recent.points]


async def start_second_run(service: BatchService) -> Batch:
    """Start a silent run of a batch that has five points in an earlier run."""
    await service.start("b", "few")
    await wait_until(lambda: not service.running())
    return await service.start("b", "silent")


# -- in the service --------------------------------------------------------------------------


@pytest.mark.anyio
async def test_fast_batch_has_the_same_chart_after_its_end(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> None:
    generator = np.random.default_rng(2)
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        batch = await service.start("b", "script")
        for second in range(0, 70, 10):
            values = [(second + i / 10, generator.normal(size=20)) for i in range(100)]
            await produce(service, script, *values)
        clock.advance(seconds=0.15)  # The minute begins within a bucket.
        running = recent_data(service, batch)
        stored = await service.points("b", 0, 100_000)
        assert await service.read_recent(await service.stop("b")) == running
    assert seqs(running) == [*range(13_961, 14_001)]
    assert extremes(without_first(running.chart)) == extremes_of_points(
        (to_microseconds(point.ts), point.key) for point in stored if point.ts > at(9.9)
    )
    assert running.count == pytest.approx(12_000, abs=50)


@pytest.mark.anyio
@pytest.mark.parametrize("times", [(1, 30, 61, 91), (1, 1.1, 1.2, 70), (30, 31, 31), (1, 2, 5_000)])
async def test_slow_batch_has_the_same_chart_after_its_end(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource, times: tuple[float, ...]
) -> None:
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        batch = await service.start("b", "script")
        await produce(service, script, *[(second, float(second)) for second in times])
        clock.advance(seconds=0.5)
        running = recent_data(service, batch)
        assert await service.read_recent(await service.stop("b")) == running
        assert running.count == sum(second > times[-1] - 59.5 for second in times)


@pytest.mark.anyio
async def test_runs_within_a_minute_are_separated_by_breaks(
    each_storage: MemoryStorage | Path, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(each_storage, clock, script=script) as service:
        for points in ([(1, 1), (2, 2)], [(2.01, 3)]):
            await service.start("b", "script")
            await produce(service, script, *points)
            await service.stop("b")
        batch = await service.start("b", "script")
        await produce(service, script, (5, 5), (5.1, 6), (5.2, 4))
        assert line(recent_data(service, batch).chart) == [(5.1, 6), (5.2, 4)]
        await service.load_earlier_runs(batch)
        recent = recent_data(service, batch)
        expected = [(1, 1), (2, 2), (2.01, None), (2.01, 3), (5.1, None), (5.1, 6), (5.2, 4)]
        assert line(recent.chart) == expected
        assert (recent.count, seqs(recent)) == (6, [1, 2, 3, 4, 5, 6])
        assert await service.read_recent(await service.stop("b")) == recent


@pytest.mark.anyio
async def test_restart_of_the_app_keeps_the_last_minute(tmp_path: Path, clock: FakeClock) -> None:
    database, script = tmp_path / "solo.duckdb", ScriptedSource(clock)
    async with open_service(database, clock, random=script) as service:
        await service.start("b")
        points = [(0, 1), (10, 2), (70, 3), (70.01, 4), (70.02, 5), (72, 6), (72, 6)]
        await produce(service, script, *points)
    async with open_service(database, clock) as service:
        ended = await service.read_recent(service.batch("b"))
    expected = [(10, 2), (70, 3), (70.02, 5), (72, 6), (72, 6)]
    assert (line(ended.chart), ended.count) == (expected, 5)
    script = ScriptedSource(clock)
    async with open_service(database, clock, resume=True, random=script) as service:
        batch = service.batch("b")
        await service.load_earlier_runs(batch)
        assert recent_data(service, batch) == ended
        await produce(service, script, (73, 7))
        recent = recent_data(service, batch)
        assert line(recent.chart) == [*expected, (73, None), (73, 7)]
        assert (recent.count, seqs(recent)) == (6, [*range(1, 9)])


@pytest.mark.anyio
async def test_points_of_earlier_runs_are_read_once(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(storage, clock, few=counting(60), script=script) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        batch = await service.start("b", "script")
        await service.load_earlier_runs(batch)
        calls = storage.reads.calls
        assert seqs(recent_data(service, batch)) == [*range(21, 61)]
        await produce(service, script, (1, 1), (2, 2))
        await service.load_earlier_runs(batch)
        assert seqs(recent_data(service, batch)) == [*range(23, 63)]
        assert storage.reads.calls == calls


@pytest.mark.anyio
async def test_first_run_needs_no_read(storage: MemoryStorage) -> None:
    async with open_service(storage, silent=silent) as service:
        batch = await service.start("b", "silent")
        await service.load_earlier_runs(batch)
        recent = recent_data(service, batch)
        assert (recent.points, recent.chart.keys, recent.count) == ([], [], 0)
        await service.load_earlier_runs(await service.stop("b"))
        assert storage.reads.calls == 0


@pytest.mark.anyio
async def test_concurrent_loads_add_earlier_points_once(storage: MemoryStorage) -> None:
    async with open_service(storage, few=counting(5), silent=silent) as service:
        batch = await start_second_run(service)
        revision = service.revision
        storage.reads.hold()
        loads = [asyncio.create_task(service.load_earlier_runs(batch)) for _ in range(3)]
        await wait_until(lambda: storage.reads.waiting)
        loads[0].cancel()
        await wait_until(lambda: loads[0].done() and storage.reads.waiting == 1)
        storage.reads.open()
        await asyncio.gather(*loads[1:])
        recent = recent_data(service, batch)
        assert (recent.count, seqs(recent)) == (5, [1, 2, 3, 4, 5])
        assert storage.reads.calls == 2  # The points and the buckets.
        assert service.revision == revision


@pytest.mark.anyio
async def test_pages_of_an_ended_batch_share_one_read(storage: MemoryStorage) -> None:
    async with open_service(storage, few=counting(5)) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        batch, calls = service.batch("b"), storage.reads.calls
        storage.reads.hold()
        reads = [asyncio.create_task(service.read_recent(batch)) for _ in range(3)]
        await wait_until(lambda: storage.reads.waiting)
        reads[0].cancel()
        await wait_until(lambda: reads[0].done())
        storage.reads.open()
        for recent in await asyncio.gather(*reads[1:]):
            assert seqs(recent) == [1, 2, 3, 4, 5]
        assert storage.reads.calls - calls == 2  # The points and the buckets.


@pytest.mark.anyio
async def test_failing_reads_are_retried_after_a_backoff(storage: MemoryStorage) -> None:
    now = 0.0
    backoff = ReadBackoff(first=5, longest=60, now=lambda: now)
    sources = simple_kinds({"few": counting(5), "silent": silent})
    service = BatchService(storage, sources, backoff=backoff)
    await service.open()
    batch = await start_second_run(service)
    storage.reads.fail("1.parquet is missing")
    for _ in range(10):
        with pytest.raises(StoreUnavailableError, match=r"1\.parquet"):
            await service.load_earlier_runs(batch)
    assert storage.reads.calls == 1
    storage.reads.open()
    now = 5.0
    await service.load_earlier_runs(batch)
    assert recent_data(service, batch).count == 5
    ended = await service.stop("b")
    storage.reads.fail("1.parquet is missing")
    calls = storage.reads.calls
    for _ in range(10):
        with pytest.raises(StoreUnavailableError, match=r"1\.parquet"):
            await service.read_recent(ended)
    assert storage.reads.calls == calls + 1
    await service.close()


class LossyStorage(MemoryStorage):
    """A store that cannot read the first point, or has lost some points."""

    def __init__(self) -> None:
        super().__init__()
        self.is_first_unreadable = False
        self.lost = range(0)

    async def points(self, batch_no: int, after: int, limit: int) -> list[Point]:
        if self.is_first_unreadable and after == 0:
            raise StoreUnavailableError("1.parquet is missing")
        found = await super().points(batch_no, after, limit + len(self.lost))
        return [point for point in found if point.seq not in self.lost][:limit]


@pytest.mark.anyio
async def test_unreadable_point_before_the_minute_is_omitted(
    clock: FakeClock, script: ScriptedSource
) -> None:
    storage = LossyStorage()
    async with open_service(storage, clock, script=script) as service:
        await service.start("b", "script")
        in_minute = [(100 + n, float(n)) for n in range(50)]
        await produce(service, script, (1, 1.0), *in_minute)
        batch = await service.stop("b")
        complete = await service.read_recent(batch)
        assert line(complete.chart) == [(1, 1.0), *in_minute]
        storage.is_first_unreadable = True
        recent = await service.read_recent(batch)
        assert recent == replace(complete, chart=without_first(complete.chart))


@pytest.mark.anyio
async def test_points_of_the_next_run_do_not_replace_lost_ones() -> None:
    storage = LossyStorage()
    async with open_service(storage, few=counting(60)) as service:
        for _ in range(2):
            batch = await service.start("b", "few")
            await wait_until(lambda: not service.running())
        first = replace(batch, run=(await service.runs("b"))[1])
        storage.lost = range(30, 61)
        assert seqs(await service.read_recent(first)) == [*range(21, 30)]


@pytest.mark.anyio
async def test_chart_ends_with_its_run_after_a_clock_change(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        batch = await service.start("b", "script")
        await produce(service, script, (100, 1), (101, 2), (70, 3), (71, 4))
        running = recent_data(service, batch)
        assert line(running.chart) == [(70, 3), (71, 4)]
        assert running.count == 2
        assert await service.read_recent(await service.stop("b")) == running


@pytest.mark.anyio
async def test_points_are_counted_once_after_a_clock_change(
    each_storage: MemoryStorage | Path, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(each_storage, clock, script=script) as service:
        await service.start("b", "script")
        await produce(service, script, (1, 1), (100, 2), (30, 3), (101, 4))
        ended = await service.read_recent(await service.stop("b"))
        assert line(ended.chart) == [(100, 2), (101, 4)]
        assert ended.count == 2
