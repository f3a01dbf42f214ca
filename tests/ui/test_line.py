"""The line of the last minute, as the ticks of a batch's page tell it."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from solo_app.batches import trail
from solo_app.batches.model import STEP_US, Clock, Point, to_microseconds, utc_now
from solo_app.batches.sources import random as random_source
from solo_app.ui.states.batch import BatchState
from tests.ui.shown import AFTER, COUNT, KEYS, SPAN_US, Shown, shown, ticks_of
from tests.ui.tabs import Tabs, open_tabs, tabs_on
from tests.workbench import (
    Bench,
    HandClock,
    Script,
    open_bench,
    open_service,
    stop_all,
    until,
)

pytestmark = pytest.mark.anyio

BEGIN = datetime(2012, 11, 11, 10, 10)
PACE = 0.25


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def seconds_of(seen: Shown) -> list[tuple[float, float | None]]:
    """The line with its times as seconds since ``BEGIN``."""
    return [((ts - to_microseconds(BEGIN)) / 1e6, key) for ts, key in seen.line]


async def produce(
    tabs: Tabs, batch_id: str, script: Script, points: list[tuple[float, float]]
) -> Shown:
    """Produce points of a batch at their seconds, and wait until its tab shows them."""
    batch = tabs.service.batch(batch_id)
    up_to = tabs.service.row_count(batch) + len(points)
    for second, key in points:
        script.say(at(second), key)
    await until(lambda: shown(tabs, batch_id).last_seq == up_to)
    return shown(tabs, batch_id)


async def look(tabs: Tabs, batch_id: str) -> None:
    """Open the page of a batch in a tab of that name, and wait for what it shows first."""
    await tabs.open(batch_id, batch_id)
    await tabs.look(batch_id, BatchState)
    await until(lambda: ticks_of(tabs, batch_id))


def steps_of(points: list[Point]) -> dict[int, list[float]]:
    """The numbers of the points by the step that they are of."""
    found: dict[int, list[float]] = {}
    for point in points:
        found.setdefault(to_microseconds(point.ts) // STEP_US, []).append(point.key)
    return found


@pytest.fixture(scope="module")
def clock() -> Clock:
    """A clock that goes three times as fast, so that a line of many steps is soon there."""
    began = utc_now()
    return lambda: began + 3 * (utc_now() - began)


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """What those tests share in which time is held."""
    async with open_bench(tmp_path_factory.mktemp("bench"), BEGIN.isoformat()) as opened:
        yield opened


@pytest.fixture
async def scripted(bench: Bench) -> AsyncIterator[Tabs]:
    """Tabs where time is held, and nothing runs yet."""
    bench.begin()
    async with tabs_on(bench.service) as opened:
        yield opened
    await stop_all(bench.service)


async def test_at_the_default_pace_the_line_is_the_points_of_the_last_minute(
    scripted: Tabs,
    bench: Bench,
    batch_id: str,
) -> None:
    jitter = random.Random(1)
    await scripted.service.start(batch_id)
    await look(scripted, batch_id)
    points = [(i * PACE + jitter.randrange(10_000) / 1e6, float(i % 7)) for i in range(264)]
    for i in range(0, len(points), 8):
        seen = await produce(scripted, batch_id, bench.script, points[i : i + 8])
        now = (seen.at - to_microseconds(BEGIN)) / 1e6
        young = [p for p in points[: i + 8] if p[0] > now - 60]
        assert [v for v in seconds_of(seen) if v[0] > now - 60] == young
        assert (
            abs((seen.count or 0) - len(young)) <= 1
        )  # The tick's moment is told in milliseconds.
    assert len(seen.line) - len(young) == 1  # The line comes in from the left.
    first, *others = ticks_of(scripted, batch_id)
    assert len(first) > AFTER
    assert [tick for tick in others if len(tick) > AFTER] == []
    assert max(len(tick[KEYS]) for tick in others) <= 8


async def test_a_slow_source_shows_its_minute_and_the_line_that_comes_in(
    scripted: Tabs, bench: Bench, batch_id: str
) -> None:
    await scripted.service.start(batch_id)
    await look(scripted, batch_id)
    for second in (0, 30, 60, 90):
        seen = await produce(scripted, batch_id, bench.script, [(second + 1, second)])
    assert seconds_of(seen) == [(31, 30), (61, 60), (91, 90)]
    assert seen.count == 2  # After 31 s, up to 91 s.
    bench.clock.set(at(130).isoformat())
    await until(lambda: shown(scripted, batch_id).at == to_microseconds(at(130)))
    seen = shown(scripted, batch_id)
    assert seconds_of(seen) == [(61, 60), (91, 90)]
    assert seen.count == 1


async def test_a_fast_source_shows_the_lowest_and_highest_of_every_step(
    scripted: Tabs, bench: Bench, batch_id: str
) -> None:
    numbers = np.random.default_rng(1)
    await scripted.service.start(batch_id)
    batch = scripted.service.batch(batch_id)
    await look(scripted, batch_id)
    for i in range(700):
        bench.script.say(at(i / 10), numbers.normal(size=50))
        if i % 50 == 0:
            await until(lambda: scripted.service.row_count(batch) == (i + 1) * 50)  # noqa: B023
            await scripted.ticks()
    await until(lambda: shown(scripted, batch_id).last_seq == 35_000)
    seen = shown(scripted, batch_id)
    assert 480 <= len(seen.line) <= 484
    points = steps_of(await scripted.service.points(batch_id, 0, 35_000))
    for number, keys in [*seen.steps.items()][1:]:
        assert sorted(k for k in keys if k is not None) == [
            min(points[number]),
            max(points[number]),
        ]
    assert seen.line == sorted(seen.line, key=lambda vertex: vertex[0])
    assert abs((seen.count or 0) - 30_000) < 125  # As many as a step holds.
    assert max(len(json.dumps(tick)) for tick in ticks_of(scripted, batch_id)) < 2_000
    tick = ticks_of(scripted, batch_id)[-1]
    assert tick[COUNT] == seen.count


async def test_the_line_of_the_run_before_stays_and_a_break_comes_after_it(
    scripted: Tabs, bench: Bench, batch_id: str
) -> None:
    await scripted.service.start(batch_id)
    await look(scripted, batch_id)
    await produce(scripted, batch_id, bench.script, [(1, 1), (2, 2)])
    bench.clock.set(at(3).isoformat())
    await scripted.service.stop(batch_id)
    await until(lambda: shown(scripted, batch_id).at == to_microseconds(at(3)))
    assert seconds_of(shown(scripted, batch_id)) == [(1, 1), (2, 2)]
    bench.clock.set(at(4).isoformat())
    await scripted.service.start(batch_id)
    seen = await produce(scripted, batch_id, bench.script, [(5, 5), (5.1, 6)])
    assert seconds_of(seen) == [(1, 1), (2, 2), (5, None), (5, 5), (5.1, 6)]
    seen = await produce(scripted, batch_id, bench.script, [(5.2, 4)])
    assert seconds_of(seen) == [(1, 1), (2, 2), (5.1, None), (5.1, 6), (5.2, 4)]
    assert seen.count == 5


@pytest.mark.parametrize("goes_on", [False, True])
async def test_the_line_is_there_after_a_restart_of_the_server(
    tmp_path: Path, goes_on: bool
) -> None:
    clock = HandClock(BEGIN.isoformat())
    script = Script(clock)
    database = tmp_path / "solo.duckdb"
    async with open_service(database, clock, script=script) as service:
        await service.start("b", "script")
        batch = service.batch("b")
        for second, key in [(0, 1), (10, 2), (70, 3), (70.01, 4), (70.02, 5), (72, 6), (72, 6)]:
            script.say(at(second), key)
        await until(lambda: service.row_count(batch) == 7)
    async with open_tabs(database, clock, script=script) as tabs:
        if goes_on:
            await tabs.service.start("b", "script")
            await until(lambda: tabs.service.running())
        await look(tabs, "b")
        kept = [(10, 2), (70, 3), (70.02, 5), (72, 6), (72, 6)]
        assert seconds_of(shown(tabs, "b")) == kept
        assert shown(tabs, "b").count == 5
        if goes_on:
            seen = await produce(tabs, "b", script, [(73, 7)])
            assert seconds_of(seen) == [*kept, (73, None), (73, 7)]
            assert seen.count == 6


async def test_what_is_long_in_coming_from_the_store_is_told_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "PATIENCE", 0)
    async with open_service(tmp_path / "solo.duckdb", random=random_source(0.01)) as service:
        batch = await service.start("b")
        await until(lambda: service.row_count(batch) > 20)
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await look(tabs, "b")
        assert not shown(tabs, "b").line
        assert shown(tabs, "b").last_seq > 20
        assert shown(tabs, "b").count is None
        await until(lambda: shown(tabs, "b").line)
        assert shown(tabs, "b").count == shown(tabs, "b").last_seq


async def test_two_runs_under_two_tabs_come_to_the_same_line(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await look(tabs, batch_id)
    await until(lambda: shown(tabs, batch_id).last_seq > 40)
    await tabs.service.stop(batch_id)
    await tabs.service.start(batch_id)
    await until(lambda: shown(tabs, batch_id).last_seq > 80)
    await tabs.service.stop(batch_id)
    rows = tabs.service.row_count(tabs.service.batch(batch_id))
    await tabs.open("late", batch_id)
    await tabs.look("late", BatchState)
    await until(lambda: shown(tabs, "late").last_seq == rows == shown(tabs, batch_id).last_seq)
    await tabs.ticks(2)
    assert shown(tabs, "late").line == shown(tabs, batch_id).line
    assert [key for _, key in shown(tabs, batch_id).line].count(None) == 1


async def test_a_tab_that_missed_something_is_told_the_whole_line(
    tabs: Tabs, batch_id: str
) -> None:
    await tabs.service.start(batch_id)
    await look(tabs, batch_id)
    await until(lambda: shown(tabs, batch_id).last_seq > 50)
    sent = len(ticks_of(tabs, batch_id))
    await tabs.send(batch_id, BatchState, "catch_up")
    await until(lambda: any(tick[AFTER:][:1] == [0] for tick in ticks_of(tabs, batch_id)[sent:]))
    whole = next(t for t in ticks_of(tabs, batch_id)[sent:] if t[AFTER:][:1] == [0])
    seen = Shown()
    seen.take(whole)
    first = (await tabs.service.points(batch_id, 0, 1))[0]
    assert seen.at - seen.line[0][0] < SPAN_US
    assert seen.line[0][0] // STEP_US == to_microseconds(first.ts) // STEP_US
