"""A system clock that jumps by seconds and days."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import MINUTE, Window
from solo_app.sources.random import random_kind
from tests.helpers.integrity import check_integrity
from tests.helpers.service import FakeClock, duckdb_store, open_service, wait_until

pytestmark = pytest.mark.anyio

DAY = 86_400
JUMPS = [3, -3, 60, -90, DAY, -DAY, -DAY, 2 * DAY, -1]


@pytest.mark.parametrize("restarted", [False, True])
async def test_order_and_aggregates_stay_correct_across_clock_jumps(
    tmp_path: Path, restarted: bool
) -> None:
    clock = FakeClock("2026-06-15 12:00:30")
    database = tmp_path / "solo.duckdb"
    jumps = list(JUMPS)
    while jumps:
        chunk = [jumps.pop(0)] if restarted else [jumps.pop(0) for _ in JUMPS]
        async with open_service(database, clock) as service:
            await service.start("b")
            batch = service.batch("b")
            for jump in chunk:
                count = service.row_count(batch)
                await wait_until(lambda: service.row_count(batch) >= count + 3)  # noqa: B023
                clock.advance(seconds=jump)
                assert (await service.aggregate("b")).window.end == start_of_minute(clock.now)
            await service.stop("b")
            points = await service.points("b", 0, 10_000)
            assert [p.seq for p in points] == list(range(1, len(points) + 1))
            by_minute: dict[datetime, list[float]] = {}
            for point in points:
                by_minute.setdefault(start_of_minute(point.ts), []).append(point.key)
            for minute, keys in by_minute.items():
                aggregate = (await service.aggregate("b", minute + MINUTE)).minute
                assert aggregate is not None
                assert (aggregate.count, aggregate.sum) == (len(keys), sum(keys))
                assert (aggregate.min, aggregate.max) == (min(keys), max(keys))
    assert len(by_minute) >= 4
    assert max(by_minute) - min(by_minute) > timedelta(days=1)
    check_integrity(database)


async def test_minutes_are_exact_after_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = FakeClock("2026-06-15 12:00:30")
    async with open_service(tmp_path / "solo.duckdb", clock, flood=random_kind(0)) as service:
        batches = [await service.start("b"), await service.start("flood", "flood")]

        async def wait_for_points() -> None:
            for batch in batches:
                count = service.row_count(batch)
                await wait_until(lambda: service.row_count(batch) > count)  # noqa: B023

        hours = []
        for seconds in (DAY, 60 - DAY, 3 * DAY, 60 - 3 * DAY, -7_200, 60, 60):
            await wait_for_points()
            clock.advance(seconds=seconds)
            now = start_of_minute(clock.now)
            hours.append(Window(now - timedelta(minutes=60), now + MINUTE))
            for batch in batches:  # Each result must include whole commits only.
                await service.minutes(batch.batch_id, hours[-1])
        await wait_for_points()
        for batch in batches:
            await service.stop(batch.batch_id)
            assert len(await service.minutes(batch.batch_id, hours[-1])) >= 3
            for hour in hours:
                stored = await duckdb_store(service).minutes(batch.no, hour)
                assert await service.minutes(batch.batch_id, hour) == stored
    check_integrity(tmp_path / "solo.duckdb")
