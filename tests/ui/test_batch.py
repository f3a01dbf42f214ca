"""The state of the batch page. Tests send the same events as a browser."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from solo_app.batches.models import RestartPolicy, to_microseconds
from solo_app.batches.source import Numbers
from solo_app.ui.state.batch import BatchState, MinutesState
from solo_app.ui.state.batch_view import LATEST_POINTS
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FakeClock, Source, wait_until
from tests.ui.tabs import Tabs, open_tabs, sent_vars

pytestmark = pytest.mark.anyio


async def fast_source() -> AsyncIterator[Numbers]:
    while True:
        yield np.arange(1_000.0)
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    return {"fast": fast_source}


async def test_running_batch_is_shown_live(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await tabs.open_batch_page(batch_id, batch_id)
    assert (state.kind, state.status, state.run_number) == ("batch", "running", 1)
    assert state.title == f"{batch_id} · Running · SOLO"
    for _ in range(3):
        row_count = state.row_count
        await wait_until(lambda row_count=row_count: state.row_count > row_count)  # type: ignore[misc]


@pytest.mark.parametrize("source", ["random", "fast"])
async def test_values_of_one_update_are_consistent(tabs: Tabs, batch_id: str, source: str) -> None:
    await tabs.service.start(batch_id, source)
    state = await tabs.open_batch_page(batch_id, batch_id)
    for _ in range(5):
        row_count = state.row_count
        await wait_until(lambda row_count=row_count: state.row_count > row_count + LATEST_POINTS)  # type: ignore[misc]
    shown: dict[str, Any] = {}
    updates = 0
    for delta in tabs.state_deltas(batch_id, BatchState):
        shown |= delta
        if not shown["row_count"]:
            continue
        updates += 1
        latest, *_, oldest = shown["points"]
        assert latest["key"] == shown["latest"]
        assert latest["seq"] == shown["row_count"]
        assert oldest["seq"] == max(1, latest["seq"] - LATEST_POINTS + 1)
        assert shown["points_in_minute"] == shown["row_count"]
        last_t = shown["chart_end"] + max(shown["chart_offsets"]) * 1000
        assert latest["t"] - last_t < 251_000
        assert latest["t"] <= shown["chart_end"]
    assert updates >= 5


async def test_configuration_of_the_latest_run_is_shown(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(
        batch_id, parameters={"low": 5}, unit="°C", description="Kiln door, upper"
    )
    state = await tabs.open_batch_page(batch_id, batch_id)
    await tabs.service.stop(batch_id)
    await tabs.service.start(batch_id, parameters={"low": 7}, restart=RestartPolicy.ON_FAILURE)
    await wait_until(lambda: state.run_number == 2)
    assert (state.source, state.restart) == ("random", "on-failure")
    assert (state.unit, state.description) == ("°C", "Kiln door, upper")
    numbers = {row["title"]: row["number"] for row in state.parameters}
    assert numbers == {"Interval": 0.004, "Low": 7, "High": 100}


async def test_points_equal_those_in_the_store(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await tabs.open_batch_page(batch_id, batch_id)
    await wait_until(lambda: state.row_count > LATEST_POINTS)
    points = [dict(point) for point in reversed(state.points)]
    stored = await tabs.service.points(batch_id, points[0]["seq"] - 1, LATEST_POINTS)
    expected = [{"seq": p.seq, "t": to_microseconds(p.ts), "key": p.key} for p in stored]
    assert points == expected


async def test_only_changed_vars_are_sent() -> None:
    clock = FakeClock("2012-11-11 10:11:10")
    async with open_tabs(MemoryStorage(), clock) as tabs:
        await tabs.service.start("b")
        await tabs.service.stop("b")
        await tabs.open_batch_page("b", "b")
        assert await sent_vars(tabs, "b", BatchState, clock) == {frozenset({"server_time"})}


async def test_paused_table_keeps_its_points(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await tabs.open_batch_page(batch_id, batch_id)
    await wait_until(lambda: state.row_count > LATEST_POINTS)
    await tabs.send(batch_id, BatchState, "pause", paused=True)
    points, row_count = [dict(p) for p in state.points], state.row_count
    await wait_until(lambda: state.row_count > row_count + LATEST_POINTS)
    assert [dict(p) for p in state.points] == points
    await tabs.send(batch_id, BatchState, "pause", paused=False)
    await wait_until(lambda: state.points[0]["seq"] == state.row_count)


async def test_page_shows_end_and_restart(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await tabs.open_batch_page(batch_id, batch_id)
    await wait_until(lambda: state.row_count > 0)
    await tabs.service.stop(batch_id)
    await wait_until(lambda: state.status == "stopped")
    assert state.chart_end == state.ended
    assert [run.status for run in state.runs] == ["stopped"]
    row_count = tabs.service.row_count(tabs.service.batch(batch_id))
    assert state.row_count == row_count
    await tabs.send(batch_id, BatchState, "start")
    await wait_until(lambda: state.status == "running" and state.row_count > row_count)
    assert [run.status for run in state.runs] == ["running", "stopped"]
    assert state.run_number == 2
    # The chart has the points of both runs, with a break between them.
    await wait_until(lambda: None in state.chart_keys)


async def test_ended_batch_shows_its_last_minute_with_points(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await tabs.open_batch_page(batch_id, batch_id)
    await wait_until(lambda: state.row_count > 0)
    await tabs.service.stop(batch_id)
    await wait_until(lambda: state.status == "stopped")
    assert state.minute.start <= state.points[0]["t"] < state.minute.end
    assert state.minute.count > 0


async def test_unknown_batch_is_not_started(tabs: Tabs) -> None:
    before = tabs.service.batches()
    state = await tabs.open_batch_page("never", "never")
    assert state.kind == "unknown"
    await tabs.ticks()
    assert tabs.service.batches() == before
    await tabs.send("never", BatchState, "start")
    await wait_until(lambda: state.kind == "batch")


@pytest.mark.parametrize("invalid", ["a b", "<script>", "é", "'", "x" * 65, ".a", "a/b"])
async def test_invalid_id_is_explained(tabs: Tabs, invalid: str) -> None:
    before = tabs.service.batches()
    state = await tabs.open_batch_page(invalid, invalid)
    assert state.kind == "invalid"
    assert "beginning with a letter or digit" in state.invalid_reason
    await tabs.send(invalid, BatchState, "start")
    await tabs.send(invalid, BatchState, "stop")
    assert tabs.service.batches() == before
    assert not tabs.errors


async def test_stop_redirects_to_home_page(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open_batch_page(batch_id, batch_id)
    await tabs.send(batch_id, BatchState, "stop")
    assert tabs.service.running() == []
    events = tabs.sent_events(batch_id)
    assert "_redirect {'path': '/'" in events
    assert f"Stopped {batch_id}" in events
    assert "start_again" in events


async def test_deletion_redirects_to_home_page(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.service.stop(batch_id)
    page = await tabs.open_batch_page(batch_id, batch_id)
    await tabs.send(batch_id, BatchState, "delete")
    assert batch_id not in [batch.batch_id for batch in tabs.service.batches()]
    events = tabs.sent_events(batch_id)
    assert "_redirect {'path': '/'" in events
    assert f"Deleted {batch_id}" in events
    assert not page.is_deleting


async def test_running_batch_is_not_deleted(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    page = await tabs.open_batch_page(batch_id, batch_id)
    await tabs.send(batch_id, BatchState, "delete")
    assert "running" in page.error
    assert not page.is_deleting
    assert [batch.batch_id for batch in tabs.service.running()] == [batch_id]
    assert "_redirect" not in tabs.sent_events(batch_id)


async def test_deleted_batch_is_unknown_in_other_tabs(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.service.stop(batch_id)
    page = await tabs.open_batch_page(batch_id, batch_id)
    await tabs.service.delete(batch_id)
    await wait_until(lambda: page.kind == "unknown")


async def test_ten_tabs_can_stop_the_same_batch(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    names = [f"tab{i}" for i in range(10)]
    for tab in names:
        await tabs.open(tab, batch_id)
    await asyncio.gather(*(tabs.send(tab, BatchState, "stop") for tab in names))
    assert [run.status for run in await tabs.service.runs(batch_id)] == ["stopped"]
    assert all(f"Stopped {batch_id}" in tabs.sent_events(tab) for tab in names)
    assert not tabs.errors


async def test_start_error_is_shown_until_a_batch_ends(tabs: Tabs, batch_id: str) -> None:
    for i in range(5):
        await tabs.service.start(f"{batch_id}-{i}")
    state = await tabs.open_batch_page("sixth", "sixth")
    await tabs.send("sixth", BatchState, "start")
    assert state.error == "5 batches are running. Stop one to start another."
    await tabs.ticks(3)
    assert state.kind == "unknown"
    assert state.error
    await tabs.service.stop(f"{batch_id}-0")
    await wait_until(lambda: not state.error)


async def test_chosen_range_is_shown(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open_batch_page(batch_id, batch_id)
    minutes = await tabs.state(batch_id, MinutesState)
    for span in (60, 15, 1440):
        await tabs.send(batch_id, BatchState, "show_range", minutes=span)
        await wait_until(lambda span=span: minutes.end - minutes.start == span * 60_000_000)  # type: ignore[misc]


async def test_open_page_keeps_its_state() -> None:
    clock = FakeClock("2012-11-11 10:11:10")
    async with open_tabs(MemoryStorage(), clock) as tabs:
        # Reflex evicts a state that is not accessed for ``token_expiration`` seconds.
        tabs.manager.token_expiration = 1
        await tabs.service.start("b")
        await tabs.service.stop("b")
        state = await tabs.open_batch_page("b", "b")
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            clock.advance(seconds=1)
            await tabs.ticks()
        assert state is await tabs.state("b", BatchState)


async def test_evicted_page_is_complete_again(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open_batch_page(batch_id, batch_id)
    minutes = await tabs.state(batch_id, MinutesState)
    await wait_until(lambda: minutes.end > 0)
    state = await tabs.evict(batch_id, BatchState)
    minutes = await tabs.state(batch_id, MinutesState)
    await wait_until(lambda: state.kind == "batch" and state.runs and state.points)
    await wait_until(lambda: minutes.end > 0)
