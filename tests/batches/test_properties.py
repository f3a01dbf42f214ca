"""Whatever comes when: the last whole minute, the minutes and the stored points tell one story."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.minutes import MAX_AGE, aggregate_by_minute, start_of_minute
from solo_app.batches.models import MINUTE, Point, Window
from solo_app.batches.service import BatchService
from tests.helpers.service import FakeClock, ScriptedSource, open_service, wait_until

pytest.importorskip("hypothesis", reason="property tests need requirements-dev.txt")
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

BASE = datetime(2012, 11, 11, 10, 10)

# Whole numbers, so that sums are exact whatever their order.
keys = st.integers(-(10**6), 10**6)
# Mostly within a few minutes and often on a border; now and then hours away.
offsets = st.one_of(
    st.integers(-180_000_000, 180_000_000),
    st.integers(-3, 3).map(lambda minutes: minutes * 60_000_000),
    st.integers(-3, 3).map(lambda minutes: minutes * 60_000_000 - 1),
    st.integers(-12, 12).map(lambda hours: hours * 3_600_000_000),
)
stories = st.lists(st.tuples(offsets, keys), min_size=1, max_size=30)


def expected(points: list[Point], window: Window) -> tuple[int, float, float | None, float | None]:
    within = [p.key for p in points if window.start <= p.ts < window.end]
    return len(within), sum(within), min(within, default=None), max(within, default=None)


class Teller:
    """An app that is told story after story, each a batch of its own and a month after the last."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._clock = FakeClock(BASE.isoformat())
        self._script = ScriptedSource(self._clock)
        self._base = BASE
        self._opened = AsyncExitStack()

    async def open(self) -> None:
        opened = open_service(self._database, self._clock, script=self._script)
        self._service = await self._opened.enter_async_context(opened)

    async def close(self) -> None:
        await self._opened.aclose()

    async def tell(self, story: list[tuple[int, int]], restart: bool) -> None:
        self._base += timedelta(days=30)
        self._clock.now = self._base
        # What is in memory is what an app holds that begins now.
        self._service._recent_minutes.evict(start_of_minute(self._base) - MAX_AGE)
        batch_id = f"from-{self._base:%Y-%m-%d}"
        half = len(story) // 2 if restart else 0
        for part in filter(None, (story[:half], story[half:])):
            if batch := self._service._catalog.find(batch_id):
                await self.close()
                await self.open()
            known = self._service.row_count(batch) if batch else 0
            await self._say(batch_id, part, known)
        await compare(self._service, batch_id, self._base, story)
        await self._service.stop(batch_id)

    async def _say(self, batch_id: str, part: list[tuple[int, int]], known: int) -> None:
        batch = await self._service.start(batch_id, "script")
        for offset, key in part:
            self._script.emit(self._base + timedelta(microseconds=offset), key)
        await wait_until(lambda: self._service.row_count(batch) == known + len(part))
        self._clock.now = self._base + timedelta(hours=1)


async def compare(
    service: BatchService, batch_id: str, base: datetime, story: list[tuple[int, int]]
) -> None:
    points = await service.points(batch_id, 0, 1_000)
    assert [(p.ts, p.key) for p in points] == [
        (base + timedelta(microseconds=offset), key) for offset, key in story
    ]
    assert [p.seq for p in points] == list(range(1, len(story) + 1))
    span = Window(
        start_of_minute(min(p.ts for p in points)),
        start_of_minute(max(p.ts for p in points)) + MINUTE,
    )
    minutes = {m.minute: m for m in await service.minutes(batch_id, span)}
    assert set(minutes) == {start_of_minute(p.ts) for p in points}
    for start in {start_of_minute(p.ts) + step * MINUTE for p in points for step in (-1, 0, 1)}:
        answer = await service.aggregate(batch_id, start + MINUTE + timedelta(milliseconds=1))
        assert answer.window == Window(start, start + MINUTE)
        told = answer.minute
        assert told == minutes.get(start)
        figures = (told.count, told.sum, told.min, told.max) if told else (0, 0, None, None)
        assert figures == expected(points, answer.window)


Tell = Callable[[list[tuple[int, int]], bool], None]


@pytest.fixture(scope="module")
def tell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tell]:
    teller = Teller(tmp_path_factory.mktemp("told") / "solo.duckdb")
    with asyncio.Runner() as runner:
        runner.run(teller.open())
        yield lambda story, restart: runner.run(teller.tell(story, restart))
        runner.run(teller.close())


@settings(max_examples=12, deadline=None)
@given(stories, st.booleans())
def test_last_minute_minutes_and_points_agree(
    tell: Tell, story: list[tuple[int, int]], restart: bool
) -> None:
    tell(story, restart)


@settings(max_examples=200, deadline=None)
@given(stories)
def test_folding_is_counting_by_hand(story: list[tuple[int, int]]) -> None:
    base = 1_352_628_600_000_000
    ts = np.array([base + offset for offset, _ in story], np.int64)
    folded = aggregate_by_minute(ts, np.array([float(key) for _, key in story]))
    by_minute = itertools.groupby(
        sorted(((base + offset) // 60_000_000, key) for offset, key in story), lambda pair: pair[0]
    )
    by_hand = {minute: [key for _, key in pairs] for minute, pairs in by_minute}
    assert {
        (m.minute - datetime(1970, 1, 1)) // MINUTE: (m.count, m.sum, m.min, m.max) for m in folded
    } == {
        minute: (len(found), sum(found), min(found), max(found))
        for minute, found in by_hand.items()
    }
