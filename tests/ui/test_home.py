"""The state of the first page, its handlers run as a browser would have them run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from solo_app.batches.service import BatchService
from solo_app.batches.sources import Numbers, Source, random
from solo_app.ui.states.home import HomeState
from tests.ui.shown import ticks_of
from tests.ui.tabs import Tabs, open_tabs, tabs_on
from tests.workbench import open_service, silent, stop_all, until

pytestmark = pytest.mark.anyio

ROWS, SECOND, COUNTS, TRENDS = 1, 3, 4, 5
"""Where a tick of the first page tells them."""


async def raising() -> AsyncIterator[Numbers]:
    raise OSError("the cable is out")
    yield 0.0


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    # As slow as this, a tick has never more to tell than a card shows of a batch.
    return {"broken": raising, "random": random(0.01)}


@pytest.fixture(scope="module")
async def with_25(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BatchService]:
    """A service with 25 batches that ended."""
    database = tmp_path_factory.mktemp("with_25") / "solo.duckdb"
    async with open_service(database, silent=silent) as service:
        for i in range(25):
            await service.start(f"old-{i}", "silent")
            await service.stop(f"old-{i}")
        yield service


async def start(tabs: Tabs, tab: str, batch_id: str) -> None:
    await tabs.send(tab, HomeState, "start", form={"batch_id": batch_id})


async def test_fifty_tabs_that_start_fifty_batches_start_five(tabs: Tabs, batch_id: str) -> None:
    names = [f"{batch_id}-{i}" for i in range(50)]
    await asyncio.gather(*(tabs.open(name) for name in names))
    await asyncio.gather(*(start(tabs, name, name) for name in names))
    assert len(tabs.service.running()) == 5
    states = [await tabs.state(name, HomeState) for name in names]
    refused = [state.error for state in states if state.error]
    assert len(refused) == 45
    assert set(refused) == {"5 batches are already running. Stop one to start another."}
    assert not tabs.errors


async def test_fifty_tabs_that_start_one_batch_start_one(tabs: Tabs) -> None:
    names = [f"tab{i}" for i in range(50)]
    await asyncio.gather(*(tabs.open(name) for name in names))
    await asyncio.gather(*(start(tabs, name, "one") for name in names))
    assert [batch.batch_id for batch in tabs.service.running()] == ["one"]
    assert len(await tabs.service.runs("one")) == 1
    states = [await tabs.state(name, HomeState) for name in names]
    assert sum(state.running_already == "one" for state in states) == 49


async def test_a_refusal_says_why_and_leaves_the_field_alone(tabs: Tabs) -> None:
    before = tabs.service.batches()
    await tabs.open("tab")
    await start(tabs, "tab", "not one")
    state = await tabs.state("tab", HomeState)
    assert state.error.startswith("Use 1 to 64 letters")
    assert state.running_already == ""
    assert "value" not in tabs.scripts("tab")
    assert tabs.service.batches() == before


async def test_a_start_clears_the_field_and_the_error_before(tabs: Tabs) -> None:
    await tabs.open("tab")
    await start(tabs, "tab", "")
    assert (await tabs.state("tab", HomeState)).error
    await start(tabs, "tab", "  sensor-a ")
    assert (await tabs.state("tab", HomeState)).error == ""
    assert [batch.batch_id for batch in tabs.service.running()] == ["sensor-a"]
    assert "Started sensor-a" in tabs.scripts("tab")


async def test_stopping_what_was_stopped_before_is_no_error(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open("tab")
    for _ in range(2):
        await tabs.send("tab", HomeState, "stop", batch_id=batch_id)
    assert tabs.service.running() == []
    assert tabs.scripts("tab").count(f"Stopped {batch_id}") == 2
    assert not tabs.errors


async def test_the_page_shows_what_runs_and_goes_on_showing(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        await tabs.open("tab")
        looking = await tabs.look("tab", HomeState)
        state = await tabs.state("tab", HomeState)
        await until(lambda: state.loaded and ticks_of(tabs, "tab")[-1][ROWS] > 0)
        seen = ticks_of(tabs, "tab")[-1][ROWS]
        await until(lambda: ticks_of(tabs, "tab")[-1][ROWS] > seen)
        assert [slot.batch_id for slot in state.slots] == ["b", "", "", "", ""]
        assert [row.status for row in state.rows] == ["running"]
        looking.cancel()


async def test_a_tick_sends_only_what_changed(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start("ended")
    await tabs.service.stop("ended")
    await tabs.open("tab")
    looking = await tabs.look("tab", HomeState)
    state = await tabs.state("tab", HomeState)
    await until(lambda: state.loaded)
    sent = len(tabs.deltas["tab"])
    await tabs.ticks(3)
    for delta in tabs.deltas["tab"][sent:]:
        (changed,) = delta.values()
        assert {name.split("_rx_state_")[0] for name in changed} == {"tick"}
    sent = len(tabs.deltas["tab"])
    await tabs.service.start(batch_id)
    await until(lambda: state.running == 1)
    for delta in tabs.deltas["tab"][sent:]:
        (changed,) = delta.values()
        assert not any(name.startswith("search") for name in changed)
    looking.cancel()


async def test_ticks_tell_each_second_and_each_point_once(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open("tab")
    looking = await tabs.look("tab", HomeState)
    await until(lambda: ticks_of(tabs, "tab"))
    first = ticks_of(tabs, "tab")[0]
    await until(
        lambda: (
            len(ticks_of(tabs, "tab")) > 60 and ticks_of(tabs, "tab")[-1][SECOND] > first[SECOND]
        )
    )
    first, *others = ticks_of(tabs, "tab")
    assert len(first[COUNTS]) == 60
    assert sum(len(tick[COUNTS]) for tick in others) == others[-1][SECOND] - first[SECOND] > 0
    keys: list[float] = []
    for (trend,) in (tick[TRENDS] for tick in [first, *others]):
        last_seq, news, averages, whole = [*trend, [], 0][:4]
        keys = news if whole else keys + news
        assert len(keys) == last_seq
        assert len(averages) in (0, 1, 60)
    points = await tabs.service.points(batch_id, 0, len(keys))
    assert [point.key for point in points] == keys
    looking.cancel()


async def test_a_tab_that_missed_something_is_told_all_again(tabs: Tabs, batch_id: str) -> None:
    await tabs.service.start(batch_id)
    await tabs.open("tab")
    looking = await tabs.look("tab", HomeState)
    await until(lambda: len(ticks_of(tabs, "tab")) > 5)
    sent = len(ticks_of(tabs, "tab"))
    await tabs.send("tab", HomeState, "catch_up")
    await until(lambda: any(len(t[COUNTS]) == 60 for t in ticks_of(tabs, "tab")[sent:]))
    (whole,) = (t for t in ticks_of(tabs, "tab")[sent:] if len(t[COUNTS]) == 60)
    ((last_seq, keys, averages, told_whole),) = whole[TRENDS]
    assert told_whole
    assert len(keys) == min(last_seq, 40)
    assert len(averages) == 60
    looking.cancel()


async def test_looking_again_ends_the_look_before_and_leaving_ends_the_last(tabs: Tabs) -> None:
    await tabs.open("tab")
    looks = [await tabs.look("tab", HomeState) for _ in range(5)]
    await until(lambda: tabs.ticker.viewers == 1)
    await tabs.ticks()
    await until(lambda: all(look.done() for look in looks[:-1]))
    assert not looks[-1].done()
    looks[-1].cancel()
    await until(lambda: tabs.ticker.viewers == 0)


async def test_one_tick_that_fails_does_not_end_the_look(
    tabs: Tabs, batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tabs.open("tab")
    looking = await tabs.look("tab", HomeState)
    state = await tabs.state("tab", HomeState)
    await until(lambda: state.loaded)
    with monkeypatch.context() as broken:
        broken.setattr(tabs.service, "points", None)
        await tabs.service.start(batch_id)
        await tabs.ticks()
    await until(lambda: state.running == 1)
    assert not looking.done()
    looking.cancel()


async def test_a_batch_keeps_its_slot_whoever_comes_and_goes(tabs: Tabs) -> None:
    for name in ("a", "b", "c"):
        await tabs.service.start(name)
    await tabs.open("tab")
    looking = await tabs.look("tab", HomeState)
    state = await tabs.state("tab", HomeState)

    def held() -> list[str]:
        return [slot.batch_id for slot in state.slots]

    await until(lambda: held() == ["a", "b", "c", "", ""])
    await tabs.service.stop("a")
    await until(lambda: held() == ["", "b", "c", "", ""])
    await tabs.service.start("d")
    await until(lambda: held() == ["d", "b", "c", "", ""])
    await until(lambda: len(ticks_of(tabs, "tab")[-1][TRENDS]) == 3)
    points = {n: tabs.service.row_count(tabs.service.batch(n)) for n in "dbc"}
    trends = ticks_of(tabs, "tab")[-1][TRENDS]
    told = {n: trend[0] for n, trend in zip("dbc", trends, strict=True)}
    assert told["d"] < min(told["b"], told["c"])
    assert all(told[n] <= points[n] for n in "dbc")
    looking.cancel()


async def test_a_refusal_goes_when_its_cause_does(tabs: Tabs) -> None:
    for i in range(5):
        await tabs.service.start(f"b{i}")
    await tabs.open("tab")
    looking = await tabs.look("tab", HomeState)
    state = await tabs.state("tab", HomeState)
    await until(lambda: state.loaded)
    await start(tabs, "tab", "sixth")
    assert state.error.startswith("5 batches are already running")
    await tabs.ticks(2)
    assert state.error.startswith("5 batches are already running")
    await tabs.service.stop("b0")
    await until(lambda: state.error == "")
    await start(tabs, "tab", "b1")
    assert state.running_already == "b1"
    await tabs.service.stop("b1")
    await until(lambda: state.running_already == state.error == "")
    await start(tabs, "tab", "no such name")
    await tabs.service.stop("b2")
    await until(lambda: state.running == 2)
    assert state.error  # A name that cannot be stays one.
    await tabs.send("tab", HomeState, "forget_error")
    assert state.error == ""
    looking.cancel()


async def test_the_same_refused_name_is_answered_however_soon_it_comes_again(tabs: Tabs) -> None:
    await tabs.open("tab")
    state = await tabs.state("tab", HomeState)
    for _ in range(2):
        await start(tabs, "tab", "no such name")
        assert state.error
        await tabs.send("tab", HomeState, "forget_error")
        assert state.error == ""


async def test_what_the_tab_kept_is_shown_again(with_25: BatchService) -> None:
    async with tabs_on(with_25) as tabs:
        await tabs.open("before")
        await tabs.send("before", HomeState, "search_for", text="OLD & +")
        await tabs.send("before", HomeState, "search_for", text="old")
        await tabs.send("before", HomeState, "show_only", which="ended")
        await tabs.send("before", HomeState, "turn_to", page=1)
        kept = (await tabs.state("before", HomeState)).kept
        for tab, told in {
            "after": kept,
            "odd": "page=9e9&which=%00&search",
            "long": "&" * 99,
        }.items():
            await tabs.open(tab)
            state = await tabs.state(tab, HomeState)
            state.kept = told
            looking = await tabs.look(tab, HomeState)
            await until(lambda state=state: state.loaded)  # type: ignore[misc]
            shown = (state.search, state.which, state.page_no, len(state.rows))
            assert shown == (("old", "ended", 1, 5) if tab == "after" else ("", "all", 0, 20))
            looking.cancel()
        assert not tabs.errors


async def test_the_failed_are_found_with_their_reasons(tabs: Tabs) -> None:
    await tabs.service.start("good")
    await tabs.service.stop("good")
    await tabs.service.start("bad", "broken")
    await until(lambda: not tabs.service.running())
    await tabs.open("tab")
    await tabs.send("tab", HomeState, "show_only", which="failed")
    (row,) = (await tabs.state("tab", HomeState)).rows
    assert (row.batch_id, row.reason) == ("bad", "OSError: the cable is out")
    await tabs.send("tab", HomeState, "show_only", which="interrupted")
    assert (await tabs.state("tab", HomeState)).rows == []


async def test_the_table_is_searched_filtered_and_turned(with_25: BatchService) -> None:
    async with tabs_on(with_25) as tabs:
        await tabs.service.start("new")
        await tabs.open("tab")
        state = await tabs.state("tab", HomeState)

        async def shown(handler: str, **payload: object) -> list[str]:
            await tabs.send("tab", HomeState, handler, **payload)
            return [row.batch_id for row in state.rows]

        newest_first = [f"old-{i}" for i in reversed(range(25))]
        assert await shown("show_only", which="all") == ["new", *newest_first[:19]]
        assert (state.match_count, state.page_count) == (26, 2)
        assert await shown("turn_to", page=1) == newest_first[19:]
        assert await shown("turn_to", page=99) == newest_first[19:]
        assert await shown("search_for", text="OLD-1") == [
            *(f"old-{i}" for i in reversed(range(10, 20))),
            "old-1",
        ]
        assert await shown("show_only", which="running") == []
        assert await shown("search_for", text="") == ["new"]
        assert await shown("show_only", which="ended") == newest_first[:20]
    await stop_all(with_25)
