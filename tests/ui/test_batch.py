"""The state of a batch's page, its handlers run as a browser would have them run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from solo_app.ui.states.batch import BatchState
from solo_app.ui.states.watch import CHART_POINTS
from tests.ui.tabs import Tabs, open_tabs
from tests.workbench import until

pytestmark = pytest.mark.anyio


async def look(tabs: Tabs, batch_id: str) -> Any:
    """Open the page of a batch in a tab of its own, and wait for what it shows first."""
    await tabs.open(batch_id, batch_id)
    await tabs.look(batch_id, BatchState)
    state = await tabs.state(batch_id, BatchState)
    await until(lambda: state.shown == batch_id)
    return state


async def test_a_running_batch_is_shown_live(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        state = await look(tabs, "b")
        assert (state.kind, state.status, state.run_number) == ("batch", "running", 1)
        await until(lambda: state.last_seq > CHART_POINTS + 10)
        assert len(state.times) == len(state.keys) == CHART_POINTS
        assert list(state.times) == sorted(state.times)
        points = await tabs.service.points("b", after=state.last_seq - 1, limit=1)
        assert points[0].key == state.keys[-1]
        assert state.title == "b · Running · SOLO"
        assert 1 <= state.next_in <= 60


async def test_the_points_shown_are_without_gap_whatever_was_missed(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        state = await look(tabs, "b")
        for _ in range(3):
            await tabs.ticker.next()
            last = state.last_seq
            expected = await tabs.service.points("b", max(0, last - CHART_POINTS), CHART_POINTS)
            assert [point.key for point in expected][: len(state.keys)] == list(state.keys)


async def test_a_page_follows_its_batch_through_end_and_start(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        state = await look(tabs, "b")
        await tabs.service.stop("b")
        await until(lambda: state.status == "stopped")
        assert state.ended is not None
        assert [run.status for run in state.runs] == ["stopped"]
        await tabs.send("b", BatchState, "start")
        await until(lambda: state.status == "running")
        assert [run.status for run in state.runs] == ["running", "stopped"]
        assert state.run_number == 2


async def test_an_unknown_batch_is_said_to_be_unknown_and_nothing_starts(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        state = await look(tabs, "never")
        assert state.kind == "unknown"
        await tabs.ticker.next()
        assert tabs.service.batches() == []
        await tabs.send("never", BatchState, "start")
        await until(lambda: state.kind == "batch")


@pytest.mark.parametrize("odd", ["a b", "<script>", "é", "'", "x" * 65, ".a", "a/b"])
async def test_what_can_be_no_batch_is_told_the_rule(tmp_path: Path, odd: str) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        state = await look(tabs, odd)
        assert state.kind == "invalid"
        assert "beginning with a letter or digit" in state.why
        await tabs.send(odd, BatchState, "start")
        await tabs.send(odd, BatchState, "stop")
        assert tabs.service.batches() == []
        assert not tabs.errors


async def test_stop_goes_back_and_offers_to_start_again(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        await look(tabs, "b")
        await tabs.send("b", BatchState, "stop")
        assert tabs.service.running() == []
        said = tabs.scripts("b")
        assert "_redirect {'path': '/'" in said
        assert "Stopped b" in said
        assert "start_again" in said


async def test_stopping_what_another_tab_stopped_is_the_same(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        tabs_of_b = [f"tab{i}" for i in range(10)]
        for tab in tabs_of_b:
            await tabs.open(tab, "b")
        await asyncio.gather(*(tabs.send(tab, BatchState, "stop") for tab in tabs_of_b))
        assert [run.status for run in await tabs.service.runs("b")] == ["stopped"]
        assert all("Stopped b" in tabs.scripts(tab) for tab in tabs_of_b)
        assert not tabs.errors


async def test_a_start_that_is_refused_says_why(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        for i in range(5):
            await tabs.service.start(f"b{i}")
        state = await look(tabs, "sixth")
        await tabs.send("sixth", BatchState, "start")
        assert state.error == "5 batches are running already; stop one to start another."
        assert state.kind == "unknown"


async def test_a_page_at_rest_sends_nothing(tmp_path: Path) -> None:
    async with open_tabs(tmp_path / "solo.duckdb") as tabs:
        await tabs.service.start("b")
        await tabs.service.stop("b")
        await look(tabs, "b")
        await tabs.ticker.next()
        sent, minute = len(tabs.deltas["b"]), tabs.service.clock().minute
        for _ in range(3):
            await tabs.ticker.next()
        if tabs.service.clock().minute == minute:
            assert len(tabs.deltas["b"]) == sent
