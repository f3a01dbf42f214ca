"""The last whole minute: its borders, its exactness, and that all ways to ask agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.errors import WindowOutOfRangeError
from solo_app.batches.minutes import last_whole_minute
from solo_app.batches.models import MINUTE, MinuteAggregate, Window
from solo_app.batches.service import BatchService
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource, open_service, wait_until

pytestmark = pytest.mark.anyio


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock("2012-11-11 10:09:00")


@pytest.fixture
def script(clock: FakeClock) -> ScriptedSource:
    return ScriptedSource(clock)


@pytest.fixture
async def service(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> AsyncIterator[BatchService]:
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as opened:
        await opened.start("b", "script")
        yield opened


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
async def in_memory(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> AsyncIterator[BatchService]:
    async with open_service(storage, clock, script=script) as opened:
        await opened.start("b", "script")
        yield opened
        storage.writes.open()


async def produced(service: BatchService, count: int) -> None:
    batch = service.batch("b")
    await wait_until(lambda: service.row_count(batch) == count)


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ("2012-11-11 10:11:10", "2012-11-11 10:10", "2012-11-11 10:11"),
        ("2012-11-11 10:11:00", "2012-11-11 10:10", "2012-11-11 10:11"),
        ("2012-11-11 10:10:59.999999", "2012-11-11 10:09", "2012-11-11 10:10"),
        ("2026-03-01 11:00:30", "2026-03-01 10:59", "2026-03-01 11:00"),
        ("2026-03-01 00:00:30", "2026-02-28 23:59", "2026-03-01 00:00"),
        ("2028-03-01 00:00:30", "2028-02-29 23:59", "2028-03-01 00:00"),
        ("2027-01-01 00:00:01", "2026-12-31 23:59", "2027-01-01 00:00"),
    ],
)
def test_the_window_ends_before_the_current_minute(now: str, start: str, end: str) -> None:
    assert last_whole_minute(at(now)) == Window(at(start), at(end))


def test_there_is_no_window_before_the_first_minute_of_all() -> None:
    with pytest.raises(WindowOutOfRangeError):
        last_whole_minute(datetime.min)


async def test_points_on_the_borders_count_at_the_start_and_not_at_the_end(
    service: BatchService, clock: FakeClock, script: ScriptedSource
) -> None:
    for ts, key in [
        ("2012-11-11 10:09:59.999999", 1000.0),
        ("2012-11-11 10:10:00", 1.0),
        ("2012-11-11 10:10:30", 2.0),
        ("2012-11-11 10:10:59.999999", 4.0),
        ("2012-11-11 10:11:00", 3000.0),
    ]:
        script.emit(at(ts), key)
    await produced(service, 5)
    clock.set("2012-11-11 10:11:10")
    answer = await service.aggregate("b")
    assert answer.window == Window(at("2012-11-11 10:10"), at("2012-11-11 10:11"))
    assert answer.minute == MinuteAggregate(at("2012-11-11 10:10"), 3, 7.0, 1.0, 4.0)


async def test_the_window_is_exact_across_every_change(
    service: BatchService, clock: FakeClock, script: ScriptedSource
) -> None:
    borders = [
        "2026-03-29 01:00",  # Europe enters daylight saving time
        "2026-10-25 01:00",  # Europe leaves it
        "2026-11-01 09:00",  # Los Angeles leaves it
        "2026-11-23 15:00",  # hour
        "2026-11-24 00:00",  # day
        "2027-01-01 00:00",  # year
    ]
    for number, border in enumerate(map(at, borders), 1):
        for second in range(-70, 70, 5):
            script.emit(border + timedelta(seconds=second), 1.0)
        await produced(service, 28 * number)
        clock.now = border + timedelta(seconds=10)
        before = await service.aggregate("b")
        clock.now = border + timedelta(seconds=70)
        after = await service.aggregate("b")
        assert (before.window.start, after.window.start) == (border - MINUTE, border)
        assert before.minute is not None
        assert after.minute is not None
        assert before.minute.count == after.minute.count == 12


async def test_points_in_a_commit_count_one_millisecond_after_the_minute(
    in_memory: BatchService, storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    storage.writes.hold()
    script.emit(at("2012-11-11 10:10:59.998"), 5.0)
    script.emit(at("2012-11-11 10:10:59.999999"), 7.0)
    await wait_until(lambda: clock.now == at("2012-11-11 10:10:59.999999"))
    clock.set("2012-11-11 10:11:00.001")
    question = asyncio.create_task(in_memory.aggregate("b"))
    await wait_until(lambda: storage.writes.waiting)
    assert in_memory.totals().row_count == 0
    assert not question.done()
    storage.writes.open()
    minute = (await question).minute
    assert minute is not None
    assert (minute.count, minute.sum) == (2, 12.0)
    assert len(await in_memory.points("b", 0, 10)) == 2


async def test_points_of_the_current_minute_delay_no_aggregate(
    in_memory: BatchService, storage: MemoryStorage, script: ScriptedSource
) -> None:
    storage.writes.hold()
    script.emit(at("2012-11-11 10:11:05"), 5.0)
    await wait_until(lambda: storage.writes.waiting)
    answer = await asyncio.wait_for(in_memory.aggregate("b"), 1)
    assert answer.minute is None


async def test_without_points_there_is_no_minute(service: BatchService) -> None:
    assert (await service.aggregate("b")).minute is None
    assert (await service.aggregate("b", at("1999-01-01"))).minute is None


async def test_a_window_of_long_ago_is_answered_from_the_store(
    service: BatchService, clock: FakeClock, script: ScriptedSource
) -> None:
    for day in range(3):
        script.emit(at("2012-11-11 10:10:00") + timedelta(days=day), float(day))
    await produced(service, 3)
    clock.set("2012-11-20 00:00:00")
    for day in range(3):
        answer = await service.aggregate("b", at("2012-11-11 10:11:30") + timedelta(days=day))
        assert answer.minute is not None
        assert (answer.minute.count, answer.minute.sum) == (1, day)


async def test_a_clock_that_goes_back_loses_no_point_and_no_minute(
    service: BatchService, clock: FakeClock, script: ScriptedSource
) -> None:
    for ts in ("10:10:30", "10:12:30", "10:10:40", "08:00:00", "10:12:31"):
        script.emit(at(f"2012-11-11 {ts}"), 1.0)
    await produced(service, 5)
    clock.set("2012-11-11 10:13:00")
    minutes = await service.minutes("b", Window(at("2012-11-11 00:00"), at("2012-11-12 00:00")))
    assert {m.minute.strftime("%H:%M"): m.count for m in minutes} == {
        "08:00": 1,
        "10:10": 2,
        "10:12": 2,
    }


async def test_minutes_survive_the_end_of_the_app_whole(tmp_path: Path, clock: FakeClock) -> None:
    for second in (1.0, 2.0):
        script = ScriptedSource(clock)
        async with open_service(tmp_path / "again.duckdb", clock, script=script) as service:
            await service.start("b", "script")
            script.emit(at("2012-11-11 10:10:20") + timedelta(seconds=second), second)
            await produced(service, int(second))
    async with open_service(tmp_path / "again.duckdb", clock) as service:
        minute = (await service.aggregate("b", at("2012-11-11 10:11:10"))).minute
        assert minute == MinuteAggregate(at("2012-11-11 10:10"), 2, 3.0, 1.0, 2.0)
