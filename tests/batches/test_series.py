"""The chart of the last minute: exact extremes, breaks between runs, equal from the store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.models import BUCKET_US, Batch, Block, Point, to_microseconds
from solo_app.batches.read_backoff import ReadBackoff
from solo_app.batches.recent import RecentData
from solo_app.batches.series import Chart, Series, split_into_buckets
from solo_app.batches.service import BatchService
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FakeClock,
    ScriptedSource,
    counting,
    open_service,
    silent,
    wait_until,
)

BEGIN = datetime(2012, 11, 11, 10, 10)
BEGIN_US = to_microseconds(BEGIN)
SECOND = 1_000_000
MINUTE = 60 * SECOND


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def us(seconds: float) -> int:
    return BEGIN_US + round(seconds * SECOND)


def block(first_seq: int, *points: tuple[float, float]) -> Block:
    """Return a block; each point is a pair of seconds after ``BEGIN`` and key."""
    ts = np.array([us(second) for second, _ in points])
    return Block(1, first_seq, ts, np.array([key for _, key in points], float))


def random_blocks(count: int, length: int, pace_us: int) -> list[Block]:
    keys = np.random.default_rng(1).integers(0, 1_000, count).astype(float)
    ts = BEGIN_US + np.arange(count) * pace_us
    ends = range(length, count + length, length)
    return [Block(1, e - length + 1, ts[e - length : e], keys[e - length : e]) for e in ends]


def make_series(blocks: Iterable[Block], run_number: int = 1) -> Series:
    series = Series(run_number)
    for one in blocks:
        series.add(one)
    return series


def vertex_times(chart: Chart) -> list[int]:
    """Return the times of the vertices in microseconds, precise to the millisecond."""
    return [(chart.end // 1000 + offset) * 1000 for offset in chart.offsets]


def line(chart: Chart) -> list[tuple[float, float | None]]:
    """Return the vertices as pairs of seconds after ``BEGIN`` and key."""
    times = [(t - BEGIN_US) / SECOND for t in vertex_times(chart)]
    return list(zip(times, chart.keys, strict=True))


Extremes = dict[int, tuple[float, float]]


def by_bucket(points: Iterable[tuple[int, float]]) -> Extremes:
    """Return the lowest and the highest key of each bucket."""
    keys: dict[int, list[float]] = {}
    for ts, key in points:
        keys.setdefault(ts // BUCKET_US, []).append(key)
    return {number: (min(found), max(found)) for number, found in keys.items()}


def is_empty(recent: RecentData) -> bool:
    return not (recent.points or recent.chart.keys or recent.count)


def without_first(chart: Chart) -> Chart:
    return Chart(chart.end, chart.offsets[1:], chart.keys[1:])


def extremes(chart: Chart) -> Extremes:
    vertices = zip(vertex_times(chart), chart.keys, strict=True)
    return by_bucket((t, key) for t, key in vertices if key is not None)


# -- from blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 7, 400, 6_000])
def test_every_bucket_has_its_extremes(length: int) -> None:
    blocks = random_blocks(6_000, length, pace_us=9_000)
    points = [pair for b in blocks for pair in zip(b.ts.tolist(), b.key.tolist(), strict=True)]
    series = make_series(blocks)
    assert extremes(series.chart(us(54))) == by_bucket(points)
    assert series.count(us(54)) == 6_000


def test_two_points_in_a_bucket_are_both_in_the_chart() -> None:
    for one, two in ((5.0, 5.0), (5.0, 4.0), (4.0, 5.0)):
        together = [block(1, (0, one), (0.01, two))]
        one_by_one = [block(1, (0, one)), block(2, (0.01, two))]
        for blocks in (together, one_by_one):
            assert line(make_series(blocks).chart(us(1))) == [(0, one), (0.01, two)]


def test_all_points_of_a_slow_source_are_in_the_chart() -> None:
    jitter = random.Random(1)
    points = [(i / 4 + jitter.randrange(10) / 1e3, float(i % 7)) for i in range(400)]
    series = Series(1)
    for i, point in enumerate(points):
        series.add(block(i + 1, point))
        recent = [p for p in points[: i + 1] if us(p[0]) > us(point[0] - 60)]
        before = points[: i + 1 - len(recent)][-1:]
        assert line(series.chart(us(point[0]))) == before + recent
        assert series.count(us(point[0])) == len(recent)


def test_fast_source_has_two_vertices_per_bucket() -> None:
    series = make_series(random_blocks(200_000, 1_000, pace_us=600))  # Two minutes.
    end = us(120)
    chart = series.chart(end)
    assert 480 <= len(chart.offsets) <= 483
    assert chart.offsets == sorted(chart.offsets)
    assert abs(series.count(end) - 100_000) <= BUCKET_US // 600 + 1
    assert len(series.chart(us(60)).offsets) <= 6  # Earlier buckets are evicted.


def test_chart_begins_with_the_last_point_before_the_minute() -> None:
    series = make_series([block(1, (0, 1)), block(2, (1, 2)), block(3, (900, 3))])
    assert line(series.chart(us(901))) == [(1, 2), (900, 3)]
    assert series.count(us(901)) == 1
    assert line(series.chart(us(960))) == [(900, 3)]
    assert series.count(us(960)) == 0


def test_points_of_another_run_come_after_a_break() -> None:
    series = make_series([block(3, (2.01, 3), (2.02, 4))], run_number=2)
    series.add_buckets(split_into_buckets(block(1, (1, 1), (2, 2)), run_number=1))
    assert line(series.chart(us(3))) == [(1, 1), (2, 2), (2.01, None), (2.01, 3), (2.02, 4)]
    assert series.count(us(3)) == 4
    assert line(series.chart(us(62))) == [(2, 2), (2.01, None), (2.01, 3), (2.02, 4)]
    assert series.count(us(62)) == 2


def test_points_after_the_clock_was_set_back_are_in_order_of_time() -> None:
    blocks = [block(1, (10, 1), (11, 2)), block(3, (9, 3), (10.01, 4))]
    assert line(make_series(blocks).chart(us(11))) == [(9, 3), (10, 1), (10.01, 4), (11, 2)]
    assert line(make_series(blocks).chart(us(10.1))) == [(9, 3), (10, 1), (10.01, 4)]
    assert make_series(blocks).count(us(10.1)) == 3


def test_no_point_is_lost_when_the_clock_alternates_in_a_block() -> None:
    series = make_series([block(1, (10, 1), (9, 2), (10.01, 3), (9.01, 4))])
    assert line(series.chart(us(11))) == [(9, 2), (9.01, 4), (10, 1), (10.01, 3)]


@pytest.mark.parametrize("jump", [-3_600, 3_600])
def test_points_before_a_jump_of_the_clock_are_dropped(jump: float) -> None:
    series = make_series([block(1, (0, 1)), block(2, (1, 2)), block(3, (jump, 3))])
    assert line(series.chart(us(jump + 1))) == ([(1, 2), (jump, 3)] if jump > 0 else [(jump, 3)])
    series.add(block(4, (jump + 3_610, 4)))
    assert line(series.chart(us(jump + 3_610))) == [(jump, 3), (jump + 3_610, 4)]


# -- in the service --------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(BEGIN.isoformat())


@pytest.fixture
def script(clock: FakeClock) -> ScriptedSource:
    return ScriptedSource(clock)


async def produce(
    service: BatchService, script: ScriptedSource, batch_id: str, *points: tuple[float, Any]
) -> None:
    """Produce values at these seconds after ``BEGIN``, and wait until they are committed."""
    batch = service.batch(batch_id)
    count = service.row_count(batch) + sum(np.size(value) for _, value in points)
    for second, value in points:
        script.emit(at(second), value)
    await wait_until(lambda: service.row_count(batch) == count)


def recent_data(service: BatchService, batch: Batch) -> RecentData:
    producer = service.producer(batch)
    assert producer
    return producer.recent(service.clock())


def seqs(points: list[Point]) -> list[int]:
    return [point.seq for point in points]


@pytest.mark.anyio
async def test_fast_batch_has_the_same_chart_after_its_end(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> None:
    numbers = np.random.default_rng(1)
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        batch = await service.start("b", "script")
        for i in range(0, 700, 20):
            values = [((i + j) / 10, numbers.normal(size=50)) for j in range(20)]
            await produce(service, script, "b", *values)
        clock.advance(seconds=0.15)  # The minute begins within a bucket.
        running = recent_data(service, batch)
        stored = await service.points("b", 0, 100_000)
        assert await service.read_recent(await service.stop("b")) == running
    assert seqs(running.points) == [*range(34_961, 35_001)]
    assert extremes(without_first(running.chart)) == by_bucket(
        (to_microseconds(point.ts), point.key) for point in stored if point.ts > at(9.9)
    )
    assert running.count == pytest.approx(30_000, abs=125)


@pytest.mark.anyio
@pytest.mark.parametrize("times", [(1, 30, 61, 91), (1, 1.1, 1.2, 70), (30, 31, 31), (1, 2, 5_000)])
async def test_slow_batch_has_the_same_chart_after_its_end(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource, times: tuple[float, ...]
) -> None:
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        batch = await service.start("b", "script")
        await produce(service, script, "b", *[(second, float(second)) for second in times])
        clock.advance(seconds=0.5)
        running = recent_data(service, batch)
        assert await service.read_recent(await service.stop("b")) == running
        assert running.count == sum(second > times[-1] - 59.5 for second in times)


@pytest.mark.anyio
@pytest.mark.parametrize("stored", [True, False], ids=["duckdb", "memory"])
async def test_restart_within_the_minute_leaves_a_break(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource, stored: bool
) -> None:
    store = tmp_path / "solo.duckdb" if stored else MemoryStorage()
    async with open_service(store, clock, script=script) as service:
        for points in ([(1, 1), (2, 2)], [(2.01, 3)]):
            await service.start("b", "script")
            await produce(service, script, "b", *points)
            await service.stop("b")
        batch = await service.start("b", "script")
        await produce(service, script, "b", (5, 5), (5.1, 6), (5.2, 4))
        assert line(recent_data(service, batch).chart) == [(5.1, 6), (5.2, 4)]
        await service.load_earlier_runs(batch)
        recent = recent_data(service, batch)
        expected = [(1, 1), (2, 2), (2.01, None), (2.01, 3), (5.1, None), (5.1, 6), (5.2, 4)]
        assert line(recent.chart) == expected
        assert (recent.count, seqs(recent.points)) == (6, [1, 2, 3, 4, 5, 6])
        assert await service.read_recent(await service.stop("b")) == recent


@pytest.mark.anyio
async def test_restart_of_the_app_keeps_the_last_minute(tmp_path: Path) -> None:
    clock = FakeClock(BEGIN.isoformat())
    script = ScriptedSource(clock)
    database = tmp_path / "solo.duckdb"
    async with open_service(database, clock, random=script) as service:
        await service.start("b")
        points = [(0, 1), (10, 2), (70, 3), (70.01, 4), (70.02, 5), (72, 6), (72, 6)]
        await produce(service, script, "b", *points)
    async with open_service(database, clock) as service:
        ended = await service.read_recent(service.batch("b"))
        expected = [(10, 2), (70, 3), (70.02, 5), (72, 6), (72, 6)]
        assert (line(ended.chart), ended.count) == (expected, 5)
    script = ScriptedSource(clock)
    async with open_service(database, clock, resume=True, random=script) as service:
        batch = service.batch("b")
        await service.load_earlier_runs(batch)
        assert recent_data(service, batch) == ended
        await produce(service, script, "b", (73, 7))
        recent = recent_data(service, batch)
        assert line(recent.chart) == [*expected, (73, None), (73, 7)]
        assert (recent.count, seqs(recent.points)) == (6, [*range(1, 9)])


@pytest.mark.anyio
async def test_latest_points_of_earlier_runs_are_in_memory(
    clock: FakeClock, script: ScriptedSource
) -> None:
    storage = MemoryStorage()
    async with open_service(storage, clock, few=counting(60), script=script) as service:
        await service.start("b", "few")
        await wait_until(lambda: not service.running())
        batch = await service.start("b", "script")
        await service.load_earlier_runs(batch)
        queries = storage.reads.calls
        assert seqs(recent_data(service, batch).points) == [*range(21, 61)]
        await produce(service, script, "b", (1, 1), (2, 2))
        await service.load_earlier_runs(batch)
        assert seqs(recent_data(service, batch).points) == [*range(23, 63)]
        assert storage.reads.calls == queries


@pytest.mark.anyio
async def test_first_run_needs_no_query(tmp_path: Path) -> None:
    storage = MemoryStorage()
    async with open_service(storage, silent=silent) as service:
        batch = await service.start("b", "silent")
        await service.load_earlier_runs(batch)
        assert is_empty(recent_data(service, batch))
        await service.load_earlier_runs(await service.stop("b"))
        assert storage.reads.calls == 0


async def start_silent_rerun(service: BatchService) -> Batch:
    """Start a silent run of a batch that has five points in an earlier run."""
    await service.start("b", "few")
    await wait_until(lambda: not service.running())
    return await service.start("b", "silent")


@pytest.mark.anyio
async def test_concurrent_loads_add_earlier_points_once() -> None:
    storage = MemoryStorage()
    async with open_service(storage, few=counting(5), silent=silent) as service:
        batch = await start_silent_rerun(service)
        revision = service.revision
        storage.reads.hold()
        loads = [asyncio.create_task(service.load_earlier_runs(batch)) for _ in range(3)]
        await wait_until(lambda: storage.reads.waiting)
        loads[0].cancel()
        await wait_until(lambda: loads[0].done() and storage.reads.waiting == 1)
        storage.reads.open()
        await asyncio.gather(*loads[1:])
        recent = recent_data(service, batch)
        assert (recent.count, seqs(recent.points)) == (5, [1, 2, 3, 4, 5])
        assert storage.reads.calls == 2  # The points and the buckets.
        assert service.revision == revision


@pytest.mark.anyio
async def test_pages_of_an_ended_batch_share_one_read() -> None:
    storage = MemoryStorage()
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
            assert seqs(recent.points) == [1, 2, 3, 4, 5]
        assert storage.reads.calls - calls == 2  # The points and the buckets.


@pytest.mark.anyio
async def test_failing_load_is_retried_after_a_backoff() -> None:
    storage, monotonic = MemoryStorage(), 0.0
    backoff = ReadBackoff(first=5, longest=60, now=lambda: monotonic)
    service = BatchService(storage, {"few": counting(5), "silent": silent}, backoff=backoff)
    await service.open()
    batch = await start_silent_rerun(service)
    storage.reads.fail("1.parquet is missing")
    for _ in range(10):
        with pytest.raises(StoreUnavailableError, match=r"1\.parquet"):
            await service.load_earlier_runs(batch)
    assert storage.reads.calls == 1
    assert is_empty(recent_data(service, batch))
    storage.reads.open()
    monotonic = 5.0
    await service.load_earlier_runs(batch)
    assert recent_data(service, batch).count == 5
    ended = await service.stop("b")
    storage.reads.fail("1.parquet is missing")
    for _ in range(10):
        queries = storage.reads.calls
        with pytest.raises(StoreUnavailableError, match=r"1\.parquet"):
            await service.read_recent(ended)
    assert storage.reads.calls == queries
    await service.close()


@pytest.mark.anyio
async def test_unreadable_point_before_the_minute_is_omitted(
    clock: FakeClock, script: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = MemoryStorage()
    points = storage.points

    async def recent_points(batch_no: int, after: int, limit: int) -> list[Point]:
        if after == 0:
            raise StoreUnavailableError("1.parquet is missing")
        return await points(batch_no, after, limit)

    async with open_service(storage, clock, script=script) as service:
        await service.start("b", "script")
        in_minute = [(100 + n, float(n)) for n in range(50)]
        await produce(service, script, "b", (1, 1.0), *in_minute)
        batch = await service.stop("b")
        complete = await service.read_recent(batch)
        assert line(complete.chart) == [(1, 1.0), *in_minute]
        monkeypatch.setattr(storage, "points", recent_points)
        without = await service.read_recent(batch)
        assert without == replace(complete, chart=without_first(complete.chart))


@pytest.mark.anyio
async def test_points_of_the_next_run_do_not_replace_lost_ones() -> None:
    storage = MemoryStorage()
    async with open_service(storage, few=counting(60)) as service:
        for _ in range(2):
            batch = await service.start("b", "few")
            await wait_until(lambda: not service.running())
        first = replace(batch, run=(await service.runs("b"))[1])
        storage._points[batch.no] = [p for p in storage._points[batch.no] if not 30 <= p.seq <= 60]
        assert seqs((await service.read_recent(first)).points) == [*range(21, 30)]


@pytest.mark.anyio
async def test_chart_of_a_batch_whose_clock_jumped_ends_with_its_run(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> None:
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as service:
        batch = await service.start("b", "script")
        await produce(service, script, "b", (100, 1), (101, 2), (70, 3), (71, 4))
        running = recent_data(service, batch)
        assert line(running.chart) == [(70, 3), (71, 4)]
        assert running.count == 2
        assert await service.read_recent(await service.stop("b")) == running


@pytest.mark.anyio
@pytest.mark.parametrize("stored", [True, False], ids=["duckdb", "memory"])
async def test_points_are_counted_once_although_the_clock_jumped(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource, stored: bool
) -> None:
    store = tmp_path / "solo.duckdb" if stored else MemoryStorage()
    async with open_service(store, clock, script=script) as service:
        await service.start("b", "script")
        await produce(service, script, "b", (1, 1), (100, 2), (30, 3), (101, 4))
        ended = await service.read_recent(await service.stop("b"))
        assert line(ended.chart) == [(100, 2), (101, 4)]
        assert ended.count == 2
