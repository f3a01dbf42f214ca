"""The state of a batch's page, its handlers run as a browser would have them run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from solo_app.batches.model import to_microseconds
from solo_app.batches.sources import Numbers, Source
from solo_app.ui.states.batch import BatchState
from solo_app.ui.states.watch import NEWEST_POINTS
from tests.ui.shown import KEYS, LAST_SEQ, WHOLE, shown, ticks_of
from tests.ui.tabs import Tabs
from tests.workbench import until

pytestmark = pytest.mark.anyio


async def look(tabs: Tabs, batch_id: str) -> Any:
    """Open the page of a batch in a tab of its own, and wait for what it shows first."""
    await tabs.open(batch_id, batch_id)
    await tabs.look(batch_id, BatchState)
    state = await tabs.state(batch_id, BatchState)
    await until(lambda: state.shown == batch_id)
    return state


async def committed(tabs: Tabs, batch_id: str, first_seq: int) -> list[tuple[int, int, float]]:
    """The points of a batch from ``first_seq`` up to what its tab shows."""
    last_seq = shown(tabs, batch_id).last_seq
    points = await tabs.service.points(batch_id, first_seq - 1, last_seq - first_seq + 1)
    return [(point.seq, to_microseconds(point.ts), point.key) for point in points]


async def flat_out() -> AsyncIterator[Numbers]:
    """A source that never waits."""
    while True:
        yield np.arange(1_000.0)
        await asyncio.sleep(0)


class Feed:
    """A source that gives numbers when a test says so: never more than a tick can tell."""

    def __init__(self) -> None:
        self._numbers: asyncio.Queue[Numbers] = asyncio.Queue()

    async def __call__(self) -> AsyncIterator[Numbers]:
        while True:
            yield await self._numbers.get()

    async def give(self, tabs: Tabs, batch_id: str, count: int) -> None:
        """Have the batch produce so many points, and wait until its tab shows them."""
        up_to = tabs.service.row_count(tabs.service.batch(batch_id)) + count
        for number in range(count):
            self._numbers.put_nowait(float(number))
        await until(lambda: shown(tabs, batch_id).last_seq == up_to)


async def look_at_feed(tabs: Tabs, batch_id: str, feed: Feed) -> None:
    """Watch a batch that was given twelve points, three at a time."""
    await tabs.service.start(batch_id, "feed")
    await look(tabs, batch_id)
    for _ in range(4):
        await feed.give(tabs, batch_id, 3)


@pytest.fixture(scope="module")
def feed() -> Feed:
    return Feed()


@pytest.fixture(scope="module")
def sources(feed: Feed) -> dict[str, Source]:
    return {"flat_out": flat_out, "feed": feed}


async def test_a_running_batch_is_shown_live(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await look(tabs, batch_id)
    assert (state.kind, state.status, state.run_number) == ("batch", "running", 1)
    assert state.title == f"{batch_id} · Running · SOLO"
    await until(lambda: shown(tabs, batch_id).last_seq > NEWEST_POINTS + 10)
    seen = shown(tabs, batch_id)
    assert len(seen.points) == NEWEST_POINTS
    assert seen.points == await committed(tabs, batch_id, seen.points[0][0])
    assert state.started <= seen.points[0][1] <= seen.at


async def test_the_points_shown_are_without_gap_whatever_was_missed(
    tabs: Tabs, batch_id: str
) -> None:
    await tabs.service.start(batch_id)
    await look(tabs, batch_id)
    await until(lambda: shown(tabs, batch_id).points)
    for _ in range(3):
        await tabs.ticks()
        seen = shown(tabs, batch_id)
        assert seen.points == await committed(tabs, batch_id, seen.points[0][0])


async def test_a_tick_brings_each_new_point_once_and_no_old_one(
    tabs: Tabs, batch_id: str, feed: Feed
) -> None:
    await look_at_feed(tabs, batch_id, feed)
    await tabs.open("late", batch_id)
    await tabs.look("late", BatchState)
    await until(lambda: ticks_of(tabs, "late"))
    for _ in range(20):
        await feed.give(tabs, batch_id, 3)
        await until(lambda: shown(tabs, "late").last_seq == shown(tabs, batch_id).last_seq)
    for tab, at_first in ((batch_id, 0), ("late", 12)):
        first, *others = ticks_of(tabs, tab)
        assert (first[WHOLE], first[LAST_SEQ]) == (1, at_first)
        assert others[-1][LAST_SEQ] == 72
        assert not any(tick[WHOLE] for tick in others)
        assert sum(len(tick[KEYS]) for tick in others) == others[-1][LAST_SEQ] - at_first


async def test_a_page_that_comes_back_is_told_all_it_shows(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await look(tabs, batch_id)
    await until(lambda: shown(tabs, batch_id).last_seq > 10)
    sent = len(ticks_of(tabs, batch_id))
    await tabs.look(batch_id, BatchState)
    await until(lambda: len(ticks_of(tabs, batch_id)) > sent + 1)
    again = [tick for tick in ticks_of(tabs, batch_id)[sent:] if tick[WHOLE]]
    assert len(again[0][KEYS]) == NEWEST_POINTS < again[0][LAST_SEQ]
    seen = shown(tabs, batch_id)
    assert seen.points == await committed(tabs, batch_id, seen.points[0][0])


async def test_a_tab_that_missed_something_is_told_all_again(
    tabs: Tabs, batch_id: str, feed: Feed
) -> None:
    await look_at_feed(tabs, batch_id, feed)
    sent = len(ticks_of(tabs, batch_id))
    await tabs.send(batch_id, BatchState, "catch_up")
    await until(lambda: any(tick[WHOLE] for tick in ticks_of(tabs, batch_id)[sent:]))
    for _ in range(3):
        await feed.give(tabs, batch_id, 3)
    whole = [tick for tick in ticks_of(tabs, batch_id)[sent:] if tick[WHOLE]]
    assert [len(tick[KEYS]) for tick in whole] == [NEWEST_POINTS]


async def test_a_source_at_full_speed_sends_no_more_than_is_shown(
    tabs: Tabs, batch_id: str
) -> None:
    await tabs.service.start(batch_id, "flat_out")
    await look(tabs, batch_id)
    await until(lambda: len(ticks_of(tabs, batch_id)) > 10)
    ticks = ticks_of(tabs, batch_id)
    assert max(len(tick[KEYS]) for tick in ticks) == NEWEST_POINTS
    assert max(len(json.dumps(tick)) for tick in ticks) < 500
    seen = shown(tabs, batch_id)
    assert seen.last_seq > 10 * NEWEST_POINTS
    assert seen.points == await committed(tabs, batch_id, seen.points[0][0])


async def test_a_page_follows_its_batch_through_end_and_start(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await look(tabs, batch_id)
    await tabs.service.stop(batch_id)
    await until(lambda: state.status == "stopped")
    assert state.ended is not None
    assert [run.status for run in state.runs] == ["stopped"]
    await tabs.send(batch_id, BatchState, "start")
    await until(lambda: state.status == "running")
    assert [run.status for run in state.runs] == ["running", "stopped"]
    assert state.run_number == 2
    ended_with = tabs.service.row_count(tabs.service.batch(batch_id))
    await until(lambda: shown(tabs, batch_id).last_seq > ended_with)
    seen = shown(tabs, batch_id)
    assert seen.points == await committed(tabs, batch_id, seen.points[0][0])


async def test_an_unknown_batch_is_said_to_be_unknown_and_nothing_starts(tabs: Tabs) -> None:
    before = tabs.service.batches()
    state = await look(tabs, "never")
    assert state.kind == "unknown"
    await tabs.ticks()
    assert tabs.service.batches() == before
    await tabs.send("never", BatchState, "start")
    await until(lambda: state.kind == "batch")


@pytest.mark.parametrize("odd", ["a b", "<script>", "é", "'", "x" * 65, ".a", "a/b"])
async def test_what_can_be_no_batch_is_told_the_rule(tabs: Tabs, odd: str) -> None:
    before = tabs.service.batches()
    state = await look(tabs, odd)
    assert state.kind == "invalid"
    assert "beginning with a letter or digit" in state.why
    await tabs.send(odd, BatchState, "start")
    await tabs.send(odd, BatchState, "stop")
    assert tabs.service.batches() == before
    assert not tabs.errors


async def test_stop_goes_back_and_offers_to_start_again(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await look(tabs, batch_id)
    await tabs.send(batch_id, BatchState, "stop")
    assert tabs.service.running() == []
    said = tabs.scripts(batch_id)
    assert "_redirect {'path': '/'" in said
    assert f"Stopped {batch_id}" in said
    assert "start_again" in said


async def test_stopping_what_another_tab_stopped_is_the_same(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    tabs_of_b = [f"tab{i}" for i in range(10)]
    for tab in tabs_of_b:
        await tabs.open(tab, batch_id)
    await asyncio.gather(*(tabs.send(tab, BatchState, "stop") for tab in tabs_of_b))
    assert [run.status for run in await tabs.service.runs(batch_id)] == ["stopped"]
    assert all(f"Stopped {batch_id}" in tabs.scripts(tab) for tab in tabs_of_b)
    assert not tabs.errors


async def test_a_start_that_is_refused_says_why(tabs: Tabs, batch_id: str) -> None:
    for i in range(5):
        await tabs.service.start(f"{batch_id}-{i}")
    state = await look(tabs, "sixth")
    await tabs.send("sixth", BatchState, "start")
    assert state.error == "5 batches are already running. Stop one to start another."
    assert state.kind == "unknown"


async def test_a_page_at_rest_sends_nothing(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.service.stop(batch_id)
    await look(tabs, batch_id)
    await tabs.ticks()
    sent, minute = len(tabs.deltas[batch_id]), tabs.service.clock().minute
    await tabs.ticks(3)
    if tabs.service.clock().minute == minute:
        assert len(tabs.deltas[batch_id]) == sent
