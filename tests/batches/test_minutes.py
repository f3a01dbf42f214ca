"""The last full minute: its bounds, and exact aggregates at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.errors import WindowOutOfRangeError
from solo_app.batches.minutes import last_full_minute
from solo_app.batches.models import MINUTE, MinuteAggregate, Window
from solo_app.batches.service import BatchService
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource, open_service, wait_until

pytestmark = pytest.mark.anyio


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
async def service(
    tmp_path: Path, clock: FakeClock, script: ScriptedSource
) -> AsyncIterator[BatchService]:
    """A service with the running batch ``b``."""
    async with open_service(tmp_path / "solo.duckdb", clock, script=script) as opened:
        await opened.start("b", "script")
        yield opened


@pytest.fixture
async def memory_service(
    storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> AsyncIterator[BatchService]:
    async with open_service(storage, clock, script=script) as opened:
        await opened.start("b", "script")
        yield opened
        storage.writes.open()


async def wait_for_rows(service: BatchService, count: int) -> None:
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
def test_last_full_minute_precedes_the_current_one(now: str, start: str, end: str) -> None:
    assert last_full_minute(at(now)) == Window(at(start), at(end))


def test_first_minute_has_no_minute_before_it() -> None:
    with pytest.raises(WindowOutOfRangeError):
        last_full_minute(datetime.min)


async def test_start_is_inclusive_and_end_is_exclusive(
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
    await wait_for_rows(service, 5)
    clock.set("2012-11-11 10:11:10")
    aggregate = await service.aggregate("b")
    assert aggregate.window == Window(at("2012-11-11 10:10"), at("2012-11-11 10:11"))
    assert aggregate.minute == MinuteAggregate(at("2012-11-11 10:10"), 3, 7.0, 1.0, 4.0)


async def test_minutes_around_changes_of_local_time_are_exact(
    service: BatchService, clock: FakeClock, script: ScriptedSource
) -> None:
    boundaries = [
        "2026-03-29 01:00",  # Europe enters daylight saving time
        "2026-10-25 01:00",  # Europe leaves it
        "2026-11-01 09:00",  # Los Angeles leaves it
        "2026-11-23 15:00",  # hour
        "2026-11-24 00:00",  # day
        "2027-01-01 00:00",  # year
    ]
    for n, boundary in enumerate(map(at, boundaries), 1):
        for second in range(-70, 70, 5):
            script.emit(boundary + timedelta(seconds=second), 1.0)
        await wait_for_rows(service, 28 * n)
        clock.now = boundary + timedelta(seconds=10)
        before = await service.aggregate("b")
        clock.now = boundary + timedelta(seconds=70)
        after = await service.aggregate("b")
        assert before.minute == MinuteAggregate(boundary - MINUTE, 12, 12.0, 1.0, 1.0)
        assert after.minute == MinuteAggregate(boundary, 12, 12.0, 1.0, 1.0)


async def test_points_of_a_pending_commit_are_included(
    memory_service: BatchService, storage: MemoryStorage, clock: FakeClock, script: ScriptedSource
) -> None:
    storage.writes.hold()
    script.emit(at("2012-11-11 10:10:59.998"), 5.0)
    script.emit(at("2012-11-11 10:10:59.999999"), 7.0)
    await wait_until(lambda: clock.now == at("2012-11-11 10:10:59.999999"))
    clock.set("2012-11-11 10:11:00.001")
    query = asyncio.create_task(memory_service.aggregate("b"))
    await wait_until(lambda: storage.writes.waiting)
    assert memory_service.totals().row_count == 0
    assert not query.done()
    storage.writes.open()
    minute = (await query).minute
    assert minute
    assert (minute.count, minute.sum) == (2, 12.0)
    assert len(await memory_service.points("b", 0, 10)) == 2


async def test_pending_points_of_the_current_minute_cause_no_delay(
    memory_service: BatchService, storage: MemoryStorage, script: ScriptedSource
) -> None:
    storage.writes.hold()
    script.emit(at("2012-11-11 10:11:05"), 5.0)
    await wait_until(lambda: storage.writes.waiting)
    async with asyncio.timeout(30):
        assert (await memory_service.aggregate("b")).minute is None


async def test_minute_without_points_is_none(service: BatchService) -> None:
    assert (await service.aggregate("b")).minute is None
    assert (await service.aggregate("b", at("1999-01-01"))).minute is None


async def test_earlier_minutes_are_read_from_the_store(
    service: BatchService, clock: FakeClock, script: ScriptedSource
) -> None:
    for day in range(3):
        script.emit(at("2012-11-11 10:10:00") + timedelta(days=day), float(day))
    await wait_for_rows(service, 3)
    clock.set("2012-11-20 00:00:00")
    for day in range(3):
        aggregate = await service.aggregate("b", at("2012-11-11 10:11:30") + timedelta(days=day))
        assert aggregate.minute
        assert (aggregate.minute.count, aggregate.minute.sum) == (1, day)


async def test_no_point_is_lost_when_the_clock_is_set_back(
    service: BatchService, clock: FakeClock, script: ScriptedSource
) -> None:
    for time in ("10:10:30", "10:12:30", "10:10:40", "08:00:00", "10:12:31"):
        script.emit(at(f"2012-11-11 {time}"), 1.0)
    await wait_for_rows(service, 5)
    clock.set("2012-11-11 10:13:00")
    minutes = await service.minutes("b", Window(at("2012-11-11 00:00"), at("2012-11-12 00:00")))
    counts = {minute.minute.strftime("%H:%M"): minute.count for minute in minutes}
    assert counts == {"08:00": 1, "10:10": 2, "10:12": 2}


async def test_minutes_are_complete_after_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    database = tmp_path / "again.duckdb"
    for count in (1, 2):
        script = ScriptedSource(clock)
        async with open_service(database, clock, script=script) as service:
            await service.start("b", "script")
            script.emit(at("2012-11-11 10:10:20"), float(count))
            await wait_for_rows(service, count)
    async with open_service(database, clock) as service:
        minute = (await service.aggregate("b", at("2012-11-11 10:11:10"))).minute
        assert minute == MinuteAggregate(at("2012-11-11 10:10"), 2, 3.0, 1.0, 2.0)
