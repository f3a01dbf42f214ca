"""Minutes, aggregates and points agree for any order of times."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from solo_app.batches.minutes import aggregate_by_minute, start_of_minute
from solo_app.batches.models import MINUTE, MinuteAggregate, Point, Window, to_microseconds
from solo_app.batches.service import BatchService
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, ScriptedSource, open_service, wait_until

pytest.importorskip("hypothesis", reason="property tests need requirements-dev.txt")
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

BASE = datetime(2012, 11, 11, 10, 10)

# Whole numbers, so that sums do not depend on the order.
keys = st.integers(-(10**6), 10**6).map(float)
# Microseconds after ``BASE``: mostly within minutes, often on a boundary, sometimes hours away.
offsets = st.one_of(
    st.integers(-180_000_000, 180_000_000),
    st.integers(-3, 3).map(lambda minutes: minutes * 60_000_000),
    st.integers(-3, 3).map(lambda minutes: minutes * 60_000_000 - 1),
    st.integers(-12, 12).map(lambda hours: hours * 3_600_000_000),
)
times = offsets.map(lambda offset: BASE + timedelta(microseconds=offset))
values = st.lists(st.tuples(times, keys), min_size=1, max_size=30)


def aggregate(points: list[tuple[datetime, float]], minute: datetime) -> MinuteAggregate | None:
    """Compute the aggregate of a minute without the code under test."""
    found = [key for ts, key in points if minute <= ts < minute + MINUTE]
    if not found:
        return None
    return MinuteAggregate(minute, len(found), sum(found), min(found), max(found))


@settings(max_examples=200, deadline=None)
@given(values)
def test_aggregates_equal_those_computed_per_minute(points: list[tuple[datetime, float]]) -> None:
    ts = np.array([to_microseconds(ts) for ts, _ in points])
    aggregates = aggregate_by_minute(ts, np.array([key for _, key in points]))
    minutes = {start_of_minute(ts) for ts, _ in points}
    assert {a.minute: a for a in aggregates} == {m: aggregate(points, m) for m in minutes}
    assert len(aggregates) == len(minutes)


@settings(max_examples=30, deadline=None)
@given(values, st.booleans())
def test_points_minutes_and_aggregates_agree(
    points: list[tuple[datetime, float]], restart: bool
) -> None:
    asyncio.run(produce_and_compare(MemoryStorage(), points, restart))


@settings(max_examples=4, deadline=None)
@given(values, st.booleans())
def test_points_minutes_and_aggregates_agree_in_duckdb(
    points: list[tuple[datetime, float]], restart: bool
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(produce_and_compare(Path(folder) / "solo.duckdb", points, restart))


async def produce_and_compare(
    storage: Path | MemoryStorage, points: list[tuple[datetime, float]], restart: bool
) -> None:
    """Produce points, with a restart of the app after half of them if requested."""
    clock = FakeClock(BASE.isoformat())
    half = len(points) // 2 if restart else 0
    for end in sorted({half, len(points)} - {0}):
        script = ScriptedSource(clock)
        async with open_service(storage, clock, script=script) as service:
            batch = await service.start("b", "script")
            for ts, key in points[service.row_count(batch) : end]:
                script.emit(ts, key)
            await wait_until(lambda: service.row_count(batch) == end)  # noqa: B023
            clock.now = BASE + timedelta(hours=1)
            if end == len(points):
                await compare(service, points)


async def compare(service: BatchService, points: list[tuple[datetime, float]]) -> None:
    assert await service.points("b", 0, 1_000) == [
        Point(seq, ts, key) for seq, (ts, key) in enumerate(points, 1)
    ]
    with_points = {start_of_minute(ts) for ts, _ in points}
    span = Window(min(with_points), max(with_points) + MINUTE)
    minutes = await service.minutes("b", span)
    assert minutes == [aggregate(points, minute) for minute in sorted(with_points)]
    for minute in {minute + n * MINUTE for minute in with_points for n in (-1, 0, 1)}:
        found = await service.aggregate("b", minute + MINUTE + timedelta(milliseconds=1))
        assert found.window == Window(minute, minute + MINUTE)
        assert found.minute == aggregate(points, minute)
