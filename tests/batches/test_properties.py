"""Whatever comes when: the last whole minute, the minutes and the stored points tell one story."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from solo_app.batches.model import MINUTE, Point, Window
from solo_app.batches.rollup import fold, whole_minute
from tests.workbench import HandClock, Script, open_service, until

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


async def tell(story: list[tuple[int, int]], database: Path, restart: bool) -> None:
    clock = HandClock(BASE.isoformat())
    script = Script(clock)
    first, second = (story[: len(story) // 2], story[len(story) // 2 :]) if restart else (story, [])
    for part in filter(None, (first, second)):
        async with open_service(database, clock, script=script) as service:
            await service.start("b", "script")
            known = service.row_count(service.batch("b"))
            for offset, key in part:
                script.say(BASE + timedelta(microseconds=offset), key)
            batch = service.batch("b")
            await until(lambda: service.row_count(batch) == known + len(part))  # noqa: B023
            clock.now = BASE + timedelta(hours=1)
            if part is (second or first):
                await compare(service, story)


async def compare(service, story) -> None:  # type: ignore[no-untyped-def]
    points = await service.points("b", 0, 1_000)
    assert [(p.ts, p.key) for p in points] == [
        (BASE + timedelta(microseconds=offset), key) for offset, key in story
    ]
    assert [p.seq for p in points] == list(range(1, len(story) + 1))
    span = Window(
        whole_minute(min(p.ts for p in points)), whole_minute(max(p.ts for p in points)) + MINUTE
    )
    minutes = {m.minute: m for m in await service.minutes("b", span)}
    assert set(minutes) == {whole_minute(p.ts) for p in points}
    for start in {whole_minute(p.ts) + step * MINUTE for p in points for step in (-1, 0, 1)}:
        answer = await service.aggregate("b", start + MINUTE + timedelta(milliseconds=1))
        assert answer.window == Window(start, start + MINUTE)
        told = answer.minute
        assert told == minutes.get(start)
        figures = (told.count, told.sum, told.min, told.max) if told else (0, 0, None, None)
        assert figures == expected(points, answer.window)


@settings(max_examples=12, deadline=None)
@given(stories, st.booleans())
def test_last_minute_minutes_and_points_agree(story: list[tuple[int, int]], restart: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(tell(story, Path(folder) / "solo.duckdb", restart))


@settings(max_examples=200, deadline=None)
@given(stories)
def test_folding_is_counting_by_hand(story: list[tuple[int, int]]) -> None:
    base = 1_352_628_600_000_000
    ts = np.array([base + offset for offset, _ in story], np.int64)
    folded = fold(ts, np.array([float(key) for _, key in story]))
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
