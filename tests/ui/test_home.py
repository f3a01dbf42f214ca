"""The state of the home page. Tests send the same events as a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from solo_app.batches.models import utc_now
from solo_app.batches.service import BatchService
from solo_app.batches.source import Numbers, Parameters, SourceKind
from solo_app.sources.random import random_kind
from solo_app.ui.state.home import HomeState
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import (
    FAST_RETRY,
    FakeClock,
    Source,
    open_service,
    silent,
    stop_all,
    wait_until,
)
from tests.ui.tabs import NEVER, Tabs, open_tabs, sent_vars, tabs_on

pytestmark = pytest.mark.anyio


async def raising() -> AsyncIterator[Numbers]:
    raise OSError("sensor disconnected")
    yield 0.0


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    return {"broken": raising, "random": random_kind(0.01)}


@pytest.fixture(scope="module")
async def with_25_ended() -> AsyncIterator[BatchService]:
    """A service with 25 ended batches."""
    async with open_service(MemoryStorage(), silent=silent) as service:
        for i in range(25):
            await service.start(f"old-{i}", "silent")
            await service.stop(f"old-{i}")
        yield service


async def start(tabs: Tabs, tab: str, batch_id: str) -> None:
    await tabs.send(tab, HomeState, "start", form={"batch_id": batch_id})


async def test_units_are_shown_in_slots_and_table(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id, unit="°C")
    state = await tabs.open_home_page("tab")
    assert state.slots[0]["unit"] == "°C"
    assert state.rows[0]["unit"] == "°C"
    await tabs.service.stop(batch_id)
    await wait_until(lambda: state.rows[0]["status"] == "stopped")
    assert state.rows[0]["unit"] == "°C"


async def test_fifty_concurrent_starts_start_five_batches(tabs: Tabs, batch_id: str) -> None:
    names = [f"{batch_id}-{i}" for i in range(50)]
    await asyncio.gather(*(tabs.open(name) for name in names))
    await asyncio.gather(*(start(tabs, name, name) for name in names))
    assert len(tabs.service.running()) == 5
    states = [await tabs.state(name, HomeState) for name in names]
    refused = [state.error for state in states if state.error]
    assert len(refused) == 45
    assert set(refused) == {"5 batches are running. Stop one to start another."}
    assert not tabs.errors


async def test_fifty_concurrent_starts_of_one_batch_start_one(tabs: Tabs) -> None:
    names = [f"tab{i}" for i in range(50)]
    await asyncio.gather(*(tabs.open(name) for name in names))
    await asyncio.gather(*(start(tabs, name, "one") for name in names))
    assert [batch.batch_id for batch in tabs.service.running()] == ["one"]
    assert len(await tabs.service.runs("one")) == 1
    states = [await tabs.state(name, HomeState) for name in names]
    assert sum(state.already_running == "one" for state in states) == 49


async def test_error_leaves_the_field_unchanged(tabs: Tabs) -> None:
    before = tabs.service.batches()
    await tabs.open("tab")
    await start(tabs, "tab", "not one")
    state = await tabs.state("tab", HomeState)
    assert state.error.startswith("Use 1 to 64 letters")
    assert state.already_running == ""
    assert "value" not in tabs.sent_events("tab")
    assert tabs.service.batches() == before


async def test_start_clears_field_and_error(tabs: Tabs) -> None:
    await tabs.open("tab")
    await start(tabs, "tab", "")
    assert (await tabs.state("tab", HomeState)).error
    await start(tabs, "tab", "  sensor-a ")
    assert (await tabs.state("tab", HomeState)).error == ""
    assert [batch.batch_id for batch in tabs.service.running()] == ["sensor-a"]
    assert "Started sensor-a" in tabs.sent_events("tab")


async def test_stopping_an_ended_batch_succeeds(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open("tab")
    for _ in range(2):
        await tabs.send("tab", HomeState, "stop", batch_id=batch_id)
    assert tabs.service.running() == []
    assert tabs.sent_events("tab").count(f"Stopped {batch_id}") == 2
    assert not tabs.errors


async def test_running_batch_is_shown_live(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        await tabs.open("tab")
        updates = await tabs.start_updates("tab", HomeState)
        state = await tabs.state("tab", HomeState)
        for _ in range(3):
            row_count = state.row_count
            await wait_until(lambda row_count=row_count: state.row_count > row_count)  # type: ignore[misc]
        assert [slot["batch_id"] for slot in state.slots] == ["b", "", "", "", ""]
        assert [row["status"] for row in state.rows] == ["running"]
        updates.cancel()


async def test_slot_of_a_source_that_is_being_restarted_is_marked() -> None:
    kind = SourceKind("broken", "For tests.", Parameters, lambda *_: raising())
    timing = replace(FAST_RETRY, restart_delay=60)
    async with open_tabs(MemoryStorage(), utc_now, timing, broken=kind) as tabs:
        await tabs.service.start("a")
        await tabs.service.start("b", "broken")
        state = await tabs.open_home_page("tab")
        await wait_until(lambda: state.slots[1]["is_retrying"])
        assert not state.slots[0]["is_retrying"]
        await tabs.service.stop("b")
        await wait_until(lambda: not state.slots[1]["is_retrying"])


async def test_only_changed_vars_are_sent() -> None:
    clock = FakeClock("2012-11-11 10:11:10")
    async with open_tabs(MemoryStorage(), clock) as tabs:
        await tabs.open_home_page("tab")
        assert await sent_vars(tabs, "tab", HomeState, clock) == {frozenset({"server_time"})}


async def test_slots_table_and_totals_are_consistent(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open("tab")
    await tabs.start_updates("tab", HomeState)
    before = tabs.service.totals().row_count
    state = await tabs.state("tab", HomeState)
    await wait_until(lambda: state.row_count > before + 50)
    shown: dict[str, Any] = {}
    for delta in tabs.state_deltas("tab", HomeState):
        shown |= delta
        if not shown["is_loaded"]:
            continue
        slot = next(slot for slot in shown["slots"] if slot["batch_id"] == batch_id)
        (row,) = (row for row in shown["rows"] if row["batch_id"] == batch_id)
        assert shown["slots"][row["slot"]] == slot
        ended = sum(row["row_count"] for row in shown["rows"] if row["slot"] < 0)
        assert shown["row_count"] == slot["row_count"] + ended
        if slot["row_count"]:
            assert slot["recent"][-1] == slot["latest"]
            assert len(slot["recent"]) == min(40, slot["row_count"])


async def test_throughput_covers_sixty_seconds(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    state = await tabs.open_home_page("tab")
    await wait_until(lambda: sum(state.throughput) > 0)
    assert len(state.throughput) == 60


async def test_page_load_ends_updates_of_the_previous_load(tabs: Tabs) -> None:
    await tabs.open("tab")
    updates = [await tabs.start_updates("tab", HomeState) for _ in range(5)]
    await wait_until(lambda: tabs.ticker.viewers == 1)
    await tabs.ticks()
    await wait_until(lambda: all(update.done() for update in updates[:-1]))
    assert not updates[-1].done()
    updates[-1].cancel()
    await wait_until(lambda: tabs.ticker.viewers == 0)


async def test_batch_keeps_its_slot(tabs: Tabs) -> None:
    for name in ("a", "b", "c"):
        await tabs.service.start(name)
    state = await tabs.open_home_page("tab")

    def slot_ids() -> list[str]:
        return [slot["batch_id"] for slot in state.slots]

    await wait_until(lambda: slot_ids() == ["a", "b", "c", "", ""])
    await tabs.service.stop("a")
    await wait_until(lambda: slot_ids() == ["", "b", "c", "", ""])
    await tabs.service.start("d")
    await wait_until(lambda: slot_ids() == ["d", "b", "c", "", ""])


async def test_error_is_cleared_when_its_cause_ends(tabs: Tabs) -> None:
    for i in range(5):
        await tabs.service.start(f"b{i}")
    state = await tabs.open_home_page("tab")
    await start(tabs, "tab", "sixth")
    assert state.error.startswith("5 batches are running")
    await tabs.ticks(2)
    assert state.error.startswith("5 batches are running")
    await tabs.service.stop("b0")
    await wait_until(lambda: state.error == "")
    await start(tabs, "tab", "b1")
    assert state.already_running == "b1"
    await tabs.service.stop("b1")
    await wait_until(lambda: state.error == "")
    await start(tabs, "tab", "no such name")
    await tabs.service.stop("b2")
    await wait_until(lambda: state.running_count == 2)
    assert state.error  # The name is still invalid.
    await tabs.send("tab", HomeState, "clear_error")
    assert state.error == ""


async def test_rejected_name_can_be_submitted_again_immediately(tabs: Tabs) -> None:
    await tabs.open("tab")
    state = await tabs.state("tab", HomeState)
    for _ in range(2):
        await start(tabs, "tab", "no such name")
        assert state.error
        await tabs.send("tab", HomeState, "clear_error")
        assert state.error == ""


async def test_saved_query_is_restored(with_25_ended: BatchService) -> None:
    async with tabs_on(with_25_ended) as tabs:
        await tabs.open("before")
        await tabs.send("before", HomeState, "search_batches", text="OLD & +")
        await tabs.send("before", HomeState, "search_batches", text="old")
        await tabs.send("before", HomeState, "filter_by_status", status_filter="ended")
        await tabs.send("before", HomeState, "show_page", page=1)
        saved = (await tabs.state("before", HomeState)).saved_query
        for tab, query in {
            "after": saved,
            "odd": "page=9e9&status=%00&search",
            "long": "&" * 99,
        }.items():
            await tabs.open(tab)
            state = await tabs.state(tab, HomeState)
            state.saved_query = query
            updates = await tabs.start_updates(tab, HomeState)
            await wait_until(lambda state=state: state.is_loaded)  # type: ignore[misc]
            shown = (state.search, state.status_filter, state.page_no, len(state.rows))
            assert shown == (("old", "ended", 1, 5) if tab == "after" else ("", "all", 0, 20))
            updates.cancel()
        assert not tabs.errors


async def test_count_follows_a_search_and_a_start_within_a_tick() -> None:
    async with open_tabs(MemoryStorage(), tick=0.2, silent=silent) as tabs:
        for name in ("a-1", "a-2", "b-1"):
            await tabs.service.start(name, "silent")
        state = await tabs.open_home_page("tab")
        await wait_until(lambda: state.match_count == 3)
        await tabs.ticks(0)
        await tabs.send("tab", HomeState, "search_batches", text="a")
        assert state.match_count == 2
        await tabs.service.start("a-3", "silent")
        await wait_until(lambda: state.match_count == 3)


async def test_rows_of_a_search_refer_to_the_slots() -> None:
    async with open_tabs(MemoryStorage(), tick=NEVER, silent=silent) as tabs:
        state = await tabs.open_home_page("tab")
        await tabs.service.start("b", "silent")
        await tabs.send("tab", HomeState, "search_batches", text="b")
        (row,) = state.rows
        assert state.slots[row["slot"]]["batch_id"] == "b"


async def test_evicted_page_is_complete_again(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open("tab")
    updates = await tabs.start_updates("tab", HomeState)
    state = await tabs.evict("tab", HomeState)
    await wait_until(lambda: state.is_loaded and state.rows and len(state.slots) == 5)
    assert state.running_count == 1
    updates.cancel()


async def test_failed_batches_are_listed_with_reasons(tabs: Tabs) -> None:
    await tabs.service.start("good")
    await tabs.service.stop("good")
    await tabs.service.start("bad", "broken")
    await wait_until(lambda: not tabs.service.running())
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "filter_by_status", status_filter="failed")
    (row,) = (await tabs.state("tab", HomeState)).rows
    assert (row["batch_id"], row["reason"]) == ("bad", "OSError: sensor disconnected")
    await tabs.send("tab", HomeState, "filter_by_status", status_filter="interrupted")
    assert (await tabs.state("tab", HomeState)).rows == []


async def test_table_can_be_searched_filtered_and_paged(with_25_ended: BatchService) -> None:
    async with tabs_on(with_25_ended) as tabs:
        await tabs.service.start("new")
        await tabs.open("tab")
        state = await tabs.state("tab", HomeState)

        async def shown(handler: str, **payload: object) -> list[str]:
            await tabs.send("tab", HomeState, handler, **payload)
            return [row["batch_id"] for row in state.rows]

        newest_first = [f"old-{i}" for i in reversed(range(25))]
        assert await shown("filter_by_status", status_filter="all") == ["new", *newest_first[:19]]
        assert (state.match_count, state.page_count) == (26, 2)
        assert await shown("show_page", page=1) == newest_first[19:]
        assert await shown("show_page", page=99) == newest_first[19:]
        assert await shown("search_batches", text="OLD-1") == [
            *(f"old-{i}" for i in reversed(range(10, 20))),
            "old-1",
        ]
        assert await shown("filter_by_status", status_filter="running") == []
        assert await shown("search_batches", text="") == ["new"]
        assert await shown("filter_by_status", status_filter="ended") == newest_first[:20]
    await stop_all(with_25_ended)
